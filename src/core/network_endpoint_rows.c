/* SPDX-License-Identifier: Apache-2.0 */
/* network_endpoint_rows.c - endpoints in SQLite, and who is on a network */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

#define ENDPOINTS_MAX 256 /* of one container; more cannot be named */

static void endpoint_done(struct network_endpoint *endpoint)
{
	free(endpoint->network);
	free(endpoint->network_name);
	free(endpoint->driver);
	json_decref(endpoint->settings);
	json_decref(endpoint->dns_names);
}

/**
 * network_endpoints_done() - Free what was loaded or claimed
 * @endpoints: Endpoints; empty afterwards
 */
void network_endpoints_done(struct network_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n; i++)
		endpoint_done(&endpoints->items[i]);
	free(endpoints->items);
	*endpoints = (struct network_endpoints){0};
}

static void row_copy(char *out, size_t size, struct store_row *row, int column)
{
	const char *text = store_row_text(row, column);

	(void)snprintf(out, size, "%s", text ? text : "");
}

static int endpoint_row(void *user, struct store_row *row)
{
	struct network_endpoints *all = user;
	struct network_endpoint *items, endpoint = {0};
	const char *mac = store_row_text(row, 4);
	json_t *names;

	if (all->n == ENDPOINTS_MAX)
		return -EOVERFLOW;
	items = realloc(all->items, (all->n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	all->items = items;
	endpoint.network = strdup(store_row_text(row, 0));
	endpoint.settings = jx_parse(store_row_text(row, 1));
	row_copy(endpoint.network_id, sizeof(endpoint.network_id), row, 2);
	row_copy(endpoint.endpoint_id, sizeof(endpoint.endpoint_id), row, 3);
	row_copy(endpoint.interface, sizeof(endpoint.interface), row, 5);
	if (!str_empty(mac))
		(void)net_mac_parse(mac, endpoint.mac); /* we wrote it */
	names = jx_parse(store_row_text(row, 6));
	if (json_is_array(names))
		endpoint.dns_names = names;
	else
		json_decref(names);
	all->items[all->n++] = endpoint;
	return endpoint.network && json_is_object(endpoint.settings) ? 0 : -ENOMEM;
}

static int sandbox_row(void *user, struct store_row *row)
{
	struct network_endpoints *all = user;

	row_copy(all->sandbox_id, sizeof(all->sandbox_id), row, 0);
	return 0;
}

/**
 * network_endpoint_rows_load() - The rows of a container's endpoints
 * @networks:	  Manager
 * @container_id: Container
 * @mode:	  Its NetworkMode: the main network comes first
 * @ret:	  Empty; filled with what is in rows, also in part on failure
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_rows_load(struct networks *networks, const char *container_id,
			       const char *mode, struct network_endpoints *ret)
{
	struct store *store = networks->core->store;
	int r;

	r = store_exec(store,
		       "SELECT network, settings, network_id, endpoint_id, mac, interface,"
		       " dns_names FROM endpoints WHERE container_id = ?"
		       " ORDER BY network <> ?, network",
		       endpoint_row, ret, "ss", container_id, mode);
	if (r == 0)
		r = store_exec(store, "SELECT sandbox_id FROM containers WHERE id = ?", sandbox_row,
			       ret, "s", container_id);
	return r;
}

/**
 * network_endpoint_row_save() - Write a claim down
 * @networks:	  Manager; inside a transaction
 * @container_id: Container
 * @endpoint:	  Endpoint whose row is there
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_row_save(struct networks *networks, const char *container_id,
			      const struct network_endpoint *endpoint)
{
	_cleanup_free_ char *names = jx_text(endpoint->dns_names);
	static const uint8_t no_mac[NET_MAC_BYTES];
	char mac[NET_MAC_TEXT] = "";

	if (!names)
		return -ENOMEM;
	if (memcmp(endpoint->mac, no_mac, sizeof(no_mac)) != 0)
		net_mac_format(endpoint->mac, mac);
	return store_exec(networks->core->store,
			  "UPDATE endpoints SET network_id = ?, endpoint_id = ?, mac = ?,"
			  " interface = ?, dns_names = ? WHERE container_id = ? AND network = ?",
			  NULL, NULL, "sssssss", endpoint->network_id, endpoint->endpoint_id, mac,
			  endpoint->interface, names, container_id, endpoint->network);
}

struct members {
	network_member_fn fn;
	void *user;
	struct ipam_pool pools[IPAM_POOLS_MAX];
	size_t n_pools;
};

static void member_addr(const struct members *members, struct store_row *row, int column,
			struct net_addr *ret, unsigned int *ret_bits)
{
	size_t len = 0;
	const void *bytes = store_row_blob(row, column, &len);

	if (!bytes || net_addr_from_bytes(bytes, len, ret) < 0)
		return;
	for (size_t i = 0; i < members->n_pools; i++) {
		if (net_prefix_contains(members->pools[i].subnet, *ret))
			*ret_bits = members->pools[i].subnet.bits;
	}
}

static int member_row(void *user, struct store_row *row)
{
	struct members *members = user;
	_cleanup_json_ json_t *names = jx_parse(store_row_text(row, 4));
	struct network_member member = {
		.container_id = store_row_text(row, 0),
		.container_name = store_row_text(row, 1) ?: "",
		.endpoint_id = store_row_text(row, 2),
		.mac = store_row_text(row, 3),
		.dns_names = json_is_array(names) ? names : NULL,
	};

	member_addr(members, row, 5, &member.v4, &member.v4_bits);
	member_addr(members, row, 6, &member.v6, &member.v6_bits);
	return members->fn(members->user, &member);
}

/**
 * network_members() - Every claimed endpoint on a network
 * @networks:	Manager
 * @network_id: Full id
 * @fn:		Called with each; takes no lock of a manager's; <0 ends the walk
 * @user:	For @fn
 *
 * Return: 0, what @fn returned, or a negative errno
 */
int network_members(struct networks *networks, const char *network_id, network_member_fn fn,
		    void *user)
{
#define MEMBER_ADDRESS(len)                                                                        \
	"(SELECT a.address FROM network_addresses a WHERE a.owner = e.container_id"                \
	" AND a.network_id = e.network_id AND a.used = 1 AND length(a.address) = " len ")"
	struct members members = {.fn = fn, .user = user};
	int r = ipam_pools_load(&networks->ipam, network_id, members.pools, &members.n_pools);

	if (r < 0)
		return r;
	return store_exec(
		networks->core->store,
		"SELECT e.container_id, c.name, e.endpoint_id, e.mac, e.dns_names,"
		" " MEMBER_ADDRESS("4") ", " MEMBER_ADDRESS(
			"16") " FROM endpoints e LEFT JOIN containers c ON c.id = e.container_id"
			      " WHERE e.network_id = ? AND e.endpoint_id <> '' ORDER BY c.name",
		member_row, &members, "s", network_id);
}
