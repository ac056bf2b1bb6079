/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - a helper process that outlives the daemon: found again by a record in a file */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Zero-initialise, then PROCESS_NONE. */
struct process {
	pid_t pid;
	int pidfd; /* owned; -EBADF: none */
};

#define PROCESS_NONE ((struct process){.pid = 0, .pidfd = -EBADF})

int process_record(const struct process *process, const char *path);
int process_find(const char *path, struct process *ret_process);
bool process_alive(const struct process *process);
void process_end(struct process *process, int signal, unsigned int timeout_ms);
void process_forget(struct process *process);
