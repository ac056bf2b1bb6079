/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.c - a request's body, whole or piecewise
 *
 * DOC: Theory of operation
 *
 * INLINE: the connection's thread appends to impl->body (bounded by HTTP_BODY_MAX) and runs the
 * handler afterwards, on itself. STREAM: it pushes into a ring (HTTP_RING_MAX) and blocks while
 * that is full, so a client can never send faster than the handler reads. What a handler leaves
 * unread is discarded, so that the connection can be used again.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/impl.h"

/* Lock held. Nobody will read what still comes. */
static bool body_unwanted(const struct http_req_impl *impl)
{
	return impl->handler_done || impl->in_unwanted || impl->answer == HTTP_ANSWER_WHOLE;
}

/**
 * body_receive() - Take bytes from the client; connection's thread
 * @impl: Request
 * @data: Bytes
 * @len:  How many
 *
 * Blocks in STREAM mode while the handler has not read what came before.
 *
 * Return: 0, or <0 if the connection must be cut
 */
int body_receive(struct http_req_impl *impl, const void *data, size_t len)
{
	bool oom;

	if (impl->refused) {
		impl->discarded_bytes += len;
		return impl->discarded_bytes > HTTP_DISCARD_MAX ? -EFBIG : 0;
	}
	if (impl->mode == HTTP_INLINE) {
		if (len > HTTP_BODY_MAX - impl->body.len) {
			impl->refused = true;
			(void)err_user(&impl->req.err, ERR_INVALID, "request body too large");
			return 0;
		}
		buf_add(&impl->body, data, len);
		return 0;
	}
	pthread_mutex_lock(&impl->lock);
	while (len > 0 && !body_unwanted(impl)) {
		size_t n = http_ring_push(&impl->in, data, len, HTTP_RING_MAX);

		data = (const char *)data + n;
		len -= n;
		if (n > 0)
			pthread_cond_broadcast(&impl->changed);
		else if (impl->in.cap == 0)
			break; /* no memory: the handler would wait for ever */
		else
			pthread_cond_wait(&impl->changed, &impl->lock);
	}
	oom = impl->in.cap == 0 && len > 0 && !body_unwanted(impl);
	pthread_mutex_unlock(&impl->lock);
	return oom ? -ENOMEM : 0;
}

/**
 * body_end() - No more bytes will come; connection's thread
 * @impl:   Request
 * @broken: The client left before the end
 */
void body_end(struct http_req_impl *impl, bool broken)
{
	pthread_mutex_lock(&impl->lock);
	if (!impl->in_ended) {
		impl->in_ended = true;
		impl->in_broken = broken;
		pthread_cond_broadcast(&impl->changed);
	}
	pthread_mutex_unlock(&impl->lock);
}

/**
 * http_body_read() - Read the next piece of the body
 * @req:  Request
 * @data: Filled
 * @len:  At most this many bytes
 *
 * Return: how many bytes, 0 at the end, -ECONNRESET if the client stopped halfway
 */
ssize_t http_body_read(struct http_req *req, void *data, size_t len)
{
	struct http_req_impl *impl = req->impl;
	size_t n;
	bool broken;

	if (impl->mode == HTTP_INLINE) {
		n = MIN(len, impl->body.len - impl->body_at);
		if (n)
			memcpy(data, impl->body.data + impl->body_at, n);
		impl->body_at += n;
		return (ssize_t)n;
	}
	pthread_mutex_lock(&impl->lock);
	while (impl->in.len == 0 && !impl->in_ended)
		pthread_cond_wait(&impl->changed, &impl->lock);
	n = http_ring_pop(&impl->in, data, len);
	broken = n == 0 && impl->in_broken;
	if (n > 0)
		pthread_cond_broadcast(&impl->changed);
	pthread_mutex_unlock(&impl->lock);
	return broken ? -ECONNRESET : (ssize_t)n;
}

static int body_collect(struct http_req *req, size_t max)
{
	struct buf *body = &req->impl->body;

	for (;;) {
		ssize_t n;

		if (body->len > max)
			return 0;
		if (!buf_reserve(body, KIB(4)))
			return err_oom(&req->err);
		n = http_body_read(req, body->data + body->len, KIB(4));
		if (n < 0)
			return err_user(&req->err, ERR_INVALID, "unexpected EOF");
		if (n == 0)
			return 0;
		body->len += (size_t)n;
		body->data[body->len] = '\0';
	}
}

/**
 * http_body_all() - The whole body
 * @req:      Request
 * @max:      Refuse more than this
 * @ret_data: Set to the bytes, NUL-terminated, borrowed until the request ends
 * @ret_len:  Set to their number
 *
 * Return: 0, or <0 with req->err filled
 */
int http_body_all(struct http_req *req, size_t max, const char **ret_data, size_t *ret_len)
{
	struct http_req_impl *impl = req->impl;
	int r;

	if (impl->mode == HTTP_STREAM) {
		r = body_collect(req, max);
		if (r < 0)
			return r;
	}
	if (impl->body.failed)
		return err_oom(&req->err);
	if (impl->body.len > max)
		return err_user(&req->err, ERR_INVALID, "request body too large");
	*ret_data = impl->body.data ? impl->body.data : "";
	*ret_len = impl->body.len;
	return 0;
}
