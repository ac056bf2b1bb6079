/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_endpoint_check.c - what a client asks for in an endpoint: normalised, and checked
 *
 * Settings are an object of six members that are always there: IPAMConfig, Links, Aliases,
 * MacAddress, DriverOpts, GwPriority. What else EndpointSettings has is the daemon's to say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/err_list.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

#define ENDPOINT_OPT_SYSCTLS "com.docker.network.endpoint.sysctls"

/**
 * network_mode_is_user_defined() - Whether a network is one that somebody made
 * @mode: Name, id, or a NetworkMode
 *
 * Return: the answer
 */
bool network_mode_is_user_defined(const char *mode)
{
	return !str_empty(mode) && !str_eq(mode, "default") && !str_eq(mode, "bridge") &&
	       !str_eq(mode, "host") && !str_eq(mode, "none") && !str_starts(mode, "container:");
}

/* null stays null; empty strings of an object mean that nothing was said. */
static json_t *settings_ipam(const json_t *given)
{
	static const char *const keys[] = {"IPv4Address", "IPv6Address", "LinkLocalIPs"};
	json_t *out;

	if (!json_is_object(given))
		return json_null();
	out = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!jx_empty(given, keys[i]) &&
		    jx_share(out, keys[i], json_object_get(given, keys[i])) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

/**
 * network_settings_normalise() - EndpointSettings of a request as settings
 * @given: Object, or NULL or null for none
 * @ret:   New object; set on success
 * @err:   Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_settings_normalise(const json_t *given, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *out = json_object();
	int r;

	if (given && !json_is_object(given) && !json_is_null(given))
		return err_user(err, ERR_INVALID,
				"invalid JSON: an endpoint's settings must be an object");
	r = jx_set(out, "IPAMConfig", settings_ipam(json_object_get(given, "IPAMConfig")));
	r |= jx_share(out, "Links", json_object_get(given, "Links"));
	r |= jx_share(out, "Aliases", json_object_get(given, "Aliases"));
	r |= jx_set_str(out, "MacAddress", jx_str(given, "MacAddress"));
	r |= jx_share(out, "DriverOpts", json_object_get(given, "DriverOpts"));
	r |= jx_set_int(out, "GwPriority", jx_int(given, "GwPriority"));
	if (r)
		return err_oom(err);
	*ret = TAKE_PTR(out);
	return 0;
}

static void check_predefined(struct err_list *faults, const json_t *settings)
{
	const json_t *ipam = json_object_get(settings, "IPAMConfig");

	if (!jx_empty(ipam, "IPv4Address") || !jx_empty(ipam, "IPv6Address"))
		err_list_add(
			faults,
			"user specified IP address is supported on user defined networks only");
	if (!jx_empty(settings, "Aliases"))
		err_list_add(faults,
			     "network-scoped alias is supported only for containers in user "
			     "defined networks");
}

static void check_addresses(struct err_list *faults, const json_t *ipam)
{
	static const struct {
		const char *key;
		unsigned int family;
	} keys[] = {{"IPv4Address", 4}, {"IPv6Address", 6}};
	struct net_addr addr;
	json_t *item;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = jx_str(ipam, keys[i].key);

		if (*text && (net_addr_parse(text, &addr) < 0 || addr.family != keys[i].family ||
			      addr.number == 0))
			err_list_add(faults, "invalid IPv%u address: %.64s", keys[i].family, text);
	}
	json_array_foreach (json_object_get(ipam, "LinkLocalIPs"), i, item) {
		const char *text = json_string_value(item) ?: "";

		if (net_addr_parse(text, &addr) < 0 || addr.number == 0)
			err_list_add(faults, "invalid link-local IP address: %.64s", text);
	}
}

static void check_range(struct err_list *faults, const char *text, unsigned int family,
			const struct ipam_pool *pools, size_t n)
{
	struct net_addr addr = {0};
	bool asked = false;

	if (str_empty(text))
		return;
	(void)net_addr_parse(text, &addr); /* said above, if it is none */
	for (size_t i = 0; i < n; i++) {
		if (pools[i].subnet.addr.family != family || !pools[i].asked)
			continue;
		asked = true;
		if (net_prefix_contains(pools[i].subnet, addr))
			return;
	}
	if (asked)
		err_list_add(faults,
			     "no configured subnet or ip-range contain the IP address %.64s", text);
	else
		err_list_add(faults,
			     "user specified IP address is supported only when connecting to "
			     "networks with user configured subnets");
}

/* net.X.Y.IFNAME.Z=V */
static bool sysctl_is_proper(const char *text)
{
	static const char *const families[] = {"net.ipv4.", "net.ipv6.", "net.mpls."};
	const char *name = strstr(text, ".IFNAME."), *equal = strchr(text, '=');

	if (!name || !equal || equal < name)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (str_starts(text, families[i]) && name > text + strlen(families[i]))
			return true;
	}
	return false;
}

static void check_sysctls(struct err_list *faults, const json_t *settings)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(settings, "DriverOpts"), ENDPOINT_OPT_SYSCTLS));
	_cleanup_free_ char *copy = text ? strdup(text) : NULL;
	char *save = NULL;

	for (char *one = copy ? strtok_r(copy, ",", &save) : NULL; one;
	     one = strtok_r(NULL, ",", &save)) {
		if (!sysctl_is_proper(one))
			err_list_add(faults,
				     "unrecognised network interface sysctl '%.100s'; represent "
				     "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be "
				     "'ipv4', 'ipv6' or 'mpls'",
				     one);
	}
}

static int settings_check(const struct network *network, const struct ipam_pool *pools, size_t n,
			  const char *key, const json_t *settings, const char *prefix,
			  struct err *err)
{
	_cleanup_(err_list_done) struct err_list faults = {0};
	const json_t *ipam = json_object_get(settings, "IPAMConfig");
	const char *mac_text = jx_str(settings, "MacAddress");
	uint8_t mac[NET_MAC_BYTES];
	char head[320];

	if (*mac_text && net_mac_parse(mac_text, mac) < 0)
		return err_user(err, ERR_INVALID, "%sinvalid MAC address %.64s", prefix, mac_text);
	if (!network_mode_is_user_defined(network ? network->name : key))
		check_predefined(&faults, settings);
	check_addresses(&faults, ipam);
	if (network) {
		check_range(&faults, jx_str(ipam, "IPv4Address"), 4, pools, n);
		check_range(&faults, jx_str(ipam, "IPv6Address"), 6, pools, n);
	}
	check_sysctls(&faults, settings);
	(void)snprintf(head, sizeof(head), "%sinvalid endpoint settings", prefix);
	return err_list_raise(&faults, head, err);
}

/**
 * network_settings_check() - Check settings against the network they are for
 * @networks: Manager
 * @network:  Network; NULL where it is not there yet
 * @key:      What the client calls it
 * @settings: Settings
 * @prefix:   Before the message
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_settings_check(struct networks *networks, const struct network *network,
			   const char *key, const json_t *settings, const char *prefix,
			   struct err *err)
{
	struct ipam_pool pools[IPAM_POOLS_MAX];
	size_t n = 0;
	int r = network ? ipam_pools_load(&networks->ipam, network->id, pools, &n) : 0;

	if (r < 0)
		return err_sys(err, r, "cannot read the subnets of %.200s", key);
	return settings_check(network, pools, n, key, settings, prefix, err);
}

static int names_add(json_t *names, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach (names, i, item) {
		if (str_eq(json_string_value(item), name))
			return 0;
	}
	return jx_add_str(names, name);
}

/**
 * network_dns_names() - What a container is called on a user's network
 * @container: Container
 * @settings:  Settings of the endpoint
 *
 * Return: new array: name, aliases, short id, host name, each once; NULL without memory
 */
json_t *network_dns_names(const struct network_container *container, const json_t *settings)
{
	_cleanup_json_ json_t *names = json_array();
	char short_id[ID_SHORT_LEN + 1];
	json_t *alias;
	size_t i;
	int r = names_add(names, container->name);

	json_array_foreach (json_object_get(settings, "Aliases"), i, alias)
		r |= names_add(names, json_string_value(alias) ?: "");
	(void)snprintf(short_id, sizeof(short_id), "%.*s", ID_SHORT_LEN, container->id);
	r |= names_add(names, short_id);
	if (!str_empty(container->hostname))
		r |= names_add(names, container->hostname);
	return r ? NULL : TAKE_PTR(names);
}
