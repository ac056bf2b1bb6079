/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct.c - stream an answer while the request's body still comes in
 *
 * DOC: Theory of operation
 *
 * libmicrohttpd answers only after it has read the whole body. A handler that reports progress
 * while it reads (docker load) would be heard at the end. So when such a handler begins to stream,
 * its thread writes the answer to the socket itself, in chunks, and the connection is closed
 * afterwards; libmicrohttpd goes on reading. Not over TLS (the session belongs to libmicrohttpd's
 * thread) and not to HTTP/1.0: there the answer waits in the ring (resp.c).
 *
 * A client may send all of its body before it reads a byte: as long as the body comes in, a write
 * never blocks, and what the socket does not take is kept (HTTP_EARLY_ANSWER_MAX). Afterwards a
 * write blocks while the client is slow. Only the handler's thread touches impl->direct_out.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "http/impl.h"

/* Send what is kept, down to @leave bytes; does not wait if @leave is SIZE_MAX. */
static int direct_flush(struct http_req_impl *impl, size_t leave)
{
	struct buf *out = &impl->direct_out;

	while (out->len > 0) {
		struct pollfd p = {.fd = impl->conn->fd, .events = POLLOUT};
		ssize_t n = send(impl->conn->fd, out->data, out->len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			buf_consume(out, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			return -EPIPE;
		else if (out->len <= leave)
			return 0;
		else
			(void)poll(&p, 1, -1); /* a hang-up ends it as well */
	}
	return 0;
}

static bool direct_body_is_in(struct http_req_impl *impl)
{
	bool in;

	pthread_mutex_lock(&impl->lock);
	in = impl->in_ended;
	pthread_mutex_unlock(&impl->lock);
	return in;
}

/**
 * direct_possible() - Whether this request's answer can go straight to the socket
 * @impl: Request
 *
 * Return: the answer
 */
bool direct_possible(struct http_req_impl *impl)
{
	return !impl->conn->listening->tls && impl->http_1_1;
}

/**
 * direct_begin() - Send the headers
 * @impl:   Request; the answer's headers are collected
 * @status: HTTP status
 *
 * Return: 0, or -EPIPE if the client left
 */
int direct_begin(struct http_req_impl *impl, unsigned int status)
{
	struct buf *out = &impl->direct_out;
	const char *at = impl->headers.data, *end = at ? at + impl->headers.len : NULL;

	buf_addf(out, "HTTP/1.1 %u %s\r\n", status, status == 200 ? "OK" : "Status");
	while (at < end) {
		const char *value = at + strlen(at) + 1;

		buf_addf(out, "%s: %s\r\n", at, value);
		at = value + strlen(value) + 1;
	}
	buf_adds(out, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
	return out->failed ? -ENOMEM : direct_flush(impl, SIZE_MAX);
}

/**
 * direct_write() - Send a chunk
 * @impl: Request
 * @data: Bytes
 * @len:  How many, not 0
 *
 * Return: 0, -EPIPE once the client left, -ENOBUFS if it does not read while it sends
 */
int direct_write(struct http_req_impl *impl, const void *data, size_t len)
{
	struct buf *out = &impl->direct_out;
	bool body_is_in = direct_body_is_in(impl);

	if (!body_is_in && out->len + len > HTTP_EARLY_ANSWER_MAX)
		return -ENOBUFS;
	buf_addf(out, "%zx\r\n", len);
	buf_add(out, data, len);
	buf_adds(out, "\r\n");
	if (out->failed)
		return -ENOMEM;
	return direct_flush(impl, body_is_in ? 0 : SIZE_MAX);
}

/**
 * direct_end() - Send the last chunk; the handler has returned
 * @impl: Request
 *
 * What is left of the body is discarded from here on, so that the client comes to read.
 */
void direct_end(struct http_req_impl *impl)
{
	pthread_mutex_lock(&impl->lock);
	impl->in_unwanted = true;
	pthread_cond_broadcast(&impl->changed);
	pthread_mutex_unlock(&impl->lock);
	buf_adds(&impl->direct_out, "0\r\n\r\n");
	(void)direct_flush(impl, 0); /* the client left: nobody to tell */
}
