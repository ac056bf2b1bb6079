/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - a server in a thread, with methods made for the tests */
#include "peer.h"

#include <agent.pb-c.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"

struct state {
	unsigned long long bytes, left;
};

static struct state *state(struct rpc_server_call *call)
{
	struct peer *peer = rpc_server_user(call->server);

	if (!call->data) {
		call->data = calloc(1, sizeof(struct state));
		peer->open++;
	}
	return call->data;
}

static void on_closed(struct rpc_server_call *call)
{
	struct peer *peer = rpc_server_user(call->server);

	if (!call->data)
		return;
	free(call->data);
	call->data = NULL;
	peer->open--;
}

static void on_echo(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	rpc_server_reply(call, message);
}

static void on_twice(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	(void)rpc_server_send(call, message);
	rpc_server_reply(call, message);
}

static void on_fail(struct rpc_server_call *call, const ProtobufCMessage *message UNUSED)
{
	rpc_server_finish(call, RPC_NOT_FOUND, "exec: \"f\303\266\303\266 100%\": not found");
}

static void on_mute(struct rpc_server_call *call, const ProtobufCMessage *message UNUSED)
{
	(void)state(call);
}

static void on_sink(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__InputChunk *chunk = (const void *)message;

	state(call)->bytes += chunk->data.len;
	rpc_server_consume(call, chunk->data.len);
}

static void on_sink_end(struct rpc_server_call *call)
{
	Arca__V1__InputChunk reply = ARCA__V1__INPUT_CHUNK__INIT;
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", state(call)->bytes);
	reply.id = text;
	rpc_server_reply(call, &reply.base);
}

static void on_stall(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	state(call)->bytes += ((const Arca__V1__InputChunk *)message)->data.len;
}

static void source_fill(struct rpc_server_call *call)
{
	static uint8_t block[32768];
	struct state *st = state(call);
	Arca__V1__InputChunk chunk = ARCA__V1__INPUT_CHUNK__INIT;

	while (st->left > 0) {
		chunk.data.data = block;
		chunk.data.len = MIN(sizeof(block), st->left);
		if (rpc_server_send(call, &chunk.base) != 0)
			return;
		st->left -= chunk.data.len;
	}
	rpc_server_finish(call, RPC_OK, NULL);
}

static void on_source(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	state(call)->left = strtoull(((const Arca__V1__InputChunk *)message)->id, NULL, 10);
	source_fill(call);
}

static void on_bidi(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	struct peer *peer = rpc_server_user(call->server);

	(void)state(call);
	if (rpc_server_send(call, message) != 0)
		peer->errors++;
}

static void on_bidi_end(struct rpc_server_call *call)
{
	rpc_server_finish(call, RPC_OK, NULL);
}

static void on_token(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__InputChunk *chunk = (const void *)message;

	if (chunk->data.len != RPC_TOKEN_LEN) {
		rpc_server_finish(call, RPC_INVALID_ARGUMENT, "no token");
		return;
	}
	rpc_server_set_token(call->server, chunk->data.data);
	rpc_server_reply(call, message);
}

static void on_early(struct rpc_server_call *call, const ProtobufCMessage *message UNUSED)
{
	(void)state(call);
	rpc_server_finish(call, RPC_FAILED_PRECONDITION, "stdin is closed");
}

#define TYPE &arca__v1__input_chunk__descriptor

const struct rpc_method peer_methods[] = {
	{.path = "/t/Echo", .request_type = TYPE, .message = on_echo},
	{.path = "/t/Twice", .request_type = TYPE, .message = on_twice},
	{.path = "/t/Fail", .request_type = TYPE, .message = on_fail},
	{.path = "/t/Mute", .request_type = TYPE, .message = on_mute, .closed = on_closed},
	{.path = "/t/Sink",
	 .request_type = TYPE,
	 .message = on_sink,
	 .half_closed = on_sink_end,
	 .closed = on_closed,
	 .manual_consume = true},
	{.path = "/t/Stall",
	 .request_type = TYPE,
	 .message = on_stall,
	 .half_closed = on_sink_end,
	 .closed = on_closed,
	 .manual_consume = true},
	{.path = "/t/Source",
	 .request_type = TYPE,
	 .message = on_source,
	 .closed = on_closed,
	 .writable = source_fill},
	{.path = "/t/Bidi",
	 .request_type = TYPE,
	 .message = on_bidi,
	 .half_closed = on_bidi_end,
	 .closed = on_closed},
	{.path = "/t/Token", .request_type = TYPE, .message = on_token},
	{.path = "/t/Early", .request_type = TYPE, .message = on_early, .closed = on_closed},
	{NULL},
};

void peer_on_reset(void *user)
{
	struct peer *peer = user;

	peer->resets++;
}

static void *peer_thread(void *arg)
{
	struct peer *peer = arg;
	struct pollfd fds[2] = {{.fd = peer->fd}, {.fd = peer->stop_fd, .events = POLLIN}};

	for (;;) {
		fds[0].events = POLLIN;
		if (rpc_server_wants_write(peer->server))
			fds[0].events |= POLLOUT;
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			return NULL;
		if (fds[0].revents & ~POLLOUT && rpc_server_on_readable(peer->server) < 0)
			fds[0].fd = -1; /* the client is gone for good */
		if (fds[0].revents & POLLOUT)
			(void)rpc_server_on_writable(peer->server);
	}
}

int peer_start(struct peer *peer, int *ret_client_fd)
{
	int fds[2], r;

	memset(peer, 0, sizeof(*peer));
	(void)signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	peer->fd = fds[0];
	peer->stop_fd = eventfd(0, EFD_CLOEXEC);
	r = rpc_server_new(peer->fd, peer_methods, peer_on_reset, peer, &peer->server);
	if (r == 0)
		r = -pthread_create(&peer->thread, NULL, peer_thread, peer);
	*ret_client_fd = fds[1];
	return r;
}

void peer_stop(struct peer *peer)
{
	(void)eventfd_write(peer->stop_fd, 1);
	pthread_join(peer->thread, NULL);
	rpc_server_free(peer->server);
	close(peer->fd);
	close(peer->stop_fd);
}
