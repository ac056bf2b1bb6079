/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - which ports are published for whom */
#pragma once

#include <stddef.h>
#include <uthash.h>

#include "forward/poller.h"
#include "forward/wire.h"

struct owner;
struct tcp_conn;
struct udp_session;

/* One listening socket. */
struct port {
	struct poller_source source;
	struct owner *owner; /* borrowed: whose it is */
	struct forward_ip target;
	uint16_t target_port;
	struct udp_session *sessions; /* owned; hash by client, oldest use first in lru */
	struct udp_session *lru;
	size_t n_sessions;
};

struct entry {
	struct forward_mapping mapping; /* host_port is what was bound */
	struct port *ports;		/* owned; mapping.count of them */
};

struct owner {
	char id[FORWARD_OWNER_MAX + 1];
	struct entry *entries; /* owned */
	size_t n;
	struct tcp_conn *conns; /* owned */
	UT_hash_handle hh;
};

int table_add(struct forward_message *message);
int table_del(const char *id);
const struct owner *table_next(const struct owner *owner);
void table_expire(void);
