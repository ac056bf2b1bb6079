/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - gRPC server over one byte channel (agent side); single-threaded, driven by epoll
 *
 * The agent owns the descriptor and the poll loop: it calls rpc_server_on_readable() and
 * rpc_server_on_writable(). Messages are handed to the service table unpacked; a handler answers
 * now or later (streams).
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/client.h" /* status codes, limits */

struct rpc_server;
struct rpc_server_call;

struct rpc_method {
	const char *path; /* "/arca.v1.Sandbox/Hello" */
	const ProtobufCMessageDescriptor *request_type;
	/* one request message arrived (each one, for client streams); the server frees it */
	void (*message)(struct rpc_server_call *call, const ProtobufCMessage *message);
	/* the client sent its last message; may be NULL: then a call without one is refused */
	void (*half_closed)(struct rpc_server_call *call);
	/* the call is gone: finished and sent, cancelled, or its connection retired; last use of
	 * the pointer; may be NULL */
	void (*closed)(struct rpc_server_call *call);
	/* rpc_server_send() that returned -EAGAIN may be tried again; may be NULL */
	void (*writable)(struct rpc_server_call *call);
	/* the contents of `bytes` fields are given back to flow control by rpc_server_consume() */
	bool manual_consume;
};

struct rpc_server_call {
	struct rpc_server *server;	 /* borrowed: outlives its calls */
	const struct rpc_method *method; /* borrowed: from the table */
	void *data;			 /* the handler's */
};

int rpc_server_new(int fd, const struct rpc_method *methods, void (*on_reset)(void *user),
		   void *user, struct rpc_server **ret_server);
void rpc_server_free(struct rpc_server *server);
void *rpc_server_user(struct rpc_server *server);
void rpc_server_set_token(struct rpc_server *server, const unsigned char token[RPC_TOKEN_LEN]);
bool rpc_server_wants_write(const struct rpc_server *server);
int rpc_server_on_readable(struct rpc_server *server);
int rpc_server_on_writable(struct rpc_server *server);

int rpc_server_send(struct rpc_server_call *call, const ProtobufCMessage *message);
void rpc_server_finish(struct rpc_server_call *call, enum rpc_status status, const char *text);
void rpc_server_reply(struct rpc_server_call *call, const ProtobufCMessage *message);
void rpc_server_consume(struct rpc_server_call *call, size_t bytes);
