/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h - one client and one peer, and what tests ask of them */
#pragma once

#include <agent.pb-c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "peer.h"
#include "base/loop.h"
#include "rpc/client.h"

typedef Arca__V1__InputChunk Chunk;
#define TYPE &arca__v1__input_chunk__descriptor

/* The channel stays while clients come and go: each has a duplicate of it. */
struct rig {
	struct loop *loop;
	struct peer peer;
	int channel; /* owned */
	struct rpc_client *client;
	atomic_int closed, reason;
};

int rig_start(struct rig *rig);
int rig_connect(struct rig *rig, const unsigned char *token);
void rig_stop(struct rig *rig);
void rig_on_closed(void *rig, int reason);

/* A stream and what came of it. */
struct watch {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct rpc_stream *stream;
	unsigned int messages, writables;
	unsigned long long bytes;
	bool closed;
	enum rpc_status status;
	char text[256], last_id[64];
};
#define WATCH_INIT                                                                                 \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER                \
	}

extern const struct rpc_stream_ops watch_ops;

bool watch_wait(struct watch *w, const unsigned int *count, unsigned int want);
int watch_pump(struct watch *w, unsigned long long total);
bool eventually(const atomic_int *value, int want);
int echo(struct rpc_client *client, size_t len, struct err *err);
