/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hijack.c - hand the client's connection itself to a handler
 *
 * DOC: Theory of operation
 *
 * The handler asks (http_hijack), the connection's thread answers:
 *
 * - The client sent Upgrade, no TLS: libmicrohttpd answers 101 and gives the socket plus the bytes
 *   that came early.
 * - It did not: libmicrohttpd can only upgrade with 101, so the thread writes "HTTP/1.1 200 OK" to
 *   the socket itself, lends the socket out, waits for the handler, and then has the connection
 *   closed.
 * - TLS: the same with either status, because libmicrohttpd's own forwarder never passes a client's
 *   half-close on. A pump (pump.c) speaks to the session.
 *
 * In the last two cases bytes that came in the same packet as the request are lost in
 * libmicrohttpd's buffer; dockerd loses them as well.
 *
 * The handler gets a duplicate of the socket, or the far end of a pump (pump.c) where that cannot
 * be.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "http/impl.h"

#define HIJACK_LINGER_MS 1000

/* libmicrohttpd sent the 101. Connection's thread. */
static void hijack_upgraded(void *cls, struct MHD_Connection *mhd UNUSED, void *context UNUSED,
			    const char *early, size_t early_len, MHD_socket fd,
			    struct MHD_UpgradeResponseHandle *urh)
{
	struct http_req_impl *impl = cls;
	struct http_hijack *h = &impl->hijack;

	pthread_mutex_lock(&impl->lock);
	h->urh = urh;
	h->fd = fd;
	h->ready = true;
	if (early_len > 0) {
		h->early = malloc(early_len);
		if (h->early) {
			memcpy(h->early, early, early_len);
			h->early_len = early_len;
		} else {
			impl->broken = true;
		}
	}
	pthread_cond_broadcast(&impl->changed);
	pthread_mutex_unlock(&impl->lock);
}

static enum MHD_Result hijack_answer_101(struct http_req_impl *impl)
{
	struct MHD_Response *response = MHD_create_response_for_upgrade(hijack_upgraded, impl);
	enum MHD_Result ok;

	if (!response)
		return MHD_NO;
	resp_add_headers(impl, response);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "tcp");
	if (impl->hijack.content_type)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					      impl->hijack.content_type);
	ok = MHD_queue_response(impl->mhd, MHD_HTTP_SWITCHING_PROTOCOLS, response);
	MHD_destroy_response(response);
	return ok;
}

static int hijack_send_header(struct http_req_impl *impl, struct gnutls_session_int *tls,
			      bool upgrade)
{
	_cleanup_buf_ struct buf head = {0};
	const char *at = impl->headers.data, *end = at ? at + impl->headers.len : NULL;

	buf_adds(&head, upgrade ? "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
				: "HTTP/1.1 200 OK\r\n");
	while (at < end) {
		const char *value = at + strlen(at) + 1;

		buf_addf(&head, "%s: %s\r\n", at, value);
		at = value + strlen(value) + 1;
	}
	if (impl->hijack.content_type)
		buf_addf(&head, "Content-Type: %s\r\n", impl->hijack.content_type);
	buf_adds(&head, "\r\n");
	if (head.failed)
		return -ENOMEM;
	for (size_t sent = 0; sent < head.len;) {
		struct pollfd p = {.fd = impl->conn->fd, .events = POLLOUT};
		ssize_t n;

		if (tls)
			n = gnutls_record_send(tls, head.data + sent, head.len - sent);
		else
			n = send(impl->conn->fd, head.data + sent, head.len - sent, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else if (tls ? n != GNUTLS_E_AGAIN : errno != EAGAIN)
			return -EPIPE;
		else
			(void)poll(&p, 1, -1); /* a hang-up ends it as well */
	}
	return 0;
}

static struct gnutls_session_int *hijack_tls(struct http_req_impl *impl)
{
	const union MHD_ConnectionInfo *info = NULL;

	if (impl->conn->listening->tls)
		info = MHD_get_connection_info(impl->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return info ? info->tls_session : NULL;
}

static enum MHD_Result hijack_answer_raw(struct http_req_impl *impl, bool upgrade)
{
	int r = hijack_send_header(impl, hijack_tls(impl), upgrade);

	pthread_mutex_lock(&impl->lock);
	if (r < 0) {
		impl->broken = true;
	} else {
		impl->hijack.fd = impl->conn->fd;
		impl->hijack.ready = true;
	}
	pthread_cond_broadcast(&impl->changed);
	while (!impl->handler_done)
		pthread_cond_wait(&impl->changed, &impl->lock);
	pthread_mutex_unlock(&impl->lock);
	hijack_done(impl); /* all bytes out, before libmicrohttpd closes */
	return MHD_NO;
}

/**
 * hijack_answer() - Do what http_hijack() asked for; connection's thread
 * @impl: Request
 *
 * Return: MHD_YES, or MHD_NO to have the connection closed
 */
enum MHD_Result hijack_answer(struct http_req_impl *impl)
{
	bool upgrade = http_header(&impl->req, MHD_HTTP_HEADER_UPGRADE) != NULL;

	if (upgrade && !impl->conn->listening->tls)
		return hijack_answer_101(impl);
	return hijack_answer_raw(impl, upgrade);
}

static int hijack_fd(struct http_req_impl *impl, int *ret_fd)
{
	struct http_hijack *h = &impl->hijack;
	struct gnutls_session_int *tls = hijack_tls(impl);
	_cleanup_close_ int fd = -EBADF;
	int flags;

	if (tls || h->early_len > 0)
		return pump_start(h->fd, tls, h->early, h->early_len, ret_fd, &h->pump);
	fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/**
 * http_hijack() - Take over the client's connection
 * @req:	  Request in STREAM mode, not answered yet
 * @content_type: Content-Type of the answer, or NULL
 * @ret_fd:	  Set to a blocking socket for both directions; the caller closes it before its
 *		  handler returns
 *
 * Return: 0, -EPIPE if the client left, or another negative errno; the request counts as answered
 */
int http_hijack(struct http_req *req, const char *content_type, int *ret_fd)
{
	struct http_req_impl *impl = req->impl;
	bool ready;

	if (content_type) {
		impl->hijack.content_type = strdup(content_type);
		if (!impl->hijack.content_type)
			return err_oom(&req->err);
	}
	req->answered = true;
	pthread_mutex_lock(&impl->lock);
	impl->answer = HTTP_ANSWER_HIJACK;
	pthread_cond_broadcast(&impl->changed);
	while (!impl->hijack.ready && !impl->broken)
		pthread_cond_wait(&impl->changed, &impl->lock);
	ready = impl->hijack.ready && !impl->broken;
	pthread_mutex_unlock(&impl->lock);
	if (!ready)
		return -EPIPE;
	return hijack_fd(impl, ret_fd);
}

/* A TCP socket closed over unread input resets, and may take our last bytes with it: let the
 * client finish first, for a moment. */
static void hijack_linger(int fd)
{
	int family = AF_UNIX;
	socklen_t len = sizeof(family);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char sink[4096];

	(void)shutdown(fd, SHUT_WR);				    /* may be done already */
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len); /* unknown: as local */
	if (family == AF_UNIX)
		return;
	for (int64_t end = clock_monotonic_ns() + HIJACK_LINGER_MS * NSEC_PER_MSEC;
	     clock_monotonic_ns() < end;)
		if (poll(&p, 1, HIJACK_LINGER_MS) <= 0 ||
		    recv(fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
			return;
}

/**
 * hijack_done() - The handler of a hijacked connection has returned; more than once is fine
 * @impl: Request
 */
void hijack_done(struct http_req_impl *impl)
{
	struct http_hijack *h = &impl->hijack;

	pump_join(h->pump);
	h->pump = NULL;
	if (h->ready && !impl->conn->listening->tls)
		hijack_linger(h->fd);
	if (h->urh)
		(void)MHD_upgrade_action(h->urh, MHD_UPGRADE_ACTION_CLOSE); /* cannot fail */
	free(h->early);
	free(h->content_type);
	*h = (struct http_hijack){0};
}
