/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmnet.c - bridges in the underlay's namespace, one a network, with a tap for each member
 *
 * DOC: Theory of operation
 *
 *	VM --- tap vt<endpoint> \
 *	VM --- tap vt<endpoint>  > bridge vn<network>, the gateway's addresses --- routes, nftables
 *
 * Names are made of ids, so there is nothing to remember: a new daemon finds what is there by its
 * name, and the kernel is the only table. A bridge is made with its first port and removed with its
 * last. A tap goes with its VM, whatever happened to the daemon; what that leaves is swept up by
 * vmnet_sweep().
 *
 * Each tap has a chain at its ingress, in force before the tap is up, that lets in only frames with
 * the endpoint's MAC, and ARP, IPv4 and IPv6 only from its addresses; it may announce nobody else,
 * and no router. Frames of other protocols pass, but for VLANs, which would hide what is inside.
 * So the bridge may learn addresses: they are true. What a member that may reach the host sends to
 * the address by which it calls it is marked there, and the static rules lead it on; no mark comes
 * over a wire. So the permission is the chain, and goes with it.
 *
 * Whether a bridge leads outside is its interface group, which the static rules ask for
 * (underlay_rules.c). Everything here is done by the underlay's thread. Hostile: every frame; only
 * the kernel reads them.
 */
#include "net/vmnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "net/netlink.h"
#include "net/underlay_impl.h"

#define VMNET_ID_LEN 12 /* of an id in a name */

static const char *const vmnet_nft_load[] = {"-f", "-", NULL};

static void vmnet_name(const char *prefix, const char *id, char ret_name[static IF_NAMESIZE])
{
	(void)snprintf(ret_name, IF_NAMESIZE, "%s%.*s", prefix, VMNET_ID_LEN, id); /* fits */
}

/**
 * vmnet_port_name() - What the tap of an endpoint is called
 * @endpoint_id: Endpoint
 * @ret_name:	 Filled
 */
void vmnet_port_name(const char *endpoint_id, char ret_name[static IF_NAMESIZE])
{
	vmnet_name("vt", endpoint_id, ret_name);
}

static void vmnet_put_address(struct netlink_batch *batch, int ifindex,
			      const struct vmnet_addr *addr)
{
	struct ifaddrmsg head = {
		.ifa_family = addr->len == 16 ? AF_INET6 : AF_INET,
		.ifa_prefixlen = addr->bits,
		.ifa_flags = addr->len == 16 ? IFA_F_NODAD : 0,
		.ifa_index = (unsigned int)ifindex,
	};

	netlink_begin(batch, RTM_NEWADDR, NLM_F_CREATE, &head, sizeof(head));
	netlink_attr(batch, IFA_LOCAL, addr->bytes, addr->len);
	netlink_attr(batch, IFA_ADDRESS, addr->bytes, addr->len);
}

static void vmnet_put_bridge(struct netlink_batch *batch, const char *name,
			     const struct vmnet_port *port)
{
	struct ifinfomsg head = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	const uint32_t mtu = port->mtu, group = port->internal ? 0 : VMNET_GROUP_OUT;
	const uint8_t no_snooping = 0; /* multicast goes to all, nobody has to ask for it */
	size_t info, data;

	netlink_begin(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	netlink_attr(batch, IFLA_IFNAME, name, strlen(name) + 1);
	netlink_attr(batch, IFLA_MTU, &mtu, sizeof(mtu));
	netlink_attr(batch, IFLA_GROUP, &group, sizeof(group));
	netlink_attr(batch, IFLA_ADDRESS, underlay_gateway()->mac, 6);
	info = netlink_nest(batch, IFLA_LINKINFO);
	netlink_attr(batch, IFLA_INFO_KIND, "bridge", sizeof("bridge"));
	data = netlink_nest(batch, IFLA_INFO_DATA);
	netlink_attr(batch, IFLA_BR_MCAST_SNOOPING, &no_snooping, sizeof(no_snooping));
	netlink_unnest(batch, data);
	netlink_unnest(batch, info);
}

static int vmnet_delete(const struct underlay *u, int ifindex)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	struct ifinfomsg head = {.ifi_index = ifindex};

	netlink_begin(&batch, RTM_DELLINK, 0, &head, sizeof(head));
	return netlink_run(u->route_fd, &batch);
}

/* IPv6's neighbour discovery speaks from a link-local address where it forwards. */
static const struct vmnet_addr vmnet_link_local = {
	.bytes = {0xfe, 0x80, [15] = 1}, .len = 16, .bits = 64};

static int vmnet_bridge_make(struct underlay *u, const char *name, const struct vmnet_port *port,
			     int *ret_ifindex)
{
	_cleanup_(netlink_batch_done) struct netlink_batch link = {}, rest = {};
	bool has_v6 = fs_exists("/proc/sys/net/ipv6");
	int ifindex, r;

	underlay_sysctl_bridge();
	vmnet_put_bridge(&link, name, port);
	r = netlink_run(u->route_fd, &link);
	if (r == 0)
		r = underlay_link_index(u, name, &ifindex);
	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++)
		if (port->gateway[i].len && (i == 0 || has_v6))
			vmnet_put_address(&rest, ifindex, &port->gateway[i]);
	if (port->gateway[1].len && has_v6)
		vmnet_put_address(&rest, ifindex, &vmnet_link_local);
	if (rest.n)
		r = netlink_run(u->route_fd, &rest);
	if (r < 0) {
		(void)vmnet_delete(u, ifindex); /* was just made */
		return r;
	}
	*ret_ifindex = ifindex;
	return 0;
}

/* To the host, by the name that the endpoint has for it. */
static void vmnet_write_host(struct buf *text, const struct vmnet_port *port, bool six,
			     const char *addr)
{
	char host[INET6_ADDRSTRLEN];

	if (!port->host[six].len || port->internal)
		return;
	(void)inet_ntop(six ? AF_INET6 : AF_INET, port->host[six].bytes, host, sizeof(host));
	buf_addf(text, "%s saddr %s %s daddr %s meta mark set " VMNET_MARK_HOST_TEXT " accept\n",
		 six ? "ip6" : "ip", addr, six ? "ip6" : "ip", host);
}

static void vmnet_write_v4(struct buf *text, const struct vmnet_port *port, const char *mac)
{
	char addr[INET_ADDRSTRLEN];

	if (!port->addr[0].len)
		return;
	(void)inet_ntop(AF_INET, port->addr[0].bytes, addr, sizeof(addr));
	vmnet_write_host(text, port, false, addr);
	buf_addf(text,
		 "arp htype 1 arp ptype ip arp plen 4 arp saddr ether %s "
		 "arp saddr ip { 0.0.0.0, %s } accept\n"
		 "ip saddr %s accept\n",
		 mac, addr, addr);
}

static void vmnet_write_v6(struct buf *text, const struct vmnet_port *port)
{
	char addr[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN], hex[2][33];
	uint8_t link_local[16];

	if (!port->addr[1].len)
		return;
	underlay_link_local(port->mac, link_local);
	(void)inet_ntop(AF_INET6, port->addr[1].bytes, addr, sizeof(addr));
	(void)inet_ntop(AF_INET6, link_local, local, sizeof(local));
	str_hex(port->addr[1].bytes, 16, hex[0]);
	str_hex(link_local, 16, hex[1]);
	/* @th,64,128 is the target: nft calls it by a name only since 1.0.8 */
	buf_addf(text,
		 "icmpv6 type { nd-router-advert, nd-redirect } drop\n"
		 "icmpv6 type nd-neighbor-advert @th,64,128 != { 0x%s, 0x%s } drop\n",
		 hex[0], hex[1]);
	vmnet_write_host(text, port, true, addr);
	buf_addf(text,
		 "ip6 saddr { %s, %s } accept\n"
		 "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } accept\n",
		 addr, local);
}

static void vmnet_write_chain(struct buf *text, const char *tap, const struct vmnet_port *port)
{
	const uint8_t *m = port->mac;
	char mac[18];

	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		       m[4], m[5]);
	buf_addf(text,
		 "table netdev arca {\nchain %s {\n"
		 "type filter hook ingress device \"%s\" priority 0; policy drop;\n"
		 "ether saddr != %s drop\n"
		 "meta protocol { 8021q, 8021ad } drop\n",
		 tap, tap, mac);
	vmnet_write_v4(text, port, mac);
	vmnet_write_v6(text, port);
	buf_adds(text, "meta protocol { arp, ip, ip6 } drop\naccept\n}\n}\n");
}

/* A chain goes with its tap in some kernels, and stays in others. Made, it can be deleted. */
static void vmnet_write_chain_end(struct buf *text, const char *tap)
{
	buf_addf(text,
		 "add table netdev arca\nadd chain netdev arca %s\n"
		 "flush chain netdev arca %s\ndelete chain netdev arca %s\n",
		 tap, tap, tap);
}

static int vmnet_load(const struct underlay *u, const struct buf *text, struct err *err)
{
	_cleanup_buf_ struct buf output = {};

	return text->failed ? err_oom(err)
			    : underlay_rules_run(u, vmnet_nft_load, text->data, &output, err);
}

/* The bridge passes nothing from one such port to another; what a gateway would route back to the
 * bridge that it came from, the rules of the namespace drop. */
static void vmnet_put_isolated(struct netlink_batch *batch)
{
	const uint8_t isolated = 1;
	size_t info = netlink_nest(batch, IFLA_LINKINFO), data;

	netlink_attr(batch, IFLA_INFO_SLAVE_KIND, "bridge", sizeof("bridge"));
	data = netlink_nest(batch, IFLA_INFO_SLAVE_DATA);
	netlink_attr(batch, IFLA_BRPORT_ISOLATED, &isolated, sizeof(isolated));
	netlink_unnest(batch, data);
	netlink_unnest(batch, info);
}

/* First on the bridge, then what it is there, then up: nothing passes before. */
static int vmnet_port_up(const struct underlay *u, const char *tap, int bridge,
			 const struct vmnet_port *port)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	struct ifinfomsg head = {}, up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	const uint32_t mtu = port->mtu;
	int r = underlay_link_index(u, tap, &head.ifi_index);

	if (r < 0)
		return r;
	netlink_begin(&batch, RTM_NEWLINK, 0, &head, sizeof(head));
	netlink_attr(&batch, IFLA_MTU, &mtu, sizeof(mtu));
	netlink_attr(&batch, IFLA_MASTER, &bridge, sizeof(bridge));
	up.ifi_index = head.ifi_index;
	netlink_begin(&batch, RTM_NEWLINK, 0, &up, sizeof(up));
	if (port->apart)
		vmnet_put_isolated(&batch);
	return netlink_run(u->route_fd, &batch);
}

struct vmnet_walk {
	const struct underlay *u;
	int bridge;   /* whose ports are counted; 0: none */
	size_t ports; /* of that */
	struct vmnet_bridge {
		int ifindex;
		bool used;
	} * bridges; /* owned; for the sweep */
	size_t n;
};

static const int *vmnet_master(const struct nlmsghdr *msg)
{
	return netlink_find(msg, sizeof(struct ifinfomsg), IFLA_MASTER, sizeof(int));
}

static int vmnet_count_port(const struct nlmsghdr *msg, void *user)
{
	struct vmnet_walk *walk = user;
	const int *master = vmnet_master(msg);

	walk->ports += msg->nlmsg_type == RTM_NEWLINK && master && *master == walk->bridge;
	return 0;
}

static int vmnet_dump(const struct underlay *u, netlink_dump_fn fn, struct vmnet_walk *walk)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};

	return netlink_dump(u->route_fd, RTM_GETLINK, &head, sizeof(head), fn, walk);
}

static void vmnet_port_down(const struct underlay *u, const char *tap)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	struct ifinfomsg head = {.ifi_change = IFF_UP};
	const int none = 0;

	if (underlay_link_index(u, tap, &head.ifi_index) < 0)
		return; /* went with its VM */
	netlink_begin(&batch, RTM_NEWLINK, 0, &head, sizeof(head));
	netlink_attr(&batch, IFLA_MASTER, &none, sizeof(none));
	(void)netlink_run(u->route_fd, &batch); /* it may go meanwhile */
}

static void vmnet_bridge_end(const struct underlay *u, const char *network_id)
{
	struct vmnet_walk walk = {.u = u};
	char bridge_name[IF_NAMESIZE];
	int r;

	vmnet_name("vn", network_id, bridge_name);
	if (underlay_link_index(u, bridge_name, &walk.bridge) < 0)
		return;
	r = vmnet_dump(u, vmnet_count_port, &walk);
	if (r == 0 && walk.ports == 0)
		r = vmnet_delete(u, walk.bridge);
	if (r < 0)
		log_warn("the bridge of network %.12s stays: %s", network_id, strerror(-r));
}

/* A tap that a VM still has is only taken off: QEMU would not stop reading one that was deleted. */
static void vmnet_release(const struct underlay *u, const char *network_id, const char *endpoint_id)
{
	_cleanup_buf_ struct buf text = {};
	char tap[IF_NAMESIZE];
	struct err err = {};

	vmnet_port_name(endpoint_id, tap);
	vmnet_port_down(u, tap);
	vmnet_write_chain_end(&text, tap);
	if (vmnet_load(u, &text, &err) < 0)
		log_warn("the rules of a port of network %.12s stay: %s", network_id, err.msg);
	vmnet_bridge_end(u, network_id);
}

static int vmnet_port_make(struct underlay *u, const struct vmnet_port *port, const char *tap,
			   int bridge, struct err *err)
{
	_cleanup_buf_ struct buf text = {};
	int r;

	vmnet_write_chain_end(&text, tap); /* an old one, of the same name */
	vmnet_write_chain(&text, tap, port);
	r = vmnet_load(u, &text, err);
	if (r < 0)
		return r;
	r = vmnet_port_up(u, tap, bridge, port);
	return r < 0 ? err_sys(err, r, "cannot connect a port to network %.12s", port->network_id)
		     : 0;
}

struct vmnet_open_arg {
	const struct vmnet_port *port;
	int *ret_fd;
	struct err *err;
};

static int vmnet_job_open(struct underlay *u, void *arg)
{
	char bridge_name[IF_NAMESIZE], tap[IF_NAMESIZE];
	const struct vmnet_open_arg *a = arg;
	const char *network_id = a->port->network_id;
	_cleanup_close_ int fd = -EBADF;
	int bridge, r;

	vmnet_name("vn", network_id, bridge_name);
	vmnet_port_name(a->port->endpoint_id, tap);
	r = underlay_link_index(u, bridge_name, &bridge);
	if (r == -ENODEV)
		r = vmnet_bridge_make(u, bridge_name, a->port, &bridge);
	if (r < 0)
		return err_sys(a->err, r, "cannot make the bridge of network %.12s", network_id);
	r = underlay_tap_create(tap, &fd);
	if (r < 0) { /* if there is one already, it is no business of ours */
		vmnet_bridge_end(u, network_id);
		return err_sys(a->err, r, "cannot make a port on network %.12s", network_id);
	}
	r = vmnet_port_make(u, a->port, tap, bridge, a->err);
	if (r < 0) {
		vmnet_release(u, network_id, a->port->endpoint_id);
		return r;
	}
	*a->ret_fd = TAKE_FD(fd);
	return 0;
}

/**
 * vmnet_port_open() - A tap for a member of a network, on the network's bridge and guarded
 * @underlay: Underlay
 * @port:     What; the first port of a network makes its bridge
 * @ret_fd:   For QEMU: non-blocking, with vnet_hdr; owned by the caller. The tap goes with its last
 *	      descriptor. Set on success
 * @err:      Filled on failure, which leaves nothing; names the package that is missing
 *
 * Runs nft, some milliseconds. vmnet_port_close() follows, also after the VM's end.
 *
 * Return: 0, -EBUSY if the endpoint has a port, or negative errno
 */
int vmnet_port_open(struct underlay *underlay, const struct vmnet_port *port, int *ret_fd,
		    struct err *err)
{
	struct vmnet_open_arg arg = {.port = port, .ret_fd = ret_fd, .err = err};

	return underlay_run(underlay, vmnet_job_open, &arg, err);
}

struct vmnet_close_arg {
	const char *network_id, *endpoint_id;
};

static int vmnet_job_close(struct underlay *u, void *arg)
{
	const struct vmnet_close_arg *a = arg;

	vmnet_release(u, a->network_id, a->endpoint_id);
	return 0;
}

/**
 * vmnet_port_close() - A member leaves its network, or has gone with its VM
 * @underlay:	 Underlay
 * @network_id:	 Its network; the bridge goes with the last port
 * @endpoint_id: The member; one that has no port is none the worse for it
 *
 * From here on nothing passes. Says what it could not remove; the next daemon tries again.
 */
void vmnet_port_close(struct underlay *underlay, const char *network_id, const char *endpoint_id)
{
	struct vmnet_close_arg arg = {.network_id = network_id, .endpoint_id = endpoint_id};
	struct err err = {};

	if (underlay_run(underlay, vmnet_job_close, &arg, &err) < 0)
		log_warn("a port of network %.12s stays: %s", network_id, err.msg);
}

static int vmnet_find_bridge(const struct nlmsghdr *msg, void *user)
{
	const char *name = netlink_find(msg, sizeof(struct ifinfomsg), IFLA_IFNAME, 2);
	const struct ifinfomsg *link = NLMSG_DATA(msg);
	struct vmnet_walk *walk = user;
	struct vmnet_bridge *grown;

	if (msg->nlmsg_type != RTM_NEWLINK || !name || !str_starts(name, "vn"))
		return 0;
	grown = reallocarray(walk->bridges, walk->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	walk->bridges = grown;
	grown[walk->n++] = (struct vmnet_bridge){.ifindex = link->ifi_index};
	return 0;
}

static int vmnet_mark_bridge(const struct nlmsghdr *msg, void *user)
{
	struct vmnet_walk *walk = user;
	const int *master = vmnet_master(msg);

	for (size_t i = 0; master && i < walk->n; i++)
		walk->bridges[i].used |= walk->bridges[i].ifindex == *master;
	return 0;
}

/* "	chain vt0123456789ab { # handle 1" */
static int vmnet_sweep_chains(struct underlay *u, struct err *err)
{
	static const char *const words[] = {"list", "chains", "netdev", NULL};
	_cleanup_buf_ struct buf output = {}, text = {};
	char name[IF_NAMESIZE];
	int r, ifindex;

	r = underlay_rules_run(u, words, NULL, &output, err);
	if (r < 0 || !output.len)
		return r;
	for (const char *p = output.data; (p = strstr(p, "chain vt")); p++) {
		if (sscanf(p, "chain %15[a-z0-9]", name) == 1 &&
		    underlay_link_index(u, name, &ifindex) == -ENODEV)
			vmnet_write_chain_end(&text, name);
	}
	return text.len ? vmnet_load(u, &text, err) : 0;
}

static int vmnet_job_sweep(struct underlay *u, void *arg)
{
	struct vmnet_walk walk = {.u = u};
	struct err *err = arg;
	int r = vmnet_dump(u, vmnet_find_bridge, &walk);

	if (r == 0)
		r = vmnet_dump(u, vmnet_mark_bridge, &walk);
	for (size_t i = 0; r == 0 && i < walk.n; i++)
		if (!walk.bridges[i].used)
			r = vmnet_delete(u, walk.bridges[i].ifindex);
	free(walk.bridges);
	if (r < 0)
		return err_sys(err, r, "cannot remove bridges without ports");
	return vmnet_sweep_chains(u, err);
}

/**
 * vmnet_sweep() - Remove what VMs have left that ended while no daemon was there
 * @underlay: Underlay
 * @err:      Filled on failure
 *
 * Return: 0 or negative errno
 */
int vmnet_sweep(struct underlay *underlay, struct err *err)
{
	return underlay_run(underlay, vmnet_job_sweep, err, err);
}
