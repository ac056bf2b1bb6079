/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay_tap.c - a VM's tap: made, addressed, routed; listed from the kernel
 *
 * The neighbour entries are permanent, so the namespace never asks a guest for its MAC and believes
 * no answer. The tap's own MAC is the gateway's on every tap. About a millisecond: two ioctls and
 * one batch of netlink requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "net/netlink.h"
#include "net/underlay_impl.h"

/**
 * underlay_link_local() - The address that a guest's kernel makes from a MAC (RFC 4291, appendix A)
 * @m:	    MAC
 * @ret_v6: Filled
 */
void underlay_link_local(const uint8_t m[static 6], uint8_t ret_v6[static 16])
{
	const uint8_t v6[16] = {0xfe,	     0x80, 0,	 0,    0,    0,	   0,	 0,
				m[0] ^ 0x02, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};

	memcpy(ret_v6, v6, sizeof(v6));
}

/**
 * underlay_link_index() - The kernel's number of a link in the namespace
 * @u:		 Underlay
 * @name:	 Link
 * @ret_ifindex: Set on success
 *
 * Return: 0, -ENODEV, or negative errno
 */
int underlay_link_index(const struct underlay *u, const char *name, int *ret_ifindex)
{
	struct ifreq req = {};

	(void)snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(u->route_fd, SIOCGIFINDEX, &req) < 0)
		return -errno;
	*ret_ifindex = req.ifr_ifindex;
	return 0;
}

/**
 * underlay_tap_create() - A tap for a VM, which goes with its last descriptor
 * @name:   Its name
 * @ret_fd: Non-blocking, with vnet_hdr; set on success
 *
 * Return: 0, -EBUSY if there is one of this name, or negative errno
 */
int underlay_tap_create(const char *name, int *ret_fd)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq req = {.ifr_flags =
				    (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL)};

	if (fd < 0)
		return -errno;
	(void)snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The next free index after the one given out last, so that an address rests before it is used
 * again. */
static int underlay_tap_allocate(struct underlay *u, int *ret_fd, uint16_t *ret_index)
{
	const unsigned int n = UNDERLAY_INDEX_MAX - UNDERLAY_INDEX_MIN + 1;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t index = u->next_index;
		char name[IF_NAMESIZE];
		int r;

		if (index < UNDERLAY_INDEX_MIN || index > UNDERLAY_INDEX_MAX)
			index = UNDERLAY_INDEX_MIN;
		u->next_index = (uint16_t)(index + 1);
		(void)snprintf(name, sizeof(name), "a%u", index);
		r = underlay_tap_create(name, ret_fd);
		if (r == 0)
			*ret_index = index;
		if (r != -EBUSY)
			return r;
	}
	return -ENOSPC;
}

static void underlay_add_link(struct netlink_batch *batch, int ifindex)
{
	const uint32_t mtu = UNDERLAY_MTU;
	struct ifinfomsg head = {.ifi_index = ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	netlink_begin(batch, RTM_NEWLINK, 0, &head, sizeof(head));
	netlink_attr(batch, IFLA_MTU, &mtu, sizeof(mtu));
	netlink_attr(batch, IFLA_ADDRESS, underlay_gateway()->mac, 6);
}

static void underlay_add_gateway6(struct netlink_batch *batch, int ifindex)
{
	const struct underlay_gateway *gw = underlay_gateway();
	/* On the tap as well as on lo: neighbour discovery answers for its own link only. */
	struct ifaddrmsg head = {.ifa_family = AF_INET6,
				 .ifa_prefixlen = 128,
				 .ifa_flags = IFA_F_NODAD,
				 .ifa_index = (unsigned int)ifindex};

	netlink_begin(batch, RTM_NEWADDR, NLM_F_CREATE, &head, sizeof(head));
	netlink_attr(batch, IFA_LOCAL, gw->v6, sizeof(gw->v6));
	netlink_attr(batch, IFA_ADDRESS, gw->v6, sizeof(gw->v6));
}

/* The way to one address of the VM, and its MAC. */
static void underlay_add_host(struct netlink_batch *batch, int ifindex, uint8_t family,
			      const void *addr, size_t len, const void *source, const uint8_t *mac)
{
	struct rtmsg route = {
		.rtm_family = family,
		.rtm_dst_len = (uint8_t)(len * 8),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
	};
	struct ndmsg neigh = {
		.ndm_family = family, .ndm_ifindex = ifindex, .ndm_state = NUD_PERMANENT};

	netlink_begin(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
	netlink_attr(batch, RTA_DST, addr, len);
	netlink_attr(batch, RTA_OIF, &ifindex, sizeof(ifindex));
	if (source)
		netlink_attr(batch, RTA_PREFSRC, source, len);
	netlink_begin(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neigh, sizeof(neigh));
	netlink_attr(batch, NDA_DST, addr, len);
	netlink_attr(batch, NDA_LLADDR, mac, 6);
}

static int underlay_tap_configure(struct underlay *u, int ifindex, const struct underlay_addr *addr)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	const struct underlay_gateway *gw = underlay_gateway();
	uint8_t link_local[16];

	underlay_add_link(&batch, ifindex);
	underlay_add_host(&batch, ifindex, AF_INET, addr->v4, sizeof(addr->v4), gw->v4, addr->mac);
	if (fs_exists("/proc/sys/net/ipv6")) {
		underlay_link_local(addr->mac, link_local);
		underlay_add_gateway6(&batch, ifindex);
		underlay_add_host(&batch, ifindex, AF_INET6, addr->v6, sizeof(addr->v6), gw->v6,
				  addr->mac);
		underlay_add_host(&batch, ifindex, AF_INET6, link_local, sizeof(link_local), NULL,
				  addr->mac);
	}
	return netlink_run(u->route_fd, &batch);
}

/**
 * underlay_tap_make() - The work of underlay_tap_open(), in the namespace
 * @u:	      Underlay, set up
 * @ret_fd:   As there
 * @ret_addr: As there
 * @err:      Filled on failure
 *
 * Return: 0, or negative errno
 */
int underlay_tap_make(struct underlay *u, int *ret_fd, struct underlay_addr *ret_addr,
		      struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	struct underlay_addr addr;
	char name[IF_NAMESIZE];
	uint16_t index = 0;
	int ifindex, r;

	r = underlay_tap_allocate(u, &fd, &index);
	if (r == -ENOENT || r == -ENODEV)
		return err_sys(err, r,
			       "there is no /dev/net/tun: the kernel's module tun is missing");
	if (r < 0)
		return err_sys(err, r, "cannot make a network interface for a VM");
	/* Before anything moves: the VM that had this index may have been allowed more. */
	if (underlay_is_host_gateway(u, index)) {
		r = underlay_rules_host_gateway(u, index, false, err);
		if (r < 0)
			return r;
	}
	underlay_addr(index, &addr);
	(void)snprintf(name, sizeof(name), "a%u", index);
	r = underlay_link_index(u, name, &ifindex);
	if (r == 0)
		r = underlay_tap_configure(u, ifindex, &addr);
	if (r < 0)
		return err_sys(err, r, "cannot configure the network interface of a VM");
	*ret_fd = TAKE_FD(fd);
	*ret_addr = addr;
	return 0;
}

struct underlay_tap_walk {
	struct underlay *underlay;
	underlay_tap_fn fn;
	void *user;
};

static int underlay_tap_visit(const struct nlmsghdr *msg, void *user)
{
	const struct ifinfomsg *link = NLMSG_DATA(msg);
	struct underlay_tap_walk *walk = user;
	const char *name = netlink_find(msg, sizeof(*link), IFLA_IFNAME, 2);
	struct underlay_tap tap = {};
	uint64_t index;

	if (msg->nlmsg_type != RTM_NEWLINK || !name || name[0] != 'a' ||
	    str_u64(name + 1, UNDERLAY_INDEX_MAX, &index) < 0 || index < UNDERLAY_INDEX_MIN)
		return 0;
	underlay_addr((uint16_t)index, &tap.addr);
	tap.running = (link->ifi_flags & IFF_UP) && (link->ifi_flags & IFF_RUNNING);
	tap.host_gateway = underlay_is_host_gateway(walk->underlay, (uint16_t)index);
	walk->fn(&tap, walk->user);
	return 0;
}

/**
 * underlay_tap_list() - The work of underlay_list(), in the namespace
 * @u:	  Underlay with a routing socket
 * @fn:   Called for each tap
 * @user: Its argument
 *
 * Return: 0, or negative errno
 */
int underlay_tap_list(struct underlay *u, underlay_tap_fn fn, void *user)
{
	struct underlay_tap_walk walk = {.underlay = u, .fn = fn, .user = user};
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};

	return netlink_dump(u->route_fd, RTM_GETLINK, &head, sizeof(head), underlay_tap_visit,
			    &walk);
}
