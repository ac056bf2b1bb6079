/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.c - a process's stdin
 *
 * DOC: Theory of operation
 *
 * Bytes are given back to the call's flow control when the process's pipe or terminal has taken
 * them, so a process that does not read stalls its sender and nothing else, and the queue here
 * never exceeds one window. A call that dies leaves stdin open: the next one goes on. Bytes for a
 * process that closed its stdin or is gone are taken and dropped, as a shell's pipe would.
 */
#include "agent/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/process.h"
#include "base/str.h"

static void input_writable(struct poll_watch *watch, uint32_t events);

/**
 * input_init() - No stdin yet
 * @in:	   Input
 * @agent: Agent
 */
void input_init(struct input *in, struct agent *agent)
{
	*in = (struct input){.agent = agent, .fd = -EBADF};
}

/**
 * input_open() - Give it the agent's end of stdin
 * @in:	 Input without one
 * @fd:	 Non-blocking, becomes the input's
 * @tty: Whether it is a terminal's master
 */
void input_open(struct input *in, int fd, bool tty)
{
	in->fd = fd;
	in->tty = tty;
}

static void input_answer(struct input *in)
{
	struct rpc_server_call *call = in->call;
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;

	if (!call || !in->half_closed)
		return;
	in->call = NULL;
	call->data = NULL;
	rpc_server_reply(call, &empty.base);
}

static void input_give_back(struct input *in, size_t bytes)
{
	if (in->call && bytes)
		rpc_server_consume(in->call, bytes);
}

/**
 * input_close() - End stdin; what waits is dropped
 * @in: Input
 */
void input_close(struct input *in)
{
	size_t dropped = in->queue.len;

	poll_remove(&in->agent->poller, &in->watch);
	if (in->fd >= 0)
		(void)close(in->fd); /* a pipe */
	in->fd = -EBADF;
	buf_done(&in->queue);
	input_give_back(in, dropped);
	input_answer(in);
}

/**
 * input_done() - Free it with its process
 * @in: Input
 */
void input_done(struct input *in)
{
	struct rpc_server_call *call = in->call;

	in->call = NULL;
	input_close(in);
	if (call) {
		call->data = NULL;
		rpc_server_finish(call, RPC_NOT_FOUND, "the process is gone");
	}
}

/* Return: bytes taken; -EAGAIN; another negative errno when nobody will ever read */
static ssize_t input_write(struct input *in, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = write(in->fd, data, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Write what waits until it is gone or the process is full. */
static void input_flush(struct input *in)
{
	size_t done = 0;
	ssize_t n = 0;

	while (in->fd >= 0 && done < in->queue.len) {
		n = input_write(in, in->queue.data + done, in->queue.len - done);
		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done) {
		buf_consume(&in->queue, done);
		input_give_back(in, done);
	}
	if (n < 0 && n != -EAGAIN) {
		input_close(in);
		return;
	}
	if (in->queue.len) {
		(void)poll_add(&in->agent->poller, &in->watch, in->fd, EPOLLOUT,
			       input_writable); /* only memory can fail it: tried again */
		return;
	}
	poll_remove(&in->agent->poller, &in->watch);
	if (in->eof && !in->tty)
		input_close(in);
	input_answer(in);
}

static void input_writable(struct poll_watch *watch, uint32_t events UNUSED)
{
	input_flush(container_of(watch, struct input, watch));
}

static void input_add(struct input *in, const void *data, size_t len)
{
	if (in->fd < 0) {
		input_give_back(in, len);
		return;
	}
	buf_add(&in->queue, data, len);
	if (in->queue.failed) {
		/* Out of memory: better no input than input with a hole. */
		input_close(in);
		input_give_back(in, len);
		return;
	}
	input_flush(in);
}

/**
 * input_message() - Bytes for stdin
 * @call:    Call
 * @message: Message
 */
void input_message(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__InputChunk *chunk = (const Arca__V1__InputChunk *)message;
	struct input *in = call->data;
	struct process *p;

	if (!in) {
		p = process_find(agent_of(call), chunk->id);
		if (!p) {
			rpc_server_finish(call, RPC_NOT_FOUND, "no such process");
			return;
		}
		in = &p->input;
		if (in->call) {
			struct rpc_server_call *old = in->call;

			old->data = NULL;
			in->call = NULL;
			rpc_server_finish(old, RPC_CANCELLED, "another input took over");
		}
		in->call = call;
		in->half_closed = false;
		call->data = in;
	}
	if (chunk->eof)
		in->eof = true;
	input_add(in, chunk->data.data, chunk->data.len);
}

/**
 * input_half_closed() - No more bytes on this call
 * @call: Call
 */
void input_half_closed(struct rpc_server_call *call)
{
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct input *in = call->data;

	if (!in) {
		rpc_server_reply(call, &empty.base);
		return;
	}
	in->half_closed = true;
	if (!in->queue.len)
		input_answer(in);
}

/**
 * input_closed() - The call is gone; stdin stays open
 * @call: Call
 */
void input_closed(struct rpc_server_call *call)
{
	struct input *in = call->data;

	if (in && in->call == call)
		in->call = NULL;
}
