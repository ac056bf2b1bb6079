/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay_ns.c - the namespace itself: found or made, its sysctls, the gateway's addresses
 *
 * It is a bind mount at <dir>/ns. A daemon under systemd has a mount namespace of its own, which
 * ends with it; then the forwarder, which lives in the network namespace, is how the next one finds
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "net/netlink.h"
#include "net/underlay_impl.h"

struct sysctl {
	const char *name, *value;
};

/*
 * rp_filter: also keeps a guest's ARP requests from filling the neighbour table, which all
 * namespaces share, with senders that it makes up. Link-local addresses would only add noise on the
 * taps. The ports of the forwarder's own sockets must not look like WireGuard's to the rules.
 */
static const struct sysctl sysctls[] = {
	{"net/ipv4/ip_forward", "1"},
	{"net/ipv4/conf/all/rp_filter", "1"},
	{"net/ipv4/conf/default/rp_filter", "1"},
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/default/accept_redirects", "0"},
	{"net/ipv4/conf/all/send_redirects", "0"},
	{"net/ipv4/conf/default/send_redirects", "0"},
	{"net/ipv4/conf/all/accept_source_route", "0"},
	{"net/ipv4/conf/default/accept_source_route", "0"},
	{"net/ipv4/conf/all/route_localnet", "0"},
	{"net/ipv4/conf/default/route_localnet", "0"},
	{"net/ipv4/conf/all/proxy_arp", "0"},
	{"net/ipv4/conf/default/proxy_arp", "0"},
	{"net/ipv4/conf/all/arp_accept", "0"},
	{"net/ipv4/conf/default/arp_accept", "0"},
	{"net/ipv4/ip_local_port_range", "10000 51819"},
};

static const struct sysctl sysctls6[] = {
	{"net/ipv6/conf/all/disable_ipv6", "0"},
	{"net/ipv6/conf/default/disable_ipv6", "0"},
	{"net/ipv6/conf/all/forwarding", "1"},
	{"net/ipv6/conf/all/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/default/dad_transmits", "0"},
	{"net/ipv6/conf/default/addr_gen_mode", "1"},
};

/* After the rules, which bring connection tracking. pasta forgets idle TCP after two hours as well.
 */
static const struct sysctl sysctls_late[] = {
	{"net/netfilter/nf_conntrack_tcp_timeout_established", "7440"},
};

static int underlay_sysctl(const struct sysctl *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = str_format("/proc/sys/%s", list[i].name);
		_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

		if (fd < 0 || write(fd, list[i].value, strlen(list[i].value)) < 0)
			return err_sys(err, path ? -errno : -ENOMEM,
				       "cannot set %s in the underlay", list[i].name);
	}
	return 0;
}

/**
 * underlay_sysctl_late() - The settings that exist once the rules are loaded
 *
 * Return: 0, or negative errno
 */
int underlay_sysctl_late(void)
{
	struct err ignored = {};

	return underlay_sysctl(sysctls_late, ARRAY_SIZE(sysctls_late), &ignored);
}

/**
 * underlay_sysctl_bridge() - What passes through a bridge is none of the routing rules' business
 *
 * Without the module br_netfilter there are no such settings. Loaded later, it brings them with
 * their defaults, hence before each bridge.
 */
void underlay_sysctl_bridge(void)
{
	static const char *const names[] = {"arptables", "iptables", "ip6tables"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *name = str_format("net/bridge/bridge-nf-call-%s", names[i]);
		const struct sysctl off = {name, "0"};
		struct err ignored = {};

		if (name)
			(void)underlay_sysctl(&off, 1, &ignored);
	}
}

static char *underlay_ns_path(const struct underlay *u)
{
	return str_format("%s/ns", u->dir);
}

/* A network namespace, and not the one we are in? */
static bool underlay_ns_valid(const struct underlay *u, int fd)
{
	struct stat own, other;
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC &&
	       ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET && fstat(u->host_ns_fd, &own) == 0 &&
	       fstat(fd, &other) == 0 && own.st_ino != other.st_ino;
}

static int underlay_ns_mount(const char *from, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	return mount(from, path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* The namespace in which the forwarder of an earlier daemon lives. */
static int underlay_ns_of_forwarder(const struct underlay *u)
{
	_cleanup_free_ char *record = str_format("%s/" UNDERLAY_RECORD_FORWARD, u->dir), *ns = NULL;
	_cleanup_(process_forget) struct process process = PROCESS_NONE;
	_cleanup_close_ int fd = -EBADF;

	if (!record || process_find(record, &process) < 0)
		return -ENOENT;
	ns = str_format("/proc/%d/ns/net", (int)process.pid);
	fd = ns ? open(ns, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || !underlay_ns_valid(u, fd) || !process_alive(&process))
		return -ENOENT;
	return TAKE_FD(fd);
}

static int underlay_ns_mounted(const struct underlay *u, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && underlay_ns_valid(u, fd) ? TAKE_FD(fd) : -ENOENT;
}

static int underlay_ns_find(const struct underlay *u, const char *path)
{
	_cleanup_free_ char *self = NULL;
	int fd = underlay_ns_mounted(u, path);

	if (fd >= 0)
		return fd;
	fd = underlay_ns_of_forwarder(u);
	if (fd < 0)
		return fd;
	self = str_format("/proc/self/fd/%d", fd);
	if (!self || underlay_ns_mount(self, path) < 0)
		log_warn("cannot mount the containers' network at %s", path);
	return fd;
}

/**
 * underlay_ns_look() - The namespace of a daemon, whether it runs or not
 * @u: With its folder and the caller's namespace; nothing is changed
 *
 * Return: descriptor of the caller's, or negative errno
 */
int underlay_ns_look(const struct underlay *u)
{
	_cleanup_free_ char *path = underlay_ns_path(u);
	int fd = path ? underlay_ns_mounted(u, path) : -ENOMEM;

	return fd == -ENOENT ? underlay_ns_of_forwarder(u) : fd;
}

static int underlay_ns_make(const char *path)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = underlay_ns_mount("/proc/thread-self/ns/net", path);
	return r < 0 ? r : TAKE_FD(fd);
}

/**
 * underlay_ns_enter() - Move the underlay's thread into the namespace of before, or into a new one
 * @u:	 Underlay; ns_fd and route_fd are set on success
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int underlay_ns_enter(struct underlay *u, struct err *err)
{
	_cleanup_free_ char *path = underlay_ns_path(u);
	int fd = u->ns_fd, r;

	if (!path)
		return err_oom(err);
	if (fd < 0)
		fd = underlay_ns_find(u, path);
	if (fd >= 0) {
		u->ns_fd = fd;
		if (setns(fd, CLONE_NEWNET) < 0)
			return err_sys(err, -errno, "cannot enter the network namespace %s", path);
	} else {
		fd = underlay_ns_make(path);
		if (fd < 0) {
			(void)setns(u->host_ns_fd, CLONE_NEWNET); /* tried again from there */
			return err_sys(err, fd, "cannot make the network namespace %s", path);
		}
		u->ns_fd = fd;
	}
	if (u->route_fd >= 0)
		return 0;
	r = netlink_open(0, &u->route_fd);
	return r < 0 ? err_sys(err, r, "cannot open a routing socket in the underlay") : 0;
}

/**
 * underlay_ns_remove() - Take the name away from the namespace; it ends with its last user
 * @u: Underlay
 */
void underlay_ns_remove(struct underlay *u)
{
	static const char *const names[] = {"ns", UPLINK_RECORD, "pasta.log"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = str_format("%s/%s", u->dir, names[i]);

		if (!path)
			continue;
		if (i == 0)
			(void)umount2(path, MNT_DETACH); /* may never have been mounted */
		(void)unlink(path);
	}
	(void)rmdir(u->dir); /* what else is in there is not ours */
}

static void underlay_add_address(struct netlink_batch *batch, uint8_t family, const void *addr,
				 size_t len)
{
	struct ifaddrmsg head = {
		.ifa_family = family,
		.ifa_prefixlen = (uint8_t)(len * 8),
		.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = 1, /* lo */
	};

	netlink_begin(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	netlink_attr(batch, IFA_LOCAL, addr, len);
	netlink_attr(batch, IFA_ADDRESS, addr, len);
}

/* What no VM has at the moment must not look for its way by the uplink. */
static void underlay_add_unreachable(struct netlink_batch *batch, uint8_t family, const void *addr,
				     size_t len, uint8_t prefix)
{
	struct rtmsg head = {
		.rtm_family = family,
		.rtm_dst_len = prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNREACHABLE,
	};

	netlink_begin(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	netlink_attr(batch, RTA_DST, addr, len);
}

/**
 * underlay_ns_configure() - Settings, addresses and routes that are there without any VM
 * @u:	 Underlay
 * @err: Filled on failure
 *
 * Idempotent. A kernel without IPv6 gets an underlay without it.
 *
 * Return: 0, or negative errno
 */
int underlay_ns_configure(struct underlay *u, struct err *err)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	const struct underlay_gateway *gw = underlay_gateway();
	struct ifinfomsg lo = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	const uint8_t net4[4] = {198, 18}, net6[16] = {0xfd, 0x61, 0x72, 0x63, 0x61};
	bool has_v6 = fs_exists("/proc/sys/net/ipv6");
	int r = underlay_sysctl(sysctls, ARRAY_SIZE(sysctls), err);

	if (r == 0 && has_v6)
		r = underlay_sysctl(sysctls6, ARRAY_SIZE(sysctls6), err);
	if (r < 0)
		return r;
	netlink_begin(&batch, RTM_NEWLINK, 0, &lo, sizeof(lo));
	underlay_add_address(&batch, AF_INET, gw->v4, sizeof(gw->v4));
	underlay_add_unreachable(&batch, AF_INET, net4, sizeof(net4), 15);
	if (has_v6) {
		underlay_add_address(&batch, AF_INET6, gw->v6, sizeof(gw->v6));
		underlay_add_unreachable(&batch, AF_INET6, net6, sizeof(net6), 40);
	}
	r = netlink_run(u->route_fd, &batch);
	return r < 0 ? err_sys(err, r, "cannot set the gateway's addresses in the underlay") : 0;
}
