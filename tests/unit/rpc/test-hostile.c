/* SPDX-License-Identifier: Apache-2.0 */
/* test-hostile.c - an agent that breaks the protocol, frame by frame; and a strange client */
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "rig.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "rpc/sync.h"

TEST_MAIN()

enum { DATA = 0, HEADERS = 1, RST = 3, SETTINGS = 4, PUSH = 5, PING = 6, GOAWAY = 7, CONT = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static void frame(struct buf *b, int type, int flags, uint32_t id, const void *body, size_t len)
{
	uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
			   (uint8_t)type,	 (uint8_t)flags,      (uint8_t)(id >> 24),
			   (uint8_t)(id >> 16),	 (uint8_t)(id >> 8),  (uint8_t)id};

	buf_add(b, head, sizeof(head));
	buf_add(b, body, len);
}

static void header(struct buf *b, const char *name, const char *value)
{
	uint8_t lens[3] = {0, (uint8_t)strlen(name), (uint8_t)strlen(value)};

	buf_add(b, lens, 2); /* a literal that is not indexed */
	buf_adds(b, name);
	buf_add(b, lens + 2, 1);
	buf_adds(b, value);
}

/* A client whose agent is the test itself; one stream is open. */
struct evil {
	struct rig rig;
	int fd;
	struct watch w;
	uint8_t nonce[RPC_NONCE_LEN];
};

static int evil_start(struct evil *e)
{
	uint8_t preamble[RPC_SYNC_LEN];
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	int fds[2], r;

	memset(e, 0, sizeof(*e));
	e->w = (struct watch)WATCH_INIT;
	r = loop_new(&e->rig.loop);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	e->fd = fds[1];
	r = rpc_client_new(e->rig.loop, fds[0], NULL, rig_on_closed, &e->rig, &e->rig.client);
	if (r == 0)
		r = rpc_stream_open(e->rig.client, "/t/Echo", &chunk.base, TYPE, &watch_ops, &e->w,
				    &e->w.stream);
	if (r < 0)
		return r;
	for (int i = 0; i < 1000; i++) {
		if (read(e->fd, preamble, sizeof(preamble)) == sizeof(preamble)) {
			memcpy(e->nonce, preamble + RPC_TOKEN_LEN, RPC_NONCE_LEN);
			return 0;
		}
		(void)poll(NULL, 0, 5);
	}
	return -ETIMEDOUT;
}

static void evil_stop(struct evil *e)
{
	rpc_client_free(e->rig.client);
	close(e->fd);
	loop_free(e->rig.loop);
}

/* Answers the preamble and shakes hands. */
static void evil_hello(struct evil *e, struct buf *b)
{
	uint8_t answer[RPC_SYNC_LEN];

	rpc_sync_answer(e->nonce, answer);
	buf_add(b, answer, sizeof(answer));
	frame(b, SETTINGS, 0, 0, "", 0);
}

/* Writes all of it, as far as the client cares. */
static bool evil_write(struct evil *e, const void *data, size_t len)
{
	const char *p = data;

	for (int quiet = 0; len > 0 && quiet < 1000 && !e->rig.closed;) {
		ssize_t n = send(e->fd, p, len, MSG_NOSIGNAL);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			quiet = 0;
		} else if (n < 0 && errno != EAGAIN) {
			return false;
		} else {
			quiet++;
			(void)poll(NULL, 0, 5);
		}
	}
	return len == 0;
}

#define ASSERT_PUNISHED(e, b)                                                                      \
	do {                                                                                       \
		(void)evil_write(e, (b)->data, (b)->len);                                          \
		ASSERT(watch_wait(&(e)->w, NULL, 0));                                              \
		ASSERT_EQ((e)->w.status, RPC_UNAVAILABLE);                                         \
		ASSERT(eventually(&(e)->rig.closed, 1));                                           \
		ASSERT_ERROR((e)->rig.reason, EPROTO);                                             \
	} while (0)

TEST(garbage_before_the_answer_is_bounded)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	ASSERT(buf_reserve(&b, 9 * 1024 * 1024));
	memset(b.data, 0xd2, 9 * 1024 * 1024);
	b.len = 9 * 1024 * 1024;
	ASSERT_PUNISHED(&e, &b);
}

TEST(silence_is_a_timeout)
{
	_cleanup_(evil_stop) struct evil e;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct err err = {};

	ASSERT_OK(evil_start(&e));
	ASSERT_ERROR(rpc_call(e.rig.client, "/t/Echo", &chunk.base, TYPE, 50, NULL, &err),
		     ETIMEDOUT);
	ASSERT_EQ(e.rig.closed, 0);
}

TEST(garbage_after_the_answer)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	for (int i = 0; i < 4000; i++)
		buf_adds(&b, "HTTP/1.1 400 ");
	ASSERT_PUNISHED(&e, &b);
}

TEST(message_beyond_the_limit)
{
	static const uint8_t claim[] = {0, 0x00, 0x40, 0x00, 0x01};
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, HEADERS, END_HEADERS, 1, "\x88", 1);
	frame(&b, DATA, 0, 1, claim, sizeof(claim));
	ASSERT_PUNISHED(&e, &b);
}

TEST(message_that_is_none)
{
	static const uint8_t junk[] = {0, 0, 0, 0, 3, 0xff, 0xff, 0xff};
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, HEADERS, END_HEADERS, 1, "\x88", 1);
	frame(&b, DATA, 0, 1, junk, sizeof(junk));
	ASSERT_PUNISHED(&e, &b);
	ASSERT_EQ(e.w.messages, 0);
}

/* Goal: acknowledgements that the agent does not read do not pile up. */
TEST(ping_flood_that_is_not_read)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	for (int i = 0; i < 400000; i++)
		frame(&b, PING, 0, 0, "12345678", 8);
	ASSERT_PUNISHED(&e, &b);
}

TEST(settings_flood_that_is_not_read)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	for (int i = 0; i < 400000; i++)
		frame(&b, SETTINGS, 0, 0, "\0\4\0\1\0\0", 6);
	ASSERT_PUNISHED(&e, &b);
}

TEST(header_block_without_end)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {}, h = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, HEADERS, 0, 1, "\x88", 1);
	for (int i = 0; i < 100; i++)
		header(&h, "x-filler", "0123456789012345678901234567890123456789");
	for (int i = 0; i < 1000; i++)
		frame(&b, CONT, 0, 1, h.data, h.len);
	ASSERT_PUNISHED(&e, &b);
}

TEST(header_block_that_is_too_large)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {}, h = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	buf_add(&h, "\x88", 1);
	for (int i = 0; i < 250; i++)
		header(&h, "x-filler", "0123456789012345678901234567890123456789");
	frame(&b, HEADERS, END_HEADERS, 1, h.data, h.len);
	ASSERT_PUNISHED(&e, &b);
}

TEST(push_is_refused)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {}, h = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, SETTINGS, 1, 0, "", 0); /* acknowledges ours */
	buf_add(&h, "\0\0\0\2\x82\x84\x86", 7);
	header(&h, ":authority", "x");
	frame(&b, PUSH, END_HEADERS, 1, h.data, h.len);
	ASSERT_PUNISHED(&e, &b);
}

TEST(goaway_ends_the_client)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, GOAWAY, 0, 0, "\0\0\0\0\0\0\0\1", 8);
	ASSERT_PUNISHED(&e, &b);
}

/* Return: the status that one stream's frames make, in an otherwise fine connection. */
static int evil_status(struct evil *e, struct buf *b)
{
	(void)evil_write(e, b->data, b->len);
	return watch_wait(&e->w, NULL, 0) && e->rig.closed == 0 ? (int)e->w.status : -1;
}

TEST(answer_without_status)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, HEADERS, END_HEADERS | END_STREAM, 1, "\x88", 1);
	ASSERT_EQ(evil_status(&e, &b), RPC_UNKNOWN);
}

TEST(answer_with_a_strange_status)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {}, h = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	buf_add(&h, "\x88", 1);
	header(&h, "grpc-status", "-7");
	header(&h, "grpc-message", "%1b[31mred");
	frame(&b, HEADERS, END_HEADERS | END_STREAM, 1, h.data, h.len);
	ASSERT_EQ(evil_status(&e, &b), RPC_UNKNOWN);
	ASSERT_STREQ(e.w.text, " [31mred");
}

TEST(reset_stream_ends_only_that_call)
{
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, RST, 0, 1, "\0\0\0\2", 4);
	ASSERT_EQ(evil_status(&e, &b), RPC_INTERNAL);
}

TEST(truncated_message_is_not_ok)
{
	static const uint8_t cut[] = {0, 0, 0, 0, 9, 1, 2};
	_cleanup_(evil_stop) struct evil e;
	_cleanup_buf_ struct buf b = {}, h = {};

	ASSERT_OK(evil_start(&e));
	evil_hello(&e, &b);
	frame(&b, HEADERS, END_HEADERS, 1, "\x88", 1);
	frame(&b, DATA, 0, 1, cut, sizeof(cut));
	header(&h, "grpc-status", "0");
	frame(&b, HEADERS, END_HEADERS | END_STREAM, 1, h.data, h.len);
	ASSERT_EQ(evil_status(&e, &b), RPC_INTERNAL);
	ASSERT_EQ(e.w.messages, 0);
}

/* The server, asked by hand; what it sent back lands in out. */
static ssize_t ask_server(const char *method, const char *type, const char *path, const void *body,
			  size_t len, uint8_t *out, size_t size)
{
	_cleanup_buf_ struct buf b = {}, h = {};
	uint8_t preamble[RPC_SYNC_LEN] = {};
	struct peer peer = {};
	int fds[2];
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ||
	    rpc_server_new(fds[0], peer_methods, peer_on_reset, &peer, &peer.server) < 0)
		return -1;
	rpc_sync_key(NULL, preamble);
	buf_add(&b, preamble, sizeof(preamble));
	buf_adds(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	frame(&b, SETTINGS, 0, 0, "", 0);
	header(&h, ":method", method);
	header(&h, ":scheme", "http");
	header(&h, ":path", path);
	header(&h, ":authority", "agent");
	header(&h, "content-type", type);
	frame(&b, HEADERS, END_HEADERS, 1, h.data, h.len);
	frame(&b, DATA, END_STREAM, 1, body, len);
	n = write(fds[1], b.data, b.len);
	n = n == (ssize_t)b.len ? rpc_server_on_readable(peer.server) : -1;
	if (n == 0)
		n = read(fds[1], out, size);
	rpc_server_free(peer.server);
	close(fds[0]);
	close(fds[1]);
	return n;
}

/* Whether the server's answer has this grpc-status (indexed or literal, never Huffman-coded
 * for one digit's worth of octets shorter than itself) or HTTP status. */
static bool answered(const uint8_t *out, ssize_t n, const char *text)
{
	return n > 0 && memmem(out, (size_t)n, text, strlen(text));
}

TEST(server_refuses_what_is_not_grpc)
{
	uint8_t out[4096];

	ASSERT(answered(out, ask_server("GET", "application/grpc", "/t/Echo", "", 0, out, 4096),
			"405"));
	ASSERT(answered(out, ask_server("POST", "text/plain", "/t/Echo", "", 0, out, 4096), "415"));
}

/* grpc-status values of two digits and Huffman-coded texts are awkward to find: the echo of a
 * good request is there, and that of a bad one is not. */
TEST(server_refuses_bad_messages)
{
	static const uint8_t good[] = {0, 0, 0, 0, 6, 0x12, 4, 'A', '%', '@', 'z'};
	static const uint8_t squeezed[] = {1, 0, 0, 0, 6, 0x12, 4, 'A', '%', '@', 'z'};
	static const uint8_t cut[] = {0, 0, 0, 0, 7, 0x12, 4, 'A', '%', '@', 'z'};
	static const uint8_t junk[] = {0, 0, 0, 0, 6, 0x12, 9, 'A', '%', '@', 'z'};
	const char *type = "application/grpc+proto", *path = "/t/Echo", *mark = "A%@z";
	uint8_t out[4096];

	ASSERT(answered(out, ask_server("POST", type, path, good, 11, out, 4096), mark));
	ASSERT(!answered(out, ask_server("POST", type, path, squeezed, 11, out, 4096), mark));
	ASSERT(!answered(out, ask_server("POST", type, path, cut, 11, out, 4096), mark));
	ASSERT(!answered(out, ask_server("POST", type, path, junk, 11, out, 4096), mark));
	ASSERT(!answered(out, ask_server("POST", type, "/t/Nope", good, 11, out, 4096), mark));
}
