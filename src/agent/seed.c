/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seed.c - a process that lives in fresh namespaces already and waits for its container
 *
 * DOC: Theory of operation
 *
 * Making namespaces and the standard mounts takes longer than anything else on the way to a
 * container's first instruction, and none of it depends on the container. So a process is made at
 * boot that has done all of it: it is pid 1 of its pid namespace, its loopback is up, its mounts
 * are staged (stage.c), and it blocks in recvmsg(). A VM's template is taken in that state; a clone
 * starts from there.
 *
 *	seed_new() -> clone3 into a cgroup -> unshare(cgroup) -> stage -> REPORT_READY
 *	seed_start() -> request in shared memory + descriptors -> child_run() -> execve
 *
 * A container that wants other namespaces gets a seed made when it comes, by the same steps.
 */
#include "agent/seed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/child.h"
#include "agent/devices.h"
#include "agent/mounts.h"
#include "agent/report.h"
#include "agent/stage.h"
#include "base/fs.h"
#include "base/log.h"
#include "rpc/client.h"
#include "base/str.h"

#define SEED_FDS_FIXED 4 /* root, in, out, error */
#define SEED_REQUEST_BYTES (RPC_MESSAGE_MAX + 4096)
#define SEED_REQUEST_USUAL_BYTES (32 * 1024)
#define SEED_FDS_MAX (SEED_FDS_FIXED + MOUNTS_BINDS_MAX)
#define SEED_REPORT_FD 3

/* First bytes of the message that starts it: which of the descriptors are there. */
struct seed_letter {
	bool present[SEED_FDS_FIXED];
	size_t request_len;
	unsigned char machine_id[AGENT_MACHINE_ID_LEN];
};

union seed_control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * SEED_FDS_MAX)];
};

/**
 * seed_flags() - The namespaces a container wants of its own
 * @spec: Container, or NULL for the usual
 *
 * Return: CLONE_NEW* bits
 */
unsigned long seed_flags(const Arca__V1__ContainerSpec *spec)
{
	unsigned long flags = CLONE_NEWNS;

	flags |= spec && spec->host_pid ? 0 : CLONE_NEWPID;
	flags |= spec && spec->host_ipc ? 0 : CLONE_NEWIPC;
	flags |= spec && spec->host_uts ? 0 : CLONE_NEWUTS;
	flags |= spec && spec->host_network ? 0 : CLONE_NEWNET;
	flags |= spec && spec->host_cgroup ? 0 : CLONE_NEWCGROUP;
	return flags;
}

static int seed_loopback_up(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return -errno;
	return 0;
}

/*
 * Every page that it will touch is there, and its own: no faults when it is woken. Of the request
 * that is what most requests need; mlockall() passes over what cannot be accessed.
 */
static void seed_lock_pages(uint8_t *request)
{
	uint8_t *rest = request + SEED_REQUEST_USUAL_BYTES;
	size_t rest_len = SEED_REQUEST_BYTES - SEED_REQUEST_USUAL_BYTES;
	bool hidden = mprotect(rest, rest_len, PROT_NONE) == 0;

	(void)mlockall(MCL_CURRENT);
	if (hidden && mprotect(rest, rest_len, PROT_READ) < 0)
		_exit(1); /* the agent sees it go */
}

static int seed_prepare(unsigned long ns_flags, int join_network_fd, uint8_t *request)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;

	if (join_network_fd >= 0 && setns(join_network_fd, CLONE_NEWNET) < 0)
		return -errno;
	/* Keep nothing of the agent's: not its channel, not other containers' pipes. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	if (close_range(SEED_REPORT_FD + 1, ~0U, 0) < 0)
		return -errno;
	if (setsid() < 0 || chdir("/") < 0)
		return -errno;
	if ((ns_flags & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	r = ns_flags & CLONE_NEWNET && join_network_fd < 0 ? seed_loopback_up() : 0;
	if (r == 0)
		r = stage_build();
	seed_lock_pages(request);
	return r;
}

/* Return: descriptors received into @fds (positive), 0 when the agent went away, negative errno */
static int seed_receive(struct seed_letter *ret_letter, int *fds)
{
	union seed_control control = {0};
	struct iovec iov = {.iov_base = ret_letter, .iov_len = sizeof(*ret_letter)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(SEED_REPORT_FD, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	c = CMSG_FIRSTHDR(&msg);
	if ((size_t)n != sizeof(*ret_letter) || !c || c->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static void seed_main(unsigned long ns_flags, int join_network_fd, uint8_t *request)
	__attribute__((noreturn));
static void seed_main(unsigned long ns_flags, int join_network_fd, uint8_t *request)
{
	int fds[SEED_FDS_MAX], fixed[SEED_FDS_FIXED], used = 0, n, r;
	struct seed_letter letter;
	struct child_start start = {.report_fd = SEED_REPORT_FD, .ns_flags = ns_flags};
	struct err err = {0};

	r = seed_prepare(ns_flags, join_network_fd, request);
	if (r < 0) {
		(void)err_sys(&err, r, "cannot prepare namespaces");
		report_fail(SEED_REPORT_FD, &err);
	}
	if (report_send(SEED_REPORT_FD, REPORT_READY, -EBADF) < 0)
		_exit(1);
	n = seed_receive(&letter, fds);
	if (n <= 0)
		_exit(0);
	for (int i = 0; i < SEED_FDS_FIXED; i++)
		fixed[i] = letter.present[i] && used < n ? fds[used++] : -EBADF;
	start.request = arca__v1__start_request__unpack(NULL, letter.request_len, request);
	if (!start.request) {
		(void)err_oom(&err);
		report_fail(SEED_REPORT_FD, &err);
	}
	start.machine_id = letter.machine_id;
	start.root_mount_fd = fixed[0];
	start.in_fd = fixed[1];
	start.out_fd = fixed[2];
	start.error_fd = fixed[3];
	start.bind_fds = fds + used;
	start.n_bind_fds = (size_t)(n - used);
	child_run(&start);
}

/* new: CLONE_NEW* to be made for it */
static pid_t seed_clone(unsigned long new, int cgroup_fd, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = (new & ~(unsigned long)CLONE_NEWCGROUP) | CLONE_PIDFD | CLONE_INTO_CGROUP,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup_fd,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	return pid < 0 ? -errno : (pid_t)pid;
}

static int seed_wait_ready(const struct seed *seed)
{
	struct report report;
	int fd, r = report_receive(seed->report_fd, &report, &fd);

	if (r == 0)
		return -ECHILD;
	if (r < 0)
		return r;
	if (report.kind == REPORT_READY)
		return 0;
	log_error("seed: %s", report.text);
	return -EPROTO;
}

/*
 * The last process of a container would tear its mounts and its network down on its way out, and
 * sync the upper disk, before anybody hears that it exited. Held from here, they go when the
 * container is removed.
 */
static void seed_hold_namespaces(struct seed *seed)
{
	static const char *const names[SEED_NS_MAX] = {
		[SEED_NS_MOUNT] = "mnt", [SEED_NS_NETWORK] = "net"};

	for (size_t i = 0; i < SEED_NS_MAX; i++) {
		_cleanup_free_ char *path = str_format("/proc/%d/ns/%s", seed->pid, names[i]);

		seed->ns_fds[i] = path ? open(path, O_RDONLY | O_CLOEXEC) : -EBADF;
	}
}

/**
 * seed_network_fd() - Its network namespace
 * @seed: Seed, its namespaces not released
 *
 * Return: borrowed; -EBADF if it shares another's: the VM's, or another container's
 */
int seed_network_fd(const struct seed *seed)
{
	return seed->ns_flags & CLONE_NEWNET && !seed->joined ? seed->ns_fds[SEED_NS_NETWORK]
							      : -EBADF;
}

/**
 * seed_release_namespaces() - Let the mounts go with their last process
 * @seed: Seed
 */
void seed_release_namespaces(struct seed *seed)
{
	for (size_t i = 0; i < SEED_NS_MAX; i++) {
		cleanup_close(&seed->ns_fds[i]);
		seed->ns_fds[i] = -EBADF;
	}
}

static uint8_t *seed_map_request(void)
{
	void *at = mmap(NULL, SEED_REQUEST_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* What most requests need is there before somebody waits for one. Pages of a larger one are
	 * the agent's as well, in cgroups too: it writes them before the seed reads them. */
	memset(at, 0, SEED_REQUEST_USUAL_BYTES);
	return at;
}

/**
 * seed_new() - Make a seed and wait until it is ready
 * @agent:	     Agent
 * @ns_flags:	     Namespaces of its own, from seed_flags()
 * @join_network_fd: Network namespace to live in instead of a new one; -EBADF: none
 * @ret_seed:	     Set on success
 *
 * Return: 0 or negative errno
 */
int seed_new(struct agent *agent, unsigned long ns_flags, int join_network_fd,
	     struct seed **ret_seed)
{
	_cleanup_(seed_freep) struct seed *seed = calloc(1, sizeof(*seed));
	unsigned long joined = join_network_fd >= 0 ? CLONE_NEWNET : 0;
	_cleanup_close_ int theirs = -EBADF;
	int pair[2], r;

	if (!seed)
		return -ENOMEM;
	seed->request = seed_map_request();
	if (!seed->request)
		return -ENOMEM;
	seed->pidfd = seed->report_fd = -EBADF;
	for (size_t i = 0; i < SEED_NS_MAX; i++)
		seed->ns_fds[i] = -EBADF;
	seed->ns_flags = ns_flags;
	seed->joined = joined != 0;
	r = cgroup_init(&seed->cgroup, agent->next_cgroup++);
	if (r == 0)
		r = devices_limit(&seed->cgroup, NULL);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	seed->report_fd = pair[0];
	theirs = pair[1];
	seed->pid = seed_clone(ns_flags & ~joined, seed->cgroup.fd, &seed->pidfd);
	if (seed->pid < 0) {
		r = seed->pid;
		seed->pid = 0;
		return r;
	}
	if (seed->pid == 0) {
		if (theirs != SEED_REPORT_FD && dup3(theirs, SEED_REPORT_FD, O_CLOEXEC) < 0)
			_exit(1);
		seed_main(ns_flags, join_network_fd, seed->request);
	}
	cleanup_close(&theirs);
	theirs = -EBADF;
	r = seed_wait_ready(seed);
	if (r < 0)
		return r;
	seed_hold_namespaces(seed);
	*ret_seed = TAKE_PTR(seed);
	return 0;
}

/**
 * seed_free() - End a seed that no container took, or forget one whose pid was handed on
 * @seed: Freed
 */
void seed_free(struct seed *seed)
{
	if (seed->pid > 0)
		(void)kill(seed->pid, SIGKILL); /* ours; reaped with all others */
	seed_release_namespaces(seed);
	if (seed->request)
		(void)munmap(seed->request, SEED_REQUEST_BYTES); /* ours */
	if (seed->report_fd >= 0)
		(void)close(seed->report_fd); /* a socket */
	if (seed->pidfd >= 0)
		(void)close(seed->pidfd); /* a pidfd */
	cgroup_done(&seed->cgroup);
	free(seed);
}

/* The packed request, where the seed can see it. */
static int seed_write_request(const struct seed *seed, const Arca__V1__StartRequest *request,
			      size_t *ret_len)
{
	size_t len = arca__v1__start_request__get_packed_size(request);

	if (len > SEED_REQUEST_BYTES)
		return -E2BIG;
	(void)arca__v1__start_request__pack(request, seed->request); /* writes len bytes */
	*ret_len = len;
	return 0;
}

/**
 * seed_start() - Tell a seed what to become
 * @agent:   Agent
 * @seed:    Seed, ready
 * @request: What
 * @fds:     Descriptors it needs; stay the caller's
 * @err:     Filled on failure
 *
 * How it went comes through seed->report_fd.
 *
 * Return: 0 or negative errno
 */
int seed_start(const struct agent *agent, const struct seed *seed,
	       const Arca__V1__StartRequest *request, const struct seed_fds *fds, struct err *err)
{
	union seed_control control = {0};
	struct seed_letter letter = {0};
	struct iovec iov = {.iov_base = &letter, .iov_len = sizeof(letter)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	int all[SEED_FDS_MAX], r;
	size_t n = 0;
	struct cmsghdr *c;

	r = seed_write_request(seed, request, &letter.request_len);
	if (r < 0)
		return err_sys(err, r, "cannot pass the request on");
	memcpy(letter.machine_id, agent->machine_id, sizeof(letter.machine_id));
	const int fixed[SEED_FDS_FIXED] = {fds->root_mount, fds->in, fds->out, fds->error};

	for (size_t i = 0; i < SEED_FDS_FIXED; i++) {
		letter.present[i] = fixed[i] >= 0;
		if (fixed[i] >= 0)
			all[n++] = fixed[i];
	}
	for (size_t i = 0; i < fds->n_binds; i++)
		all[n++] = fds->binds[i];
	msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), all, sizeof(int) * n);
	if (sendmsg(seed->report_fd, &msg, MSG_NOSIGNAL) < 0)
		return err_sys(err, -errno, "cannot start the container's process");
	return 0;
}
