/* SPDX-License-Identifier: Apache-2.0 */
/* A real server on a unix socket, a bare client, and every way a request can go. */
#include "http/http.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "client.h"
#include "test.h"

TEST_MAIN()

#define PING "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
#define FLOOD_BYTES (8 << 20)

static atomic_int stream_go, seen_gone, seen_body_error, seen_written, seen_handlers,
	hijack_returned;

struct route {
	const char *path;
	enum http_mode mode;
	int (*fn)(struct http_req *req);
};

static int do_ping(struct http_req *req)
{
	return http_resp_data(req, 200, "text/plain", "OK", 2);
}

static int do_echo(struct http_req *req)
{
	const char *data;
	size_t len;
	int r = http_body_all(req, HTTP_BODY_MAX, &data, &len);

	return r < 0 ? r : http_resp_data(req, 200, "text/plain", data, len);
}

static int do_fail(struct http_req *req)
{
	return err_user(&req->err, ERR_CONFLICT, "no");
}

static int do_silent(struct http_req *req UNUSED)
{
	return 0;
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool fired;
};

static void waiter_fire(void *user)
{
	struct waiter *w = user;

	pthread_mutex_lock(&w->lock);
	w->fired = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void wait_gone(struct http_req *req)
{
	struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
	struct cancel_watch watch;

	if (!cancel_watch_add(&req->gone, &watch, waiter_fire, &w)) {
		pthread_mutex_lock(&w.lock);
		while (!w.fired)
			pthread_cond_wait(&w.cond, &w.lock);
		pthread_mutex_unlock(&w.lock);
	}
	cancel_watch_remove(&req->gone, &watch);
	seen_gone++;
}

static int do_wait(struct http_req *req)
{
	seen_handlers++;
	wait_gone(req);
	return http_resp_empty(req, 204);
}

static int do_deaf(struct http_req *req)
{
	seen_handlers++;
	while (!stream_go)
		usleep(1000);
	return http_resp_empty(req, 204);
}

static int do_stream(struct http_req *req)
{
	(void)http_stream_begin(req, 200, "application/json");
	seen_handlers++;
	while (!stream_go && !cancel_fired(&req->gone))
		usleep(1000);
	(void)http_stream_write(req, "one\n", 4);
	wait_gone(req);
	return -EPIPE;
}

static int do_flood(struct http_req *req)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	(void)http_stream_begin(req, 200, NULL);
	seen_written = 0;
	while (seen_written < FLOOD_BYTES) {
		if (http_stream_write(req, block, sizeof(block)) < 0) {
			seen_gone++;
			return -EPIPE;
		}
		seen_written += sizeof(block);
	}
	return 0;
}

static int do_sum(struct http_req *req)
{
	size_t total = 0;
	char data[1000], text[32];
	ssize_t n;

	seen_handlers++;
	while ((n = http_body_read(req, data, sizeof(data))) > 0)
		total += (size_t)n;
	if (n < 0) {
		seen_body_error = (int)n;
		return err_user(&req->err, ERR_INVALID, "broken");
	}
	(void)snprintf(text, sizeof(text), "%zu", total);
	return http_resp_data(req, 200, NULL, text, strlen(text));
}

/* Streams while the body still comes in, and leaves most of it unread. */
static int do_early(struct http_req *req)
{
	char byte;

	(void)http_body_read(req, &byte, 1);
	(void)http_stream_begin(req, 200, NULL);
	return http_stream_write(req, "early\n", 6);
}

/* 256 bytes of answer for each 4 KiB read */
static int do_progress(struct http_req *req)
{
	size_t total = 0;
	char data[4096], text[257];
	ssize_t n;

	(void)http_stream_begin(req, 200, NULL);
	while ((n = http_body_read(req, data, sizeof(data))) > 0) {
		total += (size_t)n;
		(void)snprintf(text, sizeof(text), "%255zu\n", total);
		if (http_stream_write(req, text, 256) < 0)
			return -EPIPE;
	}
	return (int)n;
}

static int do_hijack(struct http_req *req)
{
	_cleanup_close_ int fd = -EBADF;
	size_t total = 0;
	char data[4096];
	ssize_t n;
	int r = http_hijack(req, "application/vnd.docker.raw-stream", &fd);

	if (r < 0)
		return r;
	if (fcntl(fd, F_GETFL) & O_NONBLOCK)
		(void)send(fd, "nonblocking!", 12, MSG_NOSIGNAL);
	while ((n = read(fd, data, sizeof(data))) > 0) {
		total += (size_t)n;
		(void)send(fd, data, (size_t)n, MSG_NOSIGNAL);
	}
	usleep(50000);
	(void)dprintf(fd, "EOF %zu", total);
	hijack_returned++;
	return 0;
}

static int do_hijack_wait(struct http_req *req)
{
	_cleanup_close_ int fd = -EBADF;

	if (http_hijack(req, NULL, &fd) == 0)
		wait_gone(req);
	return 0;
}

static const struct route routes[] = {
	{"/ping", HTTP_INLINE, do_ping},	 {"/echo", HTTP_INLINE, do_echo},
	{"/fail", HTTP_INLINE, do_fail},	 {"/silent", HTTP_INLINE, do_silent},
	{"/wait", HTTP_INLINE, do_wait},	 {"/deaf", HTTP_INLINE, do_deaf},
	{"/stream", HTTP_STREAM, do_stream},	 {"/flood", HTTP_STREAM, do_flood},
	{"/sum", HTTP_STREAM, do_sum},		 {"/early", HTTP_STREAM, do_early},
	{"/hijack", HTTP_STREAM, do_hijack},	 {"/echo-stream", HTTP_STREAM, do_echo},
	{"/fail-stream", HTTP_STREAM, do_fail},	 {"/hijack-wait", HTTP_STREAM, do_hijack_wait},
	{"/progress", HTTP_STREAM, do_progress},
};

static int hook_route(struct http_req *req, enum http_mode *ret_mode, void **ret_route)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (str_eq(req->path, routes[i].path)) {
			*ret_mode = routes[i].mode;
			*ret_route = (void *)&routes[i];
			return 0;
		}
	return err_user(&req->err, ERR_NOT_FOUND, "page not found");
}

static int hook_handle(struct http_req *req, void *route)
{
	return ((const struct route *)route)->fn(req);
}

static void hook_error(struct http_req *req)
{
	unsigned int status = req->err.kind == ERR_NOT_FOUND  ? 404
			      : req->err.kind == ERR_CONFLICT ? 409
			      : req->err.kind == ERR_INVALID  ? 400
							      : 500;

	http_resp_header(req, "X-Error", "yes");
	(void)http_resp_data(req, status, "text/plain", req->err.msg, strlen(req->err.msg));
}

struct fixture {
	struct http_server *server;
	char path[64];
};

static struct fixture fixture_new(void)
{
	static const struct http_hooks hooks = {hook_route, hook_handle, hook_error};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct fixture f = {0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err err = {0};

	stream_go = seen_gone = seen_body_error = seen_written = seen_handlers = hijack_returned =
		0;
	(void)snprintf(f.path, sizeof(f.path), "/tmp/arca-test-http-%d.sock", (int)getpid());
	(void)unlink(f.path);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f.path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0 ||
	    http_server_new(&hooks, NULL, &f.server) < 0 ||
	    http_server_listen(f.server, (struct http_listener){.fd = fd}, NULL, &err) < 0)
		abort();
	return f;
}

static void fixture_done(struct fixture *f)
{
	(void)http_server_stop(f->server);
	http_server_free(f->server);
	(void)unlink(f->path);
}

#define FIXTURE(f) _cleanup_(fixture_done) struct fixture f = fixture_new()

static bool eventually(atomic_int *value, int expected)
{
	for (int i = 0; i < 3000 && *value != expected; i++)
		usleep(1000);
	return *value == expected;
}

/* Goal: many requests on one connection, one packet or several. */
TEST(keep_alive_and_pipelining)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, PING));
	ASSERT(client_until(fd, &b, "\r\n\r\nOK"));
	ASSERT(strstr(b.data, "HTTP/1.1 200 OK\r\n") == b.data);
	buf_reset(&b);
	ASSERT(client_send(fd, PING PING "GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_until(fd, &b, "page not found"));
	ASSERT(strstr(b.data, "HTTP/1.1 404 "));
	ASSERT(strstr(b.data, "X-Error: yes"));
	buf_reset(&b);
	ASSERT(client_send(fd, "HEAD /ping HTTP/1.1\r\nHost: x\r\n\r\n" PING));
	ASSERT(client_until(fd, &b, "\r\n\r\nOK"));
}

/* Goal: bodies of known length, chunked, announced with Expect, and refused ones. */
TEST(whole_bodies)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"));
	usleep(20000);
	ASSERT(client_send(fd, "cde"));
	ASSERT(client_until(fd, &b, "\r\n\r\nabcde"));
	buf_reset(&b);
	ASSERT(client_send(fd, "POST /echo-stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
			       "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
	ASSERT(client_until(fd, &b, "\r\n\r\nabcde"));
	buf_reset(&b);
	ASSERT(client_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: "
			       "100-continue\r\n\r\n"));
	ASSERT(client_until(fd, &b, "HTTP/1.1 100 Continue\r\n\r\n"));
	ASSERT(client_send(fd, "hi"));
	ASSERT(client_until(fd, &b, "\r\n\r\nhi"));
	buf_reset(&b);
	/* refused: the body is discarded and the connection goes on */
	ASSERT(client_send(fd, "POST /nosuch HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"));
	ASSERT(client_until(fd, &b, "page not found"));
	buf_reset(&b);
	ASSERT(client_send(fd, PING));
	ASSERT(client_until(fd, &b, "\r\n\r\nOK"));
}

/* Goal: a JSON body over the limit is an error, announced or not, and memory stays bounded. */
TEST(bodies_over_the_limit)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path), fd2 = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};
	char *mega = malloc(1 << 20);

	ASSERT(client_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: "
			       "99999999999\r\n\r\n"));
	ASSERT(client_until(fd, &b, "request body too large"));
	ASSERT(strstr(b.data, "HTTP/1.1 400 "));
	memset(mega, 'x', 1 << 20);
	ASSERT(client_send(fd2,
			   "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 17; i++) {
		ASSERT(client_send(fd2, "100000\r\n"));
		ASSERT(send(fd2, mega, 1 << 20, MSG_NOSIGNAL) == 1 << 20);
		ASSERT(client_send(fd2, "\r\n"));
	}
	free(mega);
	ASSERT(client_send(fd2, "0\r\n\r\n"));
	buf_reset(&b);
	ASSERT(client_until(fd2, &b, "request body too large"));
}

/* Goal: a body that stops halfway never reaches an INLINE handler and tells a STREAM one. */
TEST(half_bodies)
{
	FIXTURE(f);
	int fd = client_connect(f.path);

	ASSERT(client_send(fd, "POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"));
	ASSERT(eventually(&seen_handlers, 1));
	close(fd);
	ASSERT(eventually(&seen_body_error, -ECONNRESET));
	fd = client_connect(f.path);
	ASSERT(client_send(fd, "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"));
	close(fd);
	usleep(50000);
	ASSERT_EQ(seen_handlers, 1);
}

/* Goal: a large body flows through a small queue and is counted to the byte. */
TEST(streamed_bodies)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};
	char block[65536] = {0};

	ASSERT(client_send(fd,
			   "POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n"));
	for (int i = 0; i < 512; i++)
		ASSERT(send(fd, block, sizeof(block), MSG_NOSIGNAL) == sizeof(block));
	ASSERT(client_until(fd, &b, "\r\n\r\n33554432"));
	buf_reset(&b);
	ASSERT(client_send(fd, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabc"));
	usleep(50000);
	ASSERT(client_until(fd, &b, "early\n")); /* what is not read is discarded */
	ASSERT(client_send(fd, "d"));
	ASSERT(client_until(fd, &b, NULL));
	ASSERT(str_ends(b.data, "early\n\r\n0\r\n\r\n"));
}

/* Goal: progress is heard while the body still comes, and a client that sends everything before it
 * reads anything gets through as well. */
TEST(answers_while_the_body_comes)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path), fd2 = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};
	char block[4096];

	ASSERT(client_send(fd,
			   "POST /progress HTTP/1.1\r\nHost: x\r\nContent-Length: 8192\r\n\r\n"));
	memset(block, 'x', sizeof(block));
	ASSERT(send(fd, block, sizeof(block), MSG_NOSIGNAL) == sizeof(block));
	ASSERT(client_until(fd, &b, "4096\n"));
	ASSERT(str_starts(b.data, "HTTP/1.1 200 OK\r\n"));
	ASSERT(!strstr(b.data, "8192\n"));
	ASSERT(send(fd, block, sizeof(block), MSG_NOSIGNAL) == sizeof(block));
	ASSERT(client_until(fd, &b, "8192\n"));
	ASSERT(client_until(fd, &b, NULL));
	ASSERT(str_ends(b.data, "\r\n0\r\n\r\n"));

	buf_reset(&b);
	ASSERT(client_send(fd2, "POST /progress HTTP/1.1\r\nHost: x\r\nContent-Length: "
				"16777216\r\n\r\n"));
	for (int i = 0; i < 4096; i++)
		ASSERT(send(fd2, block, sizeof(block), MSG_NOSIGNAL) == sizeof(block));
	ASSERT(client_until(fd2, &b, NULL));
	ASSERT(strstr(b.data, "16777216\n"));
	ASSERT(str_ends(b.data, "\r\n0\r\n\r\n"));
}

/* Goal: headers leave before the first byte, each write leaves at once, and a client that
 * leaves is told to the handler. */
TEST(streams)
{
	FIXTURE(f);
	int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_until(fd, &b, "\r\n\r\n"));
	ASSERT(strstr(b.data, "Content-Type: application/json"));
	ASSERT(!strstr(b.data, "one"));
	stream_go = 1;
	ASSERT(client_until(fd, &b, "one\n"));
	ASSERT_EQ(seen_gone, 0);
	close(fd);
	ASSERT(eventually(&seen_gone, 1));
	/* half-closed counts as gone for a stream, and its end still arrives */
	fd = client_connect(f.path);
	buf_reset(&b);
	ASSERT(client_send(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_until(fd, &b, "one\n"));
	(void)shutdown(fd, SHUT_WR);
	ASSERT(client_until(fd, &b, "0\r\n\r\n"));
	ASSERT(eventually(&seen_gone, 2));
	close(fd);
}

/* Goal: a client that does not read stops the writer after a bounded number of bytes. */
TEST(back_pressure)
{
	FIXTURE(f);
	int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};
	int before;

	ASSERT(client_send(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"));
	do { /* until it stands still */
		before = seen_written;
		usleep(300000);
	} while (before == 0 || seen_written != before);
	ASSERT(before < 2 << 20);
	ASSERT(client_until(fd, &b, "\r\n0\r\n\r\n"));
	ASSERT_EQ(seen_written, FLOOD_BYTES);
	ASSERT(b.len > FLOOD_BYTES);
	buf_reset(&b);
	ASSERT(client_send(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"));
	usleep(50000);
	close(fd); /* in the middle of it */
	ASSERT(eventually(&seen_gone, 1));
}

/* Goal: 101, early bytes first, both directions, half-close is end of input only. */
TEST(hijack_with_upgrade)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path), fd2 = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd,
			   "POST /hijack HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
			   "tcp\r\nContent-Length: 0\r\n\r\n"));
	ASSERT(client_until(fd, &b, "\r\n\r\n"));
	ASSERT(strstr(b.data, "HTTP/1.1 101 ") == b.data);
	ASSERT(strstr(b.data, "Upgrade: tcp\r\n"));
	ASSERT(strstr(b.data, "Content-Type: application/vnd.docker.raw-stream\r\n"));
	buf_reset(&b);
	ASSERT(client_send(fd, "hello"));
	ASSERT(client_until(fd, &b, "hello"));
	(void)shutdown(fd, SHUT_WR);
	ASSERT(client_until(fd, &b, NULL));
	ASSERT_STREQ(b.data, "helloEOF 5");
	buf_reset(&b);
	/* everything in one packet, half-close included */
	ASSERT(client_send(fd2, "POST /hijack HTTP/1.1\r\nHost: x\r\nConnection: "
				"Upgrade\r\nUpgrade: tcp\r\n\r\nearly"));
	ASSERT(client_send(fd2, " late"));
	(void)shutdown(fd2, SHUT_WR);
	ASSERT(client_until(fd2, &b, NULL));
	ASSERT(b.data && strstr(b.data, "\r\n\r\nearly lateEOF 10"));
	ASSERT(eventually(&hijack_returned, 2));
}

/* Goal: a client that does not know Upgrade gets 200 and the same bytes. */
TEST(hijack_without_upgrade)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, "POST /hijack HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
	ASSERT(client_until(fd, &b, "\r\n\r\n"));
	ASSERT_STREQ(b.data, "HTTP/1.1 200 OK\r\nContent-Type: "
			     "application/vnd.docker.raw-stream\r\n\r\n");
	buf_reset(&b);
	ASSERT(client_send(fd, "hello"));
	ASSERT(client_until(fd, &b, "hello"));
	(void)shutdown(fd, SHUT_WR);
	ASSERT(client_until(fd, &b, NULL));
	ASSERT_STREQ(b.data, "helloEOF 5");
}

/* Goal: whoever waits learns that the client left: inline, and hijacked. */
TEST(gone_fires)
{
	FIXTURE(f);
	int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, "POST /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(eventually(&seen_handlers, 1));
	ASSERT_EQ(seen_gone, 0);
	close(fd);
	ASSERT(eventually(&seen_gone, 1));
	fd = client_connect(f.path);
	ASSERT(client_send(fd, "POST /hijack-wait HTTP/1.1\r\nHost: x\r\nConnection: "
			       "Upgrade\r\nUpgrade: tcp\r\n\r\n"));
	ASSERT(client_until(fd, &b, "\r\n\r\n"));
	(void)shutdown(fd, SHUT_WR);
	usleep(50000);
	ASSERT_EQ(seen_gone, 1); /* half-closed is not gone here */
	close(fd);
	ASSERT(eventually(&seen_gone, 2));
}

/* Goal: stopping wakes everybody, ends in time, and the socket is closed. */
TEST(stop_wakes_everything)
{
	struct fixture f = fixture_new();
	int fds[4];
	int64_t start;
	_cleanup_buf_ struct buf b = {0};

	for (int i = 0; i < 4; i++)
		fds[i] = client_connect(f.path);
	ASSERT(client_send(fds[0], "POST /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_send(fds[1], "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_send(fds[2], "POST /hijack-wait HTTP/1.1\r\nHost: x\r\nConnection: "
				   "Upgrade\r\nUpgrade: tcp\r\n\r\n"));
	ASSERT(client_until(fds[2], &b, "\r\n\r\n")); /* fds[3] stays idle */
	ASSERT(eventually(&seen_handlers, 2));
	start = clock_monotonic_ns();
	fixture_done(&f);
	ASSERT(clock_monotonic_ns() - start < 5 * NSEC_PER_SEC);
	ASSERT_EQ(seen_gone, 3);
	ASSERT_EQ(client_connect(f.path), -1);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

/* Goal: a handler that does not end is said to be there, so that nobody frees what it uses. */
TEST(stop_says_who_is_left)
{
	static struct fixture f; /* leaks, reachable */
	int fd;

	f = fixture_new();
	fd = client_connect(f.path);
	ASSERT(client_send(fd, "POST /deaf HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(eventually(&seen_handlers, 1));
	ASSERT(!http_server_stop(f.server));
	ASSERT(!http_server_stop(f.server)); /* and again */
	stream_go = 1;
	usleep(100000);
	(void)unlink(f.path);
	close(fd);
}

/* Goal: errors are rendered by the hook, in both modes, and silence is an error. */
TEST(errors)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, "GET /fail HTTP/1.1\r\nHost: x\r\n\r\n"
			       "GET /fail-stream HTTP/1.1\r\nHost: x\r\n\r\n"
			       "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_until(fd, &b, "was not answered"));
	ASSERT(strstr(b.data, "HTTP/1.1 409 "));
	ASSERT(strstr(b.data, "HTTP/1.1 500 "));
	buf_reset(&b);
	ASSERT(client_send(fd, "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_until(fd, &b, "malformed request target"));
}

/* Goal: garbage and endless headers cost a connection, not the server. */
TEST(hostile_bytes)
{
	FIXTURE(f);
	_cleanup_close_ int fd = client_connect(f.path), fd2 = client_connect(f.path);
	_cleanup_close_ int fd3 = client_connect(f.path);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(fd, "\x16\x03\x01 garbage \r\n\r\n"));
	ASSERT(client_until(fd, &b, NULL));
	ASSERT(!b.data || !strstr(b.data, "200 OK"));
	buf_reset(&b);
	ASSERT(client_send(fd2, "GET /ping HTTP/1.1\r\nHost: x\r\n"));
	for (int i = 0; i < 4096; i++)
		if (!client_send(fd2, "X-Fill: 0000000000000000000000000000000000000\r\n"))
			break;
	ASSERT(client_until(fd2, &b, NULL));
	ASSERT(!b.data || !strstr(b.data, "200 OK"));
	buf_reset(&b);
	ASSERT(client_send(fd3, PING));
	ASSERT(client_until(fd3, &b, "\r\n\r\nOK"));
}
