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
#define RPC_MESSAGE_MAX (4 * 1024 * 1024) /* bytes; a larger one ends the connection */
#define RPC_STREAM_QUEUE_MAX (256 * 1024) /* bytes that wait for the peer on one stream */

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

typedef void (*rpc_closed_fn)(void *user, int reason);

int rpc_client_new(struct loop *loop, int fd, const unsigned char *token, rpc_closed_fn closed,
		   void *user, struct rpc_client **ret_client);
void rpc_client_free(struct rpc_client *client);

int rpc_call(struct rpc_client *client, const char *method /* "/arca.v1.Sandbox/Hello" */,
	     const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
	     unsigned int timeout_ms, ProtobufCMessage **ret_reply, struct err *err);

struct rpc_stream_ops {
	/* one message arrived; owned by the callee, protobuf_c_message_free_unpacked() ends it */
	void (*message)(void *user, ProtobufCMessage *message /* owned */);
	/* rpc_stream_send() that returned -EAGAIN may be tried again; may be NULL */
	void (*writable)(void *user);
	/* the call ended; last callback; the stream is freed after it returns */
	void (*closed)(void *user, enum rpc_status status, const char *text);
};

/* A stream may be used between rpc_stream_open() and the end of its `closed`. */
int rpc_stream_open(struct rpc_client *client, const char *method, const ProtobufCMessage *first,
		    const ProtobufCMessageDescriptor *reply_type, const struct rpc_stream_ops *ops,
		    void *user, struct rpc_stream **ret_stream);
int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *message);
void rpc_stream_close_send(struct rpc_stream *stream);
void rpc_stream_cancel(struct rpc_stream *stream);
