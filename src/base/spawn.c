/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c - start another program with posix_spawn: no fork of a threaded daemon */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

extern char **environ;

/* Descriptors are first moved out of the way: a target number may be another's source. */
#define SPAWN_FD_HIGH 200

static int spawn_add_fd(posix_spawn_file_actions_t *fa, int fd, int target, int *high)
{
	int r;

	if (fd < 0) /* the daemon's own 2 stays, what else has that number does not */
		return target < 3 ? 0 : -posix_spawn_file_actions_addclose(fa, target);
	*high = fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_FD_HIGH);
	if (*high < 0)
		return -errno;
	r = posix_spawn_file_actions_adddup2(fa, *high, target);
	return -r;
}

static int spawn_fill_actions(const struct spawn_spec *spec, posix_spawn_file_actions_t *fa,
			      int *high)
{
	int r = 0;

	if (spec->stdin_fd < 0)
		r = -posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);
	if (r == 0 && spec->stdout_fd < 0)
		r = -posix_spawn_file_actions_addopen(fa, 1, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = spawn_add_fd(fa, spec->stdin_fd, 0, &high[0]);
	if (r == 0)
		r = spawn_add_fd(fa, spec->stdout_fd, 1, &high[1]);
	if (r == 0)
		r = spawn_add_fd(fa, spec->stderr_fd, 2, &high[2]);
	for (size_t i = 0; r == 0 && i < spec->n_pass_fds; i++)
		r = spawn_add_fd(fa, spec->pass_fds[i], 3 + (int)i, &high[3 + i]);
	/* libraries open what is not close-on-exec: libcurl its connections */
	if (r == 0)
		r = -posix_spawn_file_actions_addclosefrom_np(fa, 3 + (int)spec->n_pass_fds);
	return r;
}

/**
 * spawn_process() - Start a program with default signals and only the descriptors named
 * @spec:      What to run
 * @ret_pid:   Its pid, to be reaped by the caller; set on success
 * @ret_pidfd: Its pidfd, owned by the caller; may be NULL
 *
 * Return: 0, -ENOENT if the program is not there, or negative errno
 */
int spawn_process(const struct spawn_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	int high[3 + SPAWN_FDS_MAX];
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	pid_t pid;
	int r;

	if (spec->n_pass_fds > SPAWN_FDS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < ARRAY_SIZE(high); i++)
		high[i] = -EBADF;
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						(spec->new_session ? POSIX_SPAWN_SETSID : 0)));
	r = spawn_fill_actions(spec, &fa, high);
	if (r == 0)
		r = -posix_spawnp(&pid, spec->argv[0], &fa, &attr, (char *const *)spec->argv,
				  environ);
	for (size_t i = 0; i < ARRAY_SIZE(high); i++)
		cleanup_close(&high[i]);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	if (r < 0)
		return r;
	if (ret_pidfd) {
		*ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (*ret_pidfd < 0) {
			r = -errno;
			(void)kill(pid, SIGKILL); /* unwatched children are not for us */
			(void)spawn_wait(pid, &(int){0});
			return r;
		}
	}
	*ret_pid = pid;
	return 0;
}

/**
 * spawn_wait() - Reap a child
 * @pid:	Child
 * @ret_status: As waitpid(2) gives it; set on success
 *
 * Return: 0, or negative errno
 */
int spawn_wait(pid_t pid, int *ret_status)
{
	for (;;) {
		if (waitpid(pid, ret_status, 0) == pid)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}
