/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink.c - pasta between the underlay's namespace and the host
 *
 * DOC: Theory of operation
 *
 * pasta (package passt) gives the namespace an interface up0 and turns what goes there into sockets
 * on the host: nothing on the host is configured for it. It must be started in the host's
 * namespace, so a thread goes there for the spawn. It is found again by its record; up0 without a
 * recorded pasta is removed, which ends whoever held it. When it dies it is started again, at once
 * the first time and with growing pauses if it dies young. Without a default route on the host
 * there is nothing to do until a route appears, which the kernel tells.
 */
#include "net/uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "net/netlink.h"
#include "net/underlay_impl.h"

#define UPLINK_BACKOFF_MIN_MS 100
#define UPLINK_BACKOFF_MAX_MS 30000
#define UPLINK_SETTLED_NS (10 * NSEC_PER_SEC) /* who lives as long has not died young */
#define UPLINK_YOUNG_NS NSEC_PER_SEC	      /* who ends sooner did not begin */
#define UPLINK_SETTLE_MS 300		      /* routes come in groups */
#define UPLINK_END_MS 2000
#define UPLINK_LOG_MAX KIB(64)

/**
 * uplink_init() - Begin to watch the host's routes
 * @uplink: Uplink, PROCESS_NONE and descriptors of -EBADF
 *
 * The calling thread is in the host's namespace.
 *
 * Return: 0, or negative errno
 */
int uplink_init(struct uplink *uplink)
{
	int r = netlink_open(0, &uplink->route_fd);

	return r < 0 ? r : netlink_open(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE, &uplink->watch_fd);
}

static int uplink_visit_route(const struct nlmsghdr *msg, void *user)
{
	const struct rtmsg *route = NLMSG_DATA(msg);
	bool *found = user;

	if (msg->nlmsg_type == RTM_NEWROUTE && route->rtm_dst_len == 0 &&
	    route->rtm_table == RT_TABLE_MAIN && route->rtm_type == RTN_UNICAST)
		*found = true;
	return 0;
}

static bool uplink_has_default(const struct uplink *uplink, uint8_t family)
{
	struct rtmsg head = {.rtm_family = family};
	bool found = false;

	(void)netlink_dump(uplink->route_fd, RTM_GETROUTE, &head, sizeof(head), uplink_visit_route,
			   &found); /* without an answer there is no route */
	return found;
}

/**
 * uplink_host_has_default() - Whether the host leads anywhere, so that pasta is to be expected
 *
 * The calling thread is in the host's namespace.
 *
 * Return: the answer
 */
bool uplink_host_has_default(void)
{
	struct uplink uplink = {.route_fd = -EBADF, .watch_fd = -EBADF};
	bool has = netlink_open(0, &uplink.route_fd) == 0 &&
		   (uplink_has_default(&uplink, AF_INET) || uplink_has_default(&uplink, AF_INET6));

	cleanup_close(&uplink.route_fd);
	return has;
}

static void uplink_say(struct uplink *uplink, const char *reason)
{
	if (*reason && !str_eq(uplink->reason, reason))
		log_warn("containers have no way out: %s", reason);
	(void)snprintf(uplink->reason, sizeof(uplink->reason), "%s", reason);
}

static void uplink_retry(struct uplink *uplink, bool backoff)
{
	uplink->next_ns = clock_monotonic_ns() + uplink->backoff_ms * NSEC_PER_MSEC;
	if (backoff)
		uplink->backoff_ms = MIN(MAX(uplink->backoff_ms * 2, UPLINK_BACKOFF_MIN_MS),
					 UPLINK_BACKOFF_MAX_MS);
}

struct uplink_spawn {
	int host_ns_fd;
	const struct spawn_spec *spec;
	struct process *process;
	int result;
};

static void *uplink_spawn_thread(void *arg)
{
	struct uplink_spawn *s = arg;

	s->result = setns(s->host_ns_fd, CLONE_NEWNET) < 0
			    ? -errno
			    : spawn_process(s->spec, &s->process->pid, &s->process->pidfd);
	return NULL;
}

/* By a thread of its own: ours stays where it is. */
static int uplink_spawn_on_host(struct underlay *u, const struct spawn_spec *spec)
{
	struct uplink_spawn s = {
		.host_ns_fd = u->host_ns_fd, .spec = spec, .process = &u->uplink.pasta};
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, uplink_spawn_thread, &s);

	if (r < 0)
		return r;
	(void)pthread_join(thread, NULL);
	return s.result;
}

static int uplink_spawn(struct underlay *u, int log_fd)
{
	_cleanup_free_ char *ns =
		u->uplink.by_name ? str_format("%s/ns", u->dir)
				  : str_format("/proc/%d/ns/net", (int)u->uplink.anchor.tid);
	/* No port is forwarded, either way. A /29: in a /30 the resolver's address would be
	 * broadcast's. */
	const char *argv[40] = {u->pasta ? u->pasta : "pasta"};
	static const char *const common[] = {
		"--config-net",
		"--quiet",
		"--foreground",
		"--runas",
		"0",
		"-I",
		UPLINK_LINK,
		"-t",
		"none",
		"-u",
		"none",
		"-T",
		"none",
		"-U",
		"none",
		"-a",
		"198.19.255.2",
		"-n",
		"29",
		"-g",
		"198.19.255.1",
		"--dns-forward",
		"198.19.255.3",
		"--no-netns-quit",
		"--netns",
	};
	size_t n = 1;
	struct spawn_spec spec = {.argv = argv,
				  .stdin_fd = -EBADF,
				  .stdout_fd = log_fd,
				  .stderr_fd = log_fd,
				  .new_session = true};
	bool v4 = uplink_has_default(&u->uplink, AF_INET);
	bool v6 = uplink_has_default(&u->uplink, AF_INET6);

	if (!ns)
		return -ENOMEM;
	if (!v4 && !v6)
		return -ENETUNREACH;
	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		argv[n++] = common[i];
	argv[n++] = ns;
	if (v6) {
		argv[n++] = "-a";
		argv[n++] = "fd61:7263:61ff::2";
		argv[n++] = "-g";
		argv[n++] = "fd61:7263:61ff::1";
	}
	if (v4 != v6)
		argv[n++] = v4 ? "--ipv4-only" : "--ipv6-only";
	return uplink_spawn_on_host(u, &spec);
}

static void uplink_record(struct underlay *u)
{
	_cleanup_free_ char *path = str_format("%s/" UPLINK_RECORD, u->dir);
	int r = path ? process_record(&u->uplink.pasta, path) : -ENOMEM;

	if (r < 0 && r != -ESRCH) /* gone already: that is seen next */
		log_warn("cannot write down pasta's pid in %s", u->dir);
}

/* Nobody's any more: whoever holds it sees its tap go, and ends. */
static void uplink_remove_link(struct underlay *u)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	struct ifinfomsg head = {};

	if (underlay_link_index(u, UPLINK_LINK, &head.ifi_index) < 0)
		return;
	netlink_begin(&batch, RTM_DELLINK, 0, &head, sizeof(head));
	(void)netlink_run(u->route_fd, &batch); /* then pasta says that the name is taken */
}

static void uplink_try(struct underlay *u)
{
	_cleanup_free_ char *log = str_format("%s/pasta.log", u->dir);
	_cleanup_close_ int log_fd = -EBADF;
	struct uplink *up = &u->uplink;
	int r;

	up->next_ns = 0;
	uplink_remove_link(u);
	log_fd = log ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600) : -1;
	r = log_fd < 0 ? -errno : uplink_spawn(u, log_fd);
	if (r == -ENETUNREACH) {
		uplink_say(up, "the host has no default route");
		return; /* until there is one */
	}
	if (r == -ENOENT) {
		uplink_say(up, "pasta is not installed: install the package passt");
		up->backoff_ms = UPLINK_BACKOFF_MAX_MS;
		uplink_retry(up, false);
		return;
	}
	if (r < 0) {
		uplink_say(up, strerror(-r));
		uplink_retry(up, true);
		return;
	}
	uplink_record(u);
	up->since_ns = clock_monotonic_ns();
	uplink_say(up, "");
}

/**
 * uplink_start() - Find the pasta of before, or start one
 * @u: Underlay, its thread in the namespace
 */
void uplink_start(struct underlay *u)
{
	_cleanup_free_ char *path = str_format("%s/" UPLINK_RECORD, u->dir);
	int ifindex;

	u->uplink.by_name = anchor_start(&u->uplink.anchor) < 0;
	if (path && process_find(path, &u->uplink.pasta) == 0) {
		if (underlay_link_index(u, UPLINK_LINK, &ifindex) == 0) {
			u->uplink.since_ns = clock_monotonic_ns();
			return;
		}
		process_end(&u->uplink.pasta, SIGTERM, UPLINK_END_MS);
	}
	uplink_try(u);
}

/**
 * uplink_stop() - End pasta
 * @u: Underlay
 */
void uplink_stop(struct underlay *u)
{
	process_end(&u->uplink.pasta, SIGTERM, UPLINK_END_MS);
}

/**
 * uplink_poll_prepare() - What the thread should wait for
 * @uplink: Uplink
 * @fds:    Filled
 *
 * Return: how long at most, milliseconds; -1: for ever
 */
int uplink_poll_prepare(struct uplink *uplink, struct pollfd fds[static UPLINK_POLL_FDS])
{
	int64_t left_ns = uplink->next_ns - clock_monotonic_ns();

	fds[0] = (struct pollfd){.fd = uplink->pasta.pidfd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = uplink->watch_fd, .events = POLLIN};
	if (!uplink->next_ns)
		return -1;
	return left_ns <= 0 ? 0 : (int)(left_ns / NSEC_PER_MSEC) + 1;
}

/* The last line of what pasta said that is not about its log. */
static void uplink_last_words(struct underlay *u, char *out, size_t size)
{
	_cleanup_free_ char *path = str_format("%s/pasta.log", u->dir), *text = NULL;
	char *line, *save = NULL;

	(void)snprintf(out, size, "pasta ended");
	if (!path || fs_read_file(path, UPLINK_LOG_MAX, &text, NULL) < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strstr(line, "to syslog"))
			(void)snprintf(out, size, "pasta: %s", line);
	}
}

static void uplink_on_end(struct underlay *u)
{
	struct uplink *up = &u->uplink;
	char reason[UNDERLAY_REASON_MAX];

	process_forget(&up->pasta);
	if (clock_monotonic_ns() - up->since_ns < UPLINK_YOUNG_NS && up->anchor.tid)
		up->by_name = !up->by_name;
	uplink_last_words(u, reason, sizeof(reason));
	if (clock_monotonic_ns() - up->since_ns > UPLINK_SETTLED_NS)
		up->backoff_ms = 0;
	if (up->backoff_ms == 0)
		log_info("starting pasta again: %s", reason);
	else
		uplink_say(up, reason);
	uplink_retry(up, true);
}

static void uplink_on_routes(struct uplink *up)
{
	char data[8192];

	while (recv(up->watch_fd, data, sizeof(data), 0) > 0 || errno == ENOBUFS)
		continue;
	if (up->pasta.pidfd >= 0 || up->next_ns)
		return;
	up->backoff_ms = UPLINK_SETTLE_MS;
	uplink_retry(up, false);
	up->backoff_ms = 0;
}

/**
 * uplink_poll_finish() - Handle what happened, or whose time has come
 * @u:	 Underlay
 * @fds: As filled by uplink_poll_prepare(), after poll(2)
 */
void uplink_poll_finish(struct underlay *u, const struct pollfd fds[static UPLINK_POLL_FDS])
{
	struct uplink *up = &u->uplink;

	if (fds[0].revents && fds[0].fd == up->pasta.pidfd)
		uplink_on_end(u);
	if (fds[1].revents)
		uplink_on_routes(up);
	if (up->next_ns && clock_monotonic_ns() >= up->next_ns)
		uplink_try(u);
}

/**
 * uplink_done() - Let go of everything; pasta stays
 * @uplink: Uplink
 */
void uplink_done(struct uplink *uplink)
{
	process_forget(&uplink->pasta);
	anchor_stop(&uplink->anchor);
	cleanup_close(&uplink->route_fd);
	cleanup_close(&uplink->watch_fd);
}
