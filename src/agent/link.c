/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - rtnetlink messages: interfaces, addresses, routes, neighbours
 *
 * Each function adds one message to a batch; nothing happens until that is sent. Formats:
 * rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h, linux/neighbour.h,
 * linux/pkt_sched.h.
 */
#include "agent/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

static void link_begin(struct netlink_batch *b, uint16_t type, uint16_t flags, unsigned int index)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};

	netlink_begin(b, type, flags, &info, sizeof(info));
}

static uint8_t link_family(const struct link_address *a)
{
	return a->len == 16 ? AF_INET6 : AF_INET;
}

/**
 * link_add_veth() - Make a pair of interfaces, the other end in another namespace
 * @b:	  Batch
 * @veth: What; both ends are down
 */
void link_add_veth(struct netlink_batch *b, const struct link_veth *veth)
{
	const struct ifinfomsg peer_info = {.ifi_family = AF_UNSPEC};
	size_t info, data, peer;

	link_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, veth->index);
	netlink_put_str(b, IFLA_IFNAME, veth->name);
	netlink_put_u32(b, IFLA_GROUP, veth->group);
	netlink_put_u32(b, IFLA_MTU, veth->mtu);
	info = netlink_nest(b, IFLA_LINKINFO);
	netlink_put_str(b, IFLA_INFO_KIND, "veth");
	data = netlink_nest(b, IFLA_INFO_DATA);
	peer = netlink_nest(b, VETH_INFO_PEER);
	buf_add(&b->bytes, &peer_info, sizeof(peer_info));
	netlink_put_str(b, IFLA_IFNAME, veth->peer_name);
	netlink_put(b, IFLA_ADDRESS, veth->peer_mac, LINK_MAC_LEN);
	netlink_put_u32(b, IFLA_MTU, veth->mtu);
	netlink_put_u32(b, IFLA_NET_NS_FD, (uint32_t)veth->peer_netns_fd);
	netlink_unnest(b, peer);
	netlink_unnest(b, data);
	netlink_unnest(b, info);
}

/**
 * link_add_wireguard() - Make a WireGuard interface, down and without a key
 * @b:	   Batch
 * @index: Number it gets
 * @name:  Name it gets
 * @group: For the firewall
 */
void link_add_wireguard(struct netlink_batch *b, unsigned int index, const char *name,
			uint32_t group)
{
	size_t info;

	link_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, index);
	netlink_put_str(b, IFLA_IFNAME, name);
	netlink_put_u32(b, IFLA_GROUP, group);
	info = netlink_nest(b, IFLA_LINKINFO);
	netlink_put_str(b, IFLA_INFO_KIND, "wireguard");
	netlink_unnest(b, info);
}

/**
 * link_delete() - Remove an interface; a pair goes as a whole
 * @b:	   Batch
 * @index: Interface
 */
void link_delete(struct netlink_batch *b, unsigned int index)
{
	link_begin(b, RTM_DELLINK, 0, index);
}

static void link_set_flags(struct netlink_batch *b, unsigned int index, bool up)
{
	const struct ifinfomsg info = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = (int)index,
		.ifi_flags = up ? IFF_UP : 0,
		.ifi_change = IFF_UP,
	};

	netlink_begin(b, RTM_NEWLINK, 0, &info, sizeof(info));
}

/**
 * link_set_nic() - Give a hardware interface its address and take it up
 * @b:	   Batch
 * @index: Interface, down: not every driver changes its address otherwise
 * @mac:   LINK_MAC_LEN bytes
 * @mtu:   Bytes; 0: as it is
 * @group: For the firewall
 */
void link_set_nic(struct netlink_batch *b, unsigned int index, const uint8_t *mac, unsigned int mtu,
		  uint32_t group)
{
	link_set_flags(b, index, true);
	netlink_put(b, IFLA_ADDRESS, mac, LINK_MAC_LEN);
	if (mtu)
		netlink_put_u32(b, IFLA_MTU, mtu);
	netlink_put_u32(b, IFLA_GROUP, group);
}

/**
 * link_set_up() - Take an interface up or down
 * @b:	   Batch
 * @index: Interface
 * @up:	   Which
 * @mtu:   Bytes; 0: as it is
 */
void link_set_up(struct netlink_batch *b, unsigned int index, bool up, unsigned int mtu)
{
	link_set_flags(b, index, up);
	if (mtu)
		netlink_put_u32(b, IFLA_MTU, mtu);
}

/**
 * link_move() - Put an interface into another network namespace, where it is down
 * @b:	      Batch
 * @index:    Interface, down
 * @netns_fd: Where to
 * @name:     Its name there
 */
void link_move(struct netlink_batch *b, unsigned int index, int netns_fd, const char *name)
{
	link_begin(b, RTM_NEWLINK, 0, index);
	netlink_put_u32(b, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	netlink_put_str(b, IFLA_IFNAME, name);
}

#define LINK_PLUG_HANDLE TC_H_MAKE(1U << 16, 0) /* any: an interface has one */

static void link_begin_plug(struct netlink_batch *b, uint16_t flags, unsigned int index)
{
	const struct tcmsg tc = {.tcm_family = AF_UNSPEC,
				 .tcm_ifindex = (int)index,
				 .tcm_handle = LINK_PLUG_HANDLE,
				 .tcm_parent = TC_H_ROOT};

	netlink_begin(b, RTM_NEWQDISC, flags, &tc, sizeof(tc));
	netlink_put_str(b, TCA_KIND, "plug");
}

/**
 * link_add_plug() - Give an interface a queue that keeps what is to be sent; link_plug() opens it
 * @b:	   Batch
 * @index: Interface
 */
void link_add_plug(struct netlink_batch *b, unsigned int index)
{
	link_begin_plug(b, NLM_F_CREATE | NLM_F_EXCL, index);
}

/**
 * link_plug() - Keep what is sent from now on, or let all of it go, and what follows
 * @b:	   Batch
 * @index: Interface that has a plug
 * @hold:  Which
 */
void link_plug(struct netlink_batch *b, unsigned int index, bool hold)
{
	const struct tc_plug_qopt what = {.action = hold ? TCQ_PLUG_BUFFER
							 : TCQ_PLUG_RELEASE_INDEFINITE};

	link_begin_plug(b, 0, index);
	netlink_put(b, TCA_OPTIONS, &what, sizeof(what));
}

/**
 * link_set_proxy_arp() - Answer on an interface for what is routed out of others
 * @b:	   Batch
 * @index: Interface
 */
void link_set_proxy_arp(struct netlink_batch *b, unsigned int index)
{
	size_t spec, family, conf;

	link_begin(b, RTM_SETLINK, 0, index);
	spec = netlink_nest(b, IFLA_AF_SPEC);
	family = netlink_nest(b, AF_INET);
	conf = netlink_nest(b, IFLA_INET_CONF);
	netlink_put_u32(b, IPV4_DEVCONF_PROXY_ARP, 1);
	netlink_unnest(b, conf);
	netlink_unnest(b, family);
	netlink_unnest(b, spec);
}

/**
 * link_set_no_link_local() - An interface without IPv6 makes itself no address
 * @b:	   Batch
 * @index: Interface, down
 */
void link_set_no_link_local(struct netlink_batch *b, unsigned int index)
{
	size_t spec, family;

	link_begin(b, RTM_SETLINK, 0, index);
	spec = netlink_nest(b, IFLA_AF_SPEC);
	family = netlink_nest(b, AF_INET6);
	netlink_put_u8(b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	netlink_unnest(b, family);
	netlink_unnest(b, spec);
}

/* 172.17.255.255 of 172.17.0.2/16 */
static void link_put_broadcast(struct netlink_batch *b, const struct link_address *a)
{
	uint8_t bytes[4];

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = a->prefix > 8 * i ? MIN(a->prefix - 8 * i, 8U) : 0;

		bytes[i] = a->bytes[i] | (uint8_t)(0xff >> bits);
	}
	netlink_put(b, IFA_BROADCAST, bytes, sizeof(bytes));
}

/**
 * link_add_address() - Give an interface an address, usable at once
 * @b:	   Batch
 * @index: Interface
 * @a:	   Address; its prefix is on link
 */
void link_add_address(struct netlink_batch *b, unsigned int index, const struct link_address *a)
{
	struct ifaddrmsg info = {
		.ifa_family = link_family(a),
		.ifa_prefixlen = a->prefix,
		.ifa_flags = IFA_F_PERMANENT,
		.ifa_index = index,
	};

	if (a->len == 16)
		info.ifa_flags |= IFA_F_NODAD; /* the daemon gives no address twice */
	netlink_begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	netlink_put(b, IFA_LOCAL, a->bytes, a->len);
	netlink_put(b, IFA_ADDRESS, a->bytes, a->len);
	if (a->len == 4 && a->prefix < 31)
		link_put_broadcast(b, a);
}

/**
 * link_add_link_local() - Give an interface the address that its neighbour discovery speaks from
 * @b:	   Batch
 * @index: Interface
 * @id:	   8 bytes: the address's second half
 */
void link_add_link_local(struct netlink_batch *b, unsigned int index, const uint8_t *id)
{
	struct link_address a = {.bytes = {0xfe, 0x80}, .len = 16, .prefix = 64};

	memcpy(a.bytes + 8, id, 8);
	link_add_address(b, index, &a);
}

static void link_mask(const struct link_address *a, uint8_t *ret_bytes)
{
	for (unsigned int i = 0; i < a->len; i++) {
		unsigned int bits = a->prefix > 8 * i ? MIN(a->prefix - 8 * i, 8U) : 0;

		ret_bytes[i] = a->bytes[i] & (uint8_t) ~(0xff >> bits);
	}
}

/**
 * link_route() - A route in the main table
 * @b:	     Batch
 * @add:     Or remove
 * @index:   Interface it leads out of
 * @to:	     Any address of the destination, and its prefix; prefix 0: the default route, which
 *	     replaces another
 * @gateway: On link at @index; NULL: the destination itself is
 */
void link_route(struct netlink_batch *b, bool add, unsigned int index,
		const struct link_address *to, const struct link_address *gateway)
{
	struct rtmsg info = {
		.rtm_family = link_family(to),
		.rtm_dst_len = to->prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = gateway || to->len == 16 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
	};
	uint8_t bytes[16];
	uint16_t flags = 0;

	if (add)
		flags = NLM_F_CREATE | (to->prefix ? NLM_F_EXCL : NLM_F_REPLACE);
	netlink_begin(b, add ? RTM_NEWROUTE : RTM_DELROUTE, flags, &info, sizeof(info));
	link_mask(to, bytes);
	if (to->prefix)
		netlink_put(b, RTA_DST, bytes, to->len);
	if (gateway)
		netlink_put(b, RTA_GATEWAY, gateway->bytes, gateway->len);
	netlink_put_u32(b, RTA_OIF, index);
}

/**
 * link_proxy_neighbour() - Answer on an interface for one address
 * @b:	   Batch
 * @add:   Or no longer
 * @index: Interface
 * @a:	   Address
 */
void link_proxy_neighbour(struct netlink_batch *b, bool add, unsigned int index,
			  const struct link_address *a)
{
	const struct ndmsg info = {
		.ndm_family = link_family(a),
		.ndm_ifindex = (int)index,
		.ndm_state = NUD_PERMANENT,
		.ndm_flags = NTF_PROXY,
	};

	netlink_begin(b, add ? RTM_NEWNEIGH : RTM_DELNEIGH, add ? NLM_F_CREATE | NLM_F_REPLACE : 0,
		      &info, sizeof(info));
	netlink_put(b, NDA_DST, a->bytes, a->len);
}

static int link_on_index(void *user, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);

	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return -EPROTO;
	*(unsigned int *)user = (unsigned int)info->ifi_index;
	return 0;
}

/**
 * link_find_index() - The number of an interface
 * @nl:	       Socket in its namespace
 * @name:      Its name
 * @ret_index: Set on success
 *
 * Return: 0, -ENODEV, or another negative errno
 */
int link_find_index(struct netlink *nl, const char *name, unsigned int *ret_index)
{
	_cleanup_batch_ struct netlink_batch b = {};

	link_begin(&b, RTM_GETLINK, 0, 0);
	netlink_put_str(&b, IFLA_IFNAME, name);
	return netlink_dump(nl, &b, link_on_index, ret_index);
}

static int link_on_flags(void *user, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);

	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return -EPROTO;
	*(bool *)user = info->ifi_flags & IFF_RUNNING;
	return 0;
}

/**
 * link_is_running() - Whether an interface is up and has a carrier
 * @nl:		 Socket in its namespace
 * @index:	 Interface
 * @ret_running: Set on success
 *
 * Return: 0, -ENODEV, or another negative errno
 */
int link_is_running(struct netlink *nl, unsigned int index, bool *ret_running)
{
	_cleanup_batch_ struct netlink_batch b = {};

	link_begin(&b, RTM_GETLINK, 0, index);
	return netlink_dump(nl, &b, link_on_flags, ret_running);
}
