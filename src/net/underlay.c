/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay.c - the network namespace in which every VM has one tap
 *
 * DOC: Theory of operation
 *
 * There is no bridge. Each VM's tap is a point-to-point segment, named a<index> in a namespace that
 * routes; index, addresses and MAC follow from each other, and the kernel's names are the
 *allocator. One static rule set (underlay_rules.c) lets a VM reach the gateway with ICMP, the other
 *VMs' WireGuard ports, and the outside by pasta (uplink.c). The gateway's address is on the
 *namespace's loopback, so the same for all.
 *
 *	VM a2 --- tap a2 \
 *	VM a3 --- tap a3  > routes, nftables --- up0 --- pasta --- the host's sockets
 *	forwarder -------/
 *
 * One thread of ours lives in the namespace and does everything there, so that no thread of the
 * daemon changes its own. Calls hand it jobs and wait. It begins with the setup: finds the
 *namespace of an earlier daemon or makes one, loads the rules, starts pasta. A setup that fails
 *(nft is not installed) is tried again with the next call. Later it watches pasta and the host's
 *routes.
 *
 * What outlives the daemon: the namespace (a bind mount at <dir>/ns, and the forwarder's process),
 * the taps (their descriptors are QEMU's), pasta. Nothing outside of <dir> and the namespace is
 * changed. Hostile: every frame a VM sends; only the kernel reads them.
 */
#include "net/underlay.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "net/underlay_impl.h"

static const struct underlay_gateway underlay_gateway_addr = {
	.mac = {0x02, 0x61, 0, 0, 0, 1},
	.v4 = {198, 18, 0, 1},
	.v6 = {0xfd, 0x61, 0x72, 0x63, 0x61, 0, [15] = 1},
	.dns4 = {198, 19, 255, 3},
	.host4 = {198, 19, 255, 1},
	.host6 = {0xfd, 0x61, 0x72, 0x63, 0x61, 0xff, [15] = 1},
	.uplink4 = {198, 19, 255, 2},
};

/**
 * underlay_gateway() - The addresses that are the same for every VM
 *
 * Every tap's own MAC is the gateway's, so a guest may keep a permanent neighbour for it.
 *
 * Return: static memory
 */
const struct underlay_gateway *underlay_gateway(void)
{
	return &underlay_gateway_addr;
}

/**
 * underlay_addr() - The addresses of a VM
 * @index:    UNDERLAY_INDEX_MIN..UNDERLAY_INDEX_MAX
 * @ret_addr: Filled
 */
void underlay_addr(uint16_t index, struct underlay_addr *ret_addr)
{
	const uint8_t high = (uint8_t)(index >> 8), low = (uint8_t)index;

	*ret_addr = (struct underlay_addr){
		.index = index,
		.mac = {0x02, 0x61, 0, 0, high, low},
		.v4 = {198, 18, high, low},
		.v6 = {0xfd, 0x61, 0x72, 0x63, 0x61, 0, [14] = high, [15] = low},
	};
}

static void underlay_count_tap(const struct underlay_tap *tap UNUSED, void *user)
{
	struct underlay *u = user;

	u->status.n_taps++;
}

static int underlay_setup_steps(struct underlay *u, struct err *err)
{
	int r = underlay_ns_enter(u, err);

	if (r == 0)
		r = underlay_ns_configure(u, err);
	if (r == 0)
		r = underlay_rules_load(u, err);
	if (r < 0)
		return r;
	(void)underlay_sysctl_late(); /* timeouts: the kernel's own are only longer */
	return 0;
}

static void underlay_say(struct underlay *u, const char *reason)
{
	struct stat st;

	pthread_mutex_lock(&u->lock);
	u->status.ready = u->setup_done;
	u->status.ns = u->ns_fd >= 0 && fstat(u->ns_fd, &st) == 0 ? st.st_ino : 0;
	u->status.pasta = u->uplink.pasta.pid;
	u->status.uplink = u->uplink.pasta.pid != 0;
	(void)snprintf(u->status.reason, sizeof(u->status.reason), "%s", reason);
	pthread_mutex_unlock(&u->lock);
}

/* Idempotent; each call that needs the namespace begins with it. */
static int underlay_setup(struct underlay *u, struct err *err)
{
	struct err own = {};
	int r;

	if (u->setup_done)
		return 0;
	r = underlay_setup_steps(u, &own);
	if (r < 0) {
		if (!str_eq(u->status.reason, own.msg)) /* once, not with each try */
			log_warn("the containers' network does not come up: %s", own.msg);
		underlay_say(u, own.msg);
		if (err)
			*err = own;
		return r;
	}
	u->setup_done = true;
	uplink_start(u);
	underlay_say(u, u->uplink.reason);
	return 0;
}

static struct underlay_job *underlay_take_job(struct underlay *u)
{
	struct underlay_job *job;

	pthread_mutex_lock(&u->lock);
	job = u->jobs;
	if (job)
		DL_DELETE(u->jobs, job);
	pthread_mutex_unlock(&u->lock);
	return job;
}

static void underlay_run_jobs(struct underlay *u)
{
	struct underlay_job *job;

	while ((job = underlay_take_job(u))) {
		int result = job->fn(u, job->arg);

		pthread_mutex_lock(&u->lock);
		job->result = result;
		job->done = true;
		pthread_cond_broadcast(&u->cond);
		pthread_mutex_unlock(&u->lock);
	}
}

static bool underlay_is_stopping(struct underlay *u)
{
	bool stopping;

	pthread_mutex_lock(&u->lock);
	stopping = u->stopping;
	pthread_mutex_unlock(&u->lock);
	return stopping;
}

static void *underlay_thread(void *arg)
{
	struct pollfd fds[1 + UPLINK_POLL_FDS];
	struct underlay *u = arg;
	uint64_t count;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)pthread_setname_np(pthread_self(), "arca-underlay"); /* only a label */
	(void)underlay_setup(u, NULL);				   /* said, and tried again */
	while (!underlay_is_stopping(u)) {
		int timeout_ms;

		underlay_run_jobs(u);
		fds[0] = (struct pollfd){.fd = u->wake_fd, .events = POLLIN};
		timeout_ms = uplink_poll_prepare(&u->uplink, fds + 1);
		if (poll(fds, ARRAY_SIZE(fds), timeout_ms) < 0)
			continue;
		if (fds[0].revents && read(u->wake_fd, &count, sizeof(count)) < 0)
			continue;
		if (u->setup_done) {
			uplink_poll_finish(u, fds + 1);
			underlay_say(u, u->uplink.reason);
		}
	}
	underlay_run_jobs(u);
	return NULL;
}

static void underlay_wake(struct underlay *u)
{
	const uint64_t one = 1;

	(void)!write(u->wake_fd, &one, sizeof(one)); /* a full counter wakes as well */
}

/* Runs @fn on the thread in the namespace and waits for it. */
static int underlay_call(struct underlay *u, int (*fn)(struct underlay *, void *), void *arg)
{
	struct underlay_job job = {.fn = fn, .arg = arg};

	assert(!pthread_equal(pthread_self(), u->thread));
	pthread_mutex_lock(&u->lock);
	DL_APPEND(u->jobs, &job);
	underlay_wake(u);
	while (!job.done)
		pthread_cond_wait(&u->cond, &u->lock);
	pthread_mutex_unlock(&u->lock);
	return job.result;
}

static void underlay_free(struct underlay *u)
{
	uplink_done(&u->uplink);
	cleanup_close(&u->wake_fd);
	cleanup_close(&u->host_ns_fd);
	cleanup_close(&u->ns_fd);
	cleanup_close(&u->route_fd);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->cond);
	free(u->dir);
	free(u->nft);
	free(u->pasta);
	free(u);
}

DEFINE_CLEANUP(struct underlay *, underlay_free)

static int underlay_new(const struct underlay_config *config, struct underlay **ret_underlay,
			struct err *err)
{
	_cleanup_(underlay_freep) struct underlay *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return err_oom(err);
	u->wake_fd = u->host_ns_fd = u->ns_fd = u->route_fd = -EBADF;
	u->uplink.pasta = PROCESS_NONE;
	u->uplink.route_fd = u->uplink.watch_fd = -EBADF;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->cond, NULL);
	u->dir = strdup(config->dir);
	u->nft = config->nft ? strdup(config->nft) : NULL;
	u->pasta = config->pasta ? strdup(config->pasta) : NULL;
	if (!u->dir || (config->nft && !u->nft) || (config->pasta && !u->pasta))
		return err_oom(err);
	r = fs_mkdir_p(u->dir, 0700);
	if (r < 0)
		return err_sys(err, r, "cannot make %s", u->dir);
	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->host_ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (u->wake_fd < 0 || u->host_ns_fd < 0)
		return err_sys(err, -errno, "cannot open this process's network namespace");
	r = uplink_init(&u->uplink);
	if (r < 0)
		return err_sys(err, r, "cannot watch the host's routes");
	u->next_index = config->first_index;
	if (!u->next_index)
		random_bytes(&u->next_index, sizeof(u->next_index));
	*ret_underlay = TAKE_PTR(u);
	return 0;
}

/**
 * underlay_open() - Begin to find or to make the underlay
 * @config:	  Copied
 * @ret_underlay: Owned by the caller, who ends it with underlay_close() or underlay_remove()
 * @err:	  Filled on failure
 *
 * The calling thread must be in the host's namespace. The setup goes on in the background: that nft
 * or pasta is missing shows in underlay_wait(), underlay_status() and the calls that need it.
 *
 * Return: 0, or negative errno
 */
int underlay_open(const struct underlay_config *config, struct underlay **ret_underlay,
		  struct err *err)
{
	_cleanup_(underlay_freep) struct underlay *u = NULL;
	int r = underlay_new(config, &u, err);

	if (r < 0)
		return r;
	r = -pthread_create(&u->thread, NULL, underlay_thread, u);
	if (r < 0)
		return err_sys(err, r, "cannot start the underlay's thread");
	*ret_underlay = TAKE_PTR(u);
	return 0;
}

static int underlay_job_setup(struct underlay *u, void *arg)
{
	return underlay_setup(u, arg);
}

/**
 * underlay_wait() - Wait until namespace and rules stand
 * @underlay: Underlay
 * @err:      Filled on failure; names the package that is missing
 *
 * Does not wait for the uplink, which pasta brings up some milliseconds later.
 *
 * Return: 0, or negative errno
 */
int underlay_wait(struct underlay *underlay, struct err *err)
{
	return underlay_call(underlay, underlay_job_setup, err);
}

static void underlay_stop(struct underlay *u)
{
	pthread_mutex_lock(&u->lock);
	u->stopping = true;
	pthread_mutex_unlock(&u->lock);
	underlay_wake(u);
	pthread_join(u->thread, NULL);
	underlay_free(u);
}

/**
 * underlay_close() - Let go of the underlay; it stays for the next daemon
 * @underlay: Underlay or NULL; no call of another thread is on its way
 */
void underlay_close(struct underlay *underlay)
{
	if (underlay)
		underlay_stop(underlay);
}

static int underlay_job_remove(struct underlay *u, void *arg UNUSED)
{
	int r;

	if (u->ns_fd < 0)
		return 0;
	pthread_mutex_lock(&u->lock);
	u->status.n_taps = 0;
	r = u->route_fd < 0 ? 0 : underlay_tap_list(u, underlay_count_tap, u);
	if (r == 0 && u->status.n_taps)
		r = -EBUSY;
	pthread_mutex_unlock(&u->lock);
	if (r < 0)
		return r;
	uplink_stop(u);
	underlay_ns_remove(u);
	return 0;
}

/**
 * underlay_remove() - Remove the underlay if no VM is left in it, then let go of it
 * @underlay: Underlay or NULL; the forwarder has been ended before
 */
void underlay_remove(struct underlay *underlay)
{
	int r;

	if (!underlay)
		return;
	r = underlay_call(underlay, underlay_job_remove, NULL);
	if (r < 0 && r != -EBUSY)
		log_warn("the containers' network stays: %s", strerror(-r));
	underlay_stop(underlay);
}

struct underlay_tap_arg {
	int *ret_fd;
	struct underlay_addr *ret_addr;
	struct err *err;
};

static int underlay_job_tap(struct underlay *u, void *arg)
{
	struct underlay_tap_arg *a = arg;
	int r = underlay_setup(u, a->err);

	return r < 0 ? r : underlay_tap_make(u, a->ret_fd, a->ret_addr, a->err);
}

/**
 * underlay_tap_open() - A tap for a new VM, routed, up and filtered
 * @underlay: Underlay
 * @ret_fd:   For QEMU's -netdev tap,fd=: non-blocking, with vnet_hdr; owned by the caller. The tap
 *	      goes when the last descriptor of it is closed. Set on success
 * @ret_addr: What the VM is to have; set on success
 * @err:      Filled on failure; names the package that is missing
 *
 * A new tap never reaches the host: that is asked for with underlay_host_gateway().
 *
 * Return: 0, -EAGAIN without nft, -ENOSPC if all are taken, or negative errno
 */
int underlay_tap_open(struct underlay *underlay, int *ret_fd, struct underlay_addr *ret_addr,
		      struct err *err)
{
	struct underlay_tap_arg arg = {.ret_fd = ret_fd, .ret_addr = ret_addr, .err = err};

	return underlay_call(underlay, underlay_job_tap, &arg);
}

struct underlay_host_gateway_arg {
	uint16_t index;
	bool on;
	struct err *err;
};

static int underlay_job_host_gateway(struct underlay *u, void *arg)
{
	struct underlay_host_gateway_arg *a = arg;
	int r = underlay_setup(u, a->err);

	return r < 0 ? r : underlay_rules_host_gateway(u, a->index, a->on, a->err);
}

/**
 * underlay_host_gateway() - Let a VM reach the host at 198.19.255.1, loopback included, or not
 * @underlay: Underlay
 * @index:    The VM
 * @on:	      Whether it may
 * @err:      Filled on failure
 *
 * What was allowed is not taken away when the VM ends, but when its index is given out anew.
 * Connections that exist stay. Runs nft, some milliseconds, unless nothing changes.
 *
 * Return: 0, or negative errno
 */
int underlay_host_gateway(struct underlay *underlay, uint16_t index, bool on, struct err *err)
{
	struct underlay_host_gateway_arg arg = {.index = index, .on = on, .err = err};

	return underlay_call(underlay, underlay_job_host_gateway, &arg);
}

struct underlay_list_arg {
	underlay_tap_fn fn;
	void *user;
	struct err *err;
};

static int underlay_job_list(struct underlay *u, void *arg)
{
	struct underlay_list_arg *a = arg;
	int r = underlay_setup(u, a->err);

	if (r < 0)
		return r;
	r = underlay_tap_list(u, a->fn, a->user);
	return r < 0 ? err_sys(a->err, r, "cannot list the taps") : 0;
}

/**
 * underlay_list() - What the kernel has: the taps of all VMs, whoever started them
 * @underlay: Underlay
 * @fn:	      Called for each on the underlay's thread; must not call the underlay
 * @user:     Its argument
 * @err:      Filled on failure
 *
 * Return: 0, or negative errno
 */
int underlay_list(struct underlay *underlay, underlay_tap_fn fn, void *user, struct err *err)
{
	struct underlay_list_arg arg = {.fn = fn, .user = user, .err = err};

	return underlay_call(underlay, underlay_job_list, &arg);
}

struct underlay_run_arg {
	int (*fn)(struct underlay *u, void *arg);
	void *arg;
	struct err *err;
};

static int underlay_job_run(struct underlay *u, void *arg)
{
	struct underlay_run_arg *a = arg;
	int r = underlay_setup(u, a->err);

	return r < 0 ? r : a->fn(u, a->arg);
}

/**
 * underlay_run() - Run something on the thread in the namespace, and wait for it
 * @u:	 Underlay; set up first if need be
 * @fn:	 What
 * @arg: Its argument
 * @err: Filled if the setup fails
 *
 * Return: what @fn returned, or negative errno
 */
int underlay_run(struct underlay *u, int (*fn)(struct underlay *, void *), void *arg,
		 struct err *err)
{
	struct underlay_run_arg run = {.fn = fn, .arg = arg, .err = err};

	return underlay_call(u, underlay_job_run, &run);
}

static int underlay_job_count(struct underlay *u, void *arg UNUSED)
{
	int r = 0;

	pthread_mutex_lock(&u->lock);
	u->status.n_taps = 0;
	if (u->setup_done)
		r = underlay_tap_list(u, underlay_count_tap, u);
	pthread_mutex_unlock(&u->lock);
	return r;
}

/**
 * underlay_status() - How the underlay is
 * @underlay:	Underlay
 * @ret_status: Filled
 */
void underlay_status(struct underlay *underlay, struct underlay_status *ret_status)
{
	(void)underlay_call(underlay, underlay_job_count, NULL); /* then the count is 0 */
	pthread_mutex_lock(&underlay->lock);
	*ret_status = underlay->status;
	pthread_mutex_unlock(&underlay->lock);
}

struct underlay_spawn_arg {
	const struct spawn_spec *spec;
	pid_t *ret_pid;
	int *ret_pidfd;
	struct err *err;
};

static int underlay_job_spawn(struct underlay *u, void *arg)
{
	struct underlay_spawn_arg *a = arg;
	int r = underlay_setup(u, a->err);

	if (r < 0)
		return r;
	r = spawn_process(a->spec, a->ret_pid, a->ret_pidfd);
	return r < 0 ? err_sys(a->err, r, "cannot start %s", a->spec->argv[0]) : 0;
}

/**
 * underlay_spawn() - Start a program inside the namespace
 * @underlay:  Underlay
 * @spec:      What to run
 * @ret_pid:   As spawn_process(); a child of this process
 * @ret_pidfd: As spawn_process()
 * @err:       Filled on failure
 *
 * Return: 0, or negative errno
 */
int underlay_spawn(struct underlay *underlay, const struct spawn_spec *spec, pid_t *ret_pid,
		   int *ret_pidfd, struct err *err)
{
	struct underlay_spawn_arg arg = {
		.spec = spec, .ret_pid = ret_pid, .ret_pidfd = ret_pidfd, .err = err};

	return underlay_call(underlay, underlay_job_spawn, &arg);
}
