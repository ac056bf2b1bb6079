/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_nic.c - a network whose interface in the container is a NIC of the VM's
 *
 * The daemon plugs a NIC in before it tells of the network, and takes it away after it was told to
 * forget it. The kernel finds it in its own time, so it is waited for, as long as NIC_WAIT_MS:
 * nobody else has a use for the VM meanwhile at a start, and at a live connect it is some 100 ms.
 * It has the endpoint's MAC from the beginning. Found, it is moved into the container's network
 * namespace; nothing of it stays here.
 *
 * When the container is taken out of the network the NIC stays where it is, down, and goes from
 * there when it is unplugged.
 */
#include <dirent.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/container.h"
#include "agent/network.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define NIC_CLASS "/sys/class/net"
#define NIC_WAIT_MS 15000
#define NIC_CARRIER_MS 1000

static const struct timespec nic_pause = {.tv_nsec = 2 * NSEC_PER_MSEC};

static bool nic_has_mac(const char *name, const uint8_t *mac)
{
	_cleanup_free_ char *path = str_format(NIC_CLASS "/%s/address", name);
	_cleanup_free_ char *text = NULL;
	char wanted[18];

	(void)snprintf(wanted, sizeof(wanted), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		       mac[2], mac[3], mac[4], mac[5]);
	return path && fs_read_file(path, 64, &text, NULL) == 0 && str_starts(text, wanted);
}

/* 0: none. Interfaces of containers are not in this list. */
static unsigned int nic_find(const struct networks *nets, const uint8_t *mac)
{
	_cleanup_closedir_ DIR *dir = opendir(NIC_CLASS);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		unsigned int index;

		if (e->d_name[0] == '.' || !nic_has_mac(e->d_name, mac) ||
		    !underlay_is_nic(e->d_name))
			continue;
		index = if_nametoindex(e->d_name);
		if (index != 0 && index != nets->underlay.nic)
			return index;
	}
	return 0;
}

static unsigned int nic_wait(const struct networks *nets, const uint8_t *mac)
{
	int64_t end_ns = clock_monotonic_ns() + NIC_WAIT_MS * NSEC_PER_MSEC;
	unsigned int index;

	while ((index = nic_find(nets, mac)) == 0 && clock_monotonic_ns() < end_ns)
		(void)nanosleep(&nic_pause, NULL); /* a shorter one is fine */
	return index;
}

static int nic_move(struct networks *nets, const struct network *n, unsigned int index)
{
	_cleanup_batch_ struct netlink_batch b = {};

	link_move(&b, index, seed_network_fd(n->container->seed), n->interface);
	return netlink_send(&nets->route, &b);
}

/* The driver says that there is a carrier some milliseconds after the interface is up; until then
 * what is sent is lost. */
static void nic_wait_running(struct netlink *nl, unsigned int inside)
{
	int64_t end_ns = clock_monotonic_ns() + NIC_CARRIER_MS * NSEC_PER_MSEC;
	bool running = false;

	while (link_is_running(nl, inside, &running) == 0 && !running &&
	       clock_monotonic_ns() < end_ns)
		(void)nanosleep(&nic_pause, NULL); /* a shorter one is fine */
}

/* A socket in the container's namespace; the thread is back here afterwards. */
static int nic_socket(const struct networks *nets, const struct network *n, int family, int type,
		      int protocol)
{
	int fd;

	if (setns(seed_network_fd(n->container->seed), CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(family, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		fd = -errno;
	if (setns(nets->home_fd, CLONE_NEWNET) < 0)
		abort(); /* all else would be done in the wrong place */
	return fd;
}

/* RFC 5227: a request for one's own address. */
static void nic_announce4(const struct networks *nets, const struct network *n)
{
	_cleanup_close_ int fd = nic_socket(nets, n, AF_PACKET, SOCK_DGRAM, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ARP),
				 .sll_ifindex = (int)n->inside,
				 .sll_halen = LINK_MAC_LEN};
	struct ether_arp arp = {.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
					   .ar_pro = htons(ETH_P_IP),
					   .ar_hln = LINK_MAC_LEN,
					   .ar_pln = 4,
					   .ar_op = htons(ARPOP_REQUEST)}};

	memset(to.sll_addr, 0xff, LINK_MAC_LEN);
	memcpy(arp.arp_sha, n->mac, LINK_MAC_LEN);
	memcpy(arp.arp_spa, n->address[0].bytes, 4);
	memcpy(arp.arp_tpa, n->address[0].bytes, 4);
	(void)!sendto(fd, &arp, sizeof(arp), 0, (struct sockaddr *)&to, sizeof(to));
}

/* RFC 4861, 7.2.6: an unsolicited advertisement that overrides. */
static void nic_announce6(const struct networks *nets, const struct network *n)
{
	_cleanup_close_ int fd = nic_socket(nets, n, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct sockaddr_in6 from = {.sin6_family = AF_INET6}, to = {.sin6_family = AF_INET6};
	const int hops = 255;
	struct {
		struct nd_neighbor_advert advert;
		struct nd_opt_hdr option;
		uint8_t mac[LINK_MAC_LEN];
	} na = {.advert = {.nd_na_type = ND_NEIGHBOR_ADVERT,
			   .nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE},
		.option = {.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1}};

	memcpy(&from.sin6_addr, n->address[1].bytes, 16);
	memcpy(&na.advert.nd_na_target, n->address[1].bytes, 16);
	memcpy(na.mac, n->mac, LINK_MAC_LEN);
	to.sin6_addr = (struct in6_addr){{{0xff, 0x02, [15] = 1}}};
	to.sin6_scope_id = n->inside;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) == 0 &&
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0)
		(void)!sendto(fd, &na, sizeof(na), 0, (struct sockaddr *)&to, sizeof(to));
}

/*
 * Who knew the address's last owner, or this container before it was started anew, would go on
 * sending to a MAC that is gone, for seconds. Without this it only takes longer.
 */
static void nic_announce(const struct networks *nets, const struct network *n)
{
	if (n->address[0].len)
		nic_announce4(nets, n);
	if (n->address[1].len)
		nic_announce6(nets, n);
}

static int nic_set_up(const struct networks *nets, struct network *n)
{
	_cleanup_netlink_ struct netlink nl = {.fd = -EBADF};
	_cleanup_batch_ struct netlink_batch b = {};
	const uint8_t *m = n->mac;
	const uint8_t id[8] = {m[0] ^ 0x02, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
	int r = netlink_open_in(seed_network_fd(n->container->seed), nets->home_fd, NETLINK_ROUTE,
				&nl);

	if (r == 0)
		r = link_find_index(&nl, n->interface, &n->inside);
	if (r < 0)
		return r;
	link_set_no_link_local(&b, n->inside);
	link_set_up(&b, n->inside, false, n->mtu);
	if (n->address[1].len)
		link_add_link_local(&b, n->inside, id); /* usable at once */
	network_links_put_inside(&b, n);
	r = netlink_send(&nl, &b);
	if (r < 0)
		return r;
	nic_wait_running(&nl, n->inside);
	nic_announce(nets, n);
	return 0;
}

/**
 * network_nic_take() - The NIC with a network's MAC becomes the container's interface
 * @nets: All networks
 * @n:	  Network
 * @err:  Filled on failure; network_nic_drop() takes down what there is
 *
 * Return: 0, -ETIMEDOUT if no such NIC comes, or another negative errno
 */
int network_nic_take(struct networks *nets, struct network *n, struct err *err)
{
	unsigned int index = nic_wait(nets, n->mac);
	int r;

	if (index == 0)
		return err_sys(err, -ETIMEDOUT, "network %s: its network card does not appear",
			       n->id);
	r = nic_move(nets, n, index);
	if (r == 0) {
		n->has_nic = true;
		r = nic_set_up(nets, n);
	}
	return r < 0 ? network_links_refused(n, r, "set up", err) : 0;
}

/**
 * network_nic_drop() - Take a network's interface down, to be unplugged
 * @nets: All networks
 * @n:	  Network
 */
void network_nic_drop(struct networks *nets, struct network *n)
{
	_cleanup_netlink_ struct netlink nl = {.fd = -EBADF};
	_cleanup_batch_ struct netlink_batch b = {};

	if (!n->has_nic)
		return;
	n->has_nic = false;
	if (netlink_open_in(seed_network_fd(n->container->seed), nets->home_fd, NETLINK_ROUTE,
			    &nl) < 0)
		return;
	link_set_up(&b, n->inside, false, 0);
	(void)netlink_send(&nl, &b); /* the container may have done what it likes with it */
}
