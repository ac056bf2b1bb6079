/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - the last steps of a process before it is the container's */
#pragma once

#include <stddef.h>

#include "agent.pb-c.h"

/* Everything borrowed: the process ends in execve or _exit. */
struct child_start {
	const Arca__V1__StartRequest *request;
	int report_fd;			 /* where errors go; close-on-exec */
	unsigned long ns_flags;		 /* namespaces that are the container's own */
	const unsigned char *machine_id; /* init: AGENT_MACHINE_ID_LEN bytes */
	int join_pidfd;			 /* exec: the container's init */
	int root_mount_fd;		 /* init: detached overlay */
	int in_fd, out_fd, error_fd;	 /* -EBADF: /dev/null, or a terminal is made */
	const int *bind_fds;
	size_t n_bind_fds;
};

void child_run(const struct child_start *start) __attribute__((noreturn));
