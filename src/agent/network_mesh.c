/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_mesh.c - the WireGuard interface of each network, and keys made ahead
 *
 * The first NETWORK_OFFERS interfaces are made with the template and never removed: a clone gives
 * them a key each when it has entropy of its own and Hello asks for it, and tells the public ones.
 * So the daemon can tell the peers of a container before it starts. A key serves one attachment.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "agent/network.h"

#define MESH_QUIET_MS 2000    /* after a rotation: peers open the sessions */
#define MESH_FIRST_INDEX 2000 /* interface numbers: ours are known before they are made */

static unsigned int mesh_index(unsigned int index)
{
	return MESH_FIRST_INDEX + index;
}

static uint16_t mesh_port(unsigned int index)
{
	return (uint16_t)(FIREWALL_MESH_PORT + index);
}

static int mesh_make(struct networks *nets, unsigned int index)
{
	_cleanup_batch_ struct netlink_batch b = {};
	char name[IFNAMSIZ];

	(void)snprintf(name, sizeof(name), "wg%u", index); /* fits */
	link_add_wireguard(&b, mesh_index(index), name, FIREWALL_GROUP_MESH);
	link_add_plug(&b, mesh_index(index));
	return netlink_send(&nets->route, &b);
}

/**
 * network_mesh_index() - The number of a network's WireGuard interface
 * @n: Network
 *
 * Return: interface number in the VM's own namespace
 */
unsigned int network_mesh_index(const struct network *n)
{
	return mesh_index(n->index);
}

/**
 * network_mesh_boot() - Make the interfaces that offers are for, without keys
 * @nets: All networks
 *
 * Return: 0 or negative errno
 */
int network_mesh_boot(struct networks *nets)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < NETWORK_OFFERS; i++)
		r = mesh_make(nets, i);
	return r;
}

static bool mesh_is_used(const struct networks *nets, unsigned int index)
{
	for (const struct network *n = nets->list; n; n = n->next)
		if (!n->nic && n->index == index)
			return true;
	return false;
}

/**
 * network_mesh_offer() - Make a key for each interface that has none and is not in use
 * @nets:  All networks, with a random generator of their own
 * @count: How many interfaces, from the first; NETWORK_OFFERS are the most. Under emulation, a
 *	   clone pays some milliseconds for each
 *
 * Return: 0 or negative errno
 */
int network_mesh_offer(struct networks *nets, unsigned int count)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < MIN(count, NETWORK_OFFERS); i++) {
		if (nets->offered[i] || mesh_is_used(nets, i))
			continue;
		r = wireguard_set_key(&nets->wg, mesh_index(i), mesh_port(i), nets->offers[i]);
		nets->offered[i] = r == 0;
	}
	return r;
}

static bool mesh_has_offer(const struct networks *nets, const struct network *n)
{
	return n->index < NETWORK_OFFERS && nets->offered[n->index];
}

/**
 * network_mesh_take() - Have an interface with a key for a network
 * @nets:	 All networks
 * @n:		 Network, not in the list yet; gets its public key
 * @offered_key: The offer that the daemon counts on; empty: any key will do
 * @err:	 Filled on failure
 *
 * Return: 0 or negative errno
 */
int network_mesh_take(struct networks *nets, struct network *n,
		      const ProtobufCBinaryData *offered_key, struct err *err)
{
	int r = 0;

	if (offered_key->len &&
	    (!mesh_has_offer(nets, n) ||
	     memcmp(nets->offers[n->index], offered_key->data, WIREGUARD_KEY_LEN) != 0))
		return err_user(err, ERR_UNAVAILABLE, "network %s: the key is not on offer", n->id);
	if (n->index >= NETWORK_OFFERS)
		r = mesh_make(nets, n->index);
	if (r < 0)
		return err_sys(err, r, "network %s: cannot make a WireGuard interface", n->id);
	n->has_mesh = true;
	if (mesh_has_offer(nets, n)) {
		memcpy(n->public_key, nets->offers[n->index], WIREGUARD_KEY_LEN);
		nets->offered[n->index] = false;
		return 0;
	}
	r = wireguard_set_key(&nets->wg, mesh_index(n->index), mesh_port(n->index), n->public_key);
	return r < 0 ? err_sys(err, r, "network %s: cannot make a key", n->id) : 0;
}

/**
 * network_mesh_drop() - Take the interface down, with its key and its peers
 * @nets: All networks
 * @n:	  Network
 */
void network_mesh_drop(struct networks *nets, struct network *n)
{
	_cleanup_batch_ struct netlink_batch b = {};

	if (!n->has_mesh)
		return;
	n->has_mesh = false;
	if (n->index < NETWORK_OFFERS) {
		link_set_up(&b, mesh_index(n->index), false, 0);
		link_plug(&b, mesh_index(n->index), true);		/* as it was made */
		(void)netlink_send(&nets->route, &b);			/* it was there */
		(void)wireguard_reset(&nets->wg, mesh_index(n->index)); /* likewise */
		return;
	}
	link_delete(&b, mesh_index(n->index));
	(void)netlink_send(&nets->route, &b); /* likewise */
}

/**
 * network_rotate() - Give a network's interface a new key
 * @nets: All networks
 * @n:	  Network; its public key is the new one on success
 * @err:	  Filled on failure
 *
 * The kernel goes on receiving with the sessions it has, and sends on none of them: what is sent
 * waits for a new one. A peer that learns the new key with `poke` opens it at once. This side
 * must not begin as well: of two handshakes that cross each side takes the other's, nobody is left
 * to finish one, and both try again only after 5 seconds (WireGuard's REKEY_TIMEOUT). So it answers
 * only, for as long as the daemon may take to tell the peers. In the other order, peers first,
 * their handshakes would fail, and wait as long.
 *
 * Return: 0 or negative errno
 */
int network_rotate(struct networks *nets, struct network *n, struct err *err)
{
	int r = firewall_quiet(&nets->filter, mesh_port(n->index), MESH_QUIET_MS);

	if (r == 0)
		r = wireguard_set_key(&nets->wg, mesh_index(n->index), mesh_port(n->index),
				      n->public_key);
	return r < 0 ? err_sys(err, r, "network %s: cannot make a key", n->id) : 0;
}
