/* SPDX-License-Identifier: Apache-2.0 */
/* network_spec.c - what the daemon says of networks, checked */
#include "agent/network_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/network.h"
#include "base/str.h"

/**
 * network_parse_address() - An address out of a message
 * @field:	 Bytes
 * @len:	 4 or 16: what it has to be, if anything
 * @ret_address: Set on success, its prefix to all of it; .len = 0 for an empty field
 *
 * Return: 0 or -EINVAL
 */
int network_parse_address(const ProtobufCBinaryData *field, size_t len,
			  struct link_address *ret_address)
{
	struct link_address a = {};

	if (field->len != 0 && field->len != len)
		return -EINVAL;
	if (field->len) {
		memcpy(a.bytes, field->data, len);
		a.len = (uint8_t)len;
		a.prefix = (uint8_t)(8 * len);
	}
	*ret_address = a;
	return 0;
}

static int network_parse_family(const Arca__V1__NetworkAttach *spec, bool six, struct network *n,
				struct err *err)
{
	const ProtobufCBinaryData *address = six ? &spec->v6 : &spec->v4;
	const ProtobufCBinaryData *gateway = six ? &spec->v6_gateway : &spec->v4_gateway;
	uint32_t prefix = six ? spec->v6_prefix : spec->v4_prefix;
	size_t len = six ? 16 : 4;

	if (network_parse_address(address, len, &n->address[six]) < 0 ||
	    network_parse_address(gateway, len, &n->gateway[six]) < 0)
		return err_user(err, ERR_INVALID, "network %s: an address is malformed",
				spec->network_id);
	n->is_default[six] = six ? spec->default_route6 : spec->default_route4;
	if (n->address[six].len) {
		if (prefix == 0 || prefix > 8 * len)
			return err_user(err, ERR_INVALID, "network %s: a prefix of %u bits",
					spec->network_id, prefix);
		n->address[six].prefix = (uint8_t)prefix;
	}
	if (n->is_default[six] && (!n->address[six].len || !n->gateway[six].len || spec->internal))
		return err_user(err, ERR_INVALID, "network %s can have no default route",
				spec->network_id);
	return 0;
}

static bool network_interface_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < sizeof(((struct network *)NULL)->interface) && !str_eq(name, ".") &&
	       !str_eq(name, "..") && !strpbrk(name, "/: \t\n");
}

/**
 * network_parse() - A network out of a message, but for its id and its peers
 * @spec: Message
 * @n:	  Network; its container and its key are not touched
 * @err:  Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int network_parse(const Arca__V1__NetworkAttach *spec, struct network *n, struct err *err)
{
	int r;

	if (str_empty(spec->network_id))
		return err_user(err, ERR_INVALID, "a network without an id");
	if (!network_interface_ok(spec->interface))
		return err_user(err, ERR_INVALID, "network %s: interface name \"%s\"",
				spec->network_id, spec->interface);
	if (spec->mac.len != LINK_MAC_LEN || (spec->mac.data[0] & 1))
		return err_user(err, ERR_INVALID, "network %s: MAC address", spec->network_id);
	if (spec->mtu < NETWORK_MTU_MIN || spec->mtu > NETWORK_MTU_MAX)
		return err_user(err, ERR_INVALID, "network %s: an MTU of %u", spec->network_id,
				spec->mtu);
	if (!spec->nic && spec->index >= NETWORK_INDEX_MAX)
		return err_user(err, ERR_INVALID, "network %s: index %u", spec->network_id,
				spec->index);
	if (spec->offered_key.len && spec->offered_key.len != WIREGUARD_KEY_LEN)
		return err_user(err, ERR_INVALID, "network %s: a key is malformed",
				spec->network_id);
	r = network_parse_family(spec, false, n, err);
	if (r == 0)
		r = network_parse_family(spec, true, n, err);
	if (r < 0)
		return r;
	(void)snprintf(n->interface, sizeof(n->interface), "%s", spec->interface); /* fits */
	memcpy(n->mac, spec->mac.data, sizeof(n->mac));
	n->mtu = spec->mtu;
	n->index = spec->index;
	n->internal = spec->internal;
	n->nic = spec->nic;
	n->held = spec->hold && !spec->nic;
	return 0;
}

/**
 * network_parse_peer() - A peer out of a message, but for its id and its ports
 * @spec: Message
 * @peer: Peer, at the other end of a tunnel
 * @err:  Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int network_parse_peer(const Arca__V1__Peer *spec, struct network_peer *peer, struct err *err)
{
	const ProtobufCBinaryData *key =
		spec->linked_key.len ? &spec->linked_key : &spec->public_key;

	if (str_empty(spec->endpoint_id) || key->len != WIREGUARD_KEY_LEN || spec->port == 0 ||
	    spec->port > UINT16_MAX ||
	    network_parse_address(&spec->underlay4, 4, &peer->endpoint) < 0 ||
	    network_parse_address(&spec->v4, 4, &peer->address[0]) < 0 ||
	    network_parse_address(&spec->v6, 16, &peer->address[1]) < 0 || !peer->endpoint.len ||
	    (!peer->address[0].len && !peer->address[1].len))
		return err_user(err, ERR_INVALID, "peer %s is malformed", spec->endpoint_id);
	memcpy(peer->public_key, key->data, WIREGUARD_KEY_LEN);
	peer->port = (uint16_t)spec->port;
	peer->linked = spec->linked_key.len > 0;
	return peer->linked ? network_linked_check(spec, err) : 0;
}
