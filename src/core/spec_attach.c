/* SPDX-License-Identifier: Apache-2.0 */
/* spec_attach.c - an endpoint as the agent is told of it */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "core/attachments.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "net/underlay.h"
#include "net/vmnet.h"

/* The underlay's, less what a tunnel puts around a packet (IPv6 endpoints: 80 bytes). */
#define ATTACH_MTU (UNDERLAY_MTU - 80)

static int attach_addr(ProtobufCBinaryData *field, struct net_addr addr)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];
	size_t len = addr.family ? net_addr_to_bytes(addr, bytes) : 0;

	return spec_bytes(field, bytes, len);
}

/* "target:alias" */
static int attach_links(const json_t *links, Arca__V1__NetworkAttach *attach)
{
	json_t *item;
	size_t i;

	json_array_foreach (links, i, item) {
		const char *text = json_string_value(item), *colon = strrchr(text, ':');
		Arca__V1__Alias *link =
			SPEC_ADD(attach, links, Arca__V1__Alias, arca__v1__alias__init);
		_cleanup_free_ char *target = NULL;

		if (!link)
			return -ENOMEM;
		target = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
		if (!target ||
		    spec_put(&link->target, str_starts(target, "/") ? target + 1 : target) ||
		    spec_put(&link->name, colon ? colon + 1 : target))
			return -ENOMEM;
	}
	return 0;
}

/* Names are looked for where the default route may lead first, as dockerd does. */
static int32_t attach_priority(const struct network_endpoint *e)
{
	int64_t gateway = jx_int(e->settings, "GwPriority");

	return (int32_t)(MIN(MAX(gateway, -100000), 100000) * 4 + (e->internal ? 0 : 2) +
			 (e->v4.family && e->v6.family ? 1 : 0));
}

/**
 * attach_mtu() - MTU of an endpoint's interface
 * @e: Claimed endpoint
 *
 * Return: what its network asks for, within what can be; else the most that costs nothing
 */
unsigned int attach_mtu(const struct network_endpoint *e)
{
	if (network_endpoint_is_vmnet(e))
		return e->mtu ? MIN(e->mtu, (unsigned int)VMNET_MTU_MAX) : VMNET_MTU;
	return e->mtu ? MIN(e->mtu, (unsigned int)ATTACH_MTU) : ATTACH_MTU;
}

/**
 * spec_network_fill() - An endpoint as the agent is told of it
 * @e:	    Claimed endpoint
 * @attach: Initialised; filled but for key, index and peers; free_unpacked() also after a failure
 *
 * Return: 0 or -ENOMEM
 */
int spec_network_fill(const struct network_endpoint *e, Arca__V1__NetworkAttach *attach)
{
	int r = spec_put(&attach->network_id, e->network_id) ||
		spec_put(&attach->network_name, e->network_name) ||
		spec_put(&attach->interface, e->interface) ||
		spec_bytes(&attach->mac, e->mac, sizeof(e->mac)) ||
		attach_addr(&attach->v4, e->v4) || attach_addr(&attach->v6, e->v6) ||
		attach_addr(&attach->v4_gateway, e->gateway4) ||
		attach_addr(&attach->v6_gateway, e->gateway6) ||
		spec_put_strv(&attach->own_names, &attach->n_own_names, e->dns_names) ||
		attach_links(e->has_dns ? json_object_get(e->settings, "Links") : NULL, attach);

	attach->v4_prefix = e->v4_bits;
	attach->v6_prefix = e->v6_bits;
	attach->mtu = attach_mtu(e);
	attach->nic = network_endpoint_is_vmnet(e);
	attach->default_route4 = e->default_route4;
	attach->default_route6 = e->default_route6;
	attach->internal = e->internal;
	attach->embedded_names = e->has_dns;
	attach->name_rank = -attach_priority(e);
	return r ? -ENOMEM : 0;
}
