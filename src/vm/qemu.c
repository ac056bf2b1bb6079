/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu.c - one QEMU process, ours or one that an earlier daemon started
 *
 * DOC: Theory of operation
 *
 * QEMU runs in a session of its own, so it outlives the daemon. A process is named by its pidfd;
 * pid and start time (in clock ticks since boot) are what a later daemon finds it by, and both must
 * match, or the pid is somebody else's by now.
 *
 * A guest may know how to make QEMU print, so what QEMU prints must not pile up, nor stop it. It
 * goes into a pipe that does not block and that nobody empties: the first 64 KiB stay, for an error
 * message once QEMU has ended, and QEMU goes without the rest (it looks at no result of printing).
 * When the daemon ends, so does the pipe; QEMU ignores SIGPIPE, and later output is lost.
 *
 *	RUNNING -> GONE
 *
 * GONE is entered on the loop thread when the pidfd says so: a child is reaped there, an adopted
 * process has vanished. Waiters wake first, then the owner's callback runs.
 */
#include "vm/qemu.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/spawn.h"
#include "vm/argv.h"

#define QEMU_KILL_WAIT_MS 10000

struct qemu {
	struct loop *loop; /* borrowed */
	pid_t pid;
	int pidfd;     /* owned */
	int output_fd; /* owned; -EBADF: adopted */
	uint64_t start_ticks;
	bool child; /* ours to reap */
	qemu_gone_fn gone;
	void *user;
	struct loop_fd *watch; /* owned; loop thread */
	int watch_result;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	bool is_gone;
	int exit_status; /* 128 + signal; -1: not ours to know */
};

static void qemu_on_exit(void *user, int events UNUSED)
{
	struct qemu *qemu = user;
	siginfo_t info = {};
	int status = -1;

	if (qemu->child) {
		if (waitid(P_PIDFD, (id_t)qemu->pidfd, &info, WEXITED | WNOHANG) < 0)
			status = -1; /* somebody else reaped it */
		else if (info.si_pid == 0)
			return; /* a spurious wake-up */
		else
			status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	}
	loop_fd_remove(qemu->watch);
	qemu->watch = NULL;
	pthread_mutex_lock(&qemu->lock);
	qemu->is_gone = true;
	qemu->exit_status = status;
	pthread_cond_broadcast(&qemu->cond);
	pthread_mutex_unlock(&qemu->lock);
	if (qemu->gone)
		qemu->gone(qemu->user);
}

static void qemu_watch(void *user)
{
	struct qemu *qemu = user;

	qemu->watch_result =
		loop_fd_add(qemu->loop, qemu->pidfd, POLLIN, qemu_on_exit, qemu, &qemu->watch);
}

static void qemu_unwatch(void *user)
{
	struct qemu *qemu = user;

	loop_fd_remove(qemu->watch);
	qemu->watch = NULL;
}

static int qemu_new(struct loop *loop, pid_t pid, int pidfd, bool child, qemu_gone_fn gone,
		    void *user, struct qemu **ret_qemu)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	pthread_condattr_t attr;

	if (!qemu)
		return -ENOMEM;
	*qemu = (struct qemu){.loop = loop,
			      .pid = pid,
			      .pidfd = pidfd,
			      .output_fd = -EBADF,
			      .child = child,
			      .gone = gone,
			      .user = user,
			      .exit_status = -1};
	pthread_mutex_init(&qemu->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&qemu->cond, &attr);
	pthread_condattr_destroy(&attr);
	*ret_qemu = qemu;
	return 0;
}

static int qemu_start_watch(struct qemu *qemu)
{
	int r = loop_call(qemu->loop, qemu_watch, qemu);

	return r < 0 ? r : qemu->watch_result;
}

/**
 * qemu_spawn() - Start QEMU in its own session
 * @loop:     Loop that learns of its end
 * @argv:     Command line
 * @fds:      Descriptors that become 3, 4, ... in the child
 * @n_fds:    How many
 * @gone:     Called once it has ended and was reaped
 * @user:     Its argument
 * @ret_qemu: The process, owned by the caller; set on success
 * @err:      Filled on failure
 *
 * Return: 0, or negative errno with no process left behind
 */
int qemu_spawn(struct loop *loop, const struct vm_argv *argv, const int *fds, size_t n_fds,
	       qemu_gone_fn gone, void *user, struct qemu **ret_qemu, struct err *err)
{
	_cleanup_close_ int output_fd = -EBADF, print_fd = -EBADF, pidfd = -EBADF;
	struct spawn_spec spec = {
		.argv = (const char *const *)argv->v,
		.stdin_fd = -EBADF,
		.pass_fds = fds,
		.n_pass_fds = n_fds,
		.new_session = true,
	};
	_cleanup_(qemu_freep) struct qemu *qemu = NULL;
	int pipe_fds[2], r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "cannot make a pipe for QEMU's output");
	output_fd = pipe_fds[0];
	print_fd = pipe_fds[1];
	spec.stdout_fd = spec.stderr_fd = print_fd;
	r = spawn_process(&spec, &pid, &pidfd);
	if (r < 0)
		return err_sys(err, r, "cannot run %s", argv->v[0]);
	r = qemu_new(loop, pid, pidfd, true, gone, user, &qemu);
	if (r == 0) {
		TAKE_FD(pidfd);
		qemu->output_fd = TAKE_FD(output_fd);
		(void)proc_start_ticks(pid, &qemu->start_ticks); /* 0: not adoptable */
		r = qemu_start_watch(qemu);
	}
	if (r < 0) {
		(void)kill(pid, SIGKILL); /* ours and not reaped: cannot be another's */
		(void)spawn_wait(pid, &(int){0});
		return err_sys(err, r, "cannot watch QEMU");
	}
	*ret_qemu = TAKE_PTR(qemu);
	return 0;
}

/**
 * qemu_attach() - Take over a process that an earlier daemon started
 * @loop:	 Loop that learns of its end
 * @pid:	 Its pid then
 * @start_ticks: Its start time then
 * @gone:	 Called once it has vanished
 * @user:	 Its argument
 * @ret_qemu:	 The process, owned by the caller; set on success
 *
 * Return: 0, -ESRCH if it is gone (or the pid is another process's), or negative errno
 */
int qemu_attach(struct loop *loop, pid_t pid, uint64_t start_ticks, qemu_gone_fn gone, void *user,
		struct qemu **ret_qemu)
{
	_cleanup_close_ int pidfd = -EBADF;
	_cleanup_(qemu_freep) struct qemu *qemu = NULL;
	uint64_t ticks;
	int r;

	if (pid <= 1 || start_ticks == 0)
		return -ESRCH;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	r = proc_start_ticks(pid, &ticks); /* after pidfd_open(): no other can slip in */
	if (r < 0)
		return r;
	if (ticks != start_ticks)
		return -ESRCH;
	r = qemu_new(loop, pid, pidfd, false, gone, user, &qemu);
	if (r < 0)
		return r;
	TAKE_FD(pidfd);
	qemu->start_ticks = start_ticks;
	r = qemu_start_watch(qemu);
	if (r < 0)
		return r;
	*ret_qemu = TAKE_PTR(qemu);
	return 0;
}

/**
 * qemu_free() - Stop watching and free; the process, if it still runs, is left alone
 * @qemu: Process or NULL. Not on the loop thread; the callback does not run afterwards.
 */
void qemu_free(struct qemu *qemu)
{
	if (!qemu)
		return;
	if (loop_call(qemu->loop, qemu_unwatch, qemu) < 0)
		return; /* no memory left to say so: better lost than used after free */
	cleanup_close(&qemu->pidfd);
	cleanup_close(&qemu->output_fd);
	pthread_cond_destroy(&qemu->cond);
	pthread_mutex_destroy(&qemu->lock);
	free(qemu);
}

/**
 * qemu_discard() - Kill, wait until it is reaped, and free
 * @qemu: Process or NULL; not on the loop thread
 */
void qemu_discard(struct qemu *qemu)
{
	if (!qemu)
		return;
	qemu_kill(qemu);
	(void)qemu_wait(qemu, QEMU_KILL_WAIT_MS); /* stuck in the kernel: nothing more to do */
	qemu_free(qemu);
}

/**
 * qemu_pid() - The process id
 * @qemu: Process
 *
 * Return: its pid
 */
pid_t qemu_pid(const struct qemu *qemu)
{
	return qemu->pid;
}

/**
 * qemu_start_ticks() - When the process started
 * @qemu: Process
 *
 * Return: clock ticks since boot; 0 if that could not be read
 */
uint64_t qemu_start_ticks(const struct qemu *qemu)
{
	return qemu->start_ticks;
}

/**
 * qemu_kill() - SIGKILL; returns at once
 * @qemu: Process; nothing happens if it has ended
 */
void qemu_kill(struct qemu *qemu)
{
	/* fails with ESRCH only: it ended by itself */
	(void)syscall(SYS_pidfd_send_signal, qemu->pidfd, SIGKILL, NULL, 0);
}

/**
 * qemu_is_gone() - Whether the process has ended and the loop knows
 * @qemu: Process
 *
 * Return: the answer
 */
bool qemu_is_gone(struct qemu *qemu)
{
	bool gone;

	pthread_mutex_lock(&qemu->lock);
	gone = qemu->is_gone;
	pthread_mutex_unlock(&qemu->lock);
	return gone;
}

/**
 * qemu_wait() - Wait until the process has ended and was reaped
 * @qemu:	Process
 * @timeout_ms: At most so long, milliseconds
 *
 * Not on the loop thread.
 *
 * Return: whether it is gone
 */
bool qemu_wait(struct qemu *qemu, unsigned int timeout_ms)
{
	int64_t end_ns = clock_monotonic_ns() + (int64_t)timeout_ms * NSEC_PER_MSEC;
	struct timespec end = {.tv_sec = end_ns / NSEC_PER_SEC, .tv_nsec = end_ns % NSEC_PER_SEC};
	bool gone;
	int r = 0;

	assert(!loop_on_thread(qemu->loop));
	pthread_mutex_lock(&qemu->lock);
	while (!qemu->is_gone && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&qemu->cond, &qemu->lock, &end);
	gone = qemu->is_gone;
	pthread_mutex_unlock(&qemu->lock);
	return gone;
}

/**
 * qemu_exit_status() - How the process ended
 * @qemu: Process that is gone
 *
 * Return: exit code, 128 + signal, or -1 if it was not ours to reap
 */
int qemu_exit_status(struct qemu *qemu)
{
	int status;

	pthread_mutex_lock(&qemu->lock);
	status = qemu->exit_status;
	pthread_mutex_unlock(&qemu->lock);
	return status;
}

/**
 * qemu_last_line() - What QEMU said last, for an error message
 * @qemu: Process that is gone
 * @out:  Receives the line, cut to fit, control bytes as spaces; "" if there is none
 * @size: Bytes of @out
 *
 * Takes all that it said: a second call finds nothing. Does not block.
 */
void qemu_last_line(struct qemu *qemu, char *out, size_t size)
{
	char text[4096], *line;
	size_t have = 0;
	ssize_t n;

	out[0] = '\0';
	/* The newer half of what was read stays in front of what follows. */
	while ((n = read(qemu->output_fd, text + have, sizeof(text) - 1 - have)) > 0) {
		have += (size_t)n;
		if (have > sizeof(text) / 2) {
			memmove(text, text + have - sizeof(text) / 2, sizeof(text) / 2);
			have = sizeof(text) / 2;
		}
	}
	while (have > 0 && (text[have - 1] == '\n' || text[have - 1] == '\r'))
		have--;
	text[have] = '\0';
	line = memrchr(text, '\n', have);
	line = line ? line + 1 : text;
	for (char *p = line; p < text + have; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	(void)snprintf(out, size, "%s", line); /* cutting is fine */
}
