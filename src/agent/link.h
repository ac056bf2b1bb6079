/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - rtnetlink messages: interfaces, addresses, routes, neighbours */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/netlink.h"

#define LINK_MAC_LEN 6

/* An IPv4 or IPv6 address in network order. len: 4, 16, or 0 for none. */
struct link_address {
	uint8_t bytes[16];
	uint8_t len;
	uint8_t prefix; /* bits */
};

struct link_veth {
	unsigned int index; /* of the end on this side */
	const char *name;
	uint32_t group;
	unsigned int mtu;
	int peer_netns_fd; /* where the other end is made */
	const char *peer_name;
	const uint8_t *peer_mac; /* LINK_MAC_LEN bytes */
};

void link_add_veth(struct netlink_batch *b, const struct link_veth *veth);
void link_add_wireguard(struct netlink_batch *b, unsigned int index, const char *name,
			uint32_t group);
void link_delete(struct netlink_batch *b, unsigned int index);
void link_add_plug(struct netlink_batch *b, unsigned int index);
void link_plug(struct netlink_batch *b, unsigned int index, bool hold);
void link_set_nic(struct netlink_batch *b, unsigned int index, const uint8_t *mac, unsigned int mtu,
		  uint32_t group);
void link_set_up(struct netlink_batch *b, unsigned int index, bool up, unsigned int mtu);
void link_move(struct netlink_batch *b, unsigned int index, int netns_fd, const char *name);
void link_set_proxy_arp(struct netlink_batch *b, unsigned int index);
void link_set_no_link_local(struct netlink_batch *b, unsigned int index);
void link_add_address(struct netlink_batch *b, unsigned int index, const struct link_address *a);
void link_add_link_local(struct netlink_batch *b, unsigned int index, const uint8_t *id);
void link_route(struct netlink_batch *b, bool add, unsigned int index,
		const struct link_address *to, const struct link_address *gateway);
void link_proxy_neighbour(struct netlink_batch *b, bool add, unsigned int index,
			  const struct link_address *a);
int link_is_running(struct netlink *nl, unsigned int index, bool *ret_running);
int link_find_index(struct netlink *nl, const char *name, unsigned int *ret_index);
