/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - from a StartRequest to a running process; the agent's side
 *
 * DOC: Theory of operation
 *
 * An init is its container's seed, told what to become. An exec is a new child, born into the
 * container's cgroup and pid namespace. Both report through a socket: REPORT_TTY brings the
 * terminal's master, REPORT_HOSTS and REPORT_RESOLV an init's files, REPORT_FAIL says why it will
 * not be, and the end without a failure is the execve. The listener's `started` or error follows
 * from there, never from this call.
 */
#include "agent/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/child.h"
#include "agent/container.h"
#include "agent/mounts.h"
#include "agent/names.h"
#include "agent/process.h"
#include "agent/report.h"
#include "base/cleanup.h"

/* Pipes of one process: the child's ends, closed here once it has them. */
struct start_pipes {
	int child[3]; /* owned; -EBADF: /dev/null, or the terminal */
};

static void start_pipes_done(struct start_pipes *pipes)
{
	for (size_t i = 0; i < ARRAY_SIZE(pipes->child); i++)
		cleanup_close(&pipes->child[i]);
}

static void start_close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cleanup_close(&fds[i]);
}

static int start_make_pipe(bool agent_writes, int *ret_agent, int *ret_child)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	*ret_agent = pair[agent_writes];
	*ret_child = pair[!agent_writes];
	return fcntl(*ret_agent, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int start_make_pipes(struct process *p, const Arca__V1__ProcessSpec *spec,
			    struct start_pipes *pipes, struct err *err)
{
	int agent_end = -EBADF, r = 0;

	if (spec->tty)
		return 0;
	for (int i = 0; r == 0 && i < 2; i++)
		r = start_make_pipe(false, &p->streams[i].fd, &pipes->child[i + 1]);
	if (r == 0 && spec->open_stdin) {
		r = start_make_pipe(true, &agent_end, &pipes->child[0]);
		input_open(&p->input, agent_end, false);
	}
	return r < 0 ? err_sys(err, r, "cannot make pipes") : 0;
}

/* The terminal's master: read here, written through a copy. */
static void start_take_terminal(struct process *p, int master, bool open_stdin)
{
	int copy = open_stdin ? fcntl(master, F_DUPFD_CLOEXEC, 0) : -EBADF;

	if (p->streams[0].fd >= 0) {
		(void)close(master); /* one is enough */
		return;
	}
	p->streams[0].fd = master;
	if (copy >= 0)
		input_open(&p->input, copy, true);
}

/* To be edited while the container runs. */
static void start_take_file(struct process *p, enum report_kind kind, int fd)
{
	struct container *c = p->container;
	int *file = !c ? NULL : kind == REPORT_HOSTS ? &c->hosts_fd : &c->resolv_fd;

	if (!file || *file >= 0) {
		(void)close(fd); /* one is enough */
		return;
	}
	*file = fd;
}

/* The listener hears of it when the process is reaped: then its id is free again. */
static void start_fail(struct process *p, int status, const char *text)
{
	p->state = PROCESS_FAILED;
	p->fail_status = status;
	p->fail_text = strdup(text);
}

/* Return: false while there is nothing more to read */
static bool start_read_report(struct process *p)
{
	struct report report;
	int fd = -EBADF, r = report_receive(p->report_fd, &report, &fd);

	if (r == -EAGAIN)
		return false;
	if (r > 0 && report.kind == REPORT_TTY && fd >= 0) {
		start_take_terminal(p, fd, p->open_stdin);
		return true;
	}
	if (r > 0 && (report.kind == REPORT_HOSTS || report.kind == REPORT_RESOLV) && fd >= 0) {
		start_take_file(p, report.kind, fd);
		return true;
	}
	poll_remove(&p->agent->poller, &p->report);
	(void)close(p->report_fd); /* a socket */
	p->report_fd = -EBADF;
	if (r > 0 && report.kind == REPORT_FAIL) {
		start_fail(p, report.status, report.text);
	} else if (r == 0) {
		process_started(p);
	} else {
		start_fail(p, RPC_INTERNAL, "the process's report is malformed");
	}
	return false;
}

static void start_report_readable(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct process *p = container_of(watch, struct process, report);

	while (start_read_report(p))
		;
}

/**
 * start_conclude() - Read what an ended process still had to report
 * @p: In state STARTING, reaped; in another state afterwards
 */
void start_conclude(struct process *p)
{
	while (start_read_report(p))
		;
	if (p->state == PROCESS_STARTING)
		start_fail(p, RPC_INTERNAL, "the process ended before it started");
}

static int start_watch_report(struct process *p, int report_fd /* owned */, struct err *err)
{
	int r;

	p->report_fd = report_fd;
	if (fcntl(report_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, -errno, "cannot watch the process");
	r = poll_add(&p->agent->poller, &p->report, report_fd, EPOLLIN, start_report_readable);
	return r < 0 ? err_sys(err, r, "cannot watch the process") : 0;
}

static int start_init(struct process *p, const Arca__V1__StartRequest *request,
		      const struct start_pipes *pipes, struct err *err)
{
	int binds[MOUNTS_BINDS_MAX];
	struct seed_fds fds = {.in = pipes->child[0],
			       .out = pipes->child[1],
			       .error = pipes->child[2],
			       .binds = binds};
	struct container *c;
	int r;

	r = container_new(p->agent, request->container, &c, err);
	if (r < 0)
		return r;
	p->container = c;
	r = network_attach_all(&p->agent->networks, c, request->container, err);
	if (r == 0)
		r = names_start(p->agent, c, request->container, err);
	if (r == 0)
		r = mounts_open_binds(request->container, binds, &fds.n_binds, err);
	if (r == 0) {
		fds.root_mount = c->rootfs.mount_fd;
		r = seed_start(p->agent, c->seed, request, &fds, err);
	}
	start_close_all(binds, fds.n_binds);
	cleanup_close(&c->rootfs.mount_fd);
	c->rootfs.mount_fd = -EBADF;
	if (r == 0)
		r = start_watch_report(p, TAKE_FD(c->seed->report_fd), err);
	if (r < 0) {
		p->container = NULL;
		(void)container_remove(p->agent, c); /* it logs */
		return r;
	}
	p->pid = p->started_pid = c->seed->pid;
	c->init_alive = true;
	return 0;
}

/* Return: pid, 0 in the child, or negative errno */
static pid_t start_clone(struct agent *agent, const struct container *c)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)c->seed->cgroup.fd,
	};
	bool own_pids = c->seed->ns_flags & CLONE_NEWPID;
	long pid;
	int saved;

	/* A pid namespace counts for children only: join it, have one, come back. */
	if (own_pids && setns(c->seed->pidfd, CLONE_NEWPID) < 0)
		return -errno;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		return 0;
	saved = errno;
	if (own_pids && setns(agent->pid_ns_fd, CLONE_NEWPID) < 0)
		return -errno;
	return pid < 0 ? -saved : (pid_t)pid;
}

static int start_exec(struct process *p, const Arca__V1__StartRequest *request,
		      const struct start_pipes *pipes, struct err *err)
{
	struct container *c = container_find(p->agent, request->container_id);
	_cleanup_close_ int theirs = -EBADF;
	struct child_start start = {.request = request,
				    .root_mount_fd = -EBADF,
				    .in_fd = pipes->child[0],
				    .out_fd = pipes->child[1],
				    .error_fd = pipes->child[2]};
	int pair[2], r;
	pid_t pid;

	if (!c || !c->init_alive)
		return err_user(err, ERR_UNAVAILABLE, "container %s is not running",
				request->container_id);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "cannot make a socket pair");
	theirs = pair[1];
	r = start_watch_report(p, pair[0], err);
	if (r < 0)
		return r;
	pid = start_clone(p->agent, c);
	if (pid < 0)
		return err_sys(err, pid, "cannot make a process in the container");
	if (pid == 0) {
		start.report_fd = theirs;
		start.ns_flags = c->seed->ns_flags;
		start.join_pidfd = c->seed->pidfd;
		child_run(&start);
	}
	p->pid = p->started_pid = pid;
	p->container = c;
	return 0;
}

/**
 * start_process() - Begin to start a container's init or an exec
 * @agent:	 Agent
 * @request:	 What
 * @ret_process: Borrowed, in state STARTING; set on success
 * @err:	 Filled on failure, with nothing left behind
 *
 * Return: 0 or negative errno
 */
int start_process(struct agent *agent, const Arca__V1__StartRequest *request,
		  struct process **ret_process, struct err *err)
{
	_cleanup_(start_pipes_done) struct start_pipes pipes = {{-EBADF, -EBADF, -EBADF}};
	struct process *p;
	int r;

	r = process_new(agent, request, &p, err);
	if (r < 0)
		return r;
	p->open_stdin = request->process->open_stdin;
	r = start_make_pipes(p, request->process, &pipes, err);
	if (r == 0)
		r = request->container ? start_init(p, request, &pipes, err)
				       : start_exec(p, request, &pipes, err);
	if (r < 0) {
		process_free(p);
		return r;
	}
	*ret_process = p;
	return 0;
}
