/* SPDX-License-Identifier: Apache-2.0 */
/* network_endpoint_claim.c - what one endpoint gets: an id, a MAC, an interface's name, addresses
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

#define ENDPOINT_OPT_IFNAME "com.docker.network.endpoint.ifname"
#define ENDPOINT_INTERFACES_MAX 256

static int claim_links(const json_t *settings, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(settings, "Links"), i, item) {
		const char *text = json_string_value(item) ?: "";
		const char *colon = strchr(text, ':');

		if (str_empty(text))
			return err_user(err, ERR_INTERNAL, "empty string specified for links");
		if (colon && strchr(colon + 1, ':'))
			return err_user(err, ERR_INTERNAL, "bad format for links: %.200s", text);
	}
	return 0;
}

static int claim_mac(struct network_endpoint *endpoint, struct err *err)
{
	const char *text = jx_str(endpoint->settings, "MacAddress");

	if (str_empty(text)) {
		net_mac_random(endpoint->mac);
		return 0;
	}
	if (net_mac_parse(text, endpoint->mac) < 0)
		return err_user(err, ERR_INVALID, "invalid MAC address %.64s", text);
	if (endpoint->mac[0] & 1)
		return err_user(err, ERR_INTERNAL,
				"error setting interface MAC to \"%.64s\": cannot assign requested "
				"address",
				text);
	return 0;
}

static bool interface_is_taken(const struct network_endpoints *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++) {
		if (network_endpoint_is_claimed(&all->items[i]) &&
		    str_eq(all->items[i].interface, name))
			return true;
	}
	return false;
}

/* What the client asks for, or the first ethN that is free. */
static int claim_interface(const struct network_endpoints *all, struct network_endpoint *endpoint,
			   struct err *err)
{
	const char *asked = json_string_value(json_object_get(
		json_object_get(endpoint->settings, "DriverOpts"), ENDPOINT_OPT_IFNAME));
	char name[NETWORK_INTERFACE_MAX];

	if (asked) {
		if (str_empty(asked) || strlen(asked) >= sizeof(name) || strpbrk(asked, "/ \t\n:"))
			return err_user(err, ERR_INVALID, "invalid interface name \"%.64s\"",
					asked);
		if (interface_is_taken(all, asked))
			return err_user(err, ERR_INTERNAL, "failed to add interface: file exists");
		(void)snprintf(endpoint->interface, sizeof(endpoint->interface), "%s", asked);
		return 0;
	}
	for (unsigned int i = 0; i < ENDPOINT_INTERFACES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "eth%u", i);
		if (interface_is_taken(all, name))
			continue;
		memcpy(endpoint->interface, name, sizeof(name));
		return 0;
	}
	return err_user(err, ERR_INTERNAL, "too many interfaces");
}

static int claim_address(struct networks *networks, const struct network *network,
			 const char *container_id, const json_t *settings, unsigned int family,
			 struct err *err)
{
	const char *asked = jx_str(json_object_get(settings, "IPAMConfig"),
				   family == 4 ? "IPv4Address" : "IPv6Address");
	struct net_addr wanted = {0}, addr;
	struct ipam_pool pool;
	int r;

	if (*asked && net_addr_parse(asked, &wanted) < 0)
		return err_user(err, ERR_INVALID, "invalid IPv%u address: %.64s", family, asked);
	r = ipam_take(&networks->ipam, network->id, container_id, family, wanted, &addr, &pool);
	switch (r) {
	case 0:
		return 0;
	case -EADDRINUSE:
		return err_user(err, ERR_FORBIDDEN, "Address already in use");
	case -ERANGE:
		return err_user(err, ERR_INVALID, "requested address %.64s is out of range", asked);
	case -ENOSPC:
		return err_user(err, ERR_INTERNAL,
				"no available IPv%u addresses on this network's address pools: "
				"%.200s (%s)",
				family, network->name, network->id);
	default:
		return err_sys(err, r, "cannot record an address on %.200s", network->name);
	}
}

struct filling {
	struct network_endpoint *endpoint;
	const struct ipam_pool *pools;
	size_t n;
};

static int fill_row(void *user, struct store_row *row)
{
	struct filling *filling = user;
	struct network_endpoint *e = filling->endpoint;
	struct net_addr addr;
	size_t len = 0;
	const void *bytes = store_row_blob(row, 0, &len);

	if (!bytes || net_addr_from_bytes(bytes, len, &addr) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < filling->n; i++) {
		const struct ipam_pool *pool = &filling->pools[i];

		if (!net_prefix_contains(pool->subnet, addr))
			continue;
		*(addr.family == 4 ? &e->v4 : &e->v6) = addr;
		*(addr.family == 4 ? &e->v4_bits : &e->v6_bits) = pool->subnet.bits;
		if (!e->internal)
			*(addr.family == 4 ? &e->gateway4 : &e->gateway6) = pool->gateway;
	}
	return 0;
}

/**
 * network_endpoint_fill() - What of a claimed endpoint is not in its own row
 * @networks:	  Manager
 * @container_id: Container
 * @network:	  Its network
 * @endpoint:	  Claimed endpoint; gets addresses, gateways, and what the network says
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_fill(struct networks *networks, const char *container_id,
			  const struct network *network, struct network_endpoint *endpoint)
{
	struct ipam_pool pools[IPAM_POOLS_MAX];
	struct filling filling = {.endpoint = endpoint, .pools = pools};
	uint64_t mtu = 0;
	int r = ipam_pools_load(&networks->ipam, network->id, pools, &filling.n);

	if (r < 0)
		return r;
	endpoint->network_name = strdup(network->name);
	endpoint->driver = strdup(network->driver);
	endpoint->internal = network->internal;
	endpoint->apart = network_is_apart(network);
	endpoint->has_dns = network_mode_is_user_defined(network->name);
	(void)str_u64(jx_str(network->options, NETWORK_OPT_MTU), 65535, &mtu); /* 0 if absent */
	endpoint->mtu = (unsigned int)mtu;
	(void)net_addr_parse(jx_str(network->options, NETWORK_OPT_HOST_BINDING),
			     &endpoint->host_binding); /* none if absent */
	if (!endpoint->network_name || !endpoint->driver)
		return -ENOMEM;
	return store_exec(networks->core->store,
			  "SELECT address FROM network_addresses"
			  " WHERE network_id = ? AND owner = ? AND used = 1",
			  fill_row, &filling, "ss", network->id, container_id);
}

static int claim_bridge(struct networks *networks, const struct network_container *container,
			const struct network *network, const struct network_endpoints *all,
			struct network_endpoint *endpoint, struct err *err)
{
	int r = claim_links(endpoint->settings, err);

	if (r == 0)
		r = claim_mac(endpoint, err);
	if (r == 0)
		r = claim_interface(all, endpoint, err);
	if (r == 0 && network->ipv4)
		r = claim_address(networks, network, container->id, endpoint->settings, 4, err);
	if (r == 0 && network->ipv6)
		r = claim_address(networks, network, container->id, endpoint->settings, 6, err);
	if (r < 0 || !network_mode_is_user_defined(network->name))
		return r;
	json_decref(endpoint->dns_names);
	endpoint->dns_names = network_dns_names(container, endpoint->settings);
	return endpoint->dns_names ? 0 : err_oom(err);
}

static bool endpoint_has_interface(const struct network *network)
{
	return !str_eq(network->driver, "host") && !str_eq(network->driver, "null");
}

/**
 * network_endpoint_claim_one() - Find the network, and take of it what the endpoint needs
 * @networks:  Manager, lock held; inside a transaction that is rolled back on failure
 * @container: Container
 * @all:       All its endpoints
 * @endpoint:  The one of them; filled and written down
 * @err:       Filled on failure, in dockerd's words
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_claim_one(struct networks *networks, const struct network_container *container,
			       const struct network_endpoints *all,
			       struct network_endpoint *endpoint, struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	int r;

	r = network_find(networks,
			 str_empty(endpoint->network_id) ? endpoint->network : endpoint->network_id,
			 &network, err);
	if (r < 0)
		return r;
	if (network->config_only)
		return err_user(err, ERR_FORBIDDEN,
				"cannot create endpoint on configuration-only network");
	if (endpoint_has_interface(network))
		r = claim_bridge(networks, container, network, all, endpoint, err);
	if (r < 0)
		return r;
	memcpy(endpoint->network_id, network->id, ID_BUF);
	id_generate(endpoint->endpoint_id);
	r = network_endpoint_fill(networks, container->id, network, endpoint);
	if (r == 0)
		r = network_endpoint_row_save(networks, container->id, endpoint);
	return r < 0 ? err_sys(err, r, "cannot record an endpoint of %.12s", container->id) : 0;
}
