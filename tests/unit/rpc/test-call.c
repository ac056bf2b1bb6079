/* SPDX-License-Identifier: Apache-2.0 */
/* test-call.c - client and server together, over a socket pair */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "test.h"
#include "rig.h"
#include "base/cleanup.h"

TEST_MAIN()

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
		for (int quiet = 0; quiet < (sent < 1024 * 1024 ? 2000 : 10); quiet++) {
			while (sent < 8 * 1024 * 1024 &&
			       rpc_stream_send(stall[i].stream, &chunk.base) == 0) {
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
	close(rig.channel);
	loop_free(rig.loop);
}
