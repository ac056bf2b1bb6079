/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - PID 1 of the VM
 *
 * DOC: Theory of operation
 *
 * One thread, one epoll. All signals are blocked: SIGCHLD comes through a signalfd, SIGPIPE is an
 * EPIPE. Boot, make a seed (seed.c), open the port, and wait: a VM's template is taken while the
 * agent sits in epoll_wait() for the first time, so whatever was done before costs a clone nothing.
 *
 * The daemon is trusted. The container's processes are not: they may be root, fill disks, fork
 * without end, write forever, or close every pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/boot.h"
#include "agent/port.h"
#include "agent/process.h"
#include "agent/rootfs.h"
#include "agent/sandbox.h"
#include "agent/seed.h"
#include "base/log.h"

#define MAIN_HEAP_KEPT_MAX (16 << 20)
#define MAIN_HEAP_AHEAD (1 << 20)

static void main_children(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct agent *agent = container_of(watch, struct agent, children);
	struct signalfd_siginfo info[8];

	while (read(watch->fd, info, sizeof(info)) > 0)
		;
	process_reap(agent);
}

static int main_watch_children(struct agent *agent)
{
	sigset_t all, child;
	int fd;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return poll_add(&agent->poller, &agent->children, fd, EPOLLIN, main_children);
}

static int main_prepare(struct agent *agent)
{
	int r = poll_init(&agent->poller), fd;

	if (r == 0)
		r = main_watch_children(agent);
	if (r < 0)
		return r;
	agent->pid_ns_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (agent->pid_ns_fd < 0)
		return -errno;
	r = sandbox_prepare(agent);
	if (r < 0)
		return r;
	networks_boot(&agent->networks,
		      &agent->poller); /* before the seeds, which have their sysctls from here */
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(agent->seeds); i++)
		r = seed_new(agent, seed_flags(NULL), -EBADF, &agent->seeds[i]);
	if (r < 0)
		return r;
	/* Not before: a seed would hold a copy of its mounts. */
	rootfs_boot();
	/* A container that eats all memory must not have us wait for our own pages. */
	(void)mlockall(MCL_CURRENT);
	(void)mlockall(MCL_FUTURE | MCL_ONFAULT);
	/* Last: an open port tells the host that the VM is ready for its template. */
	r = port_open(&fd);
	return r < 0 ? r : port_serve(agent, fd);
}

static int main_loop(struct agent *agent)
{
	for (;;) {
		int r = poll_once(&agent->poller);

		if (r < 0)
			return r;
		(void)port_flush(agent); /* -EAGAIN: EPOLLOUT will come */
		if (agent->powering_off && !rpc_server_wants_write(agent->server))
			sandbox_power_off(agent);
	}
}

/*
 * Heap that is given back is soon asked for again, and a clone runs the kernel's side of it (maps,
 * RCU, page by page) for the first time, which is what time goes into where code is emulated.
 */
static void main_keep_heap(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, MAIN_HEAP_KEPT_MAX); /* advice */
	(void)mallopt(M_TOP_PAD, MAIN_HEAP_AHEAD);
	(void)mallopt(M_MMAP_THRESHOLD, MAIN_HEAP_AHEAD);
}

int main(void)
{
	static struct agent agent;
	int r;

	if (getpid() != 1) {
		log_error("the agent is the init of a VM");
		return 1;
	}
	main_keep_heap();
	r = boot_system();
	if (r == 0)
		r = main_prepare(&agent);
	if (r == 0)
		r = main_loop(&agent);
	log_error("the agent cannot go on: %s", strerror(-r));
	(void)reboot(RB_AUTOBOOT); /* -no-reboot: QEMU ends, the daemon sees it */
	return 1;
}
