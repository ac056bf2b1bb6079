/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - notice that a client left while its handler waits
 *
 * DOC: Theory of operation
 *
 * One thread per server sits in epoll_wait() over all connections. Every connection is registered
 * once, one-shot, so a request costs no system call here. Two things can be seen:
 *
 * - hung up (EPOLLHUP, EPOLLERR): both directions are dead. The request's `gone` fires and nothing
 *   more is sent.
 * - half-closed (EPOLLRDHUP): the client shut its writing side; a TCP client that vanished looks
 *   the same. For a hijacked connection that is end of input and the handler reads it. Otherwise
 *   `gone` fires, once the whole request is in; what is written still goes out. A POST in STREAM
 *   mode that has not answered yet may still become hijacked, so it is left alone until it
 *   streams.
 *
 * epoll carries serial numbers, never pointers: an event for a connection that is being freed finds
 * nothing. Locks: server, connection, request, in this order; `gone` fires under the first two.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "http/impl.h"

/* Connection's lock held. Whether a half-closed client counts as gone for this request. */
static bool watch_half_close_is_gone(struct http_req_impl *impl)
{
	enum http_answer answer;

	if (!impl->complete)
		return false;
	pthread_mutex_lock(&impl->lock);
	answer = impl->answer;
	pthread_mutex_unlock(&impl->lock);
	if (answer == HTTP_ANSWER_HIJACK)
		return false;
	return impl->mode == HTTP_INLINE || answer != HTTP_ANSWER_NONE ||
	       !str_eq(impl->req.method, "POST");
}

/* Connection's lock held. */
static void watch_tell(struct http_conn *conn)
{
	struct http_req_impl *impl = conn->active;

	if (!impl)
		return;
	if (conn->hung_up) {
		pthread_mutex_lock(&impl->lock);
		impl->broken = true;
		pthread_cond_broadcast(&impl->changed);
		pthread_mutex_unlock(&impl->lock);
		cancel_fire(&impl->req.gone);
	} else if (conn->half_closed && watch_half_close_is_gone(impl)) {
		cancel_fire(&impl->req.gone);
	}
}

static void watch_event(struct http_server *server, uint64_t serial, uint32_t events)
{
	struct epoll_event again = {.events = EPOLLONESHOT, .data.u64 = serial};
	struct http_conn *conn;

	pthread_mutex_lock(&server->lock);
	HASH_FIND(hh, server->conns, &serial, sizeof(serial), conn);
	if (conn) {
		pthread_mutex_lock(&conn->lock);
		conn->half_closed = true;
		if (events & (EPOLLHUP | EPOLLERR))
			conn->hung_up = true;
		else /* a hang-up may follow; the descriptor is still ours */
			(void)epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, conn->fd, &again);
		watch_tell(conn);
		pthread_mutex_unlock(&conn->lock);
	}
	pthread_mutex_unlock(&server->lock);
}

static void *watch_main(void *arg)
{
	struct http_server *server = arg;
	struct epoll_event events[16];

	for (;;) {
		int n = epoll_wait(server->epoll_fd, events, ARRAY_SIZE(events), -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == 0)
				return NULL;
			watch_event(server, events[i].data.u64, events[i].events);
		}
	}
}

/**
 * watch_start() - Start a server's watcher thread
 * @server: Server
 *
 * Return: 0 or a negative errno
 */
int watch_start(struct http_server *server)
{
	struct epoll_event wake = {.events = EPOLLIN, .data.u64 = 0};
	pthread_attr_t attr;
	int r;

	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (server->epoll_fd < 0 || server->wake_fd < 0)
		return -errno;
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->wake_fd, &wake) < 0)
		return -errno;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HTTP_STACK_BYTES);
	r = pthread_create(&server->watcher, &attr, watch_main, server);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return -r;
	server->watching = true;
	return 0;
}

/**
 * watch_stop() - End the watcher thread
 * @server: Server
 */
void watch_stop(struct http_server *server)
{
	if (server->watching) {
		(void)eventfd_write(server->wake_fd, 1); /* cannot fail: the counter is 0 */
		pthread_join(server->watcher, NULL);
		server->watching = false;
	}
	cleanup_close(&server->epoll_fd);
	cleanup_close(&server->wake_fd);
	server->epoll_fd = server->wake_fd = -EBADF;
}

/**
 * watch_add() - Begin to watch a connection
 * @conn: Connection; gets its serial number
 *
 * Return: 0 or a negative errno
 */
int watch_add(struct http_conn *conn)
{
	struct http_server *server = conn->listening->server;
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT};

	pthread_mutex_lock(&server->lock);
	conn->serial = ++server->next_serial;
	HASH_ADD(hh, server->conns, serial, sizeof(conn->serial), conn);
	pthread_mutex_unlock(&server->lock);
	event.data.u64 = conn->serial;
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		return -errno;
	return 0;
}

/**
 * watch_remove() - Forget a connection, before its descriptor is closed
 * @conn: Connection
 */
void watch_remove(struct http_conn *conn)
{
	struct http_server *server = conn->listening->server;

	pthread_mutex_lock(&server->lock);
	(void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL); /* maybe never added */
	HASH_DEL(server->conns, conn);
	pthread_mutex_unlock(&server->lock);
}

/**
 * watch_request() - Say which request a connection is serving
 * @conn: Connection
 * @impl: Request, or NULL when it ends
 */
void watch_request(struct http_conn *conn, struct http_req_impl *impl)
{
	pthread_mutex_lock(&conn->lock);
	conn->active = impl;
	if (impl && conn->hung_up)
		watch_tell(conn);
	pthread_mutex_unlock(&conn->lock);
}

/**
 * watch_complete() - The whole request is in: from now on a half-close may mean `gone`
 * @impl: Request
 */
void watch_complete(struct http_req_impl *impl)
{
	pthread_mutex_lock(&impl->conn->lock);
	impl->complete = true;
	if (impl->conn->half_closed)
		watch_tell(impl->conn);
	pthread_mutex_unlock(&impl->conn->lock);
}

/**
 * watch_streaming() - The answer is a stream, so the request will not be hijacked any more
 * @impl: Request
 */
void watch_streaming(struct http_req_impl *impl)
{
	pthread_mutex_lock(&impl->conn->lock);
	if (impl->conn->half_closed)
		watch_tell(impl->conn);
	pthread_mutex_unlock(&impl->conn->lock);
}
