/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio.h - one process's streams in the daemon: agent -> log + attached clients, clients -> stdin
 *
 * Used for a container's init (with a log) and for execs (without). Created by the owner
 * (container.c, exec.c) around one Process.Attach stream. Output arrives on the loop thread, is
 * appended to the log, queued for each attached client (bounded), and acknowledged to the agent
 * when both are done: a client that stalls stalls the process, nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"

struct loop;
struct rpc_client;
struct stdio;
struct container_log;
struct Arca__V1__StartRequest;
struct Arca__V1__ExitStatus;

struct stdio_exit {
	int code;
	bool oom_killed;
	int64_t at_ns;
	bool lost; /* the VM went away before an exit was told: code is 137 */
};

struct stdio_ops {
	void (*started)(void *user, int guest_pid); /* loop thread */
	void (*start_failed)(void *user, int rpc_status,
			     const char *text); /* loop thread; instead of started */
	/* all output is in the log (and queued for clients) and the process has ended; loop thread;
	 * once */
	void (*exited)(void *user, const struct stdio_exit *exit);
};

struct stdio_spec {
	const char *id; /* process id at the agent */
	bool tty;
	bool open_stdin;
	bool stdin_once;	   /* first client that attaches stdin and leaves closes it */
	struct container_log *log; /* borrowed, NULL for execs */
};

int stdio_new(struct loop *loop, const struct stdio_spec *spec, const struct stdio_ops *ops,
	      void *user, struct stdio **ret);
/* Begin the Attach stream with a start, or resume at the offset the log has durable. */
int stdio_start(struct stdio *io, struct rpc_client *rpc,
		const struct Arca__V1__StartRequest *start, struct err *err);
int stdio_resume(struct stdio *io, struct rpc_client *rpc, struct err *err);
/* The sandbox died without an exit event: ends everything, exited(lost). Any thread. */
void stdio_lost(struct stdio *io);
/* Not on the loop thread. Detaches every client. */
void stdio_free(struct stdio *io);

/*
 * Attach one client, blocking, until the process ended and all its output was delivered, the client
 * left, or the detach keys came. fd: the hijacked connection, a socket. ready: called once the
 * client is registered, so that no byte is missed; it may hijack the connection there and then and
 * set fd
 * (-EBADF until then; the CLI starts the container when it sees the hijack). detach_keys: NULL is
 * Docker's default. logs: first replay the
 * log (attach?logs=1). mux: frame with Docker's 8-byte headers (not for a TTY). Returns 0 ended,
 * STDIO_E_DETACHED, or <0.
 */
struct stdio_attach {
	int fd;
	bool in, out, err;
	bool replay_log, stream;
	bool mux;
	const char *detach_keys; /* "ctrl-p,ctrl-q"; "" = none; NULL = default */
	struct cancel *cancel;
	void (*ready)(void *user); /* may be NULL */
	void *user;
};
#define STDIO_E_DETACHED 1
int stdio_attach(struct stdio *io, const struct stdio_attach *attach, struct err *err);
int stdio_resize(struct stdio *io, unsigned int rows, unsigned int cols, struct err *err);
int stdio_keys_check(const char *text, struct err *err); /* before a hijack */
