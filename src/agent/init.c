/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - the reaper for containers started with --init
 *
 * Pid 1 of the container: passes every signal on to its one child, reaps whatever is left to it,
 * and ends as the child ended. Under the container's user, limits and filter.
 */
#include "agent/init.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/privilege.h"

/* Reap all that ended. Return: the main child's wait status, or -1 while it lives */
static int init_reap(pid_t main_child)
{
	int status, result = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == main_child)
			result = status;
	}
	return result;
}

/**
 * init_run() - Split into a reaper and the process
 * @process:   What runs; for the reaper's own capabilities
 * @report_fd: Closed in the reaper, so that the agent sees the execve of the other
 *
 * Returns in the process only; also if there can be no second process.
 */
void init_run(const Arca__V1__ProcessSpec *process, int report_fd)
{
	sigset_t all, before;
	int status = -1;
	pid_t child;

	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	child = fork();
	if (child <= 0) {
		/* In a session of its own group, so that a terminal's signals reach it once. */
		if (child == 0 && isatty(STDIN_FILENO)) {
			(void)setpgid(0, 0);
			(void)tcsetpgrp(STDIN_FILENO, getpgrp());
		}
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		return;
	}
	(void)close(report_fd); /* a socket */
	privilege_drop_rest(process);
	(void)prctl(PR_SET_NAME, "docker-init");
	while (status < 0) {
		siginfo_t info;

		if (sigwaitinfo(&all, &info) < 0)
			continue;
		if (info.si_signo == SIGCHLD)
			status = init_reap(child);
		else if (info.si_signo != SIGTTIN && info.si_signo != SIGTTOU)
			(void)kill(child, info.si_signo); /* may be gone */
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
