/* SPDX-License-Identifier: Apache-2.0 */
/* ipam_impl.h - what ipam.c and ipam_addresses.c share; nobody else */
#pragma once

#include "net/ipam.h"
#include "store/store.h"

/* An address as the tables have it. */
struct ipam_blob {
	uint8_t bytes[NET_ADDR_BYTES_MAX];
	size_t len;
};

struct ipam_blob ipam_blob(struct net_addr addr);
int ipam_row_addr(struct store_row *row, int column, struct net_addr *ret);
bool ipam_addr_is_special(const struct ipam_pool *pool, struct net_addr addr);
int ipam_addr_insert(struct ipam *ipam, const char *network_id, struct net_addr addr,
		     const char *owner);
int ipam_addr_next(struct ipam *ipam, const char *network_id, const struct ipam_pool *pool,
		   struct net_addr *ret);
