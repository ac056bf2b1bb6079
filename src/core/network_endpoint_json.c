/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_endpoint_json.c - NetworkSettings.Networks, as inspect and list show it
 *
 * Before the first start an endpoint shows what was asked for, while the container runs what it
 * has, and afterwards its settings, the network's id and its names.
 */
#include <string.h>

#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"

static const char *shown_mac(const struct network_endpoint *e, char out[static NET_MAC_TEXT])
{
	static const uint8_t none[NET_MAC_BYTES];

	out[0] = '\0';
	if (!network_endpoint_is_claimed(e))
		return str_empty(e->network_id) ? jx_str(e->settings, "MacAddress") : out;
	if (memcmp(e->mac, none, sizeof(none)) != 0)
		net_mac_format(e->mac, out);
	return out;
}

static int set_addr(json_t *out, const char *key, struct net_addr addr)
{
	char text[NET_ADDR_TEXT];

	net_addr_format(addr, text);
	return jx_set_str(out, key, text);
}

static json_t *endpoint_json(const struct network_endpoint *e)
{
	json_t *out = json_object();
	char mac[NET_MAC_TEXT];
	int r;

	r = jx_share(out, "IPAMConfig", json_object_get(e->settings, "IPAMConfig"));
	r |= jx_share(out, "Links", json_object_get(e->settings, "Links"));
	r |= jx_share(out, "Aliases", json_object_get(e->settings, "Aliases"));
	r |= jx_set_str(out, "MacAddress", shown_mac(e, mac));
	r |= jx_share(out, "DriverOpts", json_object_get(e->settings, "DriverOpts"));
	r |= jx_set_int(out, "GwPriority", jx_int(e->settings, "GwPriority"));
	r |= jx_set_str(out, "NetworkID", e->network_id);
	r |= jx_set_str(out, "EndpointID", e->endpoint_id);
	r |= set_addr(out, "Gateway", e->gateway4);
	r |= set_addr(out, "IPAddress", e->v4);
	r |= jx_set_int(out, "IPPrefixLen", e->v4_bits);
	r |= set_addr(out, "IPv6Gateway", e->gateway6);
	r |= set_addr(out, "GlobalIPv6Address", e->v6);
	r |= jx_set_int(out, "GlobalIPv6PrefixLen", e->v6_bits);
	r |= jx_share(out, "DNSNames", e->dns_names);
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}

/**
 * network_endpoints_json() - The map for inspect
 * @endpoints: Endpoints
 *
 * An endpoint that the client named by a part of the id is there by the network's name as well
 * while it is claimed, as with dockerd.
 *
 * Return: new object, not to be changed; or NULL
 */
json_t *network_endpoints_json(const struct network_endpoints *endpoints)
{
	json_t *out = json_object();
	int r = out ? 0 : -1;

	for (size_t i = 0; i < endpoints->n && r == 0; i++) {
		const struct network_endpoint *e = &endpoints->items[i];

		r = jx_set(out, e->network, endpoint_json(e));
		if (r == 0 && e->network_name && !str_eq(e->network_name, e->network))
			r = jx_share(out, e->network_name, json_object_get(out, e->network));
	}
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}

/**
 * network_endpoints_brief() - The map for lists
 * @shown: From network_endpoints_json()
 *
 * Return: new object without Links, Aliases, DriverOpts and DNSNames; or NULL
 */
json_t *network_endpoints_brief(const json_t *shown)
{
	static const char *const keys[] = {"Links", "Aliases", "DriverOpts", "DNSNames"};
	json_t *out = json_object(), *endpoint;
	const char *key;
	int r = 0;

	json_object_foreach ((json_t *)shown, key, endpoint) {
		json_t *copy = json_copy(endpoint);

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			r |= jx_set(copy, keys[i], json_null());
		r |= jx_set(out, key, copy);
	}
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}
