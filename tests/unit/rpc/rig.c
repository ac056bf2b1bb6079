/* SPDX-License-Identifier: Apache-2.0 */
/* rig.c - one client and one peer, and what tests ask of them */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

void rig_on_closed(void *user, int reason)
{
	struct rig *rig = user;

	rig->reason = reason;
	rig->closed++;
}

int rig_connect(struct rig *rig, const unsigned char *token)
{
	int fd = fcntl(rig->channel, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno
		      : rpc_client_new(rig->loop, fd, token, rig_on_closed, rig, &rig->client);
}

int rig_start(struct rig *rig)
{
	int r;

	memset(rig, 0, sizeof(*rig));
	r = loop_new(&rig->loop);
	if (r == 0)
		r = peer_start(&rig->peer, &rig->channel);
	return r < 0 ? r : rig_connect(rig, NULL);
}

void rig_stop(struct rig *rig)
{
	rpc_client_free(rig->client);
	peer_stop(&rig->peer);
	close(rig->channel);
	loop_free(rig->loop);
}

static void watch_message(void *user, ProtobufCMessage *message)
{
	struct watch *w = user;
	Chunk *chunk = (Chunk *)message;

	pthread_mutex_lock(&w->lock);
	w->messages++;
	w->bytes += chunk->data.len;
	(void)snprintf(w->last_id, sizeof(w->last_id), "%s", chunk->id);
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void watch_writable(void *user)
{
	struct watch *w = user;

	pthread_mutex_lock(&w->lock);
	w->writables++;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void watch_closed(void *user, enum rpc_status status, const char *text)
{
	struct watch *w = user;

	pthread_mutex_lock(&w->lock);
	w->closed = true;
	w->status = status;
	(void)snprintf(w->text, sizeof(w->text), "%s", text);
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

const struct rpc_stream_ops watch_ops = {
	.message = watch_message, .writable = watch_writable, .closed = watch_closed};

/* Waits for at most 20 s until the stream is closed, or *count is at least want. */
bool watch_wait(struct watch *w, const unsigned int *count, unsigned int want)
{
	struct timespec until;
	bool ok;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&w->lock);
	while (!(ok = count ? *count >= want : w->closed) && r == 0)
		r = pthread_cond_timedwait(&w->cond, &w->lock, &until);
	pthread_mutex_unlock(&w->lock);
	return ok;
}

/* Sends total bytes in 32 KiB messages, waiting for room. */
int watch_pump(struct watch *w, unsigned long long total)
{
	static uint8_t block[32768];
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;

	chunk.data.data = block;
	while (total > 0) {
		unsigned int before = w->writables;
		int r;

		chunk.data.len = MIN(total, sizeof(block));
		r = rpc_stream_send(w->stream, &chunk.base);
		if (r == 0)
			total -= chunk.data.len;
		else if (r != -EAGAIN || !watch_wait(w, &w->writables, before + 1))
			return r;
	}
	return 0;
}

bool eventually(const atomic_int *value, int want)
{
	for (int i = 0; i < 2000 && *value != want; i++)
		(void)poll(NULL, 0, 5);
	return *value == want;
}

int echo(struct rpc_client *client, size_t len, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(len + 1);
	ProtobufCMessage *reply = NULL;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	int r;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	chunk.id = (char *)"me";
	chunk.data.data = data;
	chunk.data.len = len;
	r = rpc_call(client, "/t/Echo", &chunk.base, TYPE, 20000, &reply, err);
	if (r != 0)
		return r;
	if (((Chunk *)reply)->data.len != len ||
	    (len > 0 && memcmp(((Chunk *)reply)->data.data, data, len) != 0))
		r = -EBADMSG;
	protobuf_c_message_free_unpacked(reply, NULL);
	return r;
}
