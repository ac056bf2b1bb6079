/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipam.h - who has which subnet and which address, in SQLite
 *
 * All functions but ipam_init() run inside a transaction of the caller's (store_begin()), so that
 * a network and its pools, or an endpoint and its addresses, come and go as one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/pools.h"
#include "net/subnet.h"

struct store;

#define IPAM_POOLS_MAX 64 /* of one network */

struct ipam {
	struct store *store; /* borrowed */
	struct net_pool_sources sources;
};

struct ipam_aux {
	const char *name; /* borrowed */
	struct net_addr addr;
};

/* What a network asks for, once per pool. */
struct ipam_request {
	unsigned int family;	    /* 4 or 6 */
	struct net_prefix subnet;   /* none: the next one of the sources */
	struct net_prefix range;    /* none: all of the subnet */
	struct net_addr gateway;    /* none: the first address of the range that is free */
	bool no_gateway;	    /* none at all */
	const struct ipam_aux *aux; /* borrowed */
	size_t n_aux;
};

struct ipam_pool {
	struct net_prefix subnet, range;
	struct net_addr gateway; /* none: has none */
	bool asked;		 /* the subnet was asked for by number */
};

void ipam_init(struct ipam *ipam, struct store *store, const struct net_pool_sources *configured,
	       const uint8_t ula_id[static 5]);
int ipam_pool_add(struct ipam *ipam, const char *network_id, unsigned int position,
		  const struct ipam_request *request, struct ipam_pool *ret_pool, struct err *err);
int ipam_pools_load(struct ipam *ipam, const char *network_id,
		    struct ipam_pool pools[static IPAM_POOLS_MAX], size_t *ret_n);
int ipam_take(struct ipam *ipam, const char *network_id, const char *owner, unsigned int family,
	      struct net_addr wanted, struct net_addr *ret_addr, struct ipam_pool *ret_pool);
int ipam_rest(struct ipam *ipam, const char *owner, const char *network_id);
int ipam_free(struct ipam *ipam, const char *owner, const char *network_id);
