/* SPDX-License-Identifier: Apache-2.0 */
/* wireguard.h - the kernel's WireGuard interfaces, over generic netlink */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/link.h"
#include "agent/netlink.h"

#define WIREGUARD_KEY_LEN 32

struct wireguard {
	struct netlink nl;
	uint16_t family; /* of generic netlink; 0: this kernel has none */
};

/* One peer's part of a message. */
struct wireguard_peer {
	const uint8_t *public_key;	       /* WIREGUARD_KEY_LEN bytes */
	const struct link_address *endpoint;   /* IPv4 */
	uint16_t port;			       /* UDP, there */
	const struct link_address *allowed[2]; /* as single addresses; .len = 0: none */
	bool remove;
	int keepalive_s; /* < 0: as it is */
};

/* Peers in as many messages as they take. */
struct wireguard_batch {
	struct netlink_batch b;
	unsigned int index;
	size_t peers; /* the nest that is open; 0: none */
};

int wireguard_open(struct wireguard *ret_wg);
int wireguard_set_key(struct wireguard *wg, unsigned int index, uint16_t port,
		      uint8_t *ret_public_key);
int wireguard_reset(struct wireguard *wg, unsigned int index);
int wireguard_add_peer(struct wireguard *wg, struct wireguard_batch *batch,
		       const struct wireguard_peer *peer);
int wireguard_flush(struct wireguard *wg, struct wireguard_batch *batch);
