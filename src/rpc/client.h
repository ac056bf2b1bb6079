/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - gRPC client over one byte channel (daemon side)
 *
 * All I/O runs on the loop thread; calls may be made from any thread. Callbacks run on the loop
 * thread and must not block.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct rpc_client;
struct rpc_stream;

#define RPC_TOKEN_LEN 32
#define RPC_MESSAGE_MAX                                                                            \
	(4 * 1024 * 1024) /* one gRPC message, bytes; larger ends the connection                   \
			   */

/* gRPC status codes that we use (grpc/doc/statuscodes.md) */
enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELLED = 1,
	RPC_UNKNOWN = 2,
	RPC_INVALID_ARGUMENT = 3,
	RPC_DEADLINE_EXCEEDED = 4,
	RPC_NOT_FOUND = 5,
	RPC_ALREADY_EXISTS = 6,
	RPC_PERMISSION_DENIED = 7,
	RPC_RESOURCE_EXHAUSTED = 8,
	RPC_FAILED_PRECONDITION = 9,
	RPC_UNIMPLEMENTED = 12,
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14, /* the channel is gone */
};

/* @reason: 0 when rpc_client_free() did it, else a negative errno. Called once. */
typedef void (*rpc_closed_fn)(void *user, int reason);

/* fd: connected non-blocking stream socket, becomes the client's. token: what the agent's last
 * Hello was given, or NULL for a fresh clone. Sends the re-synchronisation preamble and the HTTP/2
 * preface at once; calls may follow without waiting. Any thread. */
int rpc_client_new(struct loop *loop, int fd, const unsigned char *token, rpc_closed_fn closed,
		   void *user, struct rpc_client **ret_client);
/* Ends every call with RPC_UNAVAILABLE (callbacks run before this returns) and frees. Any thread
 * but inside a callback. */
void rpc_client_free(struct rpc_client *client);

/* Unary call, blocking; never on the loop thread. ret_reply: freed by the caller with
 * protobuf_c_message_free_unpacked(); may be NULL. Return 0, a positive enum rpc_status the agent
 * (or the channel) answered, or a negative errno. err is filled in both non-zero cases. timeout_ms
 * 0 = none. */
int rpc_call(struct rpc_client *client, const char *method /* "/arca.v1.Sandbox/Hello" */,
	     const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
	     unsigned int timeout_ms, ProtobufCMessage **ret_reply, struct err *err);

struct rpc_stream_ops {
	/* one message arrived, unpacked; freed by the callee. */
	void (*message)(void *user, ProtobufCMessage *message /* owned */);
	/* the peer consumed data: rpc_stream_send() that returned -EAGAIN may be tried again */
	void (*writable)(void *user); /* may be NULL */
	/* the call ended; last callback; the stream is freed after it returns */
	void (*closed)(void *user, enum rpc_status status, const char *text);
};

/* Streaming call of any kind. Any thread. first may be NULL. reply_type: type of incoming messages.
 */
int rpc_stream_open(struct rpc_client *client, const char *method, const ProtobufCMessage *first,
		    const ProtobufCMessageDescriptor *reply_type, const struct rpc_stream_ops *ops,
		    void *user, struct rpc_stream **ret_stream);
/* Queue one message. Any thread. -EAGAIN when more than RPC_STREAM_QUEUE_MAX bytes wait for the
 * peer (nothing was queued; wait for writable), -EPIPE when the stream has ended. Between
 * rpc_stream_open() and `closed` only. */
#define RPC_STREAM_QUEUE_MAX (256 * 1024)
int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *message);
/* No more messages from us. Any thread. */
void rpc_stream_close_send(struct rpc_stream *stream);
/* Ends the call with RPC_CANCELLED; closed() follows. Any thread. */
void rpc_stream_cancel(struct rpc_stream *stream);
