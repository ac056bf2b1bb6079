/* SPDX-License-Identifier: Apache-2.0 */
/* dns_server.h - the DNS server of one container, at 127.0.0.11 of its network namespace */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/dns_name.h"

struct dns_server;
struct dns_zone;
struct poller;

#define DNS_UPSTREAMS_MAX 3   /* dockerd's, and the resolver's of every libc */
#define DNS_FORWARDS_MAX 512  /* queries of one container that wait for servers upstream */
#define DNS_CLIENTS_MAX 64    /* TCP connections of one container */
#define DNS_TIMEOUT_MS 4000   /* for one server's answer; dockerd's */
#define DNS_IDLE_MS 10000     /* without progress, a TCP connection ends */
#define DNS_QUERY_MAX 4096    /* bytes of a query */
#define DNS_PIPELINE_MAX 64   /* queries of one TCP connection that wait */
#define DNS_BACKLOG_MAX 65536 /* unsent bytes of one TCP connection, plus one answer */

/* A server that is asked for what the zone does not know. */
struct dns_upstream {
	struct dns_address address;
	uint16_t port;	   /* 0 means 53 */
	bool in_container; /* asked from the container's network namespace, as --dns servers are */
};

struct dns_config {
	int netns_fd; /* borrowed, duplicated: the container's network namespace; -1: this one */
	const struct dns_upstream *upstreams; /* borrowed, copied: in the order they are asked in */
	size_t n_upstreams;		      /* those beyond DNS_UPSTREAMS_MAX are left out */
	bool forward;	/* false: all its networks are internal, nothing may leave */
	bool ndots_set; /* somebody chose ndots: unknown single labels are not forwarded */
};

int dns_server_new(const struct dns_config *config, const struct dns_zone *zone, struct poller *p,
		   struct dns_server **ret_server);
void dns_server_free(struct dns_server *server);
uint16_t dns_server_udp_port(const struct dns_server *server);
uint16_t dns_server_tcp_port(const struct dns_server *server);
void dns_server_set_forward(struct dns_server *server, bool forward);
