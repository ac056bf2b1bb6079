/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio_input.c - towards the process: its stdin, shared by all clients, and its terminal's size
 *
 * One Process.Input stream per process, opened with the first input; clients' chunks go into it as
 * they come. What the agent does not take yet stays with the client that has it, whose socket is
 * then not read: a process that ignores its stdin stalls only those who write to it.
 */
#include <errno.h>
#include <string.h>

#include "agent.pb-c.h"
#include "core/stdio_impl.h"
#include "rpc/client.h"

static void stdio_input_message(void *user UNUSED, ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

static void stdio_input_writable(void *user)
{
	struct stdio *io = user;

	pthread_mutex_lock(&io->lock);
	stdio_wake_all_locked(io);
	pthread_mutex_unlock(&io->lock);
}

static void stdio_input_closed(void *user, enum rpc_status status, const char *text UNUSED)
{
	struct stdio *io = user;

	pthread_mutex_lock(&io->lock);
	io->input = NULL;
	if (status != RPC_UNAVAILABLE)
		io->input_closed = true; /* the process closed it or is gone */
	stdio_wake_all_locked(io);
	pthread_mutex_unlock(&io->lock);
	stdio_unref(io);
}

static const struct rpc_stream_ops stdio_input_ops = {
	.message = stdio_input_message,
	.writable = stdio_input_writable,
	.closed = stdio_input_closed,
};

/**
 * stdio_input_send() - Send input on to the process; under io->lock
 * @io:	  Process
 * @data: Input
 * @len:  At most STDIO_INPUT_MAX
 * @eof:  No more input follows, of anybody
 *
 * Return: 0, -EAGAIN (clients are woken when it may be tried again), -EPIPE if nobody reads it, or
 * another negative errno
 */
int stdio_input_send(struct stdio *io, const void *data, size_t len, bool eof)
{
	Arca__V1__InputChunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	int r;

	if (io->input_closed || io->state == STDIO_ENDED)
		return -EPIPE;
	if (!io->attach || io->state != STDIO_RUNNING)
		return -EAGAIN;
	chunk.data.data = (uint8_t *)data; /* only packed */
	chunk.data.len = len;
	chunk.eof = eof;
	if (!io->input) {
		chunk.id = io->id;
		stdio_ref_locked(io);
		r = rpc_stream_open(io->rpc, "/arca.v1.Process/Input", &chunk.base,
				    &arca__v1__empty__descriptor, &stdio_input_ops, io, &io->input);
		if (r < 0) {
			io->input = NULL;
			io->refs--; /* the caller has one */
		}
	} else {
		r = rpc_stream_send(io->input, &chunk.base);
	}
	if (r == 0 && eof) {
		io->input_closed = true;
		rpc_stream_close_send(io->input);
	}
	return r;
}

static void stdio_resize_closed(void *user, enum rpc_status status UNUSED, const char *text UNUSED)
{
	stdio_unref(user);
}

static const struct rpc_stream_ops stdio_resize_ops = {
	.message = stdio_input_message,
	.closed = stdio_resize_closed,
};

/**
 * stdio_resize_send() - Tell the agent io->rows and io->cols; under io->lock
 * @io: Process
 *
 * Return: 0, or negative errno
 */
int stdio_resize_send(struct stdio *io)
{
	Arca__V1__ResizeRequest request = ARCA__V1__RESIZE_REQUEST__INIT;
	struct rpc_stream *stream;
	int r;

	if (!io->attach)
		return -ENOTCONN;
	request.id = io->id;
	request.rows = io->rows;
	request.cols = io->cols;
	stdio_ref_locked(io);
	r = rpc_stream_open(io->rpc, "/arca.v1.Process/Resize", &request.base,
			    &arca__v1__empty__descriptor, &stdio_resize_ops, io, &stream);
	if (r < 0) {
		io->refs--; /* the caller has one */
		return r;
	}
	rpc_stream_close_send(stream);
	return 0;
}

/**
 * stdio_resize() - Set the size of the process's terminal
 * @io:	  Process; before its start the size is remembered
 * @rows: Lines
 * @cols: Columns
 * @err:  Filled on failure
 *
 * Return: 0, or negative errno
 */
int stdio_resize(struct stdio *io, unsigned int rows, unsigned int cols, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&io->lock);
	io->rows = rows;
	io->cols = cols;
	if (io->state == STDIO_RUNNING)
		r = stdio_resize_send(io);
	pthread_mutex_unlock(&io->lock);
	if (r < 0)
		return err_sys(err, r, "cannot resize the terminal of %.12s", io->id);
	return 0;
}
