/* SPDX-License-Identifier: Apache-2.0 */
/* test-call.c - client and server together, over a socket pair */
#include <agent.pb-c.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "test.h"
#include "peer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "rpc/client.h"

TEST_MAIN()

typedef Arca__V1__InputChunk Chunk;
#define TYPE &arca__v1__input_chunk__descriptor

/* One client and one server; ended by the cleanup attribute. */
struct rig {
	struct loop *loop;
	struct peer peer;
	struct rpc_client *client;
	atomic_int closed, reason;
};

static void rig_on_closed(void *user, int reason)
{
	struct rig *rig = user;

	rig->reason = reason;
	rig->closed++;
}

static int rig_start(struct rig *rig)
{
	int fd, r;

	memset(rig, 0, sizeof(*rig));
	r = loop_new(&rig->loop);
	if (r == 0)
		r = peer_start(&rig->peer, &fd);
	if (r == 0)
		r = rpc_client_new(rig->loop, fd, NULL, rig_on_closed, rig, &rig->client);
	return r;
}

static void rig_stop(struct rig *rig)
{
	rpc_client_free(rig->client);
	peer_stop(&rig->peer);
	loop_free(rig->loop);
}

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

static const struct rpc_stream_ops watch_ops = {
	.message = watch_message, .writable = watch_writable, .closed = watch_closed};

/* Waits for at most 20 s until the stream is closed, or *count is at least want. */
static bool watch_wait(struct watch *w, const unsigned int *count, unsigned int want)
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
static int watch_pump(struct watch *w, unsigned long long total)
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

static bool eventually(const atomic_int *value, int want)
{
	for (int i = 0; i < 2000 && *value != want; i++)
		(void)poll(NULL, 0, 5);
	return *value == want;
}

static int echo(struct rpc_client *client, size_t len, struct err *err)
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

TEST(unary_call_is_answered)
{
	_cleanup_(rig_stop) struct rig rig;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(echo(rig.client, 0, &err));
	ASSERT_OK(echo(rig.client, 100, &err));
	ASSERT_EQ(rig.peer.resets, 1);
}

TEST(status_and_text_come_back)
{
	_cleanup_(rig_stop) struct rig rig;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	ProtobufCMessage *reply = NULL;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_EQ(rpc_call(rig.client, "/t/Fail", &chunk.base, TYPE, 20000, &reply, &err),
		  RPC_NOT_FOUND);
	ASSERT_STREQ(err.msg, "exec: \"f\303\266\303\266 100%\": not found");
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT(!reply);
	ASSERT_EQ(rpc_call(rig.client, "/t/None", &chunk.base, TYPE, 20000, &reply, &err),
		  RPC_UNIMPLEMENTED);
	ASSERT_EQ(rpc_call(rig.client, "/t/Twice", &chunk.base, TYPE, 20000, &reply, &err),
		  RPC_INTERNAL);
	ASSERT(!reply);
	ASSERT_OK(echo(rig.client, 10, &err));
}

TEST(mute_method_times_out_and_is_cancelled)
{
	_cleanup_(rig_stop) struct rig rig;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_ERROR(rpc_call(rig.client, "/t/Mute", &chunk.base, TYPE, 50, NULL, &err), ETIMEDOUT);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT_OK(echo(rig.client, 10, &err));
	ASSERT(eventually(&rig.peer.open, 0));
}

/* Goal: messages beyond the window arrive, up to the limit and not over it. */
TEST(large_messages)
{
	_cleanup_(rig_stop) struct rig rig;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(echo(rig.client, 70000, &err));
	ASSERT_OK(echo(rig.client, 3 * 1024 * 1024, &err));
	ASSERT_OK(echo(rig.client, RPC_MESSAGE_MAX - 64, &err));
	ASSERT_ERROR(echo(rig.client, RPC_MESSAGE_MAX, &err), EMSGSIZE);
	ASSERT_OK(echo(rig.client, 10, &err));
	ASSERT_EQ(rig.closed, 0);
}

static void *caller(void *arg)
{
	struct rpc_client *client = arg;
	struct err err = {};

	for (size_t i = 0; i < 50; i++)
		if (echo(client, i * 100, &err) != 0)
			return (void *)"failed";
	return NULL;
}

TEST(calls_from_many_threads)
{
	_cleanup_(rig_stop) struct rig rig;
	pthread_t threads[8];
	void *failed = NULL;

	ASSERT_OK(rig_start(&rig));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		(void)pthread_create(&threads[i], NULL, caller, rig.client);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *r;

		pthread_join(threads[i], &r);
		failed = r ? r : failed;
	}
	ASSERT(!failed);
}

TEST(hundred_concurrent_streams)
{
	_cleanup_(rig_stop) struct rig rig;
	static struct watch w[100];
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	char id[16];

	ASSERT_OK(rig_start(&rig));
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct watch)WATCH_INIT;
		ASSERT_OK(rpc_stream_open(rig.client, "/t/Bidi", NULL, TYPE, &watch_ops, &w[i],
					  &w[i].stream));
	}
	chunk.id = id;
	for (unsigned int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
			(void)snprintf(id, sizeof(id), "%zu-%u", i, round);
			ASSERT_OK(rpc_stream_send(w[i].stream, &chunk.base));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		ASSERT(watch_wait(&w[i], &w[i].messages, 20));
	ASSERT_EQ(rig.peer.open, 100);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		rpc_stream_close_send(w[i].stream);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		ASSERT(watch_wait(&w[i], NULL, 0));
		ASSERT_EQ(w[i].status, RPC_OK);
		ASSERT_EQ(w[i].messages, 20);
		(void)snprintf(id, sizeof(id), "%zu-19", i);
		ASSERT_STREQ(w[i].last_id, id);
	}
	ASSERT(eventually(&rig.peer.open, 0));
	ASSERT_EQ(rig.peer.errors, 0);
}

/* Goal: nothing is lost and windows do not leak over many times their size. */
TEST(client_stream_with_manual_consume)
{
	_cleanup_(rig_stop) struct rig rig;
	struct watch w = WATCH_INIT;

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Sink", NULL, TYPE, &watch_ops, &w, &w.stream));
	ASSERT_OK(watch_pump(&w, 40 * 1024 * 1024 + 7));
	rpc_stream_close_send(w.stream);
	ASSERT_ERROR(watch_pump(&w, 1), EPIPE);
	ASSERT(watch_wait(&w, NULL, 0));
	ASSERT_EQ(w.status, RPC_OK);
	ASSERT_STREQ(w.last_id, "41943047");
}

TEST(server_stream_with_back_pressure)
{
	_cleanup_(rig_stop) struct rig rig;
	struct watch w = WATCH_INIT;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;

	ASSERT_OK(rig_start(&rig));
	chunk.id = (char *)"41943047";
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Source", &chunk.base, TYPE, &watch_ops, &w,
				  &w.stream));
	rpc_stream_close_send(w.stream);
	ASSERT(watch_wait(&w, NULL, 0));
	ASSERT_EQ(w.status, RPC_OK);
	ASSERT_EQ(w.bytes, 41943047);
}

/* Goal: one stream whose reader does not read costs the others nothing. */
TEST(stalled_stream_does_not_stall_others)
{
	_cleanup_(rig_stop) struct rig rig;
	struct watch stall[6], sink = WATCH_INIT;
	static uint8_t block[32768];
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	chunk.data.data = block;
	chunk.data.len = sizeof(block);
	for (size_t i = 0; i < ARRAY_SIZE(stall); i++) {
		size_t sent = 0;

		stall[i] = (struct watch)WATCH_INIT;
		ASSERT_OK(rpc_stream_open(rig.client, "/t/Stall", NULL, TYPE, &watch_ops, &stall[i],
					  &stall[i].stream));
		for (int quiet = 0; quiet < 10; quiet++) {
			while (rpc_stream_send(stall[i].stream, &chunk.base) == 0) {
				sent += sizeof(block);
				quiet = 0;
			}
			(void)poll(NULL, 0, 10);
		}
		/* the window and the queue, no more */
		ASSERT(sent >= 1024 * 1024);
		ASSERT(sent <= 1024 * 1024 + RPC_STREAM_QUEUE_MAX + sizeof(block));
	}
	ASSERT_OK(echo(rig.client, 2 * 1024 * 1024, &err));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Sink", NULL, TYPE, &watch_ops, &sink,
				  &sink.stream));
	ASSERT_OK(watch_pump(&sink, 8 * 1024 * 1024));
	rpc_stream_close_send(sink.stream);
	ASSERT(watch_wait(&sink, NULL, 0));
	ASSERT_STREQ(sink.last_id, "8388608");
	for (size_t i = 0; i < ARRAY_SIZE(stall); i++) {
		rpc_stream_cancel(stall[i].stream);
		ASSERT(watch_wait(&stall[i], NULL, 0));
		ASSERT_EQ(stall[i].status, RPC_CANCELLED);
	}
	ASSERT(eventually(&rig.peer.open, 0));
}

TEST(cancel_ends_both_sides)
{
	_cleanup_(rig_stop) struct rig rig;
	struct watch w = WATCH_INIT;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Bidi", &chunk.base, TYPE, &watch_ops, &w,
				  &w.stream));
	ASSERT(watch_wait(&w, &w.messages, 1));
	ASSERT_EQ(rig.peer.open, 1);
	rpc_stream_cancel(w.stream);
	ASSERT(watch_wait(&w, NULL, 0));
	ASSERT_EQ(w.status, RPC_CANCELLED);
	ASSERT(eventually(&rig.peer.open, 0));
}

/* Goal: an answer before our last message ends the call, with the answer's status. */
TEST(early_answer_ends_a_client_stream)
{
	_cleanup_(rig_stop) struct rig rig;
	struct watch w = WATCH_INIT;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Early", &chunk.base, TYPE, &watch_ops, &w,
				  &w.stream));
	ASSERT(watch_wait(&w, NULL, 0));
	ASSERT_EQ(w.status, RPC_FAILED_PRECONDITION);
	ASSERT_STREQ(w.text, "stdin is closed");
	ASSERT(eventually(&rig.peer.open, 0));
	ASSERT_OK(echo(rig.client, 10, &err));
}

static void *mute_caller(void *arg)
{
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	return (void *)(intptr_t)rpc_call(arg, "/t/Mute", &chunk.base, TYPE, 0, NULL, &err);
}

TEST(free_ends_every_call)
{
	_cleanup_(rig_stop) struct rig rig;
	pthread_t threads[4];
	struct watch w = WATCH_INIT;

	ASSERT_OK(rig_start(&rig));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		(void)pthread_create(&threads[i], NULL, mute_caller, rig.client);
	ASSERT(eventually(&rig.peer.open, 4));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Bidi", NULL, TYPE, &watch_ops, &w, &w.stream));
	rpc_client_free(rig.client);
	rig.client = NULL;
	ASSERT(w.closed);
	ASSERT_EQ(w.status, RPC_UNAVAILABLE);
	ASSERT_EQ(rig.closed, 1);
	ASSERT_EQ(rig.reason, 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *r;

		pthread_join(threads[i], &r);
		ASSERT_EQ((intptr_t)r, RPC_UNAVAILABLE);
	}
}

TEST(lost_channel_ends_the_client)
{
	struct rig rig;
	struct watch w = WATCH_INIT;
	struct err err = {};
	int r;

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Bidi", NULL, TYPE, &watch_ops, &w, &w.stream));
	ASSERT_OK(echo(rig.client, 10, &err));
	peer_stop(&rig.peer);
	ASSERT(watch_wait(&w, NULL, 0));
	ASSERT_EQ(w.status, RPC_UNAVAILABLE);
	ASSERT(eventually(&rig.closed, 1));
	ASSERT(rig.reason < 0);
	ASSERT_EQ(echo(rig.client, 10, &err), RPC_UNAVAILABLE);
	ASSERT_EQ(err.kind, ERR_UNAVAILABLE);
	r = rpc_stream_open(rig.client, "/t/Bidi", NULL, TYPE, &watch_ops, &w, &w.stream);
	ASSERT_ERROR(r, EPIPE);
	rpc_client_free(rig.client);
	ASSERT_EQ(rig.closed, 1);
	loop_free(rig.loop);
}
