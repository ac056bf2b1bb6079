/* SPDX-License-Identifier: Apache-2.0 */
/* dns_state.h - what a DNS server is made of; for dns_server.c, dns_client.c and dns_forward.c */
#pragma once

#include <netinet/in.h>

#include "agent/dns_message.h"
#include "agent/dns_server.h"
#include "agent/dns_socket.h"
#include "agent/poll.h"
#include "base/buf.h"

/* Queries of a TCP connection are two bytes of length and a message: RFC 1035 4.2.2 */
#define DNS_TCP_PREFIX 2

/* A TCP connection of a process in the container. */
struct dns_client {
	struct dns_server *server; /* borrowed: its owner */
	int fd;			   /* owned */
	struct poll_watch watch;
	uint32_t events; /* watched for; 0: not watched */
	struct buf in, out;
	unsigned int waiting; /* of its queries, upstream */
	bool ended;	      /* nothing more to read */
	int64_t due_ns;	      /* monotonic: ends without progress until then */
	struct dns_client *prev, *next;
};

/* A query that waits for a server upstream. */
struct dns_forward {
	struct dns_server *server; /* borrowed: its owner */
	struct dns_client *client; /* borrowed; NULL: it came over UDP, from: */
	struct sockaddr_in peer;
	struct dns_query query;
	uint8_t *msg;	 /* owned: query.len bytes behind a TCP prefix; its id is ours */
	size_t upstream; /* the one that is asked */
	int fd;		 /* owned: the socket it is asked with, -EBADF between two */
	struct poll_watch watch;
	size_t sent;   /* over TCP: bytes of msg, its prefix too */
	struct buf in; /* over TCP: of the answer, its prefix too */
	int64_t due_ns;
	struct dns_forward *prev, *next;
};

struct dns_server {
	const struct dns_zone *zone; /* borrowed: from the caller */
	struct poller *poller;	     /* borrowed: from the caller */
	struct dns_netns netns;
	struct dns_upstream upstreams[DNS_UPSTREAMS_MAX];
	size_t n_upstreams;
	bool forward, ndots_set;
	int udp_fd, tcp_fd; /* owned */
	uint16_t udp_port, tcp_port;
	struct poll_watch udp_watch, tcp_watch;
	struct poll_timer timer; /* of whatever is first in the two lists */
	struct dns_forward *forwards;
	struct dns_client *clients; /* both: soonest due first */
	size_t n_forwards, n_clients;
	/* Owned, DNS_MESSAGE_MAX bytes each: what was read last, and what is sent next */
	uint8_t *incoming, *reply;
};

/* dns_server.c */
size_t dns_server_ask(struct dns_server *server, struct dns_client *client,
		      const struct sockaddr_in *peer, const uint8_t *msg, size_t len);
void dns_server_arm(struct dns_server *server);

/* dns_client.c */
int dns_client_accept(struct dns_server *server);
void dns_client_answer(struct dns_client *client, const uint8_t *msg, size_t len);
void dns_client_update(struct dns_client *client);
void dns_client_expire(struct dns_client *client);
void dns_client_free(struct dns_client *client);

/* dns_forward.c */
int dns_forward_new(struct dns_server *server, struct dns_client *client,
		    const struct sockaddr_in *peer, const uint8_t *msg,
		    const struct dns_query *query);
void dns_forward_free(struct dns_forward *forward);
void dns_forward_expire(struct dns_forward *forward);
