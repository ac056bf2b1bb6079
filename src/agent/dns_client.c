/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_client.c - a TCP connection of a process in the container (RFC 7766)
 *
 * DOC: Theory of operation
 *
 * Queries may come without waiting for answers; answers go out as they are ready, in any order.
 * Who asks more than DNS_PIPELINE_MAX or leaves DNS_BACKLOG_MAX unread is not read from until that
 * is better. Progress is a whole query or bytes taken; without any for DNS_IDLE_MS the connection
 * ends, so slow senders and readers cost a slot for a bounded time. Where all slots are taken, the
 * connection that is still for the longest time gives way.
 *
 * dns_client_update() is where all events come together, and the only place but a timeout where a
 * connection ends: what it calls may add answers, but frees no client.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "agent/dns_state.h"
#include "base/clock.h"

#define DNS_CLIENT_IN_MAX (DNS_TCP_PREFIX + DNS_QUERY_MAX)

static void dns_client_touch(struct dns_client *client)
{
	struct dns_server *server = client->server;

	client->due_ns = clock_monotonic_ns() + DNS_IDLE_MS * NSEC_PER_MSEC;
	DL_DELETE(server->clients, client);
	DL_APPEND(server->clients, client);
}

static bool dns_client_takes(const struct dns_client *client)
{
	return client->waiting < DNS_PIPELINE_MAX && client->out.len < DNS_BACKLOG_MAX;
}

/* Return: 0, or -EBADMSG if what comes cannot be a query */
static int dns_client_queries(struct dns_client *client)
{
	struct buf *in = &client->in;

	while (in->len >= DNS_TCP_PREFIX && dns_client_takes(client)) {
		const uint8_t *bytes = (const uint8_t *)in->data;
		size_t len = dns_get16(bytes), reply;

		if (len < DNS_HEADER_LEN || len > DNS_QUERY_MAX)
			return -EBADMSG;
		if (in->len < DNS_TCP_PREFIX + len)
			break;
		reply = dns_server_ask(client->server, client, NULL, bytes + DNS_TCP_PREFIX, len);
		buf_consume(in, DNS_TCP_PREFIX + len);
		if (reply)
			dns_client_answer(client, client->server->reply, reply);
		dns_client_touch(client);
	}
	return 0;
}

static int dns_client_flush(struct dns_client *client)
{
	while (client->out.len > 0) {
		ssize_t n = send(client->fd, client->out.data, client->out.len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		buf_consume(&client->out, (size_t)n);
		dns_client_touch(client);
	}
	return 0;
}

static int dns_client_read(struct dns_client *client)
{
	char bytes[DNS_CLIENT_IN_MAX];
	ssize_t n;

	if (client->ended || client->in.len >= DNS_CLIENT_IN_MAX)
		return 0;
	n = recv(client->fd, bytes, DNS_CLIENT_IN_MAX - client->in.len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	client->ended = n == 0;
	buf_add(&client->in, bytes, (size_t)n);
	return client->in.failed ? -ENOMEM : 0;
}

static void dns_client_event(struct poll_watch *watch, uint32_t events)
{
	struct dns_client *client = container_of(watch, struct dns_client, watch);
	int r = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = dns_client_read(client);
	if (r < 0)
		dns_client_free(client);
	else
		dns_client_update(client);
}

/* Watch for what can be done. Nothing: the answers of servers upstream lead on. */
static int dns_client_watch(struct dns_client *client)
{
	struct poller *p = client->server->poller;
	uint32_t events = 0;

	if (!client->ended && dns_client_takes(client))
		events |= EPOLLIN;
	if (client->out.len > 0)
		events |= EPOLLOUT;
	if (events == client->events)
		return 0;
	poll_remove(p, &client->watch);
	client->events = events;
	return events ? poll_add(p, &client->watch, client->fd, events, dns_client_event) : 0;
}

/**
 * dns_client_update() - Go on with a connection after an event or an answer
 * @client: Connection; may be freed
 */
void dns_client_update(struct dns_client *client)
{
	struct dns_server *server = client->server;
	bool again;
	int r;

	/* Sending makes room for queries that are here already: no event will tell of them. */
	do {
		bool took = dns_client_takes(client);
		size_t before = client->in.len;

		r = dns_client_queries(client);
		if (r == 0)
			r = client->out.failed ? -ENOMEM : dns_client_flush(client);
		again = client->in.len != before || (!took && dns_client_takes(client));
	} while (r == 0 && again);
	if (r == 0)
		r = dns_client_watch(client);
	if (r < 0 || (client->ended && !client->waiting && !client->out.len))
		dns_client_free(client);
	dns_server_arm(server);
}

/**
 * dns_client_answer() - Put an answer behind those that go out
 * @client: Connection; dns_client_update() must follow
 * @msg:    Message
 * @len:    Bytes of @msg, at most DNS_MESSAGE_MAX
 */
void dns_client_answer(struct dns_client *client, const uint8_t *msg, size_t len)
{
	uint8_t prefix[DNS_TCP_PREFIX];

	dns_put16(prefix, (uint16_t)len);
	buf_add(&client->out, prefix, sizeof(prefix));
	buf_add(&client->out, msg, len);
}

/**
 * dns_client_accept() - Take a new connection
 * @server: Server
 *
 * Return: 0, or negative errno: -EAGAIN if there is none
 */
int dns_client_accept(struct dns_server *server)
{
	int fd = accept4(server->tcp_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), r;
	struct dns_client *client;

	if (fd < 0)
		return -errno;
	if (server->n_clients >= DNS_CLIENTS_MAX)
		dns_client_free(server->clients);
	client = calloc(1, sizeof(*client));
	if (!client) {
		(void)close(fd); /* nothing was said yet */
		return -ENOMEM;
	}
	client->server = server;
	client->fd = fd;
	server->n_clients++;
	DL_APPEND(server->clients, client);
	dns_client_touch(client);
	r = dns_client_watch(client);
	if (r < 0)
		dns_client_free(client);
	dns_server_arm(server);
	return r;
}

/**
 * dns_client_expire() - A connection is due
 * @client: Connection; freed, unless its queries wait for servers upstream
 */
void dns_client_expire(struct dns_client *client)
{
	if (client->waiting)
		dns_client_touch(client);
	else
		dns_client_free(client);
}

/**
 * dns_client_free() - End a connection, and forget its queries
 * @client: Connection
 */
void dns_client_free(struct dns_client *client)
{
	struct dns_server *server = client->server;
	struct dns_forward *forward, *next;

	DL_FOREACH_SAFE (server->forwards, forward, next) {
		if (forward->client == client)
			dns_forward_free(forward);
	}
	poll_remove(server->poller, &client->watch);
	(void)close(client->fd); /* a socket */
	DL_DELETE(server->clients, client);
	server->n_clients--;
	buf_done(&client->in);
	buf_done(&client->out);
	free(client);
}
