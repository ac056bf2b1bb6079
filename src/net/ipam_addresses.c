/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipam_addresses.c - who has which address
 *
 * DOC: Theory of operation
 *
 * The lowest free address of a range is found by walking the taken ones in order up to the first
 * gap: the cost is in how many are taken, never in how large the subnet is.
 *
 * An address has an owner (a container, by its id) and is in one of two states. "Used" is what a
 * running container has. When it stops, the address rests: it stays the owner's, who gets it back
 * at the next start, but whoever asks for this very address takes it over, and so does whoever
 * would otherwise get none. It is freed when the owner leaves the network or is removed; a trigger
 * on the containers' table does the latter (store/migrations.c), so no crash can forget it.
 */
#include "net/ipam_impl.h"

#include <errno.h>
#include <string.h>

#include "store/store.h"

/**
 * ipam_addr_is_special() - Whether an address is never given to anybody
 * @pool: Pool
 * @addr: Address in its subnet
 *
 * Of IPv4 the network's and the broadcast address, unless the subnet is a link of two or one
 * address (RFC 3021); of IPv6 the routers' anycast address (RFC 4291).
 *
 * Return: the answer
 */
bool ipam_addr_is_special(const struct ipam_pool *pool, struct net_addr addr)
{
	bool first = addr.number == net_prefix_first(pool->subnet).number;
	bool last = addr.number == net_prefix_last(pool->subnet).number;

	return addr.family == 6 ? first : pool->subnet.bits <= 30 && (first || last);
}

/**
 * ipam_addr_insert() - Somebody has an address from now on
 * @ipam:	IPAM
 * @network_id: Network
 * @addr:	Address
 * @owner:	Who
 *
 * Return: 0, -EEXIST if somebody has it, or another negative errno
 */
int ipam_addr_insert(struct ipam *ipam, const char *network_id, struct net_addr addr,
		     const char *owner)
{
	struct ipam_blob blob = ipam_blob(addr);

	return store_exec(ipam->store,
			  "INSERT INTO network_addresses (network_id, address, owner, used)"
			  " VALUES (?, ?, ?, 1)",
			  NULL, NULL, "sbs", network_id, blob.bytes, blob.len, owner);
}

static int addr_delete(struct ipam *ipam, const char *network_id, struct net_addr addr)
{
	struct ipam_blob blob = ipam_blob(addr);

	return store_exec(ipam->store,
			  "DELETE FROM network_addresses WHERE network_id = ? AND address = ?",
			  NULL, NULL, "sb", network_id, blob.bytes, blob.len);
}

struct gap {
	const struct ipam_pool *pool;
	struct net_addr next;
	bool full;
};

static void gap_step(struct gap *gap)
{
	if (gap->next.number == net_prefix_last(gap->pool->range).number)
		gap->full = true;
	else
		gap->next.number++;
}

static int gap_row(void *user, struct store_row *row)
{
	struct gap *gap = user;
	struct net_addr taken;

	if (ipam_row_addr(row, 0, &taken) < 0)
		return -EBADMSG;
	while (!gap->full && ipam_addr_is_special(gap->pool, gap->next))
		gap_step(gap);
	if (gap->full || taken.number > gap->next.number)
		return -ECANCELED; /* found, or there is none */
	if (taken.number == gap->next.number)
		gap_step(gap);
	return 0;
}

/**
 * ipam_addr_next() - The lowest address of the pool's range that nobody has
 * @ipam:	IPAM
 * @network_id: Network
 * @pool:	Pool
 * @ret:	Set on success
 *
 * Return: 0, -ENOSPC, or another negative errno
 */
int ipam_addr_next(struct ipam *ipam, const char *network_id, const struct ipam_pool *pool,
		   struct net_addr *ret)
{
	struct gap gap = {.pool = pool, .next = net_prefix_first(pool->range)};
	struct ipam_blob low = ipam_blob(gap.next);
	struct ipam_blob high = ipam_blob(net_prefix_last(pool->range));
	int r;

	r = store_exec(ipam->store,
		       "SELECT address FROM network_addresses WHERE network_id = ?"
		       " AND address >= ? AND address <= ? AND length(address) = ?"
		       " ORDER BY address",
		       gap_row, &gap, "sbbi", network_id, low.bytes, low.len, high.bytes, high.len,
		       (int64_t)low.len);
	if (r < 0 && r != -ECANCELED)
		return r;
	while (!gap.full && ipam_addr_is_special(pool, gap.next))
		gap_step(&gap);
	if (gap.full)
		return -ENOSPC;
	*ret = gap.next;
	return 0;
}

struct holder {
	struct net_addr addr;
	bool found, ours, used;
	const char *owner; /* borrowed: who asks */
};

static int holder_row(void *user, struct store_row *row)
{
	struct holder *holder = user;

	if (ipam_row_addr(row, 0, &holder->addr) < 0)
		return -EBADMSG;
	holder->found = true;
	holder->ours = strcmp(store_row_text(row, 1), holder->owner) == 0;
	holder->used = store_row_int(row, 2) != 0;
	return 0;
}

/* Take one address, over from whom it rests with. Return: 0, -EADDRINUSE, or an errno. */
static int take_this(struct ipam *ipam, const char *network_id, const char *owner,
		     struct net_addr addr)
{
	struct holder holder = {.owner = owner};
	struct ipam_blob blob = ipam_blob(addr);
	int r;

	r = store_exec(ipam->store,
		       "SELECT address, owner, used FROM network_addresses"
		       " WHERE network_id = ? AND address = ?",
		       holder_row, &holder, "sb", network_id, blob.bytes, blob.len);
	if (r == 0 && holder.found && holder.used)
		return -EADDRINUSE;
	if (r == 0 && holder.found)
		r = addr_delete(ipam, network_id, addr);
	return r < 0 ? r : ipam_addr_insert(ipam, network_id, addr, owner);
}

/* What rests with the owner, or (owner NULL) with anybody. */
static int find_resting(struct ipam *ipam, const char *network_id, const char *owner,
			const struct ipam_pool *pool, struct holder *ret)
{
	struct ipam_blob low = ipam_blob(net_prefix_first(pool->subnet));
	struct ipam_blob high = ipam_blob(net_prefix_last(pool->subnet));

	*ret = (struct holder){.owner = owner ? owner : ""};
	return store_exec(ipam->store,
			  "SELECT address, owner, used FROM network_addresses"
			  " WHERE network_id = ? AND used = 0 AND (? IS NULL OR owner = ?)"
			  " AND address >= ? AND address <= ? AND length(address) = ?"
			  " ORDER BY address LIMIT 1",
			  holder_row, ret, "sssbbi", network_id, owner, owner, low.bytes, low.len,
			  high.bytes, high.len, (int64_t)low.len);
}

/* Return: 0, -ENOSPC, or an errno. */
static int take_any(struct ipam *ipam, const char *network_id, const char *owner,
		    const struct ipam_pool *pool, struct net_addr *ret_addr)
{
	struct holder holder;
	int r = find_resting(ipam, network_id, owner, pool, &holder);

	if (r == 0 && !holder.found) {
		holder.found = true;
		r = ipam_addr_next(ipam, network_id, pool, &holder.addr);
	}
	if (r == -ENOSPC) {
		r = find_resting(ipam, network_id, NULL, pool, &holder);
		if (r == 0 && (!holder.found || !net_prefix_contains(pool->range, holder.addr)))
			r = -ENOSPC;
	}
	if (r == 0)
		r = take_this(ipam, network_id, owner, holder.addr);
	if (r == 0)
		*ret_addr = holder.addr;
	return r;
}

/* The owner is given another address than the one that rests with it. */
static int drop_resting(struct ipam *ipam, const char *network_id, const char *owner,
			unsigned int family)
{
	return store_exec(ipam->store,
			  "DELETE FROM network_addresses WHERE network_id = ? AND owner = ?"
			  " AND used = 0 AND length(address) = ?",
			  NULL, NULL, "ssi", network_id, owner,
			  (int64_t)net_family_bits(family) / 8);
}

/**
 * ipam_take() - An address for an endpoint
 * @ipam:	IPAM
 * @network_id: Network
 * @owner:	Whose it will be; what rests with it comes back
 * @family:	4 or 6
 * @wanted:	This very address, or none for the lowest free one
 * @ret_addr:	Address; set on success
 * @ret_pool:	Pool it is from; set on success
 *
 * Return: 0, -EADDRINUSE if the wanted one is taken or can never be given, -ERANGE if it is in no
 * pool, -ENOSPC if the pools are full, or another negative errno
 */
int ipam_take(struct ipam *ipam, const char *network_id, const char *owner, unsigned int family,
	      struct net_addr wanted, struct net_addr *ret_addr, struct ipam_pool *ret_pool)
{
	struct ipam_pool pools[IPAM_POOLS_MAX];
	size_t n = 0;
	int r = ipam_pools_load(ipam, network_id, pools, &n);

	if (r < 0)
		return r;
	r = wanted.family ? -ERANGE : -ENOSPC;
	for (size_t i = 0; i < n && (r == -ENOSPC || r == -ERANGE); i++) {
		if (pools[i].subnet.addr.family != family)
			continue;
		if (!wanted.family) {
			r = take_any(ipam, network_id, owner, &pools[i], ret_addr);
		} else if (net_prefix_contains(pools[i].subnet, wanted)) {
			r = ipam_addr_is_special(&pools[i], wanted)
				    ? -EADDRINUSE
				    : take_this(ipam, network_id, owner, wanted);
			*ret_addr = wanted;
		}
		*ret_pool = pools[i];
	}
	if (r == 0 && wanted.family)
		r = drop_resting(ipam, network_id, owner, family);
	return r;
}

/**
 * ipam_rest() - Nobody uses an owner's addresses for now
 * @ipam:	IPAM
 * @owner:	Owner
 * @network_id: Network, or NULL for all
 *
 * Return: how many addresses were in use, or a negative errno
 */
int ipam_rest(struct ipam *ipam, const char *owner, const char *network_id)
{
	int r = store_exec(ipam->store,
			   "UPDATE network_addresses SET used = 0"
			   " WHERE owner = ? AND used = 1 AND (? IS NULL OR network_id = ?)",
			   NULL, NULL, "sss", owner, network_id, network_id);

	return r < 0 ? r : (int)store_changes(ipam->store);
}

/**
 * ipam_free() - An owner's addresses are anybody's again
 * @ipam:	IPAM
 * @owner:	Owner
 * @network_id: Network, or NULL for all
 *
 * Return: how many addresses it had, or a negative errno
 */
int ipam_free(struct ipam *ipam, const char *owner, const char *network_id)
{
	int r = store_exec(ipam->store,
			   "DELETE FROM network_addresses"
			   " WHERE owner = ? AND (? IS NULL OR network_id = ?)",
			   NULL, NULL, "sss", owner, network_id, network_id);

	return r < 0 ? r : (int)store_changes(ipam->store);
}
