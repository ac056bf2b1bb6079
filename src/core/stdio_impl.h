/* SPDX-License-Identifier: Apache-2.0 */
/* stdio_impl.h - what the files stdio*.c share; nobody else includes it */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "core/stdio.h"
#include "core/stdio_keys.h"

struct loop_timer;
struct rpc_stream;
struct ProtobufCMessage;

#define STDIO_CLIENT_WINDOW (256 * 1024)    /* how far a client may lag before it holds acks back */
#define STDIO_UNACKED_MAX (4 * 1024 * 1024) /* an agent that sends more than it may is cut off */
#define STDIO_SMALL_MAX 2048		    /* smaller chunks are gathered ... */
#define STDIO_GATHER_MAX 8192		    /* ... into pieces of this size while clients lag */
#define STDIO_COST_HOLD (2 * 1024 * 1024)   /* memory of waiting chunks that ends the window */
#define STDIO_COST_MAX (32 * 1024 * 1024)   /* an agent that makes us hold more is cut off */
#define STDIO_ACK_STEP (128 * 1024)	    /* acknowledged at once; less waits ... */
#define STDIO_ACK_DELAY_MS 20		    /* ... this long for more */
#define STDIO_INPUT_MAX (32 * 1024)	    /* one InputChunk */

enum stdio_state {
	STDIO_NEW,	/* nothing was sent; clients may attach */
	STDIO_STARTING, /* start or resume was sent */
	STDIO_RUNNING,	/* the agent answered */
	STDIO_ENDED	/* exited, failed to start, or lost */
};

/* Output that at least one client has yet to send. */
struct stdio_chunk {
	struct stdio_chunk *next, *prev;  /* in io->chunks, by offset */
	struct ProtobufCMessage *message; /* owned: holds data; or NULL */
	char *own;			  /* owned: holds data of gathered chunks; or NULL */
	size_t cap;			  /* of own */
	const char *data;
	size_t len;
	size_t cost; /* memory, as counted in io->cost */
	uint64_t offset;
	int stream;
	unsigned int refs; /* clients that have not sent it yet */
	bool frozen;	   /* somebody is sending it: may not grow */
};

/* An attached client, in the frame of stdio_attach(). */
struct stdio_client {
	struct stdio_client *next, *prev;  /* in io->clients */
	struct stdio *io;		   /* a reference */
	const struct stdio_attach *attach; /* borrowed */
	int wake_fd;			   /* eventfd */
	atomic_bool cancelled;
	bool asleep;		    /* io->lock; in poll, wants to be woken */
	struct stdio_chunk *cursor; /* io->lock; first chunk not sent, NULL: all are */
	size_t sent;		    /* of cursor's frame, header included */
	bool in_open;		    /* reads the client's input */
	bool eof_due;		    /* end of input has yet to be sent on */
	struct stdio_keys keys;
	struct buf input; /* read, not yet sent on */
	bool detached;
	int64_t linger_until_ns; /* monotonic: the input ended, and soon the attachment */
};

struct stdio {
	pthread_mutex_t lock; /* guards everything below; calls nobody above stdio */
	unsigned int refs;    /* owner, clients, streams, timer, posted work */
	struct loop *loop;    /* borrowed */
	char *id;	      /* owned, immutable */
	bool tty, open_stdin, stdin_once;
	struct container_log *log;   /* borrowed; NULL: none, or no longer ours */
	const struct stdio_ops *ops; /* NULL once freed by the owner */
	void *user;
	enum stdio_state state;
	bool resumed;		   /* the run was begun by an earlier daemon */
	bool kicked;		   /* owner gone before the end: clients leave */
	struct rpc_client *rpc;	   /* borrowed: valid while attach is not NULL */
	struct rpc_stream *attach; /* Process.Attach */
	struct rpc_stream *input;  /* Process.Input, opened at first need */
	bool input_closed;	   /* end of input was sent, or the agent ended it */
	unsigned int rows, cols;   /* wanted before the start; 0: unknown */
	uint64_t next;		   /* end of the output seen */
	uint64_t acked;
	bool held; /* a client holds acks back */
	bool ack_posted;
	struct loop_timer *ack_timer; /* loop thread */
	struct stdio_chunk *chunks;
	size_t cost; /* memory of chunks, bookkeeping included */
	struct stdio_client *clients;
};

void stdio_ref_locked(struct stdio *io);
void stdio_unref(struct stdio *io);
void stdio_wake_all_locked(struct stdio *io);

/* stdio_output.c: under io->lock */
void stdio_push(struct stdio *io, struct ProtobufCMessage *message /* owned */, int stream,
		uint64_t offset, const void *data, size_t len);
void stdio_client_join(struct stdio *io, struct stdio_client *c);
void stdio_client_leave(struct stdio *io, struct stdio_client *c);
void stdio_client_advance(struct stdio_client *c);
bool stdio_client_wants(const struct stdio_client *c, const struct stdio_chunk *chunk);
uint64_t stdio_clients_hold(const struct stdio *io);
void stdio_ack_soon_locked(struct stdio *io);

/* stdio_input.c: under io->lock */
int stdio_input_send(struct stdio *io, const void *data, size_t len, bool eof);
int stdio_resize_send(struct stdio *io);
