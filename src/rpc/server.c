/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - the agent's end of the channel: bytes in, bytes out, one session after the other
 *
 * DOC: Theory of operation
 *
 *     IDLE -> NONCE -> OPEN -> IDLE or NONCE
 *
 * IDLE looks for the key that a connection starts with (sync.c) and throws everything else away.
 * NONCE takes the 16 bytes behind it. OPEN has an HTTP/2 session, and goes on looking: a key there
 * means that a new daemon is at the other end, and the old session is retired. A session that
 * breaks the protocol is told so (GOAWAY) and left for IDLE.
 *
 * The agent's loop calls in; nothing here blocks or keeps a thread. Handlers run inside
 * rpc_server_on_readable() and rpc_server_on_writable(). They may use every function of server.h
 * but those two, rpc_server_new() and rpc_server_free().
 *
 * Trusted: the daemon, though not its old bytes. Limits: RPC_CALLS_MAX calls, RPC_MESSAGE_MAX per
 * message, RPC_STREAM_QUEUE_MAX per call on the way out, the stream's window on the way in.
 */
#include "rpc/server_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

/**
 * rpc_server_new() - Make a server on a channel
 * @fd:		Non-blocking descriptor, read and write; stays the caller's
 * @methods:	Table of methods, ended by {NULL}; outlives the server
 * @on_reset:	A new connection retired the old one, all of whose calls are closed; may be NULL
 * @user:	Its argument, and rpc_server_user()
 * @ret_server:	The server, owned by the caller
 *
 * SIGPIPE must be ignored if @fd can raise it.
 *
 * Return: 0, or -ENOMEM
 */
int rpc_server_new(int fd, const struct rpc_method *methods, void (*on_reset)(void *user),
		   void *user, struct rpc_server **ret_server)
{
	struct rpc_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->fd = fd;
	server->methods = methods;
	server->on_reset = on_reset;
	server->user = user;
	rpc_sync_key(NULL, server->key);
	rpc_scan_set(&server->scan, server->key, sizeof(server->key));
	*ret_server = server;
	return 0;
}

/**
 * rpc_server_free() - Close every call and free
 * @server: Server or NULL
 */
void rpc_server_free(struct rpc_server *server)
{
	if (!server)
		return;
	server_session_end(server);
	free(server);
}

/**
 * rpc_server_user() - The pointer given to rpc_server_new()
 * @server: Server
 *
 * Return: the pointer
 */
void *rpc_server_user(struct rpc_server *server)
{
	return server->user;
}

/**
 * rpc_server_set_token() - Choose what the next connection must know
 * @server: Server
 * @token:  Token; the connection that is open stays
 */
void rpc_server_set_token(struct rpc_server *server, const unsigned char token[RPC_TOKEN_LEN])
{
	uint8_t key[RPC_TOKEN_LEN];

	rpc_sync_key(token, key);
	if (memcmp(key, server->key, sizeof(key)) == 0)
		return;
	memcpy(server->key, key, sizeof(key));
	server->key_changed = true;
	rpc_scan_set(&server->scan, server->key, sizeof(server->key));
}

/**
 * rpc_server_wants_write() - Whether there is something to send
 * @server: Server
 *
 * After rpc_server_on_writable() this says whether to wait for the descriptor to take more.
 *
 * Return: the answer
 */
bool rpc_server_wants_write(const struct rpc_server *server)
{
	return rpc_out_pending(&server->out) ||
	       (server->session && nghttp2_session_want_write(server->session));
}

/* The nonce is complete: the old session goes, a new one answers. */
static int server_restart(struct rpc_server *server)
{
	uint8_t answer[RPC_SYNC_LEN];
	int r;

	server_session_end(server);
	if (server->on_reset)
		server->on_reset(server->user);
	rpc_sync_answer(server->nonce, answer);
	rpc_out_add(&server->out, answer, sizeof(answer));
	r = server_session_new(server);
	if (r < 0)
		rpc_out_reset(&server->out);
	return r;
}

static void server_session_feed(struct rpc_server *server, const uint8_t *data, size_t len)
{
	ssize_t n;

	if (!server->session || len == 0)
		return;
	n = nghttp2_session_mem_recv(server->session, data, len);
	if (n >= 0 && nghttp2_session_want_read(server->session) &&
	    nghttp2_session_get_outbound_queue_size(server->session) <= RPC_BACKLOG_MAX)
		return;
	/* Say why, as far as the channel takes it; then only a new connection helps. */
	if (!rpc_out_pending(&server->out))
		(void)rpc_out_flush(&server->out, server->session, server->fd);
	server_session_end(server);
}

static size_t server_take_nonce(struct rpc_server *server, const uint8_t *data, size_t len)
{
	size_t n = MIN(len, server->nonce_want);

	memcpy(server->nonce + RPC_NONCE_LEN - server->nonce_want, data, n);
	server->nonce_want -= n;
	return n;
}

/* Handles the bytes of one read. */
static int server_feed(struct rpc_server *server, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t n;

		if (server->nonce_want > 0) {
			n = server_take_nonce(server, data, len);
			data += n;
			len -= n;
			if (server->nonce_want == 0) {
				int r = server_restart(server);

				if (r < 0)
					return r;
			}
			continue;
		}
		n = rpc_scan_feed(&server->scan, data, len);
		server->key_changed = false;
		server_session_feed(server, data, n ? n : len);
		if (n == 0 && server->key_changed)
			/* Hello was in there, and the next daemon may be too already. */
			n = rpc_scan_feed(&server->scan, data, len);
		if (n == 0)
			return 0;
		server->nonce_want = RPC_NONCE_LEN;
		data += n;
		len -= n;
	}
	return 0;
}

/**
 * rpc_server_on_readable() - Take everything the channel has, and answer what can be answered
 * @server: Server
 *
 * Garbage ends the session, never the server.
 *
 * Return: 0; -EPIPE when nobody holds the other end at the moment (the session stays: wait for
 * the next bytes); or a negative errno of the descriptor or -ENOMEM
 */
int rpc_server_on_readable(struct rpc_server *server)
{
	int r = 0;

	for (;;) {
		ssize_t n = read(server->fd, server->in, sizeof(server->in));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			r = -errno;
		if (n == 0)
			r = -EPIPE;
		if (n <= 0)
			break;
		r = server_feed(server, server->in, (size_t)n);
		if (r < 0)
			break;
	}
	(void)rpc_server_on_writable(server); /* fails the same way when the caller tries */
	return r;
}

/**
 * rpc_server_on_writable() - Send what is queued, as far as the channel takes it
 * @server: Server; may be called at any time outside of handlers
 *
 * Return: 0, or a negative errno of the descriptor (what was queued is kept)
 */
int rpc_server_on_writable(struct rpc_server *server)
{
	return rpc_out_flush(&server->out, server->session, server->fd);
}
