/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - a process's stdin */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/poll.h"
#include "base/buf.h"
#include "rpc/server.h"

struct agent;

struct input {
	struct agent *agent; /* borrowed */
	struct poll_watch watch;
	int fd;			      /* owned; -EBADF: none, or closed */
	bool tty;		      /* a terminal does not end with the client's half */
	bool eof;		      /* close once the queue is empty */
	bool half_closed;	      /* the call is to be answered once the queue is empty */
	struct buf queue;	      /* bounded by the call's flow-control window */
	struct rpc_server_call *call; /* borrowed: who gets its window back; may be NULL */
};

void input_init(struct input *in, struct agent *agent);
void input_done(struct input *in);
void input_open(struct input *in, int fd, bool tty);
void input_close(struct input *in);
void input_message(struct rpc_server_call *call, const ProtobufCMessage *message);
void input_half_closed(struct rpc_server_call *call);
void input_closed(struct rpc_server_call *call);
