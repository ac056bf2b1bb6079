/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_links.c - the pair of interfaces between a container and the VM's own namespace
 *
 * DOC: Theory of operation
 *
 *	container: eth<n>  address/prefix, default route by the gateway
 *	VM:	   v<n>	   the gateway's address, a route to the container's, proxy ARP
 *		   wg<n>   a route to the network's subnet
 *
 * The container has its peers on link, as on a bridge. v<n> answers for every IPv4 address that is
 * routed elsewhere, which are those of the subnet; WireGuard then says at once that a host is not
 * there. IPv6 has nothing of the kind, so each peer is entered (network_peers.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/container.h"
#include "agent/network.h"

#define LINKS_FIRST_INDEX 1000 /* interface numbers: ours are known before they are made */

/**
 * network_link_index() - The number of the VM's end
 * @n: Network
 *
 * Return: interface number in the VM's own namespace
 */
unsigned int network_link_index(const struct network *n)
{
	return LINKS_FIRST_INDEX + n->index;
}

static int links_container_fd(const struct network *n)
{
	return seed_network_fd(n->container->seed);
}

/**
 * network_links_refused() - What to say of a refusal by the kernel
 * @n:	  Network
 * @r:	  Negative errno; what may mean that the kernel was asked for the wrong is the caller's
 * fault
 * @what: What was to be done with its interface
 * @err:  Filled
 *
 * Return: @r
 */
int network_links_refused(const struct network *n, int r, const char *what, struct err *err)
{
	if (r == -EINVAL || r == -EEXIST || r == -EADDRNOTAVAIL || r == -EADDRINUSE ||
	    r == -ENETUNREACH || r == -EHOSTUNREACH)
		return err_user(err, ERR_INVALID, "network %s: cannot %s %s: %s", n->id, what,
				n->interface, strerror(-r));
	return err_sys(err, r, "network %s: cannot %s %s", n->id, what, n->interface);
}

/* fe80::1: nobody else is on the link but the container, whose address is made of its MAC. */
static const uint8_t links_local_id[8] = {[7] = 1};

static void links_put_routes(struct netlink_batch *b, const struct network *n)
{
	for (int i = 0; i < 2; i++) {
		struct link_address one = n->address[i], gateway = n->gateway[i];

		if (!one.len)
			continue;
		if (one.len == 16)
			link_add_link_local(b, network_link_index(n), links_local_id);
		if (gateway.len)
			link_add_address(b, network_link_index(n), &gateway);
		one.prefix = (uint8_t)(8 * one.len);
		link_route(b, true, network_link_index(n), &one, NULL);
		if (n->address[i].prefix < one.prefix)
			link_route(b, true, network_mesh_index(n), &n->address[i], NULL);
	}
}

static int links_make_outside(struct networks *nets, const struct network *n)
{
	_cleanup_batch_ struct netlink_batch b = {};
	char name[IFNAMSIZ];
	const struct link_veth veth = {
		.index = network_link_index(n),
		.name = name,
		.group = FIREWALL_GROUP_CONTAINER,
		.mtu = n->mtu,
		.peer_netns_fd = links_container_fd(n),
		.peer_name = n->interface,
		.peer_mac = n->mac,
	};

	(void)snprintf(name, sizeof(name), "v%u", n->index); /* fits */
	link_add_veth(&b, &veth);
	if (n->address[0].len)
		link_set_proxy_arp(&b, veth.index);
	link_set_up(&b, veth.index, true, 0);
	link_set_up(&b, network_mesh_index(n), true, n->mtu);
	if (!n->held)
		link_plug(&b, network_mesh_index(n), false);
	links_put_routes(&b, n);
	return netlink_send(&nets->route, &b);
}

static void links_put_default(struct netlink_batch *b, const struct network *n, bool six, bool add)
{
	const struct link_address all = {.len = n->gateway[six].len};

	link_route(b, add, n->inside, &all, &n->gateway[six]);
}

/**
 * network_links_put_inside() - Take the interface in the container up, with addresses and routes
 * @b: Batch for the container's namespace
 * @n: Network, whose interface there is known
 */
void network_links_put_inside(struct netlink_batch *b, const struct network *n)
{
	link_set_up(b, n->inside, true, 0);
	for (int i = 0; i < 2; i++) {
		if (n->address[i].len)
			link_add_address(b, n->inside, &n->address[i]);
		if (n->is_default[i])
			links_put_default(b, n, i, true);
	}
}

static int links_make_inside(const struct networks *nets, struct network *n)
{
	_cleanup_netlink_ struct netlink nl = {.fd = -EBADF};
	_cleanup_batch_ struct netlink_batch b = {};
	int r = netlink_open_in(links_container_fd(n), nets->home_fd, NETLINK_ROUTE, &nl);

	if (r == 0)
		r = link_find_index(&nl, n->interface, &n->inside);
	if (r < 0)
		return r;
	if (!n->address[1].len)
		link_set_no_link_local(&b, n->inside);
	network_links_put_inside(&b, n);
	return netlink_send(&nl, &b);
}

/**
 * network_links_make() - Make a network's interfaces, up and with their addresses
 * @nets: All networks
 * @n:	  Network, with a mesh interface
 * @err:  Filled on failure; network_links_drop() removes what there is
 *
 * Return: 0 or negative errno
 */
int network_links_make(struct networks *nets, struct network *n, struct err *err)
{
	int r;

	n->has_links = true;
	r = links_make_outside(nets, n);
	if (r == 0)
		r = links_make_inside(nets, n);
	return r < 0 ? network_links_refused(n, r, "set up", err) : 0;
}

/**
 * network_links_set_default() - Lead a container's default route into a network, or no longer
 * @nets:	All networks
 * @n:		Network
 * @six:	IPv6's
 * @is_default: Which
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int network_links_set_default(struct networks *nets, struct network *n, bool six, bool is_default,
			      struct err *err)
{
	_cleanup_netlink_ struct netlink nl = {.fd = -EBADF};
	_cleanup_batch_ struct netlink_batch b = {};
	int r = netlink_open_in(links_container_fd(n), nets->home_fd, NETLINK_ROUTE, &nl);

	links_put_default(&b, n, six, is_default);
	if (r == 0)
		r = netlink_send(&nl, &b);
	if (r == -ESRCH && !is_default)
		r = 0; /* another one has taken its place */
	return r < 0 ? network_links_refused(n, r, "route by", err) : 0;
}

/**
 * network_links_drop() - Remove a network's interfaces, the container's as well
 * @nets: All networks
 * @n:	  Network
 */
void network_links_drop(struct networks *nets, struct network *n)
{
	_cleanup_batch_ struct netlink_batch b = {};

	if (!n->has_links)
		return;
	n->has_links = false;
	link_delete(&b, network_link_index(n));
	(void)netlink_send(&nets->route, &b); /* perhaps it was never made */
}
