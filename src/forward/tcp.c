/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.c - connections from a published port into a VM
 *
 * DOC: Theory of operation
 *
 * A client is accepted, the VM is connected to, then bytes go both ways by splice(2) through a
 * pipe: they never come into this process. A direction reads only when its pipe is empty, so what
 * is on the way is one pipe and the sockets' buffers, and a slow reader slows the writer.
 * Directions have a pipe only while bytes are in it; empty pipes go back to a pool. The end of one
 * direction is passed on as a half-close; an error in either ends both, with a reset, as does the
 * removal of the port. A VM that refuses closes the client, as dockerd's proxy does.
 *
 * Sockets are watched edge-triggered: each event moves all there is, or TCP_BUDGET turns of it.
 */
#include "forward/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/util.h"
#include "forward/listen.h"
#include "forward/table.h"

#define TCP_PIPE_BYTES (256 * 1024)
#define TCP_POOL_MAX 64
#define TCP_BUDGET 16  /* pipes full in one turn */
#define TCP_ACCEPTS 64 /* clients in one turn */
#define TCP_KEEPALIVE_S 15
#define TCP_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct tcp_pipe {
	int read_fd, write_fd;
};

/* From side[i] to the other side. */
struct tcp_half {
	struct tcp_pipe pipe; /* owned while pending */
	size_t pending;	      /* bytes in the pipe */
	bool eof, shut;
};

enum tcp_side { TCP_CLIENT, TCP_TARGET };

struct tcp_conn {
	struct poller_source side[2];
	struct tcp_half half[2];
	struct poller_work work;
	struct owner *owner; /* borrowed: it ends us before it ends */
	bool connected;
	struct tcp_conn *prev, *next;
};

static struct tcp_pipe tcp_pool[TCP_POOL_MAX];
static size_t tcp_pool_n;
static int tcp_spare_fd =
	-EBADF; /* so that a client can be turned away when no descriptor is left */

static int tcp_pipe_get(struct tcp_pipe *pipe)
{
	int fds[2];

	if (tcp_pool_n) {
		*pipe = tcp_pool[--tcp_pool_n];
		return 0;
	}
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(fds[1], F_SETPIPE_SZ, TCP_PIPE_BYTES); /* slower otherwise */
	*pipe = (struct tcp_pipe){.read_fd = fds[0], .write_fd = fds[1]};
	return 0;
}

static void tcp_pipe_put(struct tcp_pipe *pipe, bool empty)
{
	if (empty && tcp_pool_n < TCP_POOL_MAX) {
		tcp_pool[tcp_pool_n++] = *pipe;
		return;
	}
	(void)close(pipe->read_fd);
	(void)close(pipe->write_fd);
}

static void tcp_free(struct tcp_conn *conn)
{
	poller_forget(&conn->work);
	DL_DELETE(conn->owner->conns, conn);
	for (int i = 0; i < 2; i++) {
		poller_remove(&conn->side[i]);
		if (conn->half[i].pending)
			tcp_pipe_put(&conn->half[i].pipe, false);
	}
	poller_free_later(conn);
}

/* Both sides learn that it was no orderly end. */
static void tcp_abort(struct tcp_conn *conn)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	for (int i = 0; i < 2; i++)
		(void)setsockopt(conn->side[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	tcp_free(conn);
}

/* Return: 1: moved something, 0: must wait, negative errno: the connection is broken */
static int tcp_fill(struct tcp_half *half, int from)
{
	struct tcp_pipe pipe;
	ssize_t n;
	int r = tcp_pipe_get(&pipe);

	if (r < 0)
		return r;
	do {
		n = splice(from, NULL, pipe.write_fd, NULL, TCP_PIPE_BYTES,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		half->pipe = pipe;
		half->pending = (size_t)n;
		return 1;
	}
	r = n == 0 || errno == EAGAIN ? 0 : -errno;
	half->eof = n == 0;
	tcp_pipe_put(&pipe, true);
	return r;
}

static int tcp_drain(struct tcp_half *half, int to)
{
	ssize_t n;

	do {
		n = splice(half->pipe.read_fd, NULL, to, NULL, half->pending,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	half->pending -= (size_t)n;
	if (!half->pending)
		tcp_pipe_put(&half->pipe, true);
	return n > 0;
}

/* Return: 1: there is more to do, 0: must wait, or negative errno */
static int tcp_pump(struct tcp_half *half, int from, int to)
{
	for (int i = 0; i < TCP_BUDGET; i++) {
		int r;

		if (!half->pending && !half->eof) {
			r = tcp_fill(half, from);
			if (r < 0 || (r == 0 && !half->eof))
				return r;
		}
		if (half->pending) {
			r = tcp_drain(half, to);
			if (r <= 0)
				return r;
		}
		if (half->eof && !half->pending) {
			if (!half->shut)
				(void)shutdown(to, SHUT_WR); /* fails only if it is gone */
			half->shut = true;
			return 0;
		}
	}
	return 1;
}

static void tcp_move(struct tcp_conn *conn)
{
	bool more = false;

	for (int i = 0; i < 2; i++) {
		int r = tcp_pump(&conn->half[i], conn->side[i].fd, conn->side[!i].fd);

		if (r < 0) {
			tcp_abort(conn);
			return;
		}
		more |= r > 0;
	}
	if (conn->half[0].shut && conn->half[1].shut)
		tcp_free(conn);
	else if (more)
		poller_again(&conn->work);
}

static void tcp_on_work(struct poller_work *work)
{
	tcp_move(container_of(work, struct tcp_conn, work));
}

static void tcp_on_client(struct poller_source *source, uint32_t events UNUSED)
{
	tcp_move(container_of(source, struct tcp_conn, side[TCP_CLIENT]));
}

static void tcp_on_target(struct poller_source *source, uint32_t events)
{
	struct tcp_conn *conn = container_of(source, struct tcp_conn, side[TCP_TARGET]);
	socklen_t len = sizeof(int);
	int error = 0;

	if (!conn->connected) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
			tcp_free(conn);
			return;
		}
		conn->connected = true;
		if (poller_add(&conn->side[TCP_CLIENT], TCP_EVENTS) < 0) {
			tcp_abort(conn);
			return;
		}
	}
	tcp_move(conn);
}

static int tcp_connect(const struct port *port)
{
	const int one = 1, keepalive_s = TCP_KEEPALIVE_S;
	struct sockaddr_storage addr;
	socklen_t len = listen_address(&port->target, port->target_port, &addr);
	int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* As on the listening side; it works without. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof(keepalive_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_s, sizeof(keepalive_s));
	if (connect(fd, (struct sockaddr *)&addr, len) < 0 && errno != EINPROGRESS) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

/* Takes @client over. */
static void tcp_start(struct port *port, int client)
{
	struct tcp_conn *conn = calloc(1, sizeof(*conn));
	int target = conn ? tcp_connect(port) : -ENOMEM;

	if (target < 0) {
		free(conn);
		(void)close(client);
		return;
	}
	conn->side[TCP_CLIENT] = (struct poller_source){.fd = client, .fn = tcp_on_client};
	conn->side[TCP_TARGET] = (struct poller_source){.fd = target, .fn = tcp_on_target};
	conn->work.fn = tcp_on_work;
	conn->owner = port->owner;
	DL_APPEND(port->owner->conns, conn);
	if (poller_add(&conn->side[TCP_TARGET], TCP_EVENTS) < 0)
		tcp_abort(conn);
}

/* Without a descriptor left, a client would wait for ever, and the listener would never be quiet.
 */
static void tcp_turn_away(int listen_fd)
{
	if (tcp_spare_fd >= 0) {
		(void)close(tcp_spare_fd);
		tcp_spare_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (tcp_spare_fd >= 0)
			(void)close(tcp_spare_fd);
	}
	tcp_spare_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/**
 * tcp_on_listener() - Clients have come
 * @source: Of a struct port
 * @events: EPOLLIN
 */
void tcp_on_listener(struct poller_source *source, uint32_t events UNUSED)
{
	struct port *port = container_of(source, struct port, source);

	if (tcp_spare_fd < 0)
		tcp_spare_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < TCP_ACCEPTS; i++) {
		int client = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0)
			tcp_start(port, client);
		else if (errno == EMFILE || errno == ENFILE)
			tcp_turn_away(source->fd);
		else if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/**
 * tcp_abort_all() - Reset all connections of an owner
 * @owner: Owner
 */
void tcp_abort_all(struct owner *owner)
{
	struct tcp_conn *conn, *tmp;

	DL_FOREACH_SAFE (owner->conns, conn, tmp)
		tcp_abort(conn);
}
