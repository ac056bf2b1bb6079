/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - one process that the daemon started: a container's init or an exec */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "agent/input.h"
#include "agent/output.h"
#include "agent/poll.h"
#include "base/err.h"

struct agent;
struct container;
struct rpc_server_call;

enum process_state {
	PROCESS_STARTING, /* not executing the container's program yet */
	PROCESS_RUNNING,
	PROCESS_EXITED, /* reaped; its output is being read to the end */
	PROCESS_ENDED,	/* nothing more will come */
	PROCESS_FAILED, /* never started; forgotten when it is reaped */
};

struct process_stream {
	struct process *process; /* borrowed: the owner */
	struct poll_watch watch;
	int fd; /* owned; -EBADF: at its end */
	uint32_t number;
};

struct process {
	struct agent *agent;	     /* borrowed */
	char *id, *container_id;     /* owned */
	struct container *container; /* borrowed; NULL once removed */
	bool is_init, tty, open_stdin;
	enum process_state state;
	pid_t pid; /* in our pid namespace; 0 once reaped */
	pid_t started_pid;
	struct poll_watch report;
	int report_fd; /* owned */
	struct process_stream streams[2];
	struct output output;
	struct input input;
	struct rpc_server_call *attach; /* borrowed; NULL: nobody listens */
	bool attach_greeted;		/* `started` was sent on this attach */
	struct poll_timer drain;
	int fail_status; /* PROCESS_FAILED: enum rpc_status, and why */
	char *fail_text; /* owned */
	int32_t exit_code;
	int64_t exit_at_ns;
	bool oom_killed;
	struct process *next, *prev;
};

struct process *process_find(struct agent *agent, const char *id);
int process_new(struct agent *agent, const Arca__V1__StartRequest *request,
		struct process **ret_process, struct err *err);
void process_free(struct process *p);
void process_started(struct process *p);
void process_reap(struct agent *agent);
void process_watch_streams(struct process *p);
void process_finish_output(struct process *p);
void process_fill_exit(const struct process *p, Arca__V1__ExitStatus *status);
