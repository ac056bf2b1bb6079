/* SPDX-License-Identifier: Apache-2.0 */
/* test-stdio.c - streams between a (fake) agent, the log and attached clients */
#include "core/stdio.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/container_log.h"
#include "fake_agent.h"
#include "test.h"

struct rig {
	struct loop *loop;
	struct fake_agent agent;
	struct rpc_client *rpc;
	struct stdio *io;
	struct container_log *log;
	char dir[64];
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool started, failed, exited;
	int status;
	char text[128];
	struct stdio_exit exit;
};

static void on_started(void *user, int pid UNUSED)
{
	struct rig *rig = user;

	pthread_mutex_lock(&rig->lock);
	rig->started = true;
	pthread_cond_broadcast(&rig->cond);
	pthread_mutex_unlock(&rig->lock);
}

static void on_start_failed(void *user, int status, const char *text)
{
	struct rig *rig = user;

	pthread_mutex_lock(&rig->lock);
	rig->failed = true;
	rig->status = status;
	(void)snprintf(rig->text, sizeof(rig->text), "%s", text);
	pthread_cond_broadcast(&rig->cond);
	pthread_mutex_unlock(&rig->lock);
}

static void on_exited(void *user, const struct stdio_exit *exit)
{
	struct rig *rig = user;

	pthread_mutex_lock(&rig->lock);
	rig->exited = true;
	rig->exit = *exit;
	pthread_cond_broadcast(&rig->cond);
	pthread_mutex_unlock(&rig->lock);
}

static const struct stdio_ops ops = {on_started, on_start_failed, on_exited};

static bool rig_wait(struct rig *rig, const bool *flag)
{
	struct timespec until;
	bool ok;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&rig->lock);
	while (!(ok = *flag) && r == 0)
		r = pthread_cond_timedwait(&rig->cond, &rig->lock, &until);
	pthread_mutex_unlock(&rig->lock);
	return ok;
}

#define WITH_LOG 1
#define TTY 2
#define STDIN_ONCE 4

static void rig_new_io(struct rig *rig, int flags)
{
	struct stdio_spec spec = {.id = "p1",
				  .tty = flags & TTY,
				  .open_stdin = true,
				  .stdin_once = flags & STDIN_ONCE,
				  .log = rig->log};

	rig->started = rig->failed = rig->exited = false;
	(void)stdio_new(rig->loop, &spec, &ops, rig, &rig->io);
}

static struct rig *rig_new(int flags)
{
	struct container_log_options options = {.max_files = 1};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err = {0};
	char path[128];

	pthread_mutex_init(&rig->lock, NULL);
	pthread_cond_init(&rig->cond, NULL);
	(void)loop_new(&rig->loop);
	(void)fake_agent_start(&rig->agent);
	(void)fake_agent_connect(&rig->agent, rig->loop, &rig->rpc);
	if (flags & WITH_LOG) {
		strcpy(rig->dir, "/tmp/arca-test-stdio-XXXXXX");
		if (!mkdtemp(rig->dir))
			abort();
		(void)snprintf(path, sizeof(path), "%s/log", rig->dir);
		if (container_log_open(path, &options, false, &rig->log, &err) < 0)
			abort();
	}
	rig_new_io(rig, flags);
	return rig;
}

static void rig_freep(struct rig **p)
{
	struct rig *rig = *p;

	stdio_free(rig->io);
	rpc_client_free(rig->rpc);
	fake_agent_stop(&rig->agent);
	loop_free(rig->loop);
	container_log_close(rig->log);
	if (rig->dir[0])
		(void)fs_remove_tree(rig->dir);
	free(rig);
}
#define _cleanup_rig_ __attribute__((cleanup(rig_freep)))

static int rig_start(struct rig *rig, const char *program)
{
	Arca__V1__StartRequest start = ARCA__V1__START_REQUEST__INIT;
	Arca__V1__ProcessSpec spec = ARCA__V1__PROCESS_SPEC__INIT;
	char *args[1] = {(char *)program};
	struct err err = {0};

	spec.args = args;
	spec.n_args = 1;
	start.id = "p1";
	start.process = &spec;
	return stdio_start(rig->io, rig->rpc, &start, &err);
}

/* An attached client: its end of the connection, and the thread that serves it. */
struct client {
	struct rig *rig;
	struct stdio_attach attach;
	struct err err;
	int fd, r;
	bool ready, done;
	pthread_t thread;
};

static void client_ready(void *user)
{
	struct client *c = user;

	pthread_mutex_lock(&c->rig->lock);
	c->ready = true;
	pthread_cond_broadcast(&c->rig->cond);
	pthread_mutex_unlock(&c->rig->lock);
}

static void *client_thread(void *user)
{
	struct client *c = user;
	int r = stdio_attach(c->rig->io, &c->attach, &c->err);

	(void)shutdown(c->attach.fd, SHUT_RDWR);
	pthread_mutex_lock(&c->rig->lock);
	c->r = r;
	c->done = true;
	pthread_cond_broadcast(&c->rig->cond);
	pthread_mutex_unlock(&c->rig->lock);
	return NULL;
}

static bool client_start(struct client *c, struct rig *rig)
{
	int fds[2];

	c->rig = rig;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return false;
	c->fd = fds[0];
	c->attach.fd = fds[1];
	c->attach.stream = true;
	c->attach.ready = client_ready;
	c->attach.user = c;
	if (pthread_create(&c->thread, NULL, client_thread, c) != 0)
		return false;
	return rig_wait(rig, &c->ready);
}

static int client_end(struct client *c)
{
	pthread_join(c->thread, NULL);
	if (c->fd >= 0)
		close(c->fd);
	close(c->attach.fd);
	return c->r;
}

static void read_all(int fd, struct buf *out)
{
	char data[65536];
	ssize_t n;

	buf_reset(out);
	buf_adds(out, "");
	while ((n = read(fd, data, sizeof(data))) > 0)
		buf_add(out, data, (size_t)n);
}

static bool read_text(int fd, const char *want)
{
	char data[256] = "";
	size_t len = strlen(want), have = 0;

	while (have < len) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 20000) != 1)
			return false;
		n = read(fd, data + have, len - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return memcmp(data, want, len) == 0;
}

static int collect(void *user, const void *data, size_t len)
{
	buf_add(user, data, len);
	return 0;
}

static const char *log_text(struct rig *rig, struct buf *out)
{
	struct container_log_query q = {.out = true, .err = true, .tail = -1};
	struct err err = {0};

	buf_reset(out);
	buf_adds(out, "");
	(void)container_log_read(rig->log, &q, collect, out, &err);
	return out->data;
}

/* Goal: a client that attached before the start sees everything, framed; so does the log. */
TEST(output_reaches_client_and_log)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true, .err = true, .mux = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "hello\n");
	fake_agent_say(&rig->agent, 2, "oops\n");
	fake_agent_exit(&rig->agent, 5);
	read_all(c.fd, &out);
	ASSERT_EQ(out.len, 27);
	ASSERT(memcmp(out.data, "\1\0\0\0\0\0\0\6hello\n\2\0\0\0\0\0\0\5oops\n", 27) == 0);
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_EQ(rig->exit.code, 5);
	ASSERT(!rig->exit.lost);
	ASSERT_OK(client_end(&c));
	ASSERT_STREQ(log_text(rig, &out), "hello\noops\n");
}

TEST(streams_are_chosen)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	_cleanup_buf_ struct buf out = {0};
	struct client a = {.attach = {.err = true}}, b = {.attach = {.out = true}};

	ASSERT(client_start(&a, rig));
	ASSERT(client_start(&b, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "out");
	fake_agent_say(&rig->agent, 2, "err");
	fake_agent_say(&rig->agent, 1, "put");
	fake_agent_exit(&rig->agent, 0);
	read_all(a.fd, &out);
	ASSERT_STREQ(out.data, "err");
	read_all(b.fd, &out);
	ASSERT_STREQ(out.data, "output");
	ASSERT_OK(client_end(&a));
	ASSERT_OK(client_end(&b));
}

TEST(start_that_fails_is_told_and_ends_clients)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "missing"));
	ASSERT(rig_wait(rig, &rig->failed));
	ASSERT_EQ(rig->status, RPC_NOT_FOUND);
	ASSERT_STREQ(rig->text, "exec: \"missing\": executable file not found in $PATH");
	read_all(c.fd, &out);
	ASSERT_EQ(out.len, 0);
	ASSERT_OK(client_end(&c));
	ASSERT(!rig->exited);
}

/* Goal: small output is acknowledged though nothing follows it, and not once per chunk. */
TEST(idle_output_is_acknowledged)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 500; i++)
		fake_agent_say(&rig->agent, 1, "line\n");
	for (int i = 0; i < 200 && rig->agent.acked < 2500; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.acked, 2500);
	ASSERT(rig->agent.acks < 100);
}

struct drain {
	int fd;
	uint64_t bytes;
	bool wrong;
};

static void *drain_thread(void *user)
{
	struct drain *d = user;
	unsigned char data[65536];
	ssize_t n;

	while ((n = read(d->fd, data, sizeof(data))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			d->wrong |= data[i] != fake_byte(d->bytes + (uint64_t)i);
		d->bytes += (uint64_t)n;
	}
	return NULL;
}

#define FLOOD MIB(64)

/* Goal: much output arrives whole, with no more than the agent's bound in flight. */
TEST(flood_arrives_whole)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true}};
	struct drain d = {0};
	int64_t began;

	ASSERT(client_start(&c, rig));
	rig->agent.flood_total = FLOOD;
	d.fd = c.fd;
	began = clock_monotonic_ns();
	ASSERT_OK(rig_start(rig, "flood"));
	(void)drain_thread(&d);
	printf("# %llu MB/s\n",
	       (unsigned long long)(d.bytes * 1000 / (uint64_t)(clock_monotonic_ns() - began)));
	ASSERT_EQ(d.bytes, FLOOD);
	ASSERT(!d.wrong);
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_EQ(rig->exit.code, 3);
	ASSERT_OK(client_end(&c));
	ASSERT(rig->agent.max_unacked <= FAKE_UNACKED_MAX);
}

/* Goal: a client that reads nothing stops the process at the bound; once it leaves, all flows. */
TEST(stalled_client_stalls_the_process_until_it_leaves)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client stalled = {.attach = {.out = true}}, good = {.attach = {.out = true}};
	struct drain d = {0};
	pthread_t thread;
	uint64_t at;

	ASSERT(client_start(&stalled, rig));
	ASSERT(client_start(&good, rig));
	rig->agent.flood_total = FLOOD;
	d.fd = good.fd;
	ASSERT_OK(pthread_create(&thread, NULL, drain_thread, &d));
	ASSERT_OK(rig_start(rig, "flood"));
	(void)usleep(300000);
	at = rig->agent.produced;
	(void)usleep(200000);
	ASSERT_EQ(rig->agent.produced, at);
	ASSERT(at < MIB(4));
	close(stalled.fd);
	stalled.fd = -1;
	pthread_join(thread, NULL);
	ASSERT_EQ(d.bytes, FLOOD);
	ASSERT(!d.wrong);
	ASSERT_OK(client_end(&stalled));
	ASSERT_OK(client_end(&good));
}

/* Goal: stdout and stderr in turns, byte by byte, cost a stalled client's daemon little memory. */
TEST(bytes_in_turns_are_held_back_by_what_they_cost)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true, .err = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 40000; i++)
		fake_agent_say(&rig->agent, 1 + i % 2, "x");
	(void)usleep(300000);
	ASSERT(rig->agent.acked < 30000);
	ASSERT(!rig->exited);
	stdio_free(TAKE_PTR(rig->io));
	ASSERT_OK(client_end(&c));
}

/* Goal: an agent whose messages repeat a megabyte around little news is cut off. */
TEST(an_agent_cannot_make_us_hold_memory)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	_cleanup_free_ char *data = calloc(1, MIB(1));
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (uint64_t i = 0; i < 100; i++)
		fake_agent_lie(&rig->agent, 1, i * 4096, data, MIB(1));
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
	close(c.fd);
	c.fd = -1;
	ASSERT_OK(client_end(&c));
}

/* Goal: the end of a container whose client is slow does not cut that client's output. */
TEST(slow_client_gets_everything_after_the_end)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true}};
	struct drain d = {0};

	ASSERT(client_start(&c, rig));
	rig->agent.flood_total = KIB(700);
	ASSERT_OK(rig_start(rig, "flood"));
	ASSERT(rig_wait(rig, &rig->exited));
	stdio_free(TAKE_PTR(rig->io)); /* docker run --rm */
	d.fd = c.fd;
	(void)drain_thread(&d);
	ASSERT_EQ(d.bytes, KIB(700));
	ASSERT(!d.wrong);
	ASSERT_OK(client_end(&c));
}

TEST(freeing_a_running_process_detaches_clients)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true, .in = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	stdio_free(TAKE_PTR(rig->io));
	ASSERT_OK(client_end(&c));
	ASSERT(!rig->exited);
}

TEST(lost_before_start_lets_clients_go)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	stdio_lost(rig->io);
	ASSERT_OK(client_end(&c));
	ASSERT(!rig->exited && !rig->failed);
}

TEST(lost_sandbox_is_an_exit)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "half");
	ASSERT(read_text(c.fd, "half"));
	stdio_lost(rig->io);
	stdio_lost(rig->io);
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
	ASSERT_EQ(rig->exit.code, 137);
	ASSERT_OK(client_end(&c));
	ASSERT_STREQ(log_text(rig, &out), "half");
}

/* Goal: input arrives; its end is the process's for stdin_once only. */
TEST(input_and_its_end)
{
	_cleanup_rig_ struct rig *rig = rig_new(STDIN_ONCE);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.in = true, .out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_EQ(write(c.fd, "early ", 6), 6);
	ASSERT_OK(rig_start(rig, "cat"));
	ASSERT_EQ(write(c.fd, "late", 4), 4);
	ASSERT_OK(shutdown(c.fd, SHUT_WR));
	read_all(c.fd, &out);
	ASSERT_STREQ(out.data, "early late");
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_OK(client_end(&c));
}

TEST(input_end_without_once_ends_the_attachment_only)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client a = {.attach = {.in = true, .out = true}}, b = {.attach = {.in = true}};

	ASSERT(client_start(&a, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	ASSERT_EQ(write(a.fd, "one", 3), 3);
	ASSERT_OK(shutdown(a.fd, SHUT_WR));
	ASSERT(fake_agent_wait_input(&rig->agent, 3));
	fake_agent_say(&rig->agent, 1, "answer");
	ASSERT(read_text(a.fd, "answer"));
	ASSERT_OK(client_end(&a));
	ASSERT(client_start(&b, rig));
	ASSERT_EQ(write(b.fd, "two", 3), 3);
	ASSERT(fake_agent_wait_input(&rig->agent, 6));
	ASSERT_STREQ(rig->agent.stdin_data.data, "onetwo");
	ASSERT(!rig->agent.eof);
	fake_agent_exit(&rig->agent, 0);
	ASSERT_OK(client_end(&b));
}

/* Goal: 32 MB through cat come back whole though each side waits for the other now and then. */
TEST(cat)
{
	_cleanup_rig_ struct rig *rig = rig_new(STDIN_ONCE | WITH_LOG);
	struct client c = {.attach = {.in = true, .out = true}};
	static unsigned char data[65536];
	struct drain d = {0};
	pthread_t thread;
	uint64_t at = 0;
	int64_t began;

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "cat"));
	d.fd = c.fd;
	began = clock_monotonic_ns();
	ASSERT_OK(pthread_create(&thread, NULL, drain_thread, &d));
	while (at < MIB(32)) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = fake_byte(at + i);
		ASSERT_OK(fs_write_all(c.fd, data, sizeof(data)));
		at += sizeof(data);
	}
	ASSERT_OK(shutdown(c.fd, SHUT_WR));
	pthread_join(thread, NULL);
	printf("# %llu MB/s with log\n",
	       (unsigned long long)(at * 1000 / (uint64_t)(clock_monotonic_ns() - began)));
	ASSERT_EQ(d.bytes, MIB(32));
	ASSERT(!d.wrong);
	ASSERT_OK(client_end(&c));
}

/* Goal: a process that ignores its stdin stalls who writes to it, and its output flows on. */
TEST(input_that_is_not_read_stalls_only_the_writer)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.in = true, .out = true}};
	static char data[65536];
	size_t sent = 0;
	int idle = 0;

	rig->agent.refuse_input = true;
	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	while (idle < 20 && sent < MIB(64)) {
		ssize_t n = send(c.fd, data, sizeof(data), MSG_DONTWAIT);

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		} else {
			idle++;
			(void)usleep(10000);
		}
	}
	ASSERT(sent < MIB(4));
	fake_agent_say(&rig->agent, 1, "alive");
	ASSERT(read_text(c.fd, "alive"));
	fake_agent_exit(&rig->agent, 0);
	ASSERT_OK(client_end(&c));
}

TEST(detach_keys)
{
	_cleanup_rig_ struct rig *rig = rig_new(TTY);
	struct client c = {.attach = {.in = true, .out = true, .detach_keys = "ctrl-p,ctrl-q"}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT_EQ(write(c.fd, "a\x10z\x10", 4), 4);
	ASSERT(fake_agent_wait_input(&rig->agent, 3));
	ASSERT_EQ(write(c.fd, "\x11rest", 5), 5);
	ASSERT_EQ(client_end(&c), STDIO_E_DETACHED);
	ASSERT_STREQ(rig->agent.stdin_data.data, "a\x10z");
}

TEST(bad_detach_keys_are_refused)
{
	_cleanup_rig_ struct rig *rig = rig_new(TTY);
	struct stdio_attach attach = {.fd = -EBADF, .detach_keys = "ctrl-p,x1"};
	struct err err = {0};

	ASSERT_ERROR(stdio_attach(rig->io, &attach, &err), EINVAL);
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT_STREQ(err.msg, "Invalid detach keys (ctrl-p,x1) provided");
	ASSERT_ERROR(stdio_keys_check("a,", &err), EINVAL);
	ASSERT_OK(stdio_keys_check("a,ctrl-@,DEL", &err));
	ASSERT_OK(stdio_keys_check(NULL, &err));
}

TEST(cancel_ends_an_attachment)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.in = true, .out = true}};
	struct cancel cancel;

	cancel_init(&cancel);
	c.attach.cancel = &cancel;
	ASSERT(client_start(&c, rig));
	cancel_fire(&cancel);
	ASSERT_ERROR(client_end(&c), ECANCELED);
	cancel_done(&cancel);
}

/* Goal: attach with logs=1 shows what was, then what comes: no gap, nothing twice. */
TEST(replay_then_follow)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0}, want = {0};
	struct client c = {.attach = {.out = true, .replay_log = true}};

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 2000; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "line %d%s", i, i % 3 ? "\n" : "");
		buf_adds(&want, text);
		fake_agent_say(&rig->agent, 1, text);
		if (i == 1000)
			ASSERT(client_start(&c, rig));
	}
	fake_agent_exit(&rig->agent, 0);
	read_all(c.fd, &out);
	ASSERT_STREQ(out.data, want.data);
	ASSERT_OK(client_end(&c));
}

TEST(replay_alone_ends)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true, .replay_log = true}};
	int fds[2];

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "old");
	for (int i = 0; i < 200 && container_log_durable(rig->log) == 0; i++) {
		(void)usleep(5000);
		(void)container_log_flush(rig->log);
	}
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	c.attach.fd = fds[1];
	ASSERT_OK(stdio_attach(rig->io, &c.attach, &c.err));
	close(fds[1]);
	read_all(fds[0], &out);
	ASSERT_STREQ(out.data, "old");
	close(fds[0]);
}

/* Goal: another daemon goes on where the log ends; nothing is lost or twice; exit code too. */
TEST(resume_by_another_daemon)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct container_log_options options = {.max_files = 1};
	struct err err = {0};
	char path[128];

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "one\nunfinished ");
	fake_agent_say(&rig->agent, 2, "err\n");
	for (int i = 0; i < 200 && rig->agent.acked < 4; i++)
		(void)usleep(10000);
	/* the daemon dies */
	stdio_free(TAKE_PTR(rig->io));
	rpc_client_free(TAKE_PTR(rig->rpc));
	container_log_close(TAKE_PTR(rig->log));
	fake_agent_say(&rig->agent, 1, "line\nlast");
	fake_agent_exit(&rig->agent, 9);
	ASSERT_OK(fake_agent_connect(&rig->agent, rig->loop, &rig->rpc));
	(void)snprintf(path, sizeof(path), "%s/log", rig->dir);
	ASSERT_OK(container_log_open(path, &options, false, &rig->log, &err));
	rig_new_io(rig, WITH_LOG);
	ASSERT_OK(stdio_resume(rig->io, rig->rpc, &err));
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_EQ(rig->exit.code, 9);
	ASSERT(!rig->exit.lost);
	ASSERT_EQ(rig->agent.resume_from, 4);
	ASSERT_STREQ(log_text(rig, &out), "one\nerr\nunfinished line\nlast");
}

TEST(resume_of_a_process_nobody_knows)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	struct err err = {0};

	ASSERT_OK(stdio_resume(rig->io, rig->rpc, &err));
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
}

/* Goal: a channel that breaks under a living sandbox loses nothing for attached clients. */
TEST(resume_by_the_same_daemon)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};
	struct err err = {0};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "one\ntw");
	ASSERT(read_text(c.fd, "one\ntw"));
	rpc_client_free(TAKE_PTR(rig->rpc));
	ASSERT(!rig->exited);
	fake_agent_say(&rig->agent, 1, "o\n");
	ASSERT_OK(fake_agent_connect(&rig->agent, rig->loop, &rig->rpc));
	rig->started = false;
	ASSERT_OK(stdio_resume(rig->io, rig->rpc, &err));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_exit(&rig->agent, 0);
	read_all(c.fd, &out);
	ASSERT_STREQ(out.data, "o\n");
	ASSERT_OK(client_end(&c));
	ASSERT_STREQ(log_text(rig, &out), "one\ntwo\n");
}

TEST(resize_before_and_after_the_start)
{
	_cleanup_rig_ struct rig *rig = rig_new(TTY);
	struct err err = {0};

	ASSERT_OK(stdio_resize(rig->io, 24, 80, &err));
	ASSERT_OK(rig_start(rig, "sh"));
	for (int i = 0; i < 200 && rig->agent.cols != 80; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.rows, 24);
	ASSERT_OK(stdio_resize(rig->io, 50, 132, &err));
	for (int i = 0; i < 200 && rig->agent.cols != 132; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.rows, 50);
}

/* Goal: an agent that sends beyond all bounds ends its own process, not the daemon. */
TEST(agent_that_breaks_the_rules)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true}};
	static char text[32769];

	memset(text, 'x', sizeof(text) - 1);
	ASSERT(client_start(&c, rig)); /* reads nothing */
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 400 && !rig->exited; i++) {
		fake_agent_say(&rig->agent, 1, text);
		(void)usleep(500);
	}
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
	close(c.fd);
	c.fd = -1;
	(void)client_end(&c);
}

/* Goal: single bytes for a client that lags do not cost a message each. */
TEST(bytes_are_gathered)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 20000; i++)
		fake_agent_say(&rig->agent, i / 5000 % 2 + 1, "x");
	fake_agent_exit(&rig->agent, 0);
	read_all(c.fd, &out);
	ASSERT_EQ(out.len, 10000);
	ASSERT_OK(client_end(&c));
}

TEST_MAIN()
