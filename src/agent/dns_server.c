/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_server.c - the DNS server of one container
 *
 * DOC: Theory of operation
 *
 * Two sockets in the container's network namespace take queries over UDP and TCP, on random ports
 * of 127.0.0.11: the firewall there turns port 53 to them, so that a container may bind 0.0.0.0:53
 * for itself. What the zone knows is answered at once (dns_local.c). The rest goes upstream
 * (dns_forward.c), over what it came over, to one server after the other; nothing is cached. All of
 * it is dockerd's behaviour, refusals too:
 *
 *     nothing may leave (only internal networks), or no server answered    SERVFAIL, RA not set
 *     a single label, and somebody chose ndots                             NOERROR, no records
 *     more than DNS_FORWARDS_MAX queries wait                              REFUSED
 *
 * Hostile: each byte from the container and from upstream (dns_message.c). One thread, level
 * triggered: each event takes a bounded part of what is there. Timeouts: each list of forwards and
 * of TCP connections has one period, so that its first is due first; one timer looks at both.
 */
#include "agent/dns_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "agent/dns_local.h"
#include "agent/dns_state.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define DNS_BATCH 16 /* packets that one event takes */

DEFINE_CLEANUP(struct dns_server *, dns_server_free)

static void dns_server_expire(struct poll_timer *timer)
{
	struct dns_server *server = container_of(timer, struct dns_server, timer);
	int64_t now = clock_monotonic_ns();

	while (server->forwards && server->forwards->due_ns <= now)
		dns_forward_expire(server->forwards);
	while (server->clients && server->clients->due_ns <= now)
		dns_client_expire(server->clients);
	dns_server_arm(server);
}

/**
 * dns_server_arm() - Set the timer to what is due first
 * @server: Server, after something became due earlier than all else, or not at all
 */
void dns_server_arm(struct dns_server *server)
{
	int64_t due = INT64_MAX;

	if (server->forwards)
		due = server->forwards->due_ns;
	if (server->clients)
		due = MIN(due, server->clients->due_ns);
	if (due == INT64_MAX)
		poll_timer_cancel(server->poller, &server->timer);
	else if (!server->timer.due_ns || server->timer.due_ns > due)
		poll_timer_set(server->poller, &server->timer, due - clock_monotonic_ns(),
			       dns_server_expire);
}

/* May this go upstream at all? Return: bytes of server->reply if not, else 0 */
static size_t dns_server_refuse(struct dns_server *server, const uint8_t *msg,
				const struct dns_query *query)
{
	if (!server->forward)
		return dns_local_code(msg, query, DNS_SERVFAIL, false, server->reply);
	/* The client's libc comes again with a search domain behind the name. */
	if (server->ndots_set && (query->type == DNS_TYPE_A || query->type == DNS_TYPE_AAAA) &&
	    dns_name_single(&query->name))
		return dns_local_code(msg, query, DNS_NOERROR, true, server->reply);
	if (server->n_forwards >= DNS_FORWARDS_MAX)
		return dns_local_code(msg, query, DNS_REFUSED, false, server->reply);
	return 0;
}

/**
 * dns_server_ask() - Take a query
 * @server: Server
 * @client: The connection it came over, or NULL for UDP
 * @peer:   Who sent it over UDP
 * @msg:    Hostile bytes
 * @len:    Bytes of @msg
 *
 * Return: bytes of server->reply that answer it; 0 if the answer comes later or never
 */
size_t dns_server_ask(struct dns_server *server, struct dns_client *client,
		      const struct sockaddr_in *peer, const uint8_t *msg, size_t len)
{
	struct dns_query query;
	int r = dns_query_parse(msg, len, &query);
	size_t n;

	if (r < 0)
		return 0;
	if (r == DNS_QUERY_NOTIMP)
		return dns_reply_bare(server->reply, msg, DNS_NOTIMP);
	if (r > 0)
		return dns_reply_bare(server->reply, msg, DNS_FORMERR);
	n = dns_local_answer(server->zone, msg, &query, client ? DNS_MESSAGE_MAX : query.udp_size,
			     server->reply);
	if (n == 0)
		n = dns_server_refuse(server, msg, &query);
	if (n == 0 && dns_forward_new(server, client, peer, msg, &query) < 0)
		n = dns_local_code(msg, &query, DNS_SERVFAIL, false, server->reply);
	return n;
}

static void dns_server_udp(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct dns_server *server = container_of(watch, struct dns_server, udp_watch);

	for (int i = 0; i < DNS_BATCH; i++) {
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t n = recvfrom(server->udp_fd, server->incoming, DNS_MESSAGE_MAX, 0,
				     (struct sockaddr *)&peer, &peer_len);
		size_t reply;

		if (n < 0)
			return;
		if (n > DNS_QUERY_MAX)
			continue;
		reply = dns_server_ask(server, NULL, &peer, server->incoming, (size_t)n);
		if (reply)
			(void)sendto(server->udp_fd, server->reply, reply, 0,
				     (struct sockaddr *)&peer,
				     peer_len); /* who lost it asks again */
	}
}

static void dns_server_tcp(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct dns_server *server = container_of(watch, struct dns_server, tcp_watch);

	for (int i = 0; i < DNS_BATCH && dns_client_accept(server) == 0; i++)
		;
}

/* To ask ourselves would go round until all slots are full: dockerd refuses it as well. */
static bool dns_upstream_loops(const struct dns_upstream *upstream)
{
	static const uint8_t self[] = {127, 0, 0, 11};
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 11};

	return upstream->address.len == 4 ? memcmp(upstream->address.bytes, self, 4) == 0
					  : memcmp(upstream->address.bytes, mapped, 16) == 0;
}

static void dns_server_configure(struct dns_server *server, const struct dns_config *config)
{
	server->forward = config->forward;
	server->ndots_set = config->ndots_set;
	for (size_t i = 0; i < config->n_upstreams && server->n_upstreams < DNS_UPSTREAMS_MAX;
	     i++) {
		if (!dns_upstream_loops(&config->upstreams[i]))
			server->upstreams[server->n_upstreams++] = config->upstreams[i];
	}
}

static int dns_server_listen(struct dns_server *server)
{
	int r;

	server->udp_fd = dns_socket_listen(&server->netns, SOCK_DGRAM, 0, &server->udp_port);
	if (server->udp_fd < 0)
		return server->udp_fd;
	server->tcp_fd =
		dns_socket_listen(&server->netns, SOCK_STREAM, server->udp_port, &server->tcp_port);
	if (server->tcp_fd < 0)
		return server->tcp_fd;
	r = poll_add(server->poller, &server->udp_watch, server->udp_fd, EPOLLIN, dns_server_udp);
	if (r < 0)
		return r;
	return poll_add(server->poller, &server->tcp_watch, server->tcp_fd, EPOLLIN,
			dns_server_tcp);
}

/**
 * dns_server_new() - Begin to serve a container
 * @config:	Borrowed until the return; the namespace's loopback interface must be up
 * @zone:	Borrowed, outlives the server; may change at any time between two events
 * @p:		Poller, outlives the server
 * @ret_server:	The caller's, for dns_server_free(); set on success
 *
 * The namespace lives at least as long as the server. Servers that would ask this one (127.0.0.11)
 * are left out, and so are those beyond DNS_UPSTREAMS_MAX.
 *
 * Return: 0 or negative errno; -EADDRNOTAVAIL if loopback is down
 */
int dns_server_new(const struct dns_config *config, const struct dns_zone *zone, struct poller *p,
		   struct dns_server **ret_server)
{
	_cleanup_(dns_server_freep) struct dns_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->zone = zone;
	server->poller = p;
	server->incoming = malloc(DNS_MESSAGE_MAX); /* not cleared: most of it is never touched */
	server->reply = malloc(DNS_MESSAGE_MAX);
	server->udp_fd = server->tcp_fd = -EBADF;
	server->netns = (struct dns_netns){-EBADF, -EBADF};
	dns_server_configure(server, config);
	if (!server->incoming || !server->reply)
		return -ENOMEM;
	r = dns_netns_open(config->netns_fd, &server->netns);
	if (r == 0)
		r = dns_server_listen(server);
	if (r < 0)
		return r;
	*ret_server = TAKE_PTR(server);
	return 0;
}

/**
 * dns_server_free() - Stop serving: queries that wait are dropped, connections closed
 * @server: May be NULL
 */
void dns_server_free(struct dns_server *server)
{
	if (!server)
		return;
	while (server->forwards)
		dns_forward_free(server->forwards);
	while (server->clients)
		dns_client_free(server->clients);
	poll_timer_cancel(server->poller, &server->timer);
	poll_remove(server->poller, &server->udp_watch);
	poll_remove(server->poller, &server->tcp_watch);
	cleanup_close(&server->udp_fd);
	cleanup_close(&server->tcp_fd);
	dns_netns_close(&server->netns);
	free(server->incoming);
	free(server->reply);
	free(server);
}

/**
 * dns_server_udp_port() - Where queries over UDP are taken
 * @server: Server
 *
 * Return: port of 127.0.0.11 in the container's network namespace, host order
 */
uint16_t dns_server_udp_port(const struct dns_server *server)
{
	return server->udp_port;
}

/**
 * dns_server_tcp_port() - Where queries over TCP are taken
 * @server: Server
 *
 * Return: port of 127.0.0.11 in the container's network namespace, host order
 */
uint16_t dns_server_tcp_port(const struct dns_server *server)
{
	return server->tcp_port;
}

/**
 * dns_server_set_forward() - The container joined or left its last network that is not internal
 * @server:  Server
 * @forward: Unknown names may go upstream; what went before still comes back
 */
void dns_server_set_forward(struct dns_server *server, bool forward)
{
	server->forward = forward;
}
