/* SPDX-License-Identifier: Apache-2.0 */
/* fake_agent.h - the agent's side of Process.*, scripted by a test */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "base/buf.h"
#include "rpc/client.h"
#include "rpc/server.h"

#define FAKE_UNACKED_MAX (1024 * 1024)

/*
 * One process. A start whose args[0] is
 *   "missing"  fails with NOT_FOUND and runc's words
 *   "cat"	echoes its input; EOF of it ends the process with 0
 *   "flood"	produces flood_total bytes, never more than FAKE_UNACKED_MAX unacknowledged, then
 *		exits with 3
 * Anything else does what the test says.
 */
struct fake_agent {
	pthread_mutex_t lock; /* guards all; the server runs under it */
	pthread_cond_t changed;
	pthread_t thread;
	int fd, wake_fd, client_fd;
	struct rpc_server *server;
	struct rpc_server_call *attach, *input;
	char mode[16], id[80];
	char args[256], env[256]; /* of the last start, joined by '|' */
	bool started, exited, eof, refuse_input, hold_start, tty;
	int exit_code;
	unsigned int starts, resumes, acks, releases, rows, cols;
	uint64_t resume_from, acked, produced, max_unacked, flood_total;
	struct buf kept; /* everything produced, with its stream in kept_streams */
	struct buf kept_streams;
	struct buf stdin_data;
	uint64_t stdin_bytes;
};

int fake_agent_start(struct fake_agent *a);
void fake_agent_stop(struct fake_agent *a);
int fake_agent_connect(struct fake_agent *a, struct loop *loop, struct rpc_client **ret_client);
void fake_agent_say(struct fake_agent *a, int stream, const char *text);
void fake_agent_lie(struct fake_agent *a, int stream, uint64_t offset, const void *data,
		    size_t len);
void fake_agent_exit(struct fake_agent *a, int code);
bool fake_agent_wait(struct fake_agent *a, const bool *flag);
bool fake_agent_wait_input(struct fake_agent *a, uint64_t bytes);
unsigned char fake_byte(uint64_t at);
