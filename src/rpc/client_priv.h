/* SPDX-License-Identifier: Apache-2.0 */
/* client_priv.h - what client.c, client_http2.c and client_stream.c share */
#pragma once

#include <pthread.h>
#include <uthash.h>

#include "base/loop.h"
#include "rpc/client.h"
#include "rpc/http2.h"
#include "rpc/sync.h"
#include "rpc/wire.h"

/* What other threads asked of a stream and the loop thread has not done yet. */
enum stream_ask {
	STREAM_ASK_OPEN = 1 << 0,
	STREAM_ASK_SEND = 1 << 1,
	STREAM_ASK_CANCEL = 1 << 2,
};

struct rpc_stream {
	struct rpc_client *client;		/* borrowed: outlives its streams */
	const ProtobufCMessageDescriptor *type; /* borrowed: of incoming messages */
	struct rpc_stream_ops ops;
	void *user;
	char *path; /* owned */

	/* loop thread only */
	int32_t id;    /* HTTP/2's; 0 until the request was submitted */
	bool deferred; /* nghttp2 waits for data of ours */
	size_t header_bytes;
	int http_status, status; /* status: -1 until the trailers came */
	char *text;		 /* owned; grpc-message, decoded, or NULL */
	struct rpc_reader reader;
	UT_hash_handle hh; /* in client->by_id */

	/* under client->lock */
	unsigned int asked; /* enum stream_ask; in client->dirty while not 0 */
	bool send_closed, want_writable, ended;
	struct rpc_queue queue;
	struct rpc_stream *next, *prev;		    /* in client->streams */
	struct rpc_stream *dirty_next, *dirty_prev; /* in client->dirty */
};

struct rpc_client {
	struct loop *loop; /* borrowed */
	rpc_closed_fn closed;
	void *user;

	/* loop thread only */
	int fd;			  /* owned */
	struct loop_fd *watch;	  /* owned; NULL once the connection ended */
	int events;		  /* what the watch reports */
	nghttp2_session *session; /* owned; NULL once the connection ended */
	struct rpc_out out;
	struct rpc_scan scan; /* for the answer to the preamble */
	bool synced;
	size_t skipped; /* bytes before the answer */
	bool busy;	/* a flush will follow before the loop goes on */
	int failure;	/* why a session callback failed, negative errno */
	struct rpc_stream *by_id;

	pthread_mutex_t lock;	    /* guards what follows, and the send side of streams */
	struct rpc_stream *streams; /* all of them */
	struct rpc_stream *dirty;   /* those with something asked */
	bool posted;		    /* a flush is on its way to the loop thread */
	bool dead;		    /* no new streams */
	unsigned int refs;	    /* the owner, and a posted flush */
};

/* client_http2.c */
int client_session_new(struct rpc_client *client);
int client_session_feed(struct rpc_client *client, const uint8_t *data, size_t len);
int client_submit(struct rpc_client *client, struct rpc_stream *stream);

/* client_stream.c */
void client_stream_end(struct rpc_stream *stream, enum rpc_status status, const char *text);
void client_stream_apply(struct rpc_client *client, struct rpc_stream *stream, unsigned int asked);

/* client.c */
bool client_mark(struct rpc_stream *stream, unsigned int ask);
int client_wake(struct rpc_client *client, bool post);
