/* SPDX-License-Identifier: Apache-2.0 */
/* stdio_rig.h - a stdio with a fake agent behind it and clients before it */
#pragma once
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

/* Each program uses its part of these. */
#pragma GCC diagnostic ignored "-Wunused-function"

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
