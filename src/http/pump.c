/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump.c - carry bytes between a client and a socketpair, in both directions
 *
 * DOC: Theory of operation
 *
 * Needed where the client's socket itself cannot be handed to a handler: when bytes came early
 * (they sit in libmicrohttpd's buffer), and for TLS without an Upgrade header. One thread, one
 * buffer a direction. End of input in one direction is passed on as a half-close; the pump ends
 * when both directions ended, when either side broke, or when the handler closed its end and all
 * it wrote is out.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "http/impl.h"

#define PUMP_BYTES KIB(16)

struct pump_way {
	char data[PUMP_BYTES];
	size_t at, len;
	bool ended;  /* nothing more will come */
	bool closed; /* and the receiver was told */
};

struct http_pump {
	int net_fd;			/* borrowed */
	struct gnutls_session_int *tls; /* borrowed, NULL without TLS */
	int local_fd;			/* owned: our end */
	struct pump_way up, down;	/* client -> handler, handler -> client */
	char *early;			/* owned */
	size_t early_len;
	pthread_t thread;
};

static ssize_t pump_net_recv(struct http_pump *p, void *data, size_t len)
{
	ssize_t n;

	if (!p->tls) {
		n = recv(p->net_fd, data, len, MSG_DONTWAIT);
		return n < 0 ? -errno : n;
	}
	n = gnutls_record_recv(p->tls, data, len);
	if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
		return -EAGAIN;
	if (n == GNUTLS_E_PREMATURE_TERMINATION)
		return 0;
	return n < 0 ? -EIO : n;
}

static ssize_t pump_net_send(struct http_pump *p, const void *data, size_t len)
{
	ssize_t n;

	if (!p->tls) {
		n = send(p->net_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n < 0 ? -errno : n;
	}
	n = gnutls_record_send(p->tls, data, len);
	if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
		return -EAGAIN;
	return n < 0 ? -EIO : n;
}

static void pump_net_half_close(struct http_pump *p)
{
	if (p->tls)
		(void)gnutls_bye(p->tls, GNUTLS_SHUT_WR); /* the socket is closed soon anyway */
	else
		(void)shutdown(p->net_fd, SHUT_WR); /* already broken: noticed by the next read */
}

/* Refill from early bytes first. <0: broken. */
static int pump_fill_up(struct http_pump *p)
{
	ssize_t n;

	if (p->early_len > 0) {
		n = (ssize_t)MIN(p->early_len, PUMP_BYTES);
		memcpy(p->up.data, p->early, (size_t)n);
		memmove(p->early, p->early + n, p->early_len - (size_t)n);
		p->early_len -= (size_t)n;
	} else {
		n = pump_net_recv(p, p->up.data, PUMP_BYTES);
		if (n == -EAGAIN || n == -EINTR)
			return 0;
		if (n < 0)
			return (int)n;
	}
	p->up.at = 0;
	p->up.len = (size_t)n;
	p->up.ended = n == 0;
	return 0;
}

static int pump_fill_down(struct http_pump *p)
{
	ssize_t n = recv(p->local_fd, p->down.data, PUMP_BYTES, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	p->down.at = 0;
	p->down.len = (size_t)n;
	p->down.ended = n == 0;
	return 0;
}

static int pump_drain(struct http_pump *p, struct pump_way *way)
{
	ssize_t n;

	if (way == &p->down) {
		n = pump_net_send(p, way->data + way->at, way->len);
	} else {
		n = send(p->local_fd, way->data + way->at, way->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		n = n < 0 ? -errno : n;
	}
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return (int)n;
	way->at += (size_t)n;
	way->len -= (size_t)n;
	return 0;
}

static int pump_wait(struct http_pump *p, struct pollfd fds[static 2])
{
	bool buffered = p->early_len > 0 || (p->tls && gnutls_record_check_pending(p->tls) > 0);
	bool want_up = !p->up.ended && p->up.len == 0;

	fds[0] = (struct pollfd){.fd = p->net_fd};
	fds[1] = (struct pollfd){.fd = p->local_fd};
	if (want_up)
		fds[0].events |= POLLIN;
	if (p->down.len > 0)
		fds[0].events |= POLLOUT;
	if (!p->down.ended && p->down.len == 0)
		fds[1].events |= POLLIN;
	if (p->up.len > 0)
		fds[1].events |= POLLOUT;
	if (poll(fds, 2, want_up && buffered ? 0 : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (want_up && buffered)
		fds[0].revents |= POLLIN;
	return 0;
}

/* One round; <0 or true ends the pump. */
static int pump_step(struct http_pump *p, bool *ret_over)
{
	struct pollfd fds[2];
	int r = pump_wait(p, fds);

	if (r == 0 && (fds[0].revents & POLLIN) && p->up.len == 0)
		r = pump_fill_up(p);
	if (r == 0 && (fds[1].revents & (POLLIN | POLLHUP)) && p->down.len == 0 && !p->down.ended)
		r = pump_fill_down(p);
	if (r == 0 && p->down.len > 0)
		r = pump_drain(p, &p->down);
	if (r == 0 && p->up.len > 0)
		r = pump_drain(p, &p->up);
	if (r < 0)
		return r;
	if (p->up.ended && !p->up.closed) {
		(void)shutdown(p->local_fd, SHUT_WR); /* EOF for the handler */
		p->up.closed = true;
	}
	if (p->down.ended && !p->down.closed) {
		pump_net_half_close(p);
		p->down.closed = true;
	}
	*ret_over = p->down.ended && (p->up.ended || (fds[1].revents & POLLHUP));
	if (p->down.len == 0 && (fds[0].revents & (POLLHUP | POLLERR)) && p->up.ended)
		*ret_over = true; /* nobody left to talk to */
	return 0;
}

static void *pump_main(void *arg)
{
	struct http_pump *p = arg;
	bool over = false;

	while (!over)
		if (pump_step(p, &over) < 0)
			break;
	(void)shutdown(p->local_fd, SHUT_RDWR); /* the handler sees the end, whoever made it */
	return NULL;
}

/**
 * pump_start() - Put a pump between a client and a new socket
 * @net_fd:    Client's socket, borrowed until pump_join()
 * @tls:       Session to speak over it, or NULL
 * @early:     Bytes that come before those on the socket
 * @early_len: How many
 * @ret_fd:    Set to the other end, a blocking socket owned by the caller
 * @ret_pump:  Set to the pump; pump_join()
 *
 * Return: 0 or a negative errno
 */
int pump_start(int net_fd, struct gnutls_session_int *tls, const void *early, size_t early_len,
	       int *ret_fd, struct http_pump **ret_pump)
{
	_cleanup_free_ struct http_pump *p = calloc(1, sizeof(*p));
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	_cleanup_free_ char *copy = NULL;
	pthread_attr_t attr;
	int sv[2], r;

	if (!p)
		return -ENOMEM;
	if (early_len > 0) {
		copy = malloc(early_len);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, early, early_len);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	ours = sv[0];
	theirs = sv[1];
	p->net_fd = net_fd;
	p->tls = tls;
	p->local_fd = ours;
	p->early = copy;
	p->early_len = early_len;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HTTP_STACK_BYTES);
	r = pthread_create(&p->thread, &attr, pump_main, p);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return -r;
	copy = NULL;
	ours = -EBADF;
	*ret_fd = TAKE_FD(theirs);
	*ret_pump = TAKE_PTR(p);
	return 0;
}

/**
 * pump_join() - Wait for a pump's end and free it
 * @pump: Pump or NULL; the caller has closed its end
 */
void pump_join(struct http_pump *pump)
{
	if (!pump)
		return;
	pthread_join(pump->thread, NULL);
	cleanup_close(&pump->local_fd);
	free(pump->early);
	free(pump);
}
