/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay.c - the VM's NIC
 *
 * It belongs to the VM and is in no container. A template boots with it or without it and leaves it
 * down; each clone's Hello says what it is called and where its gateway is. Addresses are single
 * ones: the gateway is all that is on link.
 */
#include "agent/underlay.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "agent/firewall.h"
#include "agent/network_spec.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define UNDERLAY_CLASS "/sys/class/net"

/**
 * underlay_is_nic() - Whether an interface is Ethernet, and with hardware behind it
 * @name: Interface in the VM's own namespace; what the agent makes itself has no hardware
 *
 * Return: the answer
 */
bool underlay_is_nic(const char *name)
{
	_cleanup_free_ char *device = str_format(UNDERLAY_CLASS "/%s/device", name);
	_cleanup_free_ char *type_path = str_format(UNDERLAY_CLASS "/%s/type", name);
	_cleanup_free_ char *type = NULL;

	if (!device || !type_path || !fs_exists(device))
		return false;
	return fs_read_file(type_path, 64, &type, NULL) == 0 && atoi(type) == ARPHRD_ETHER;
}

/**
 * underlay_boot() - Look for the NIC; there may be none
 * @u: Zeroed, or without a NIC so far
 */
void underlay_boot(struct underlay *u)
{
	_cleanup_closedir_ DIR *dir = opendir(UNDERLAY_CLASS);
	struct dirent *e;

	while (dir && u->nic == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.' && underlay_is_nic(e->d_name))
			u->nic = if_nametoindex(e->d_name);
}

static int underlay_parse(const Arca__V1__Underlay *spec, struct underlay *ret, struct err *err)
{
	const ProtobufCBinaryData *const fields[] = {&spec->v4, &spec->v6, &spec->gateway4,
						     &spec->gateway6};
	struct link_address *const to[] = {&ret->address[0], &ret->address[1], &ret->gateway[0],
					   &ret->gateway[1]};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++)
		r = network_parse_address(fields[i], i % 2 ? 16 : 4, to[i]);
	if (r < 0 || spec->mac.len != LINK_MAC_LEN || !ret->address[0].len || !ret->gateway[0].len)
		return err_user(err, ERR_INVALID, "the underlay's addresses are malformed");
	memcpy(ret->mac, spec->mac.data, LINK_MAC_LEN);
	return 0;
}

static bool underlay_same(const struct underlay *a, const struct underlay *b)
{
	return memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       memcmp(a->gateway, b->gateway, sizeof(a->gateway)) == 0;
}

static int underlay_configure(const struct underlay *u, struct netlink *route, unsigned int mtu)
{
	_cleanup_batch_ struct netlink_batch b = {};

	link_set_nic(&b, u->nic, u->mac, mtu, FIREWALL_GROUP_NIC);
	if (u->address[1].len)
		link_add_link_local(&b, u->nic, u->address[1].bytes + 8); /* as unique */
	for (int i = 0; i < 2; i++) {
		struct link_address all = {.len = u->gateway[i].len};

		if (u->address[i].len)
			link_add_address(&b, u->nic, &u->address[i]);
		if (!u->gateway[i].len)
			continue;
		link_route(&b, true, u->nic, &u->gateway[i], NULL);
		link_route(&b, true, u->nic, &all, &u->gateway[i]);
	}
	return netlink_send(route, &b);
}

/**
 * underlay_set() - Make the NIC what Hello says it is
 * @u:	   NIC; changed on success
 * @route: NETLINK_ROUTE in the VM's own namespace
 * @spec:  What; the same as before changes nothing
 * @err:   Filled on failure
 *
 * Return: 0 or negative errno
 */
int underlay_set(struct underlay *u, struct netlink *route, const Arca__V1__Underlay *spec,
		 struct err *err)
{
	struct underlay wanted = {};
	int r = underlay_parse(spec, &wanted, err);

	if (r < 0)
		return r;
	if (u->set && underlay_same(u, &wanted))
		return 0;
	if (u->set)
		return err_user(err, ERR_CONFLICT, "the underlay's addresses are others already");
	if (u->nic == 0)
		underlay_boot(u);
	if (u->nic == 0)
		return err_user(err, ERR_UNAVAILABLE, "this VM has no NIC");
	wanted.nic = u->nic;
	r = underlay_configure(&wanted, route, spec->mtu);
	if (r < 0)
		return err_sys(err, r, "cannot configure the NIC");
	wanted.set = true;
	*u = wanted;
	return 0;
}
