/* SPDX-License-Identifier: Apache-2.0 */
/* pools.h - the address space that networks without a subnet of their own are cut from */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "net/subnet.h"

#define NET_POOL_SOURCES_MAX 64

/* base is cut into subnets of /size, lowest first. */
struct net_pool_source {
	struct net_prefix base;
	unsigned int size;
};

struct net_pool_sources {
	struct net_pool_source items[NET_POOL_SOURCES_MAX];
	size_t n;
};

int net_pool_source_parse(const char *text, struct net_pool_source *ret_source, struct err *err);
void net_pool_sources_default(struct net_pool_sources *sources, const uint8_t ula_id[static 5]);
int net_pool_sources_add(struct net_pool_sources *sources, struct net_pool_source source);
int net_pool_next(const struct net_pool_sources *sources, unsigned int family,
		  struct net_prefix *used, size_t n_used, struct net_prefix *ret_subnet);
