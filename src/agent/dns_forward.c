/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_forward.c - a query that a server upstream is asked
 *
 * DOC: Theory of operation
 *
 * A query goes on as it came, over what it came over, but with an id of our own and a socket of its
 * own: whoever forges an answer must guess the id and the kernel's random port, and send from the
 * server's address. What does not fit the question is dropped and waiting goes on. What fits goes
 * back as it is, with the client's id and question, whose case some clients check; a truncated
 * answer too: the client comes again over TCP, and so do we.
 *
 * Servers are asked in order. The next one is asked if one cannot be reached, says nothing for
 * DNS_TIMEOUT_MS, or says SERVFAIL, REFUSED or what is no message; after the last, the client gets
 * SERVFAIL.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <utlist.h>

#include "agent/dns_local.h"
#include "agent/dns_state.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define DNS_BATCH 16 /* packets that one event takes */

static void dns_forward_udp_event(struct poll_watch *watch, uint32_t events);
static void dns_forward_tcp_event(struct poll_watch *watch, uint32_t events);

static void dns_forward_hang_up(struct dns_forward *forward)
{
	poll_remove(forward->server->poller, &forward->watch);
	cleanup_close(&forward->fd);
	forward->fd = -EBADF;
	forward->sent = 0;
	buf_reset(&forward->in);
}

/* Ask the current server. Return: 0 if an answer may come, or negative errno */
static int dns_forward_call(struct dns_forward *forward)
{
	struct dns_server *server = forward->server;
	const struct dns_upstream *upstream = &server->upstreams[forward->upstream];
	uint8_t *msg = forward->msg + DNS_TCP_PREFIX;
	bool tcp = forward->client;
	uint16_t id;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		return -EAGAIN;
	dns_put16(msg, id);
	forward->fd = dns_socket_connect(&server->netns, tcp ? SOCK_STREAM : SOCK_DGRAM, upstream);
	if (forward->fd < 0)
		return forward->fd;
	if (!tcp && send(forward->fd, msg, forward->query.len, MSG_NOSIGNAL) < 0)
		return -errno;
	return poll_add(server->poller, &forward->watch, forward->fd, tcp ? EPOLLOUT : EPOLLIN,
			tcp ? dns_forward_tcp_event : dns_forward_udp_event);
}

/* Ask the current server, or the first behind it that can be asked. Return: 0, -EHOSTUNREACH */
static int dns_forward_start(struct dns_forward *forward)
{
	struct dns_server *server = forward->server;

	for (; forward->upstream < server->n_upstreams; forward->upstream++) {
		if (dns_forward_call(forward) == 0) {
			forward->due_ns = clock_monotonic_ns() + DNS_TIMEOUT_MS * NSEC_PER_MSEC;
			DL_DELETE(server->forwards, forward);
			DL_APPEND(server->forwards, forward);
			return 0;
		}
		dns_forward_hang_up(forward);
	}
	return -EHOSTUNREACH;
}

/* Give the client its answer; the forward ends. */
static void dns_forward_finish(struct dns_forward *forward, const uint8_t *msg, size_t len)
{
	struct dns_server *server = forward->server;
	struct dns_client *client = forward->client;

	if (client)
		dns_client_answer(client, msg, len);
	else
		(void)sendto(server->udp_fd, msg, len, 0, (struct sockaddr *)&forward->peer,
			     sizeof(forward->peer)); /* who lost it asks again */
	dns_forward_free(forward);
	if (client)
		dns_client_update(client);
	dns_server_arm(server);
}

static void dns_forward_next(struct dns_forward *forward)
{
	struct dns_server *server = forward->server;
	size_t len;

	dns_forward_hang_up(forward);
	forward->upstream++;
	if (dns_forward_start(forward) == 0)
		return;
	len = dns_local_code(forward->msg + DNS_TCP_PREFIX, &forward->query, DNS_SERVFAIL, false,
			     server->reply);
	dns_forward_finish(forward, server->reply, len);
}

/* Return: -ENOMSG if that was not for us, else 0: the forward is at its end or its next server */
static int dns_forward_answer(struct dns_forward *forward, uint8_t *msg, size_t len)
{
	const uint8_t *asked = forward->msg + DNS_TCP_PREFIX;
	const struct dns_query *query = &forward->query;
	struct dns_answer answer;
	int r = dns_answer_parse(msg, len, dns_get16(asked), asked + DNS_HEADER_LEN,
				 query->question_len, &answer);

	if (r == -ENOMSG)
		return r;
	if (r < 0 || answer.rcode == DNS_SERVFAIL || answer.rcode == DNS_REFUSED) {
		dns_forward_next(forward);
		return 0;
	}
	/* Without EDNS, dockerd hands on whatever a server sends, and clients rely on it. */
	if (!forward->client && query->edns && answer.len > query->udp_size) {
		answer.len = dns_local_truncated(asked, query, forward->server->reply);
		msg = forward->server->reply;
	} else {
		dns_put16(msg, query->id);
		memcpy(msg + DNS_HEADER_LEN, asked + DNS_HEADER_LEN, query->question_len);
	}
	dns_forward_finish(forward, msg, answer.len);
	return 0;
}

static void dns_forward_udp_event(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct dns_forward *forward = container_of(watch, struct dns_forward, watch);
	struct dns_server *server = forward->server;

	for (int i = 0; i < DNS_BATCH; i++) {
		ssize_t n = recv(forward->fd, server->incoming, DNS_MESSAGE_MAX, 0);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				dns_forward_next(forward); /* nobody listens there */
			return;
		}
		if (dns_forward_answer(forward, server->incoming, (size_t)n) == 0)
			return;
	}
}

/* Return: 1 when all is sent, 0 for later, or negative errno */
static int dns_forward_tcp_send(struct dns_forward *forward)
{
	size_t len = DNS_TCP_PREFIX + forward->query.len;
	ssize_t n =
		send(forward->fd, forward->msg + forward->sent, len - forward->sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	forward->sent += (size_t)n;
	return forward->sent == len;
}

/* Return: 1 when an answer is whole, 0 for later, or negative errno */
static int dns_forward_tcp_read(struct dns_forward *forward)
{
	uint8_t *bytes = forward->server->incoming;
	ssize_t n = recv(forward->fd, bytes, DNS_MESSAGE_MAX, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	buf_add(&forward->in, bytes, (size_t)n);
	if (forward->in.failed)
		return -ENOMEM;
	return forward->in.len >= DNS_TCP_PREFIX &&
	       forward->in.len >= DNS_TCP_PREFIX + (size_t)dns_get16((uint8_t *)forward->in.data);
}

static int dns_forward_tcp_go(struct dns_forward *forward)
{
	struct poller *p = forward->server->poller;
	int r;

	if (forward->sent == DNS_TCP_PREFIX + forward->query.len)
		return dns_forward_tcp_read(forward);
	r = dns_forward_tcp_send(forward);
	if (r <= 0)
		return r;
	poll_remove(p, &forward->watch);
	return poll_add(p, &forward->watch, forward->fd, EPOLLIN, dns_forward_tcp_event);
}

static void dns_forward_tcp_event(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct dns_forward *forward = container_of(watch, struct dns_forward, watch);
	int r = dns_forward_tcp_go(forward);

	if (r > 0) {
		uint8_t *bytes = (uint8_t *)forward->in.data;

		r = dns_forward_answer(forward, bytes + DNS_TCP_PREFIX, dns_get16(bytes));
	}
	if (r < 0)
		dns_forward_next(forward); /* an answer to something else, over TCP, too */
}

/**
 * dns_forward_new() - Ask the servers upstream
 * @server: Server, with fewer than DNS_FORWARDS_MAX forwards
 * @client: The connection that gets the answer, or NULL for UDP
 * @peer:   Who gets the answer over UDP
 * @msg:    The query's bytes, copied
 * @query:  The query, copied
 *
 * Return: 0 if the client will be answered, or negative errno if no server can be asked
 */
int dns_forward_new(struct dns_server *server, struct dns_client *client,
		    const struct sockaddr_in *peer, const uint8_t *msg,
		    const struct dns_query *query)
{
	struct dns_forward *forward = calloc(1, sizeof(*forward));
	uint8_t *copy = malloc(DNS_TCP_PREFIX + query->len);

	if (!forward || !copy) {
		free(forward);
		free(copy);
		return -ENOMEM;
	}
	dns_put16(copy, (uint16_t)query->len);
	memcpy(copy + DNS_TCP_PREFIX, msg, query->len);
	forward->server = server;
	forward->client = client;
	forward->query = *query;
	forward->msg = copy;
	forward->fd = -EBADF;
	if (client)
		client->waiting++;
	else
		forward->peer = *peer;
	DL_APPEND(server->forwards, forward);
	server->n_forwards++;
	if (dns_forward_start(forward) < 0) {
		dns_forward_free(forward);
		return -EHOSTUNREACH;
	}
	dns_server_arm(server);
	return 0;
}

/**
 * dns_forward_expire() - A server said nothing in its time
 * @forward: Goes on to the next one, or is freed
 */
void dns_forward_expire(struct dns_forward *forward)
{
	dns_forward_next(forward);
}

/**
 * dns_forward_free() - Forget a query; its client gets no answer
 * @forward: Forward
 */
void dns_forward_free(struct dns_forward *forward)
{
	struct dns_server *server = forward->server;

	dns_forward_hang_up(forward);
	if (forward->client)
		forward->client->waiting--;
	DL_DELETE(server->forwards, forward);
	server->n_forwards--;
	buf_done(&forward->in);
	free(forward->msg);
	free(forward);
}
