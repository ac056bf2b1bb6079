/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp.c - QEMU's control protocol over one socket
 *
 * DOC: Theory of operation
 *
 * One JSON object a line, in both directions. All reading and writing happens on the loop thread;
 * other threads queue commands under qmp->lock and wait for their answers. A group of commands
 * travels in one write and QEMU answers in order, so a group costs one round trip; each command
 * carries an id, and an answer nobody waits for (its caller gave up) is dropped.
 *
 * Nothing waits for QEMU's greeting: the kernel keeps our first commands until QEMU accepts the
 * connection, so the first group may be sent before QEMU even runs main().
 *
 *	OPEN -> CLOSED
 *
 * CLOSED is entered on the loop thread by end of file, an error, a line above QMP_LINE_MAX or
 * one that is not a JSON object; every waiting call ends with -EPIPE. QEMU itself is trusted no
 * more than its guest, which may have taken it over: input is bounded, and a reply of the wrong
 * form is an error of that call.
 */
#include "vm/qmp.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"

#define QMP_READ_BYTES 16384

/* A group of commands and the thread that waits for it. Lives until the waiter took it off. */
struct qmp_call {
	long long first_id;
	size_t n, n_answered;
	struct buf out; /* what is left to write */
	int pass_fd;	/* borrowed from the waiter; 0: none */
	int result;	/* first failure */
	json_t *last;	/* owned: the last command's "return" */
	struct err err;
	bool done;
	bool told; /* nobody waits: it frees itself */
	struct qmp_call *next, *prev;
};

struct qmp {
	struct loop *loop; /* borrowed */
	int fd;		   /* owned */
	qmp_event_fn event;
	qmp_closed_fn closed;
	void *user;
	struct loop_fd *watch; /* owned; loop thread */
	struct buf in;	       /* loop thread */
	bool failed_alloc;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	struct qmp_call *calls; /* waiting, in order of their ids */
	long long next_id;
	bool is_closed;
};

static void qmp_call_finish(struct qmp *qmp, struct qmp_call *call, int r, const char *why)
{
	if (call->done)
		return;
	if (r < 0 && call->result == 0) {
		call->result = r;
		(void)err_sys(&call->err, r, "QEMU: %s", why);
	}
	call->done = true;
	pthread_cond_broadcast(&qmp->cond);
	if (!call->told)
		return;
	DL_DELETE(qmp->calls, call);
	buf_done(&call->out);
	json_decref(call->last);
	free(call);
}

/* Loop thread. Ends every call; tells the owner once. */
static void qmp_close(struct qmp *qmp, int reason)
{
	struct qmp_call *call, *next;

	if (!qmp->watch)
		return;
	loop_fd_remove(qmp->watch);
	qmp->watch = NULL;
	pthread_mutex_lock(&qmp->lock);
	qmp->is_closed = true;
	DL_FOREACH_SAFE (qmp->calls, call, next)
		qmp_call_finish(qmp, call, -EPIPE, "the control connection ended");
	pthread_mutex_unlock(&qmp->lock);
	if (qmp->closed)
		qmp->closed(qmp->user, reason);
}

static struct qmp_call *qmp_find_call(struct qmp *qmp, long long id)
{
	struct qmp_call *call;

	DL_FOREACH (qmp->calls, call)
		if (id >= call->first_id && id < call->first_id + (long long)call->n)
			return call;
	return NULL;
}

static void qmp_take_error(struct qmp_call *call, json_t *error)
{
	const char *desc = json_string_value(json_object_get(error, "desc"));

	if (call->result < 0)
		return;
	call->result = -EIO;
	(void)err_user(&call->err, ERR_INTERNAL, "QEMU: %s", desc ?: "an error without a text");
}

static void qmp_on_reply(struct qmp *qmp, json_t *message)
{
	json_t *id = json_object_get(message, "id");
	json_t *error = json_object_get(message, "error");
	struct qmp_call *call;

	pthread_mutex_lock(&qmp->lock);
	call = json_is_integer(id) ? qmp_find_call(qmp, json_integer_value(id)) : NULL;
	if (call && !call->done) {
		if (error) {
			qmp_take_error(call, error);
		} else if (json_integer_value(id) == call->first_id + (long long)call->n - 1) {
			json_decref(call->last);
			call->last = json_incref(json_object_get(message, "return"));
			/* from here on the waiter's alone */
			(void)json_object_del(message, "return");
		}
		if (++call->n_answered == call->n)
			qmp_call_finish(qmp, call, 0, NULL);
	}
	pthread_mutex_unlock(&qmp->lock);
}

static int qmp_on_line(struct qmp *qmp, const char *line, size_t len)
{
	json_t *message, *event;

	if (len == 0 || (len == 1 && line[0] == '\r'))
		return 0;
	message = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(message)) {
		json_decref(message);
		return -EBADMSG;
	}
	event = json_object_get(message, "event");
	if (json_is_string(event)) {
		if (qmp->event)
			qmp->event(qmp->user, json_string_value(event),
				   json_object_get(message, "data"));
	} else if (json_object_get(message, "return") || json_object_get(message, "error")) {
		qmp_on_reply(qmp, message);
	}
	json_decref(message); /* the greeting tells us nothing we need */
	return 0;
}

static int qmp_eat_lines(struct qmp *qmp)
{
	size_t at = 0;
	int r = 0;

	while (r == 0) {
		const char *end = memchr(qmp->in.data + at, '\n', qmp->in.len - at);

		if (!end)
			break;
		r = qmp_on_line(qmp, qmp->in.data + at, (size_t)(end - qmp->in.data) - at);
		at = (size_t)(end - qmp->in.data) + 1;
	}
	buf_consume(&qmp->in, at);
	if (r == 0 && qmp->in.len > QMP_LINE_MAX)
		r = -EMSGSIZE;
	return r;
}

static int qmp_read(struct qmp *qmp)
{
	char chunk[QMP_READ_BYTES];
	ssize_t n = recv(qmp->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_add(&qmp->in, chunk, (size_t)n);
	if (qmp->in.failed)
		return -ENOMEM;
	return qmp_eat_lines(qmp);
}

static ssize_t qmp_send(int fd, const struct qmp_call *call)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {.iov_base = call->out.data, .iov_len = call->out.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (call->pass_fd > 0) {
		struct cmsghdr *c = &control.header;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &call->pass_fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
	}
	n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* Loop thread. Writes what it can; asks for POLLOUT while something is left. */
static int qmp_write(struct qmp *qmp)
{
	struct qmp_call *call;
	bool more = false;
	ssize_t n = 0;

	pthread_mutex_lock(&qmp->lock);
	DL_FOREACH (qmp->calls, call) {
		while (call->out.len > 0 && n >= 0) {
			n = qmp_send(qmp->fd, call);
			if (n >= 0) {
				call->pass_fd = 0;
				buf_consume(&call->out, (size_t)n);
			}
		}
		more = call->out.len > 0;
		if (n < 0)
			break;
	}
	pthread_mutex_unlock(&qmp->lock);
	if (n < 0 && n != -EAGAIN && n != -EINTR)
		return (int)n;
	loop_fd_set(qmp->watch, POLLIN | (more ? POLLOUT : 0));
	return 0;
}

static void qmp_on_fd(void *user, int events)
{
	struct qmp *qmp = user;
	int r = 0;

	if (events & POLLOUT)
		r = qmp_write(qmp);
	if (r == 0 && (events & (POLLIN | POLLHUP | POLLERR)))
		r = qmp_read(qmp);
	if (r < 0)
		qmp_close(qmp, r);
}

static void qmp_on_queued(void *user)
{
	struct qmp *qmp = user;
	int r;

	if (!qmp->watch)
		return;
	r = qmp_write(qmp);
	if (r < 0)
		qmp_close(qmp, r);
}

static void qmp_start(void *user)
{
	struct qmp *qmp = user;

	qmp->failed_alloc =
		loop_fd_add(qmp->loop, qmp->fd, POLLIN, qmp_on_fd, qmp, &qmp->watch) < 0;
}

static void qmp_stop(void *user)
{
	struct qmp *qmp = user;

	qmp->closed = NULL;
	qmp_close(qmp, 0);
}

/**
 * qmp_new() - Speak QMP on a connected socket
 * @loop:    Loop that does the I/O
 * @fd:	     Connected stream socket; becomes the client's on success
 * @event:   Called for each of QEMU's events; may be NULL
 * @closed:  Called once when the connection ended by itself; may be NULL
 * @user:    Argument of both
 * @ret_qmp: The client, owned by the caller; set on success
 *
 * The first commands must begin with qmp_capabilities. Any thread.
 *
 * Return: 0, or negative errno
 */
int qmp_new(struct loop *loop, int fd, qmp_event_fn event, qmp_closed_fn closed, void *user,
	    struct qmp **ret_qmp)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	pthread_condattr_t attr;

	if (!qmp)
		return -ENOMEM;
	*qmp = (struct qmp){.loop = loop,
			    .fd = fd,
			    .event = event,
			    .closed = closed,
			    .user = user,
			    .next_id = 1};
	pthread_mutex_init(&qmp->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&qmp->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (loop_call(loop, qmp_start, qmp) < 0 || qmp->failed_alloc) {
		qmp->fd = -EBADF; /* stays the caller's */
		qmp_free(qmp);
		return -ENOMEM;
	}
	*ret_qmp = qmp;
	return 0;
}

/**
 * qmp_free() - Close the connection and free; QEMU itself goes on
 * @qmp: Client or NULL. No thread may be in qmp_run(). Not from its callbacks.
 */
void qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return;
	if (loop_call(qmp->loop, qmp_stop, qmp) < 0)
		return; /* no memory left to say so: better lost than used after free */
	assert(!qmp->calls);
	cleanup_close(&qmp->fd);
	buf_done(&qmp->in);
	pthread_cond_destroy(&qmp->cond);
	pthread_mutex_destroy(&qmp->lock);
	free(qmp);
}

static int qmp_add_command(struct qmp_call *call, const struct qmp_cmd *cmd, long long id)
{
	json_t *o = json_pack("{s:s,s:I}", "execute", cmd->name, "id", (json_int_t)id);
	char *text;

	if (o && cmd->args && json_object_set(o, "arguments", cmd->args) < 0) {
		json_decref(o);
		o = NULL;
	}
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return -ENOMEM;
	buf_adds(&call->out, text);
	buf_adds(&call->out, "\n");
	free(text);
	if (cmd->pass_fd > 0)
		call->pass_fd = cmd->pass_fd;
	return call->out.failed ? -ENOMEM : 0;
}

static int qmp_queue(struct qmp *qmp, struct qmp_call *call, const struct qmp_cmd *cmds)
{
	int r = 0;

	pthread_mutex_lock(&qmp->lock);
	if (qmp->is_closed)
		r = -EPIPE;
	call->first_id = qmp->next_id;
	for (size_t i = 0; r == 0 && i < call->n; i++)
		r = qmp_add_command(call, &cmds[i], qmp->next_id++);
	if (r == 0)
		DL_APPEND(qmp->calls, call);
	pthread_mutex_unlock(&qmp->lock);
	return r;
}

static void qmp_wait(struct qmp *qmp, struct qmp_call *call, unsigned int timeout_ms)
{
	int64_t end_ns = clock_monotonic_ns() + (int64_t)timeout_ms * NSEC_PER_MSEC;
	struct timespec end = {.tv_sec = end_ns / NSEC_PER_SEC, .tv_nsec = end_ns % NSEC_PER_SEC};

	pthread_mutex_lock(&qmp->lock);
	while (!call->done)
		if (pthread_cond_timedwait(&qmp->cond, &qmp->lock, &end) == ETIMEDOUT)
			qmp_call_finish(qmp, call, -ETIMEDOUT, "no answer on the control socket");
	DL_DELETE(qmp->calls, call);
	if (call->out.len > 0)
		(void)shutdown(qmp->fd, SHUT_RDWR); /* half a command may be out: start over */
	pthread_mutex_unlock(&qmp->lock);
}

/**
 * qmp_run() - Run commands in order, in one round trip
 * @qmp:	Client
 * @cmds:	Commands; QEMU runs all of them, also those after one that failed
 * @n:		How many, at most QMP_PIPELINE_MAX; at most one passes a descriptor
 * @timeout_ms:	For the last answer, milliseconds
 * @ret_last:	The last command's result, owned by the caller; may be NULL; set on success
 * @err:	Filled on failure: the first one's
 *
 * Any thread but the loop's.
 *
 * Return: 0, -EIO if QEMU refused a command, -EPIPE if the connection ended, -ETIMEDOUT
 */
int qmp_run(struct qmp *qmp, const struct qmp_cmd *cmds, size_t n, unsigned int timeout_ms,
	    json_t **ret_last, struct err *err)
{
	struct qmp_call call = {.n = n};
	int r;

	assert(n > 0 && n <= QMP_PIPELINE_MAX);
	assert(!loop_on_thread(qmp->loop));
	r = qmp_queue(qmp, &call, cmds);
	if (r < 0) {
		buf_done(&call.out);
		return err_sys(err, r, "cannot ask QEMU to %s", cmds[0].name);
	}
	if (loop_post(qmp->loop, qmp_on_queued, qmp) < 0)
		timeout_ms = 0; /* out of memory: take the call off again */
	qmp_wait(qmp, &call, timeout_ms);
	buf_done(&call.out);
	if (call.result < 0) {
		json_decref(call.last);
		if (err)
			*err = call.err;
		return call.result;
	}
	if (ret_last)
		*ret_last = call.last;
	else
		json_decref(call.last);
	return 0;
}

/**
 * qmp_call() - Run one command
 * @qmp:	Client
 * @name:	Command
 * @args:	Its arguments, taken over (also on failure); NULL: none
 * @timeout_ms:	For the answer, milliseconds
 * @ret_reply:	Its result, owned by the caller; may be NULL; set on success
 * @err:	Filled on failure
 *
 * Any thread but the loop's.
 *
 * Return: as qmp_run()
 */
int qmp_call(struct qmp *qmp, const char *name, json_t *args, unsigned int timeout_ms,
	     json_t **ret_reply, struct err *err)
{
	struct qmp_cmd cmd = {.name = name, .args = args};
	int r = qmp_run(qmp, &cmd, 1, timeout_ms, ret_reply, err);

	json_decref(args);
	return r;
}

/**
 * qmp_tell() - Run one command whose answer matters to nobody
 * @qmp:  Client
 * @name: Command, without arguments
 *
 * Any thread. Does not wait.
 *
 * Return: 0, -EPIPE if the connection ended, or -ENOMEM
 */
int qmp_tell(struct qmp *qmp, const char *name)
{
	struct qmp_call *call = calloc(1, sizeof(*call));
	struct qmp_cmd cmd = {.name = name};
	int r;

	if (!call)
		return -ENOMEM;
	call->n = 1;
	call->told = true;
	r = qmp_queue(qmp, call, &cmd);
	if (r < 0) {
		buf_done(&call->out);
		free(call);
		return r;
	}
	(void)loop_post(qmp->loop, qmp_on_queued, qmp); /* without memory: with the next one */
	return 0;
}
