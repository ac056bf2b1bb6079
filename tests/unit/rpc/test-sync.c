/* SPDX-License-Identifier: Apache-2.0 */
/* test-sync.c - one channel, several clients: what the old ones left in it does no harm */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "rig.h"
#include "base/cleanup.h"
#include "rpc/sync.h"

TEST_MAIN()

static const unsigned char token_a[RPC_TOKEN_LEN] = "a token of thirty-two bytes: a.";
static const unsigned char token_b[RPC_TOKEN_LEN] = "a token of thirty-two bytes: b.";

static void rig_drop_client(struct rig *rig)
{
	rpc_client_free(rig->client);
	rig->client = NULL;
}

static int rig_set_token(struct rig *rig, const unsigned char *token, struct err *err)
{
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;

	chunk.data.data = (uint8_t *)token;
	chunk.data.len = RPC_TOKEN_LEN;
	return rpc_call(rig->client, "/t/Token", &chunk.base, TYPE, 20000, NULL, err);
}

/* Goal: calls of a dead client are closed at the agent, and the next one just works. */
TEST(reconnect_after_half_a_frame)
{
	/* a DATA frame of 60000 bytes on stream 1, of which 9 + 100 arrive */
	static const uint8_t half[109] = {0x00, 0xea, 0x60, 0, 0, 0, 0, 0, 1};
	_cleanup_(rig_stop) struct rig rig;
	struct watch w = WATCH_INIT;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(rpc_stream_open(rig.client, "/t/Bidi", &chunk.base, TYPE, &watch_ops, &w,
				  &w.stream));
	ASSERT(watch_wait(&w, &w.messages, 1));
	rig_drop_client(&rig);
	ASSERT_EQ(rig.peer.open, 1); /* nobody told it */
	ASSERT_EQ(write(rig.channel, half, sizeof(half)), sizeof(half));
	ASSERT_OK(rig_connect(&rig, NULL));
	ASSERT_OK(echo(rig.client, 1000, &err));
	ASSERT_EQ(rig.peer.resets, 2);
	ASSERT_EQ(rig.peer.open, 0);
}

TEST(reconnect_after_garbage)
{
	_cleanup_(rig_stop) struct rig rig;
	uint8_t garbage[50000];
	struct err err = {};
	uint32_t x = 1;

	ASSERT_OK(rig_start(&rig));
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(garbage); i++)
			garbage[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
		rig_drop_client(&rig);
		ASSERT_EQ(write(rig.channel, garbage, sizeof(garbage) - (size_t)round),
			  sizeof(garbage) - (size_t)round);
		ASSERT_OK(rig_connect(&rig, NULL));
		ASSERT_OK(echo(rig.client, 1000, &err));
	}
	ASSERT_EQ(rig.peer.resets, 21);
}

/* Goal: what the agent wrote for a dead client does not reach the next one. */
TEST(reconnect_with_late_output)
{
	_cleanup_(rig_stop) struct rig rig;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	for (int round = 0; round < 10; round++) {
		struct watch w = WATCH_INIT;
		Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;

		chunk.id = (char *)"100000000";
		ASSERT_OK(rpc_stream_open(rig.client, "/t/Source", &chunk.base, TYPE, &watch_ops,
					  &w, &w.stream));
		ASSERT(watch_wait(&w, &w.messages, 10));
		rig_drop_client(&rig);
		ASSERT_EQ(w.status, RPC_UNAVAILABLE);
		ASSERT_OK(rig_connect(&rig, NULL));
		ASSERT_OK(echo(rig.client, 100000, &err));
	}
	ASSERT(eventually(&rig.peer.open, 0));
}

TEST(token_is_needed_once_it_is_set)
{
	_cleanup_(rig_stop) struct rig rig;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	ASSERT_OK(rig_start(&rig));
	ASSERT_OK(rig_set_token(&rig, token_a, &err));
	ASSERT_OK(echo(rig.client, 10, &err)); /* the open connection stays */
	rig_drop_client(&rig);

	ASSERT_OK(rig_connect(&rig, NULL));
	ASSERT_ERROR(rpc_call(rig.client, "/t/Echo", &chunk.base, TYPE, 100, NULL, &err),
		     ETIMEDOUT);
	ASSERT_EQ(rig.peer.resets, 1);
	rig_drop_client(&rig);

	ASSERT_OK(rig_connect(&rig, token_a));
	ASSERT_OK(rig_set_token(&rig, token_a, &err)); /* the same again: not a preamble */
	ASSERT_OK(echo(rig.client, 10, &err));
	ASSERT_EQ(rig.peer.resets, 2);
	ASSERT_OK(rig_set_token(&rig, token_b, &err));
	rig_drop_client(&rig);

	ASSERT_OK(rig_connect(&rig, token_b));
	ASSERT_OK(echo(rig.client, 10, &err));
	ASSERT_EQ(rig.peer.resets, 3);
}

/* Whether the bytes behind preamble and preface hold a whole DATA frame that ends its stream. */
static bool recorded_all(const uint8_t *buf, size_t len)
{
	size_t at = RPC_SYNC_LEN + 24;

	while (at + 9 <= len) {
		size_t frame = 9 + ((size_t)buf[at] << 16 | (size_t)buf[at + 1] << 8 | buf[at + 2]);

		if (buf[at + 3] == 0 && (buf[at + 4] & 1))
			return at + frame <= len;
		at += frame;
	}
	return false;
}

/* What a client sends for one /t/Token call. */
static ssize_t record(const unsigned char *token, uint8_t *buf, size_t size)
{
	struct rig rig = {};
	struct watch w = WATCH_INIT;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	size_t len = 0;
	int fds[2];
	ssize_t n;

	if (loop_new(&rig.loop) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ||
	    rpc_client_new(rig.loop, fds[0], NULL, rig_on_closed, &rig, &rig.client) < 0)
		return -1;
	chunk.data.data = (uint8_t *)token;
	chunk.data.len = RPC_TOKEN_LEN;
	if (rpc_stream_open(rig.client, "/t/Token", &chunk.base, TYPE, &watch_ops, &w, &w.stream) <
	    0)
		return -1;
	rpc_stream_close_send(w.stream);
	for (int i = 0; i < 2000 && !recorded_all(buf, len); i++) {
		n = read(fds[1], buf + len, size - len);
		if (n > 0)
			len += (size_t)n;
		else
			(void)poll(NULL, 0, 5);
	}
	rpc_client_free(rig.client);
	close(fds[1]);
	loop_free(rig.loop);
	return (ssize_t)len;
}

struct single {
	struct peer peer; /* no thread: the test drives the server */
	int channel;
};

static int single_start(struct single *s)
{
	int fds[2];

	memset(s, 0, sizeof(*s));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	s->peer.fd = fds[0];
	s->channel = fds[1];
	return rpc_server_new(fds[0], peer_methods, peer_on_reset, &s->peer, &s->peer.server);
}

static void single_stop(struct single *s)
{
	rpc_server_free(s->peer.server);
	close(s->peer.fd);
	close(s->channel);
}

TEST(server_reads_byte_by_byte)
{
	_cleanup_(single_stop) struct single s;
	uint8_t in[4096], out[4096], answer[RPC_SYNC_LEN];
	ssize_t n = record(token_a, in, sizeof(in)), got;

	ASSERT_OK(single_start(&s));
	ASSERT(n > RPC_SYNC_LEN + 24);
	for (ssize_t i = 0; i < n; i++) {
		ASSERT_EQ(write(s.channel, in + i, 1), 1);
		ASSERT_OK(rpc_server_on_readable(s.peer.server));
	}
	ASSERT_EQ(s.peer.resets, 1);
	got = read(s.channel, out, sizeof(out));
	rpc_sync_answer(in + RPC_TOKEN_LEN, answer);
	ASSERT(got > RPC_SYNC_LEN);
	ASSERT(memcmp(out, answer, sizeof(answer)) == 0);
	ASSERT(memmem(out, (size_t)got, token_a, RPC_TOKEN_LEN)); /* the echo */
}

/* Goal: a daemon that dies right after Hello and its successor, both in one read. */
TEST(new_token_counts_in_the_read_that_set_it)
{
	_cleanup_(single_stop) struct single s;
	uint8_t in[4096], out[4096], answer[RPC_SYNC_LEN];
	ssize_t n = record(token_a, in, sizeof(in) - RPC_SYNC_LEN), got;

	ASSERT_OK(single_start(&s));
	ASSERT(n > RPC_SYNC_LEN + 24);
	rpc_sync_key(token_a, in + n);
	memset(in + n + RPC_TOKEN_LEN, 'n', RPC_NONCE_LEN);
	n += RPC_SYNC_LEN;
	ASSERT_EQ(write(s.channel, in, (size_t)n), n);
	ASSERT_OK(rpc_server_on_readable(s.peer.server));
	ASSERT_EQ(s.peer.resets, 2);
	got = read(s.channel, out, sizeof(out));
	rpc_sync_answer(in + n - RPC_NONCE_LEN, answer);
	ASSERT(got > RPC_SYNC_LEN);
	ASSERT(memcmp(out, answer, sizeof(answer)) == 0); /* all that came before is dropped */
	ASSERT(!memmem(out, (size_t)got, token_a, RPC_TOKEN_LEN));
}

TEST(server_tells_an_absent_client_from_a_quiet_one)
{
	_cleanup_(single_stop) struct single s;

	ASSERT_OK(single_start(&s));
	ASSERT_OK(rpc_server_on_readable(s.peer.server));
	ASSERT(!rpc_server_wants_write(s.peer.server));
	(void)shutdown(s.channel, SHUT_WR);
	ASSERT_ERROR(rpc_server_on_readable(s.peer.server), EPIPE);
}
