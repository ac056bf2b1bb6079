/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay_look.c - what the kernel has of an underlay, for somebody who is not its daemon
 *
 * DOC: Theory of operation
 *
 * A thread enters the namespace, reads links, routes, neighbours and rules, and ends; nothing is
 * made, mounted or changed, so a daemon may be at work there meanwhile. What is read is not one
 * moment's: who compares it looks again before he believes a difference. A VM's tap is a<index>,
 * and what it should have follows from the index (underlay_tap.c).
 */
#include "net/underlay_look.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "net/netlink.h"
#include "net/process.h"
#include "net/underlay_impl.h"
#include "net/vmnet.h"

struct look_job {
	struct underlay u; /* as much of one as the files of the underlay need for reading */
	struct underlay_look *look;
	struct err *err;
	int result;
};

/* The VM whose tap a link is; 0: none's */
static uint16_t look_index(const char *name)
{
	uint64_t index;

	if (name[0] != 'a' || str_u64(name + 1, UNDERLAY_INDEX_MAX, &index) < 0 ||
	    index < UNDERLAY_INDEX_MIN)
		return 0;
	return (uint16_t)index;
}

static int look_link(const struct nlmsghdr *msg, void *user)
{
	const char *name = netlink_find(msg, sizeof(struct ifinfomsg), IFLA_IFNAME, 2);
	const uint32_t *group = netlink_find(msg, sizeof(struct ifinfomsg), IFLA_GROUP, 4);
	const int *master = netlink_find(msg, sizeof(struct ifinfomsg), IFLA_MASTER, 4);
	const struct ifinfomsg *info = NLMSG_DATA(msg);
	struct underlay_look *look = user;
	struct underlay_link *links, *link;

	if (msg->nlmsg_type != RTM_NEWLINK || !name)
		return 0;
	links = reallocarray(look->links, look->n_links + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	look->links = links;
	link = &links[look->n_links++];
	*link = (struct underlay_link){
		.ifindex = info->ifi_index,
		.master = master ? *master : 0,
		.up = info->ifi_flags & IFF_UP,
		.running = info->ifi_flags & IFF_RUNNING,
		.leads_out = group && *group == VMNET_GROUP_OUT,
	};
	(void)snprintf(link->name, sizeof(link->name), "%s", name);
	return 0;
}

static struct underlay_link *look_tap(struct underlay_look *look, int ifindex,
				      struct underlay_addr *ret_addr)
{
	for (size_t i = 0; i < look->n_links; i++) {
		struct underlay_link *link = &look->links[i];

		if (link->ifindex != ifindex || !look_index(link->name))
			continue;
		underlay_addr(look_index(link->name), ret_addr);
		return link;
	}
	return NULL;
}

static bool look_is_own(const struct underlay_addr *addr, uint8_t family, const void *dst)
{
	return family == AF_INET ? memcmp(dst, addr->v4, sizeof(addr->v4)) == 0
				 : memcmp(dst, addr->v6, sizeof(addr->v6)) == 0;
}

static int look_route(const struct nlmsghdr *msg, void *user)
{
	const struct rtmsg *route = NLMSG_DATA(msg);
	const size_t len = route->rtm_family == AF_INET ? 4 : 16;
	const void *dst = netlink_find(msg, sizeof(*route), RTA_DST, len);
	const int *oif = netlink_find(msg, sizeof(*route), RTA_OIF, 4);
	struct underlay_addr addr;
	struct underlay_link *link;

	if (msg->nlmsg_type != RTM_NEWROUTE || !dst || !oif || route->rtm_table != RT_TABLE_MAIN ||
	    route->rtm_dst_len != len * 8)
		return 0;
	link = look_tap(user, *oif, &addr);
	if (link && look_is_own(&addr, route->rtm_family, dst))
		link->ways++;
	return 0;
}

static int look_neighbour(const struct nlmsghdr *msg, void *user)
{
	const struct ndmsg *neigh = NLMSG_DATA(msg);
	const size_t len = neigh->ndm_family == AF_INET ? 4 : 16;
	const void *dst = netlink_find(msg, sizeof(*neigh), NDA_DST, len);
	const void *mac = netlink_find(msg, sizeof(*neigh), NDA_LLADDR, 6);
	struct underlay_addr addr;
	struct underlay_link *link;

	if (msg->nlmsg_type != RTM_NEWNEIGH || !dst || !mac || !(neigh->ndm_state & NUD_PERMANENT))
		return 0;
	link = look_tap(user, neigh->ndm_ifindex, &addr);
	if (link && look_is_own(&addr, neigh->ndm_family, dst) &&
	    memcmp(mac, addr.mac, sizeof(addr.mac)) == 0)
		link->ways++;
	return 0;
}

static int look_dumps(struct look_job *job)
{
	const struct ifinfomsg links = {.ifi_family = AF_UNSPEC};
	const struct rtmsg routes = {.rtm_family = AF_UNSPEC};
	const struct ndmsg neighbours = {.ndm_family = AF_UNSPEC};
	const int fd = job->u.route_fd;
	int r = netlink_dump(fd, RTM_GETLINK, &links, sizeof(links), look_link, job->look);

	if (r == 0)
		r = netlink_dump(fd, RTM_GETROUTE, &routes, sizeof(routes), look_route, job->look);
	if (r == 0)
		r = netlink_dump(fd, RTM_GETNEIGH, &neighbours, sizeof(neighbours), look_neighbour,
				 job->look);
	return r < 0 ? err_sys(job->err, r, "cannot read the underlay's interfaces") : 0;
}

/* "	chain vt0123456789ab { # handle 1" */
static int look_rules(struct look_job *job)
{
	static const char *const words[] = {"list", "chains", "netdev", NULL};
	struct underlay_look *look = job->look;
	_cleanup_buf_ struct buf chains = {};
	int r = underlay_rules_look(&job->u, &look->rules_wanted, &look->rules_found, job->err);

	if (r == 0)
		r = underlay_rules_run(&job->u, words, NULL, &chains, job->err);
	for (size_t i = 0; r == 0 && i < look->n_links; i++) {
		struct underlay_link *link = &look->links[i];
		char chain[IF_NAMESIZE + 16];

		(void)snprintf(chain, sizeof(chain), "chain %s {", link->name);
		link->guarded = chains.len && strstr(chains.data, chain);
		link->host_gateway = underlay_is_host_gateway(&job->u, look_index(link->name));
	}
	return r;
}

static void *look_thread(void *arg)
{
	struct look_job *job = arg;
	int r = setns(job->u.ns_fd, CLONE_NEWNET) < 0 ? -errno : 0;

	if (r == 0)
		r = netlink_open(0, &job->u.route_fd);
	if (r < 0)
		r = err_sys(job->err, r, "cannot enter the containers' network");
	if (r == 0)
		r = look_dumps(job);
	if (r == 0)
		r = look_rules(job);
	job->result = r;
	return NULL;
}

static void look_helpers(struct look_job *job)
{
	_cleanup_free_ char *record = str_format("%s/" UPLINK_RECORD, job->u.dir);
	_cleanup_(process_forget) struct process pasta = PROCESS_NONE;

	if (record && process_find(record, &pasta) == 0)
		job->look->pasta = pasta.pid;
	job->look->host_has_default = uplink_host_has_default();
	job->look->ways_wanted = fs_exists("/proc/sys/net/ipv6") ? 4 : 2;
}

static int look_inside(struct look_job *job)
{
	pthread_t thread;
	struct stat st;
	int r;

	if (fstat(job->u.ns_fd, &st) < 0)
		return err_sys(job->err, -errno, "cannot look at the containers' network");
	job->look->ns = st.st_ino;
	r = -pthread_create(&thread, NULL, look_thread, job);
	if (r < 0)
		return err_sys(job->err, r, "cannot start a thread");
	(void)pthread_join(thread, NULL);
	return job->result;
}

static void look_job_done(struct look_job *job)
{
	cleanup_close(&job->u.host_ns_fd);
	cleanup_close(&job->u.ns_fd);
	cleanup_close(&job->u.route_fd);
}

/**
 * underlay_look() - What there is, whether a daemon runs or not
 * @dir:      <exec-root>/net
 * @ret_look: For underlay_look_done(); set on success, also to nothing where no namespace is
 * @err:      Filled on failure
 *
 * The calling thread is in the host's namespace.
 *
 * Return: 0, or negative errno
 */
int underlay_look(const char *dir, struct underlay_look *ret_look, struct err *err)
{
	_cleanup_(underlay_look_done) struct underlay_look look = {};
	_cleanup_(look_job_done) struct look_job job = {
		.u = {.dir = (char *)dir, .ns_fd = -EBADF, .route_fd = -EBADF},
		.look = &look,
		.err = err,
	};
	int r = 0;

	job.u.host_ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (job.u.host_ns_fd < 0)
		return err_sys(err, -errno, "cannot open this process's network namespace");
	look_helpers(&job);
	job.u.ns_fd = underlay_ns_look(&job.u);
	if (job.u.ns_fd >= 0)
		r = look_inside(&job);
	else if (job.u.ns_fd != -ENOENT)
		r = err_sys(err, job.u.ns_fd, "cannot look for the containers' network in %s", dir);
	if (r < 0)
		return r;
	*ret_look = look;
	look = (struct underlay_look){};
	return 0;
}

/**
 * underlay_look_find() - A link by its name
 * @look: Look
 * @name: Name
 *
 * Return: inside @look, or NULL
 */
const struct underlay_link *underlay_look_find(const struct underlay_look *look, const char *name)
{
	for (size_t i = 0; i < look->n_links; i++)
		if (str_eq(look->links[i].name, name))
			return &look->links[i];
	return NULL;
}

/**
 * underlay_look_done() - Free what was seen
 * @look: Look; empty afterwards
 */
void underlay_look_done(struct underlay_look *look)
{
	free(look->links);
	*look = (struct underlay_look){};
}
