/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipam.c - who has which subnet
 *
 * DOC: Theory of operation
 *
 * Two tables: network_pools has a row per subnet of a network, network_addresses one per address
 * that somebody has (ipam_addresses.c). Both are unique in what must be unique, so whatever this
 * code does wrong, nothing is given twice.
 */
#include "net/ipam_impl.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/reserved.h"
#include "store/store.h"

#define IPAM_OWNER_GATEWAY "gateway"
#define IPAM_OWNER_AUX "aux"
#define IPAM_USED_MAX 16384 /* prefixes looked at when a subnet is chosen */

/**
 * ipam_blob() - An address as the tables have it
 * @addr: Address
 *
 * Return: its bytes
 */
struct ipam_blob ipam_blob(struct net_addr addr)
{
	struct ipam_blob blob;

	blob.len = net_addr_to_bytes(addr, blob.bytes);
	return blob;
}

/**
 * ipam_row_addr() - An address out of a row
 * @row:    Row
 * @column: Column
 * @ret:    Set on success
 *
 * Return: 0, or -EINVAL for NULL and what is no address
 */
int ipam_row_addr(struct store_row *row, int column, struct net_addr *ret)
{
	size_t len = 0;
	const void *bytes = store_row_blob(row, column, &len);

	return bytes ? net_addr_from_bytes(bytes, len, ret) : -EINVAL;
}

/**
 * ipam_init() - Prepare
 * @ipam:	Storage
 * @store:	Database, borrowed
 * @configured: Sources of subnets that an administrator named; may be empty
 * @ula_id:	Installation's part of the default IPv6 prefix
 */
void ipam_init(struct ipam *ipam, struct store *store, const struct net_pool_sources *configured,
	       const uint8_t ula_id[static 5])
{
	ipam->store = store;
	ipam->sources = *configured;
	net_pool_sources_default(&ipam->sources, ula_id);
}

struct used {
	struct net_prefix *items;
	size_t n, max;
};

static int used_row(void *user, struct store_row *row)
{
	struct used *used = user;
	struct net_addr first;

	if (used->n == used->max)
		return -EOVERFLOW;
	if (ipam_row_addr(row, 0, &first) < 0)
		return -EBADMSG;
	used->items[used->n++] = (struct net_prefix){first, (unsigned int)store_row_int(row, 1)};
	return 0;
}

/* A subnet that no network and no route of the host has. */
static int pool_choose(struct ipam *ipam, unsigned int family, struct net_prefix *ret,
		       struct err *err)
{
	struct used used = {.max = IPAM_USED_MAX};
	_cleanup_free_ struct net_prefix *items = calloc(used.max, sizeof(*items));
	int r;

	if (!items)
		return err_oom(err);
	used.items = items;
	used.n = net_reserved_host(items, NET_RESERVED_MAX);
	r = store_exec(ipam->store, "SELECT first, bits FROM network_pools", used_row, &used, "");
	if (r < 0)
		return err_sys(err, r, "cannot read the networks' subnets");
	r = net_pool_next(&ipam->sources, family, items, used.n, ret);
	return r < 0 ? err_user(err, ERR_INVALID,
				"all predefined address pools have been fully subnetted")
		     : 0;
}

static int found_row(void *user, struct store_row *row UNUSED)
{
	*(bool *)user = true;
	return 0;
}

static int pool_refuse(struct err *err)
{
	return err_user(err, ERR_FORBIDDEN,
			"invalid pool request: Pool overlaps with other one on this address space");
}

static int pool_check(struct ipam *ipam, struct net_prefix subnet, struct err *err)
{
	struct ipam_blob first = ipam_blob(net_prefix_first(subnet));
	struct ipam_blob last = ipam_blob(net_prefix_last(subnet));
	bool found = false;
	int r;

	if (net_reserved_underlay(subnet))
		return pool_refuse(err);
	r = store_exec(ipam->store,
		       "SELECT 1 FROM network_pools WHERE length(first) = ?"
		       " AND first <= ? AND last >= ? LIMIT 1",
		       found_row, &found, "ibb", (int64_t)first.len, last.bytes, last.len,
		       first.bytes, first.len);
	if (r < 0)
		return err_sys(err, r, "cannot read the networks' subnets");
	return found ? pool_refuse(err) : 0;
}

static int pool_insert(struct ipam *ipam, const char *network_id, unsigned int position,
		       const struct ipam_pool *pool, struct err *err)
{
	struct ipam_blob first = ipam_blob(net_prefix_first(pool->subnet));
	struct ipam_blob last = ipam_blob(net_prefix_last(pool->subnet));
	struct ipam_blob low = ipam_blob(net_prefix_first(pool->range));
	struct ipam_blob high = ipam_blob(net_prefix_last(pool->range));
	int r;

	r = store_exec(ipam->store,
		       "INSERT INTO network_pools (network_id, position, first, last, bits,"
		       " range_first, range_last, range_bits, asked)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       NULL, NULL, "sibbibbii", network_id, (int64_t)position, first.bytes,
		       first.len, last.bytes, last.len, (int64_t)pool->subnet.bits, low.bytes,
		       low.len, high.bytes, high.len, (int64_t)pool->range.bits,
		       (int64_t)pool->asked);
	return r < 0 ? err_sys(err, r, "cannot record a subnet") : 0;
}

static int pool_gateway(struct ipam *ipam, const char *network_id,
			const struct ipam_request *request, struct ipam_pool *pool, struct err *err)
{
	struct net_addr gateway = request->gateway;
	char text[NET_ADDR_TEXT];
	int r = 0;

	if (request->no_gateway)
		return 0;
	net_addr_format(gateway, text);
	if (gateway.family == 0)
		r = ipam_addr_next(ipam, network_id, pool, &gateway);
	else if (ipam_addr_is_special(pool, gateway))
		r = -EEXIST;
	if (r == 0)
		r = ipam_addr_insert(ipam, network_id, gateway, IPAM_OWNER_GATEWAY);
	if (r == -ENOSPC)
		return err_user(err, ERR_INTERNAL,
				"failed to allocate gateway (%s): no available addresses on this "
				"pool",
				text);
	if (r == -EEXIST)
		return err_user(err, ERR_INTERNAL,
				"failed to allocate gateway (%s): Address already in use", text);
	if (r < 0)
		return err_sys(err, r, "cannot record a gateway");
	pool->gateway = gateway;
	return 0;
}

static int pool_aux(struct ipam *ipam, const char *network_id, const struct ipam_request *request,
		    const struct ipam_pool *pool, struct err *err)
{
	for (size_t i = 0; i < request->n_aux; i++) {
		const struct ipam_aux *aux = &request->aux[i];
		char text[NET_ADDR_TEXT];
		int r;

		r = ipam_addr_is_special(pool, aux->addr)
			    ? -EEXIST
			    : ipam_addr_insert(ipam, network_id, aux->addr, IPAM_OWNER_AUX);
		net_addr_format(aux->addr, text);
		if (r == -EEXIST)
			return err_user(err, ERR_INTERNAL,
					"failed to allocate secondary ip address (%.100s:%s): "
					"Address already in use",
					aux->name, text);
		if (r < 0)
			return err_sys(err, r, "cannot record an auxiliary address");
	}
	return 0;
}

/**
 * ipam_pool_add() - Give a network a subnet, its gateway and auxiliary addresses
 * @ipam:	IPAM; the caller's transaction is rolled back on failure
 * @network_id: Network whose row is there
 * @position:	Number of this pool in the network
 * @request:	What is asked for; checked by the caller: range, gateway and the others are in the
 *		subnet
 * @ret_pool:	What it got; set on success
 * @err:	Filled on failure, in dockerd's words
 *
 * Return: 0 or a negative errno
 */
int ipam_pool_add(struct ipam *ipam, const char *network_id, unsigned int position,
		  const struct ipam_request *request, struct ipam_pool *ret_pool, struct err *err)
{
	struct ipam_pool pool = {.subnet = request->subnet,
				 .range = request->range,
				 .asked = request->subnet.addr.family != 0};
	int r;

	r = pool.asked ? pool_check(ipam, pool.subnet, err)
		       : pool_choose(ipam, request->family, &pool.subnet, err);
	if (r < 0)
		return r;
	if (pool.range.addr.family == 0)
		pool.range = pool.subnet;
	r = pool_insert(ipam, network_id, position, &pool, err);
	if (r == 0)
		r = pool_gateway(ipam, network_id, request, &pool, err);
	if (r == 0)
		r = pool_aux(ipam, network_id, request, &pool, err);
	if (r == 0)
		*ret_pool = pool;
	return r;
}

struct loading {
	struct ipam_pool *pools;
	size_t n;
};

static int load_row(void *user, struct store_row *row)
{
	struct loading *loading = user;
	struct ipam_pool pool = {0};

	if (loading->n == IPAM_POOLS_MAX)
		return -EOVERFLOW;
	if (ipam_row_addr(row, 0, &pool.subnet.addr) < 0 ||
	    ipam_row_addr(row, 2, &pool.range.addr) < 0)
		return -EBADMSG;
	pool.subnet.bits = (unsigned int)store_row_int(row, 1);
	pool.range.bits = (unsigned int)store_row_int(row, 3);
	pool.asked = store_row_int(row, 4) != 0;
	(void)ipam_row_addr(row, 5, &pool.gateway); /* NULL: there is none */
	loading->pools[loading->n++] = pool;
	return 0;
}

/**
 * ipam_pools_load() - The pools of a network
 * @ipam:	IPAM
 * @network_id: Network
 * @pools:	Receives them, in order
 * @ret_n:	How many
 *
 * Return: 0 or a negative errno
 */
int ipam_pools_load(struct ipam *ipam, const char *network_id,
		    struct ipam_pool pools[static IPAM_POOLS_MAX], size_t *ret_n)
{
	struct loading loading = {.pools = pools};
	int r;

	/* A gateway lies in its own subnet, so the pair is unique. */
	r = store_exec(ipam->store,
		       "SELECT p.first, p.bits, p.range_first, p.range_bits, p.asked, a.address"
		       " FROM network_pools p LEFT JOIN network_addresses a"
		       " ON a.network_id = p.network_id AND a.owner = '" IPAM_OWNER_GATEWAY "'"
		       " AND length(a.address) = length(p.first)"
		       " AND a.address BETWEEN p.first AND p.last"
		       " WHERE p.network_id = ? ORDER BY p.position",
		       load_row, &loading, "s", network_id);
	if (r < 0)
		return r;
	*ret_n = loading.n;
	return 0;
}
