/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks.c - the manager, and the networks that are always there
 *
 * DOC: Theory of operation
 *
 * Networks, subnets, addresses and endpoints are rows (store/migrations.c); there is no copy of
 * them in memory that could differ. A verb takes the manager's lock, looks, changes in one
 * transaction, tells the event, and lets go, so that events come in the order of what they tell.
 * A container's verb lock may be held around it (core/locks.h).
 *
 * `none`, `host` and `bridge` are made at the first start. Another --bip, --mtu or --icc than last
 * time makes `bridge` anew, unless a container that outlived the daemon is on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

#define NETWORK_BRIDGE_MTU 1500

static int predefined_make(struct networks *networks, const char *name, const char *driver,
			   json_t *options /* stolen */, const json_t *ipam, struct err *err)
{
	_cleanup_network_ struct network *network = calloc(1, sizeof(*network));

	if (!network || !options) {
		json_decref(options);
		return err_oom(err);
	}
	id_generate(network->id);
	network->created_ns = clock_realtime_ns();
	network->name = strdup(name);
	network->driver = strdup(driver);
	network->scope = strdup("local");
	network->config_from = strdup("");
	network->ipv4 = true;
	network->predefined = true;
	network->options = options;
	network->labels = json_object();
	network->ipam = json_null();
	if (!network->name || !network->driver || !network->scope || !network->config_from)
		return err_oom(err);
	return network_create_held(networks, network, ipam, err);
}

static int predefined_plain(struct networks *networks, const char *name, const char *driver,
			    struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	int r = network_find_exact(networks, "name", name, &network);

	if (r < 0)
		return err_sys(err, r, "cannot read the networks");
	return network ? 0 : predefined_make(networks, name, driver, json_object(), NULL, err);
}

static json_t *bridge_options(const struct networks_config *config)
{
	char mtu[16];

	(void)snprintf(mtu, sizeof(mtu), "%u", config->mtu ? config->mtu : NETWORK_BRIDGE_MTU);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}",
			 "com.docker.network.bridge.default_bridge", "true", NETWORK_OPT_ICC,
			 config->no_icc ? "false" : "true",
			 "com.docker.network.bridge.enable_ip_masquerade", "true",
			 "com.docker.network.bridge.host_binding_ipv4", "0.0.0.0",
			 "com.docker.network.bridge.name", "docker0", NETWORK_OPT_MTU, mtu);
}

/* "172.17.0.1/16": the gateway's address and the subnet in one. NULL: none was given. */
static int bridge_ipam(const struct networks_config *config, json_t **ret, struct err *err)
{
	char subnet_text[NET_PREFIX_TEXT], gateway[NET_ADDR_TEXT];
	struct net_prefix bip;

	*ret = NULL;
	if (!config->bip)
		return 0;
	if (net_prefix_parse(config->bip, &bip) < 0 || bip.addr.family != 4 ||
	    net_prefix_is_masked(bip))
		return err_user(err, ERR_INVALID, "invalid value for --bip: %.64s", config->bip);
	net_prefix_format(net_prefix_masked(bip), subnet_text);
	net_addr_format(bip.addr, gateway);
	*ret = json_pack("{s:[{s:s, s:s}]}", "Config", "Subnet", subnet_text, "Gateway", gateway);
	return *ret ? 0 : err_oom(err);
}

static int has_row(void *user, struct store_row *row UNUSED)
{
	*(bool *)user = true;
	return 0;
}

/* Whether the bridge is what is wanted: the same options, and the subnet that was asked for, or one
 * that nobody asked for. */
static bool bridge_is(struct networks *networks, const struct network *bridge,
		      const json_t *options, const json_t *ipam)
{
	struct ipam_pool pools[IPAM_POOLS_MAX];
	size_t n = 0;

	if (!json_equal(bridge->options, options) ||
	    ipam_pools_load(&networks->ipam, bridge->id, pools, &n) < 0 || n == 0)
		return false;
	if (!ipam)
		return !pools[0].asked;
	return json_equal(json_object_get(bridge->ipam, "Config"), json_object_get(ipam, "Config"));
}

static int bridge_drop(struct networks *networks, const struct network *bridge, bool *ret_busy,
		       struct err *err)
{
	int r;

	*ret_busy = false;
	r = store_exec(networks->core->store,
		       "SELECT 1 FROM endpoints WHERE network_id = ? AND endpoint_id <> '' LIMIT 1",
		       has_row, ret_busy, "s", bridge->id);
	if (r == 0 && *ret_busy) {
		log_warn("the default bridge stays as it is: containers are running on it");
		return 0;
	}
	if (r == 0)
		r = store_exec(networks->core->store,
			       "UPDATE endpoints SET network_id = '' WHERE network_id = ?", NULL,
			       NULL, "s", bridge->id);
	if (r == 0)
		r = store_exec(networks->core->store, "DELETE FROM networks WHERE id = ?", NULL,
			       NULL, "s", bridge->id);
	return r < 0 ? err_sys(err, r, "cannot make the default bridge anew") : 0;
}

static int predefined_bridge(struct networks *networks, const struct networks_config *config,
			     struct err *err)
{
	_cleanup_json_ json_t *options = bridge_options(config), *ipam = NULL;
	_cleanup_network_ struct network *bridge = NULL;
	bool busy = false;
	int r = bridge_ipam(config, &ipam, err);

	if (r < 0)
		return r;
	r = network_find_exact(networks, "name", "bridge", &bridge);
	if (r < 0)
		return err_sys(err, r, "cannot read the networks");
	if (bridge && bridge_is(networks, bridge, options, ipam))
		return 0;
	if (bridge)
		r = bridge_drop(networks, bridge, &busy, err);
	if (r < 0 || busy)
		return r;
	return predefined_make(networks, "bridge", "bridge", json_incref(options), ipam, err);
}

/* The installation's part of its unique local prefix: of an id that was random once. */
static int networks_init_ipam(struct networks *networks, struct err *err)
{
	_cleanup_network_ struct network *none = NULL;
	char hex[11] = "";
	uint8_t ula_id[5];
	int r = network_find_exact(networks, "name", "none", &none);

	if (r == 0 && none)
		(void)snprintf(hex, sizeof(hex), "%.10s", none->id);
	if (r == 0)
		r = str_unhex(hex, ula_id, sizeof(ula_id));
	if (r < 0)
		return err_sys(err, r, "cannot read the networks");
	ipam_init(&networks->ipam, networks->core->store, &networks->configured, ula_id);
	return 0;
}

static int networks_read_pools(struct networks *networks, const char *const *texts, struct err *err)
{
	for (; texts && *texts; texts++) {
		struct net_pool_source source;
		int r = net_pool_source_parse(*texts, &source, err);

		if (r == 0 && net_pool_sources_add(&networks->configured, source) < 0)
			r = err_user(err, ERR_INVALID, "too many default address pools");
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * networks_pools_json() - DefaultAddressPools of /info
 * @networks: Manager
 *
 * Return: new array, or NULL if none were configured
 */
json_t *networks_pools_json(const struct networks *networks)
{
	const struct net_pool_sources *pools = &networks->configured;
	json_t *out = pools->n ? json_array() : NULL;

	for (size_t i = 0; out && i < pools->n; i++) {
		char base[NET_PREFIX_TEXT];

		net_prefix_format(pools->items[i].base, base);
		(void)json_array_append_new(out, json_pack("{s:s, s:i}", "Base", base, "Size",
							   (int)pools->items[i].size));
	}
	return out;
}

/* Given, or the gateways of the default bridge. */
static int networks_find_host_gateways(struct networks *networks, const char *const *given,
				       struct err *err)
{
	_cleanup_network_ struct network *bridge = NULL;
	struct ipam_pool pools[IPAM_POOLS_MAX];
	size_t n = 0;
	int r;

	for (size_t i = 0; given && given[i]; i++) {
		struct net_addr addr, *to;

		if (net_addr_parse(given[i], &addr) < 0)
			return err_user(err, ERR_INVALID,
					"invalid host-gateway-ip: ParseAddr(\"%.64s\"): unable to "
					"parse IP",
					given[i]);
		to = addr.family == 4 ? &networks->host_gateway4 : &networks->host_gateway6;
		if (to->family)
			return err_user(err, ERR_INVALID,
					"only one IPv%u host gateway IP address can be specified",
					addr.family);
		*to = addr;
	}
	if (given && given[0])
		return 0;
	r = network_find_exact(networks, "name", "bridge", &bridge);
	if (r == 0 && bridge)
		r = ipam_pools_load(&networks->ipam, bridge->id, pools, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		*(pools[i].gateway.family == 4 ? &networks->host_gateway4
					       : &networks->host_gateway6) = pools[i].gateway;
	return r < 0 ? err_sys(err, r, "cannot read the default bridge") : 0;
}

/**
 * networks_host_gateway() - What host-gateway stands for
 * @networks: Manager, or NULL
 * @family:   4 or 6
 *
 * Return: address, family 0: none
 */
struct net_addr networks_host_gateway(const struct networks *networks, unsigned int family)
{
	if (!networks)
		return (struct net_addr){0};
	return family == 4 ? networks->host_gateway4 : networks->host_gateway6;
}

/**
 * networks_new() - The manager, with the predefined networks
 * @core: Wiring; the store is ready
 * @ret:  Manager
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int networks_new(struct core *core, struct networks **ret, struct err *err)
{
	struct networks *networks = calloc(1, sizeof(*networks));
	int r;

	if (!networks)
		return err_oom(err);
	networks->core = core;
	rank_lock_init(&networks->lock, LOCK_NETWORKS);
	r = networks_read_pools(networks, core->config.networks.pools, err);
	if (r == 0)
		r = predefined_plain(networks, "none", "null", err);
	if (r == 0)
		r = predefined_plain(networks, "host", "host", err);
	if (r == 0)
		r = networks_init_ipam(networks, err);
	if (r == 0)
		r = predefined_bridge(networks, &core->config.networks, err);
	if (r == 0)
		r = networks_find_host_gateways(networks, core->config.networks.host_gateways, err);
	if (r < 0) {
		networks_free(networks);
		return r;
	}
	*ret = networks;
	return 0;
}

/**
 * networks_free() - Free the manager; the rows stay
 * @networks: Manager or NULL
 */
void networks_free(struct networks *networks)
{
	if (!networks)
		return;
	rank_lock_done(&networks->lock);
	free(networks);
}
