/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio_attach.c - one attached client: its connection on one side, a process's streams on the
 * other
 *
 * DOC: Theory of operation
 *
 * The client's own thread runs one poll loop over the connection and an eventfd. It sends the
 * chunks under its cursor (many in one sendmsg, straight from the agent's messages), and reads
 * input only while the process takes it. Nothing here blocks on the client, so input flows while
 * output is stuck and the other way round; the thread leaves when the process has ended and its
 * output was delivered, when the client left, on the detach keys, and when it is cancelled.
 *
 * The end of the client's input is the end of the process's stdin for stdin_once without a TTY; in
 * all other cases it ends this attachment, as dockerd does it, but CLIENT_LINGER_MS later, so that
 * what the last input caused can still be seen.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "core/container_log_impl.h"
#include "core/stdio_impl.h"

#define CLIENT_BATCH 32 /* chunks in one sendmsg */
#define CLIENT_HEADER 8
#define CLIENT_LINGER_MS 500

static void client_on_cancel(void *user)
{
	struct stdio_client *c = user;
	uint64_t one = 1;

	atomic_store(&c->cancelled, true);
	(void)!write(c->wake_fd, &one, sizeof(one)); /* can only be full, which wakes as well */
}

static void client_header(unsigned char head[static CLIENT_HEADER], int stream, size_t len)
{
	memset(head, 0, CLIENT_HEADER);
	head[0] = (unsigned char)stream;
	head[4] = (unsigned char)(len >> 24);
	head[5] = (unsigned char)(len >> 16);
	head[6] = (unsigned char)(len >> 8);
	head[7] = (unsigned char)len;
}

struct client_batch {
	struct iovec iov[CLIENT_BATCH * 2];
	unsigned char heads[CLIENT_BATCH][CLIENT_HEADER];
	size_t frames[CLIENT_BATCH]; /* bytes of each chunk, header included */
	size_t n_iov, n;
};

/* Collect what waits for the client; the chunks cannot go nor grow until it advances. */
static void client_collect(struct stdio_client *c, struct client_batch *b)
{
	struct stdio_chunk *chunk;
	size_t skip, head = c->attach->mux ? CLIENT_HEADER : 0;

	b->n = b->n_iov = 0;
	pthread_mutex_lock(&c->io->lock);
	skip = c->sent;
	for (chunk = c->cursor; chunk && b->n < CLIENT_BATCH; chunk = chunk->next) {
		if (!stdio_client_wants(c, chunk))
			continue;
		chunk->frozen = true;
		b->frames[b->n] = head + chunk->len;
		if (skip < head) {
			client_header(b->heads[b->n], chunk->stream, chunk->len);
			b->iov[b->n_iov++] = (struct iovec){b->heads[b->n] + skip, head - skip};
			skip = 0;
		} else {
			skip -= head;
		}
		b->iov[b->n_iov++] = (struct iovec){(char *)chunk->data + skip, chunk->len - skip};
		skip = 0;
		b->n++;
	}
	pthread_mutex_unlock(&c->io->lock);
}

static void client_sent(struct stdio_client *c, const struct client_batch *b, size_t len)
{
	pthread_mutex_lock(&c->io->lock);
	len += c->sent;
	for (size_t i = 0; i < b->n && len >= b->frames[i]; i++) {
		len -= b->frames[i];
		stdio_client_advance(c);
	}
	c->sent = len;
	if (c->io->held)
		stdio_ack_soon_locked(c->io);
	pthread_mutex_unlock(&c->io->lock);
}

/* Send what waits. 1: something was sent; 0: nothing waits or nothing fits (*ret_full). */
static int client_send(struct stdio_client *c, bool *ret_full)
{
	struct client_batch b;
	struct msghdr msg = {.msg_iov = b.iov};
	ssize_t n;

	*ret_full = false;
	client_collect(c, &b);
	if (b.n == 0)
		return 0;
	msg.msg_iovlen = b.n_iov;
	do {
		n = sendmsg(c->attach->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		*ret_full = true;
		return 0;
	}
	if (n < 0)
		return -errno;
	client_sent(c, &b, (size_t)n);
	return 1;
}

/* The client has no more input. */
static int client_input_end(struct stdio_client *c)
{
	struct stdio *io = c->io;

	c->in_open = false;
	if (io->stdin_once && !io->tty)
		c->eof_due = true;
	else
		c->linger_until_ns = clock_monotonic_ns() + CLIENT_LINGER_MS * NSEC_PER_MSEC;
	return 0;
}

/* Send on what was read, and the end. 0, -EAGAIN, or another negative errno. */
static int client_input_pass(struct stdio_client *c)
{
	struct stdio *io = c->io;
	int r = 0;

	pthread_mutex_lock(&io->lock);
	while (r == 0 && c->input.len) {
		size_t n = MIN(c->input.len, (size_t)STDIO_INPUT_MAX);

		r = stdio_input_send(io, c->input.data, n, false);
		if (r == 0)
			buf_consume(&c->input, n);
	}
	if (r == 0 && c->eof_due) {
		r = stdio_input_send(io, NULL, 0, true);
		if (r == 0)
			c->eof_due = false;
	}
	pthread_mutex_unlock(&io->lock);
	if (r < 0 && r != -EAGAIN) {
		c->in_open = c->eof_due = false; /* nobody reads it; the output goes on */
		buf_reset(&c->input);
		r = 0;
	}
	return r;
}

/* Read input once. 1: something came; 0: nothing now. */
static int client_input_read(struct stdio_client *c)
{
	char data[STDIO_INPUT_MAX];
	ssize_t n;

	do {
		n = recv(c->attach->fd, data, sizeof(data), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return client_input_end(c);
	if (c->io->tty)
		c->detached = stdio_keys_filter(&c->keys, data, (size_t)n, &c->input);
	else
		buf_add(&c->input, data, (size_t)n);
	return c->input.failed ? -ENOMEM : 1;
}

/* Both directions of input, as far as they go. 1: there may be more at once. */
static int client_input(struct stdio_client *c, bool *ret_full)
{
	int r;

	*ret_full = false;
	if (c->input.len || c->eof_due) {
		r = client_input_pass(c);
		if (r == -EAGAIN)
			*ret_full = true;
		return r == -EAGAIN ? 0 : r;
	}
	if (!c->in_open)
		return 0;
	r = client_input_read(c);
	if (r < 0 || (!c->input.len && !c->eof_due))
		return r;
	r = client_input_pass(c);
	if (r == -EAGAIN) {
		*ret_full = true;
		return 0;
	}
	return r < 0 ? r : 1;
}

static bool client_running(struct stdio_client *c)
{
	bool running;

	pthread_mutex_lock(&c->io->lock);
	running = c->io->state == STDIO_RUNNING;
	pthread_mutex_unlock(&c->io->lock);
	return running;
}

static bool client_lingered(const struct stdio_client *c)
{
	return c->linger_until_ns && clock_monotonic_ns() >= c->linger_until_ns;
}

/* Whether to leave; and if not, whether there is nothing to do until somebody wakes us. */
static bool client_may_leave(struct stdio_client *c, bool out_full, bool *ret_sleep)
{
	struct stdio *io = c->io;
	bool leave;

	pthread_mutex_lock(&io->lock);
	leave = io->kicked || atomic_load(&c->cancelled) || client_lingered(c) ||
		(io->state == STDIO_ENDED && !c->cursor);
	*ret_sleep = !leave && (!c->cursor || out_full);
	if (*ret_sleep)
		c->asleep = true;
	pthread_mutex_unlock(&io->lock);
	return leave;
}

/* Sleep until the connection or the process has something. <0: the client left. */
static int client_poll(struct stdio_client *c, bool out_full, bool in_full)
{
	struct pollfd fds[2] = {
		{.fd = c->attach->fd, .events = out_full ? POLLOUT : 0},
		{.fd = c->wake_fd, .events = POLLIN},
	};
	int timeout_ms = c->linger_until_ns ? CLIENT_LINGER_MS : -1;
	uint64_t count;

	if (c->in_open && !in_full && client_running(c))
		fds[0].events |= POLLIN;
	while (poll(fds, 2, timeout_ms) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (fds[1].revents)
		(void)!read(c->wake_fd, &count, sizeof(count)); /* empty is fine */
	if ((fds[0].revents & POLLIN) || !(fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)))
		return 0;
	return -EPIPE;
}

static int client_loop(struct stdio_client *c)
{
	for (;;) {
		bool out_full = false, in_full = false, sleep;
		int sent, got = 0;

		sent = client_send(c, &out_full);
		if (sent >= 0 && client_running(c))
			got = client_input(c, &in_full);
		if (sent < 0 || got < 0)
			return 0; /* it left */
		if (c->detached)
			return STDIO_E_DETACHED;
		if ((sent > 0 || got > 0) && !client_lingered(c))
			continue;
		if (client_may_leave(c, out_full, &sleep))
			return atomic_load(&c->cancelled) ? -ECANCELED : 0;
		if (sleep && client_poll(c, out_full, in_full) < 0)
			return 0;
	}
}

/* log_write_fn for the replay: blocking, but not on a client that left or is cancelled. */
static int client_write(void *user, const void *data, size_t len)
{
	struct stdio_client *c = user;
	const char *p = data;

	while (len) {
		ssize_t n = send(c->attach->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		struct pollfd fds[2] = {
			{.fd = c->attach->fd, .events = POLLOUT},
			{.fd = c->wake_fd, .events = POLLIN},
		};

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (atomic_load(&c->cancelled))
			return -ECANCELED;
		if (poll(fds, 2, -1) > 0 && fds[1].revents) {
			uint64_t count;

			(void)!read(c->wake_fd, &count, sizeof(count)); /* empty is fine */
		}
	}
	return 0;
}

struct client_register {
	struct stdio *io;
	struct stdio_client *c;
	struct log_reader *reader; /* owned */
	struct err *err;
	int r;
};

/* Loop thread: no output can come between the snapshot of the log and the registration. */
static void client_register_replay(void *user)
{
	struct client_register *reg = user;
	const struct stdio_attach *attach = reg->c->attach;
	struct container_log_query query = {
		.out = attach->out, .err = attach->err, .mux = attach->mux, .tail = -1};

	pthread_mutex_lock(&reg->io->lock);
	if (reg->io->log) {
		(void)container_log_flush(reg->io->log); /* it said so */
		reg->r = log_reader_new(reg->io->log, &query, &reg->reader, reg->err);
	}
	if (reg->r == 0)
		stdio_client_join(reg->io, reg->c);
	pthread_mutex_unlock(&reg->io->lock);
}

static int client_register(struct stdio *io, struct stdio_client *c, struct log_reader **ret_reader,
			   struct err *err)
{
	struct client_register reg = {.io = io, .c = c, .err = err};
	int r;

	if (c->attach->replay_log) {
		r = loop_call(io->loop, client_register_replay, &reg);
		if (r < 0)
			return err_oom(err);
		*ret_reader = reg.reader;
		return reg.r;
	}
	pthread_mutex_lock(&io->lock);
	stdio_client_join(io, c);
	pthread_mutex_unlock(&io->lock);
	return 0;
}
DEFINE_CLEANUP(struct log_reader *, log_reader_free)

static int client_serve(struct stdio_client *c, struct log_reader *reader)
{
	const struct stdio_attach *attach = c->attach;
	struct cancel_watch watch;
	struct err ignored;
	int r = 0;

	if (cancel_watch_add(attach->cancel, &watch, client_on_cancel, c))
		atomic_store(&c->cancelled, true);
	if (attach->ready)
		attach->ready(attach->user);
	if (attach->fd < 0)
		r = -EPIPE;
	if (r == 0 && reader && log_reader_run(reader, client_write, c, &ignored) < 0)
		r = -EPIPE;
	if (r == 0 && attach->stream)
		r = client_loop(c);
	cancel_watch_remove(attach->cancel, &watch);
	return r == -EPIPE ? 0 : r;
}

/**
 * stdio_keys_check() - Refuse detach keys before the connection is hijacked
 * @text: As in struct stdio_attach
 * @err:  Filled on failure
 *
 * Return: 0, or the errno of ERR_INVALID
 */
int stdio_keys_check(const char *text, struct err *err)
{
	struct stdio_keys keys;

	if (stdio_keys_parse(text, &keys) < 0)
		return err_user(err, ERR_INVALID, "Invalid detach keys (%s) provided", text);
	return 0;
}

/**
 * stdio_attach() - Serve one attached client
 * @io:	    Process, started or not
 * @attach: The client; its fd may be set by its `ready`. All borrowed
 * @err:    Filled on failure
 *
 * Blocks until the process has ended and all its output was delivered, or the client left.
 *
 * Return: 0, STDIO_E_DETACHED, -ECANCELED, or another negative errno before @attach->ready ran
 */
int stdio_attach(struct stdio *io, const struct stdio_attach *attach, struct err *err)
{
	_cleanup_(log_reader_freep) struct log_reader *reader = NULL;
	struct stdio_client c = {.attach = attach, .wake_fd = -EBADF};
	int r;

	if (stdio_keys_parse(attach->detach_keys, &c.keys) < 0)
		return err_user(err, ERR_INVALID, "Invalid detach keys (%s) provided",
				attach->detach_keys);
	c.in_open = attach->in && io->open_stdin;
	c.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c.wake_fd < 0)
		return err_sys(err, -errno, "cannot attach");
	r = client_register(io, &c, &reader, err);
	if (r == 0) {
		r = client_serve(&c, reader);
		pthread_mutex_lock(&io->lock);
		stdio_client_leave(io, &c);
		pthread_mutex_unlock(&io->lock);
		stdio_unref(io);
	}
	buf_done(&c.input);
	cleanup_close(&c.wake_fd);
	return r;
}
