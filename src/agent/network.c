/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.c - the networks that containers of this VM are attached to
 *
 * DOC: Theory of operation
 *
 *	eth<n> ---- v<n> --(routes, firewall.c)-- wg<n> ~~~~ peers
 *	 container    |    the VM's own namespace
 *		      +----(masquerade, forwarded ports)---- NIC ---- underlay
 *
 * An attachment is made in steps, each of which knows how to take itself down:
 *
 *	mesh	WireGuard interface and key	network_mesh.c
 *	links	pair of interfaces, addresses	network_links.c
 *	way	elements of the firewall's sets	firewall.c
 *	peers					network_peers.c, network_linked.c
 *
 * In a network of many the last step may come later: network_hold.c.
 *
 * A network on a NIC of its own (network_nic.c) has none of these: the NIC itself is moved into the
 * container.
 *
 * If one fails, those before it are undone. What is attached is kept in a list, so that a call
 *which comes again finds it done. Nothing of this is on disk: a VM has one life.
 *
 * Of a container's networks one has the IPv4 default route and one the IPv6's, and the ports that
 * are forwarded to the VM arrive there. A network that becomes the default takes that from the one
 * that was.
 *
 * Names are not here: names.c follows what was done, and is called where this is.
 */
#include "agent/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/container.h"
#include "agent/network_spec.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

/* Of the VM's own namespace. Containers made later have their forwarding from here, as with
 * dockerd. */
static const struct {
	const char *path, *value;
} networks_sysctls[] = {
	{"/proc/sys/net/ipv4/ip_forward", "1"},
	{"/proc/sys/net/ipv6/conf/all/forwarding", "1"},
	/* answered for peers: at once, where the kernel would wait up to 0.8 s */
	{"/proc/sys/net/ipv4/neigh/default/proxy_delay", "0"},
	{"/proc/sys/net/ipv6/neigh/default/proxy_delay", "0"},
	{"/proc/sys/net/ipv6/conf/all/proxy_ndp", "1"},
	/* link-local addresses are given (link_add_link_local()): those that an interface makes
	 * itself are no use until it has asked whether they are free */
	{"/proc/sys/net/ipv6/conf/all/addr_gen_mode", "1"},
};

static void networks_set_sysctls(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(networks_sysctls); i++) {
		const char *value = networks_sysctls[i].value;
		_cleanup_close_ int fd = open(networks_sysctls[i].path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || fs_write_all(fd, value, strlen(value)) < 0)
			log_warn("%s: %s", networks_sysctls[i].path, strerror(errno));
	}
}

static int networks_open(struct networks *nets)
{
	int r;

	nets->home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (nets->home_fd < 0)
		return -errno;
	r = netlink_open(NETLINK_ROUTE, &nets->route);
	if (r == 0)
		r = netlink_open(NETLINK_NETFILTER, &nets->filter);
	return r == 0 ? wireguard_open(&nets->wg) : r;
}

/**
 * networks_boot() - Everything that does not depend on a container; in the template
 * @nets:	Zeroed
 * @poller:	For timers
 *
 * The NIC may be missing. So may be a module: then no network can be attached, and all else works.
 */
void networks_boot(struct networks *nets, struct poller *poller)
{
	int r;

	nets->poller = poller;
	nets->route.fd = nets->filter.fd = nets->wg.nl.fd = -EBADF;
	networks_set_sysctls();
	underlay_boot(&nets->underlay);
	r = networks_open(nets);
	if (r == 0)
		r = firewall_boot(&nets->filter);
	if (r == 0)
		r = network_mesh_boot(nets);
	if (r < 0)
		log_error("no networks: %s", strerror(-r));
	nets->usable = r == 0;
}

/**
 * networks_hello() - The VM's place on the underlay, and keys to offer
 * @nets:    All networks
 * @request: Hello's, after its entropy was taken
 * @err:     Filled on failure
 *
 * Return: 0 or negative errno
 */
int networks_hello(struct networks *nets, const Arca__V1__HelloRequest *request, struct err *err)
{
	int r = 0;

	nets->may_make_keys = nets->may_make_keys || request->entropy.len > 0;
	if (!request->underlay)
		return 0;
	if (!nets->usable)
		return err_user(err, ERR_UNAVAILABLE, "the guest's kernel has no networks");
	r = underlay_set(&nets->underlay, &nets->route, request->underlay, err);
	if (r < 0 || !nets->may_make_keys)
		return r;
	r = network_mesh_offer(nets, request->offers);
	return r < 0 ? err_sys(err, r, "cannot make keys") : 0;
}

/**
 * network_find() - An attachment
 * @nets: All networks
 * @c:	  Container
 * @id:	  Network
 *
 * Return: borrowed, or NULL
 */
struct network *network_find(const struct networks *nets, const struct container *c, const char *id)
{
	struct network *n;

	DL_FOREACH (nets->list, n) {
		if (n->container == c && str_eq(n->id, id))
			return n;
	}
	return NULL;
}

/* What the firewall is to have for a network that is as it is now. */
static void network_fill_firewall(const struct networks *nets, const struct network *n,
				  const Arca__V1__HostGateway *host, struct firewall_entry *e)
{
	const struct underlay *u = &nets->underlay;

	e->way.container = network_link_index(n);
	e->way.mesh = network_mesh_index(n);
	if (n->internal || !u->set)
		return;
	e->way.nic = u->nic;
	for (int i = 0; i < 2; i++) {
		e->gateway[i] = u->gateway[i];
		e->target[i] = n->is_default[i] ? n->address[i] : (struct link_address){};
	}
	if (!host)
		return;
	/* Malformed ones are none. */
	(void)network_parse_address(&host->v4, 4, &e->host[0]);
	(void)network_parse_address(&host->v4_target, 4, &e->host_target[0]);
	(void)network_parse_address(&host->v6, 16, &e->host[1]);
	(void)network_parse_address(&host->v6_target, 16, &e->host_target[1]);
}

/**
 * network_set_firewall() - What the firewall has for a network from now on
 * @nets:   All networks
 * @n:	    Network
 * @wanted: NULL: nothing
 * @err:    Filled on failure
 *
 * Return: 0, or negative errno with nothing changed
 */
int network_set_firewall(struct networks *nets, struct network *n,
			 const struct firewall_entry *wanted, struct err *err)
{
	int r = firewall_set(&nets->filter, n->has_firewall ? &n->firewall : NULL, wanted);

	if (r < 0)
		return err_sys(err, r, "network %s: cannot set the firewall", n->id);
	n->has_firewall = wanted != NULL;
	if (wanted)
		n->firewall = *wanted;
	return 0;
}

/* Forwarded ports arrive where the default route is. */
static int network_set_target(struct networks *nets, struct network *n, bool six, struct err *err)
{
	struct firewall_entry wanted = n->firewall;

	if (n->nic)
		return 0; /* they arrive at its own address */
	wanted.target[six] = (struct link_address){};
	if (n->is_default[six] && wanted.way.nic)
		wanted.target[six] = n->address[six];
	return network_set_firewall(nets, n, &wanted, err);
}

/* Whichever network was the default is not any more; its route goes by being replaced. */
static int network_yield_default(struct networks *nets, const struct network *to, bool six,
				 struct err *err)
{
	struct network *n;
	int r = 0;

	DL_FOREACH (nets->list, n) {
		if (r < 0 || n == to || n->container != to->container || !n->is_default[six])
			continue;
		n->is_default[six] = false;
		r = network_set_target(nets, n, six, err);
	}
	return r;
}

/**
 * network_set_default() - Have a network be its container's default of one family, or no longer
 * @nets:	All networks
 * @n:		Network
 * @six:	IPv6's
 * @is_default: Which; the network that was the default is not any more
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int network_set_default(struct networks *nets, struct network *n, bool six, bool is_default,
			struct err *err)
{
	int r;

	if (n->is_default[six] == is_default)
		return 0;
	r = network_links_set_default(nets, n, six, is_default, err);
	if (r == 0 && is_default)
		r = network_yield_default(nets, n, six, err);
	if (r < 0)
		return r;
	n->is_default[six] = is_default;
	return network_set_target(nets, n, six, err);
}

static bool network_has_default(const struct networks *nets, const struct container *c, bool six)
{
	for (const struct network *n = nets->list; n; n = n->next)
		if (n->container == c && n->is_default[six])
			return true;
	return false;
}

static int network_set_all_peers(struct networks *nets, struct network *n,
				 const Arca__V1__NetworkAttach *spec, struct err *err)
{
	const struct network_peers_change change = {
		.complete = true, .hold = spec->hold, .set = spec->peers, .n_set = spec->n_peers};

	return network_set_peers(nets, n, &change, err);
}

static bool network_same(const struct network *a, const struct network *b)
{
	return a->nic == b->nic && (a->nic || a->index == b->index) &&
	       str_eq(a->interface, b->interface) && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	       a->mtu == b->mtu && memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       memcmp(a->gateway, b->gateway, sizeof(a->gateway)) == 0 &&
	       a->internal == b->internal;
}

static int network_set_first_peers(struct networks *nets, struct network *n,
				   const Arca__V1__NetworkAttach *spec, struct err *err)
{
	const struct network_peers_change change = {.set = spec->peers, .n_set = spec->n_peers};

	if (!n->held)
		return network_set_all_peers(nets, n, spec, err);
	network_hold(nets, n);
	return network_keep_peers(n, &change, err);
}

/* Attached before: what may differ is the default route and the peers. */
static int network_update(struct networks *nets, struct network *n, const struct network *wanted,
			  const Arca__V1__NetworkAttach *spec, struct err *err)
{
	int r = 0;

	if (!network_same(n, wanted))
		return err_user(err, ERR_CONFLICT, "network %s is attached otherwise", n->id);
	for (int i = 0; r == 0 && i < 2; i++)
		r = network_set_default(nets, n, i, wanted->is_default[i], err);
	return r < 0 ? r : network_set_all_peers(nets, n, spec, err);
}

static int network_check_free(const struct networks *nets, const struct network *wanted,
			      struct err *err)
{
	struct network *n;

	DL_FOREACH (nets->list, n) {
		if (!n->nic && !wanted->nic && n->index == wanted->index)
			return err_user(err, ERR_CONFLICT, "network %s: index %u is network %s",
					wanted->id, wanted->index, n->id);
	}
	return 0;
}

static int network_make_mesh(struct networks *nets, struct network *n,
			     const Arca__V1__NetworkAttach *spec, const Arca__V1__HostGateway *host,
			     struct err *err)
{
	struct firewall_entry entry = {};
	int r;

	r = network_mesh_take(nets, n, &spec->offered_key, err);
	if (r == 0)
		r = network_links_make(nets, n, err);
	if (r < 0)
		return r;
	network_fill_firewall(nets, n, host, &entry);
	r = network_set_firewall(nets, n, &entry, err);
	return r < 0 ? r : network_set_first_peers(nets, n, spec, err);
}

static int network_make(struct networks *nets, struct network *n,
			const Arca__V1__NetworkAttach *spec, const Arca__V1__HostGateway *host,
			struct err *err)
{
	int r;

	/* Another network's default route is taken last, when nothing else can fail. */
	for (int i = 0; i < 2; i++)
		n->is_default[i] = n->is_default[i] && !network_has_default(nets, n->container, i);
	r = n->nic ? network_nic_take(nets, n, err) : network_make_mesh(nets, n, spec, host, err);
	if (r == 0 && spec->default_route4)
		r = network_set_default(nets, n, false, true, err);
	if (r == 0 && spec->default_route6)
		r = network_set_default(nets, n, true, true, err);
	return r;
}

static void network_free(struct networks *nets, struct network *n)
{
	if (n->has_firewall) {
		network_linked_close_all(nets, n);
		(void)network_set_firewall(nets, n, NULL, NULL); /* all of it was there */
	}
	network_hold_drop(n);
	network_mesh_drop(nets, n);
	network_links_drop(nets, n);
	network_nic_drop(nets, n);
	network_forget_peers(n);
	free(n->id);
	free(n);
}

static int network_attach_new(struct networks *nets, struct container *c,
			      const Arca__V1__NetworkAttach *spec,
			      const Arca__V1__HostGateway *host, struct network **ret_network,
			      struct err *err)
{
	struct network *n = calloc(1, sizeof(*n)), *old;
	int r;

	if (!n)
		return err_oom(err);
	n->container = c;
	n->id = strdup(spec->network_id);
	r = n->id ? network_parse(spec, n, err) : err_oom(err);
	old = r == 0 ? network_find(nets, c, n->id) : NULL;
	if (old) {
		r = network_update(nets, old, n, spec, err);
		network_free(nets, n); /* there is nothing of it in the kernel */
		*ret_network = old;
		return r;
	}
	if (r == 0)
		r = network_check_free(nets, n, err);
	if (r == 0)
		r = network_make(nets, n, spec, host, err);
	if (r < 0) {
		network_free(nets, n);
		return r;
	}
	DL_APPEND(nets->list, n);
	*ret_network = n;
	return 0;
}

static int network_check_container(const struct networks *nets, const struct container *c,
				   struct err *err)
{
	if (!nets->usable || !nets->may_make_keys)
		return err_user(err, ERR_UNAVAILABLE, "this VM has no networks");
	if (seed_network_fd(c->seed) < 0)
		return err_user(err, ERR_INVALID, "the container has no network namespace");
	return 0;
}

/**
 * network_attach() - Attach a container to a network, or bring that up to date
 * @nets:	 All networks
 * @c:		 Container, made
 * @spec:	 Network
 * @ret_network: Borrowed; set on success
 * @err:	 Filled on failure; a new attachment has left nothing then
 *
 * What the host is called (HostGateway) is the same in all networks of a container.
 *
 * Return: 0 or negative errno
 */
int network_attach(struct networks *nets, struct container *c, const Arca__V1__NetworkAttach *spec,
		   struct network **ret_network, struct err *err)
{
	int r = network_check_container(nets, c, err);

	return r < 0 ? r : network_attach_new(nets, c, spec, c->host_gateway, ret_network, err);
}

/**
 * network_attach_all() - The networks that a container starts with
 * @nets: All networks
 * @c:	  Container, before its process runs
 * @spec: Container
 * @err:  Filled on failure; network_detach_all() has to follow
 *
 * Return: 0 or negative errno
 */
int network_attach_all(struct networks *nets, struct container *c,
		       const Arca__V1__ContainerSpec *spec, struct err *err)
{
	struct network *n;
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->n_networks; i++)
		r = network_attach(nets, c, spec->networks[i], &n, err);
	return r;
}

/**
 * network_detach() - Take a container out of a network
 * @nets: All networks
 * @n:	  Network; freed
 */
void network_detach(struct networks *nets, struct network *n)
{
	DL_DELETE(nets->list, n);
	network_free(nets, n);
}

/**
 * network_detach_all() - Take a container out of all its networks
 * @nets:    All networks
 * @c:	     Container
 * @vm_ends: The VM takes its interfaces along, sooner than they could be taken down
 */
void network_detach_all(struct networks *nets, const struct container *c, bool vm_ends)
{
	struct network *n, *next;

	DL_FOREACH_SAFE (nets->list, n, next) {
		if (n->container != c)
			continue;
		if (vm_ends)
			n->has_mesh = n->has_links = n->has_firewall = n->has_nic = false;
		network_detach(nets, n);
	}
}
