/* SPDX-License-Identifier: Apache-2.0 */
/* server_priv.h - what server.c and server_call.c share */
#pragma once

#include "rpc/http2.h"
#include "rpc/server.h"
#include "rpc/sync.h"
#include "rpc/wire.h"

#define SERVER_READ_SIZE (64 * 1024)

struct server_call {
	struct rpc_server_call pub; /* what handlers see; pub.method is NULL for a bad path */
	int32_t id;		    /* HTTP/2's */

	size_t header_bytes;
	bool is_post, is_grpc;
	bool ready; /* its headers are complete and good: handlers know of it */

	struct rpc_reader reader;
	unsigned int messages;
	bool remote_closed;
	size_t unacked; /* bytes received and not given back to the stream's window */
	size_t held;	/* of these, the handler's until rpc_server_consume() */

	struct rpc_queue queue;
	bool responded; /* response headers were submitted */
	bool deferred;	/* nghttp2 waits for data of ours */
	bool want_writable;
	bool finished;
	enum rpc_status status;
	char *text; /* owned; NULL for none */

	struct server_call *next, *prev; /* in server->calls */
};

struct rpc_server {
	int fd; /* borrowed: from the agent */
	const struct rpc_method *methods;
	void (*on_reset)(void *user);
	void *user;

	uint8_t key[RPC_TOKEN_LEN];
	bool key_changed; /* by a handler, while bytes that were searched before are handled */
	struct rpc_scan scan;
	uint8_t nonce[RPC_NONCE_LEN];
	size_t nonce_want; /* bytes of the nonce that are still to come */

	nghttp2_session *session; /* owned; NULL between connections */
	struct server_call *calls;
	struct rpc_out out;
	uint8_t in[SERVER_READ_SIZE];
};

/* server_call.c */
int server_session_new(struct rpc_server *server);
void server_session_end(struct rpc_server *server);
