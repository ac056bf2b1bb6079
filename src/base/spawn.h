/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.h - start another program */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SPAWN_FDS_MAX 16

struct spawn_spec {
	const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated */
	int stdin_fd;		 /* -EBADF: /dev/null */
	int stdout_fd;		 /* -EBADF: /dev/null */
	int stderr_fd;		 /* -EBADF: the daemon's own */
	const int *pass_fds;	 /* become 3, 4, ... in the child */
	size_t n_pass_fds;	 /* at most SPAWN_FDS_MAX */
	bool new_session;	 /* setsid: outlives a signal to our process group */
};

int spawn_process(const struct spawn_spec *spec, pid_t *ret_pid, int *ret_pidfd);
int spawn_wait(pid_t pid, int *ret_status);
