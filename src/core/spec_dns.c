/* SPDX-License-Identifier: Apache-2.0 */
/* spec_dns.c - whom a container's DNS server asks, and what the container calls the host */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "core/resolv.h"
#include "core/spec.h"
#include "net/underlay.h"

/* IPv6 addresses with a zone, which dockerd takes, are nobody's in a VM. */
static int dns_check(const struct resolv *resolv, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (resolv->servers, i, item) {
		const char *text = json_string_value(item);
		struct net_addr addr;

		if (net_addr_parse(text, &addr) < 0 && !strchr(text, '%'))
			return err_user(err, ERR_INTERNAL,
					"bad nameserver address %.200s: ParseAddr(\"%.200s\"): "
					"unable to parse IP",
					text, text);
	}
	return 0;
}

static int dns_add(Arca__V1__Dns *dns, const void *bytes, size_t len)
{
	ProtobufCBinaryData *grown =
		reallocarray(dns->servers, dns->n_servers + 1, sizeof(*dns->servers));

	if (!grown)
		return -ENOMEM;
	dns->servers = grown;
	grown[dns->n_servers] = (ProtobufCBinaryData){0};
	if (spec_bytes(&grown[dns->n_servers], bytes, len) < 0)
		return -ENOMEM;
	dns->n_servers++;
	return 0;
}

static int dns_add_servers(Arca__V1__Dns *dns, const struct resolv *resolv)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(resolv->servers); i++) {
		uint8_t bytes[NET_ADDR_BYTES_MAX];
		struct net_addr addr;

		if (resolv_reach(resolv, i, &addr))
			r = dns_add(dns, bytes, net_addr_to_bytes(addr, bytes));
	}
	return r;
}

/**
 * spec_dns() - Whom a container's DNS server asks for what its networks do not know
 * @host_config: Complete host config
 * @has_network: It is on a network that moves something
 * @spec:	 Initialised; dns is set if it has a server, or may get one
 * @err:	 Filled on failure, in dockerd's words
 *
 * Servers that the user gave are asked from the container, the host's from its VM.
 *
 * Return: 0 or a negative errno
 */
int spec_dns(const json_t *host_config, bool has_network, Arca__V1__ContainerSpec *spec,
	     struct err *err)
{
	enum resolv_mode mode = resolv_mode(host_config, has_network);
	_cleanup_(resolv_host_done) struct resolv_host host = {0};
	_cleanup_(resolv_done) struct resolv resolv = {0};
	int r;

	if (resolv_host_read(&host) < 0 || resolv_init(&resolv, &host, host_config) < 0)
		return err_oom(err);
	r = dns_check(&resolv, err);
	if (r < 0 || mode == RESOLV_VM)
		return r;
	spec->dns = calloc(1, sizeof(*spec->dns));
	if (!spec->dns)
		return err_oom(err);
	arca__v1__dns__init(spec->dns);
	spec->dns->from_container = resolv.own_servers;
	spec->dns->later = mode == RESOLV_NETLESS;
	spec->dns->ndots_set = resolv.ndots_from != NULL;
	return dns_add_servers(spec->dns, &resolv) < 0 ? err_oom(err) : 0;
}

/**
 * spec_asks_host_gateway() - Whether a container wants to reach the host
 * @host_config: Complete host config
 *
 * Return: the answer
 */
bool spec_asks_host_gateway(const json_t *host_config)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(host_config, "ExtraHosts"), i, item) {
		const char *colon = strchr(json_string_value(item), ':');

		if (colon && str_eq(colon + 1, NETWORK_HOST_GATEWAY))
			return true;
	}
	return false;
}

/**
 * spec_host_gateway() - What a container calls the host, if it asked for a name of it
 * @networks:	 Manager: knows the address that /etc/hosts names
 * @host_config: Complete host config
 * @spec:	 Initialised; host_gateway is set if the container asked
 * @err:	 Filled on failure
 *
 * The underlay lets nobody reach the host who did not ask: underlay_host_gateway().
 *
 * Return: 1 if it asked, 0 if not, or a negative errno
 */
int spec_host_gateway(const struct networks *networks, const json_t *host_config,
		      Arca__V1__ContainerSpec *spec, struct err *err)
{
	const struct underlay_gateway *gateway = underlay_gateway();
	struct net_addr called4 = networks_host_gateway(networks, 4);
	struct net_addr called6 = networks_host_gateway(networks, 6);
	uint8_t bytes[NET_ADDR_BYTES_MAX];
	Arca__V1__HostGateway *host;

	if (!spec_asks_host_gateway(host_config))
		return 0;
	host = spec->host_gateway = calloc(1, sizeof(*host));
	if (!host)
		return err_oom(err);
	arca__v1__host_gateway__init(host);
	if (called4.family == 4 &&
	    (spec_bytes(&host->v4, bytes, net_addr_to_bytes(called4, bytes)) < 0 ||
	     spec_bytes(&host->v4_target, gateway->host4, sizeof(gateway->host4)) < 0))
		return err_oom(err);
	if (called6.family == 6 &&
	    (spec_bytes(&host->v6, bytes, net_addr_to_bytes(called6, bytes)) < 0 ||
	     spec_bytes(&host->v6_target, gateway->host6, sizeof(gateway->host6)) < 0))
		return err_oom(err);
	return 1;
}
