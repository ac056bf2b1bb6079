/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - the socket at which the daemon says what to forward
 *
 * A connection sends one request after the other and reads the answers; one that says nonsense, or
 * belongs to another user, is closed. While an answer waits to be sent, no request is read, so that
 * what is queued is bounded by one answer.
 */
#include "forward/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "forward/poller.h"
#include "forward/table.h"
#include "forward/wire.h"

#define CONTROL_CLIENTS_MAX 8
#define CONTROL_READ_BYTES KIB(64)

struct control_client {
	struct poller_source source;
	struct buf in, out;
};

static struct poller_source control_listener = {.fd = -EBADF};
static unsigned int control_clients;
static uid_t control_uid;

/**
 * control_listen() - Open the socket, in place of one that a predecessor left
 * @name: Its name in the current folder
 *
 * Return: the descriptor, or negative errno
 */
int control_listen(const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	control_uid = geteuid();
	if (fd < 0)
		return -errno;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.new", name);
	(void)unlink(addr.sun_path); /* rarely there */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, CONTROL_CLIENTS_MAX) < 0 || rename(addr.sun_path, name) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void control_close(struct control_client *client)
{
	poller_remove(&client->source);
	buf_done(&client->in);
	buf_done(&client->out);
	control_clients--;
	poller_free_later(client);
}

static int control_list(struct buf *out)
{
	_cleanup_free_ struct forward_mapping *mappings = NULL;
	struct forward_message message = {.op = FORWARD_LIST};

	for (const struct owner *o = table_next(NULL); o; o = table_next(o)) {
		struct forward_mapping *bigger =
			realloc(mappings, (o->n ? o->n : 1) * sizeof(*mappings));
		int r;

		if (!bigger)
			return -ENOMEM;
		mappings = bigger;
		for (size_t i = 0; i < o->n; i++)
			mappings[i] = o->entries[i].mapping;
		message.mappings = mappings;
		message.n = o->n;
		memcpy(message.owner, o->id, sizeof(message.owner));
		r = forward_wire_put(out, &message);
		if (r < 0)
			return r;
	}
	message = (struct forward_message){.op = FORWARD_LIST};
	return forward_wire_put(out, &message);
}

static int control_handle(struct forward_message *message, struct buf *out)
{
	int r = 0;

	switch (message->op) {
	case FORWARD_HELLO:
		message->value = FORWARD_VERSION;
		break;
	case FORWARD_ADD:
		r = table_add(message);
		break;
	case FORWARD_DEL:
		message->error = table_del(message->owner);
		break;
	case FORWARD_LIST:
		return control_list(out);
	}
	return r < 0 ? r : forward_wire_put(out, message);
}

/* Return: 1: a request was handled, 0: there is none yet, or negative errno */
static int control_request(struct control_client *client)
{
	_cleanup_(forward_message_done) struct forward_message message = {};
	size_t total;
	int r = forward_wire_length(client->in.data, client->in.len, &total);

	if (r == -EAGAIN || (r == 0 && client->in.len < total))
		return 0;
	if (r == 0)
		r = forward_wire_get(client->in.data, total, &message);
	if (r == 0)
		r = control_handle(&message, &client->out);
	if (r < 0 || client->out.failed)
		return r < 0 ? r : -ENOMEM;
	buf_consume(&client->in, total);
	return 1;
}

/* Return: 1: all is said, 0: must wait, or negative errno */
static int control_send(struct control_client *client)
{
	while (client->out.len) {
		ssize_t n =
			send(client->source.fd, client->out.data, client->out.len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buf_consume(&client->out, (size_t)n);
	}
	return 1;
}

static int control_read(struct control_client *client)
{
	ssize_t n;

	if (!buf_reserve(&client->in, CONTROL_READ_BYTES))
		return -ENOMEM;
	n = recv(client->source.fd, client->in.data + client->in.len, CONTROL_READ_BYTES, 0);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	client->in.len += (size_t)n;
	return 0;
}

static void control_on_client(struct poller_source *source, uint32_t events UNUSED)
{
	struct control_client *client = container_of(source, struct control_client, source);
	int r;

	for (;;) {
		r = control_send(client);
		if (r > 0)
			r = control_request(client);
		else if (r == 0)
			return; /* edge-triggered: called when it can be sent */
		if (r == 0)
			r = control_read(client);
		if (r == -EAGAIN)
			return;
		if (r < 0)
			break;
	}
	if (r != -EPIPE && r != -ECONNRESET)
		log_warn("a client of the forwarder is closed: %s", strerror(-r));
	control_close(client);
}

static bool control_is_ours(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == control_uid;
}

static void control_on_listener(struct poller_source *source, uint32_t events UNUSED)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct control_client *client;

	if (fd < 0)
		return;
	client = control_clients < CONTROL_CLIENTS_MAX && control_is_ours(fd)
			 ? calloc(1, sizeof(*client))
			 : NULL;
	if (!client) {
		(void)close(fd);
		return;
	}
	control_clients++;
	client->source = (struct poller_source){.fd = fd, .fn = control_on_client};
	if (poller_add(&client->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0)
		control_close(client);
}

/**
 * control_start() - Serve the socket
 * @fd: Of control_listen()
 *
 * Return: 0, or negative errno
 */
int control_start(int fd)
{
	control_listener = (struct poller_source){.fd = fd, .fn = control_on_listener};
	return poller_add(&control_listener, EPOLLIN);
}
