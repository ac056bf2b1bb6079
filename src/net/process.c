/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - a helper process that outlives the daemon
 *
 * Its record is a line "<pid> <start time>"; the start time, in clock ticks since boot as
 * /proc/<pid>/stat has it (proc(5), field 22), tells it from a later process with the same pid.
 */
#include "net/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/proc.h"

#define PROCESS_RECORD_MAX 64
#define PROCESS_KILL_MS 2000 /* for a killed process to be gone */

/**
 * process_record() - Write down who it is
 * @process: A running process
 * @path:    File, replaced atomically
 *
 * Return: 0, or negative errno
 */
int process_record(const struct process *process, const char *path)
{
	uint64_t ticks;
	char line[PROCESS_RECORD_MAX];
	int r = proc_start_ticks(process->pid, &ticks);

	if (r < 0)
		return r;
	r = snprintf(line, sizeof(line), "%d %llu\n", (int)process->pid, (unsigned long long)ticks);
	return fs_write_file(path, line, (size_t)r, 0600);
}

/**
 * process_find() - The process that a record names, if it still runs
 * @path:	 File of process_record()
 * @ret_process: Owned by the caller (process_forget()); set on success
 *
 * Return: 0, -ESRCH if it has ended, -ENOENT without a record, or negative errno
 */
int process_find(const char *path, struct process *ret_process)
{
	unsigned long long ticks;
	uint64_t now;
	_cleanup_free_ char *line = NULL;
	_cleanup_close_ int pidfd = -EBADF;
	int pid, r;

	r = fs_read_file(path, PROCESS_RECORD_MAX, &line, NULL);
	if (r < 0)
		return r;
	if (sscanf(line, "%d %llu", &pid, &ticks) != 2 || pid <= 1)
		return -EBADMSG;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	r = proc_start_ticks(pid, &now); /* after pidfd_open(): the pid cannot change hands */
	if (r < 0)
		return r;
	if (now != ticks)
		return -ESRCH;
	*ret_process = (struct process){.pid = pid, .pidfd = TAKE_FD(pidfd)};
	return 0;
}

/**
 * process_alive() - Whether it runs
 * @process: Process, may be none
 *
 * Return: the answer
 */
bool process_alive(const struct process *process)
{
	struct pollfd p = {.fd = process->pidfd, .events = POLLIN};

	return process->pidfd >= 0 && poll(&p, 1, 0) == 0;
}

/**
 * process_end() - End a process, reap it where it is a child, and forget it
 * @process:	Process, may be none or gone
 * @signal:	First try
 * @timeout_ms: Milliseconds until SIGKILL
 */
void process_end(struct process *process, int signal, unsigned int timeout_ms)
{
	struct pollfd p = {.fd = process->pidfd, .events = POLLIN};

	if (process->pidfd < 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0); /* may be gone */
	if (poll(&p, 1, (int)timeout_ms) == 0) {
		(void)syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
		(void)poll(&p, 1, PROCESS_KILL_MS);
	}
	process_forget(process);
}

/**
 * process_forget() - Reap a child that has ended, close the descriptor
 * @process: Process, may be none; none afterwards
 */
void process_forget(struct process *process)
{
	siginfo_t info;

	if (process->pidfd >= 0) /* fails for whom an earlier daemon started: init reaps those */
		(void)waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
	cleanup_close(&process->pidfd);
	*process = PROCESS_NONE;
}
