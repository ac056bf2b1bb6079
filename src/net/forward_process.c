/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward_process.c - the forwarder's process: found or started, spoken to
 *
 * It lives in the underlay's namespace and is found by its record, which also leads a new daemon to
 * that namespace (underlay_ns.c). One of another version, or in another namespace, is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "net/forward_impl.h"
#include "net/underlay.h"

#define FORWARD_START_MS 5000
#define FORWARD_END_MS 1000
#define FORWARD_ANSWER_S 30 /* a request may bind 65,535 ports */
#define FORWARD_READ_BYTES KIB(64)

static int forward_connect(struct forward *f)
{
	const struct timeval limit = {.tv_sec = FORWARD_ANSWER_S};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int dir_fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (dir_fd < 0 || fd < 0)
		return -errno;
	/* The folder's path may be longer than a socket's may be. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/forward.sock",
		       dir_fd);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	f->fd = TAKE_FD(fd);
	buf_reset(&f->in);
	return 0;
}

static int forward_send(struct forward *f, const struct forward_message *request)
{
	_cleanup_buf_ struct buf out = {};
	int r = forward_wire_put(&out, request);

	if (r < 0 || out.failed)
		return r < 0 ? r : -ENOMEM;
	for (size_t sent = 0; sent < out.len;) {
		ssize_t n = send(f->fd, out.data + sent, out.len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		sent += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/**
 * forward_next_answer() - Receive one message
 * @f:		Client, connected, locked
 * @ret_answer: For forward_message_done(); set on success
 *
 * Return: 0, -ETIMEDOUT, -EPIPE, -EBADMSG, or negative errno; then the connection is of no more use
 */
int forward_next_answer(struct forward *f, struct forward_message *ret_answer)
{
	for (;;) {
		size_t total = SIZE_MAX;
		int r = forward_wire_length(f->in.data, f->in.len, &total);
		ssize_t n;

		if (r < 0 && r != -EAGAIN)
			return r;
		if (f->in.len >= total) {
			r = forward_wire_get(f->in.data, total, ret_answer);
			buf_consume(&f->in, total);
			return r;
		}
		if (!buf_reserve(&f->in, FORWARD_READ_BYTES))
			return -ENOMEM;
		n = recv(f->fd, f->in.data + f->in.len, FORWARD_READ_BYTES, 0);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		f->in.len += n < 0 ? 0 : (size_t)n;
	}
}

/**
 * forward_ask() - One request and its answer
 * @f:		Client, connected, locked
 * @request:	Request
 * @ret_answer: For forward_message_done(); set on success
 *
 * Return: 0 also if the answer is an error, or negative errno; then nobody is connected any more
 */
int forward_ask(struct forward *f, const struct forward_message *request,
		struct forward_message *ret_answer)
{
	struct forward_message answer = {};
	int r = forward_send(f, request);

	if (r == -EINVAL || r == -E2BIG) /* our own fault: nothing was sent */
		return r;
	if (r == 0)
		r = forward_next_answer(f, &answer);
	if (r == 0 && answer.op != request->op) {
		forward_message_done(&answer);
		r = -EBADMSG;
	}
	if (r < 0) {
		cleanup_close(&f->fd);
		f->fd = -EBADF;
		return r;
	}
	*ret_answer = answer;
	return 0;
}

static char *forward_record_path(const struct forward *f)
{
	return str_format("%s/forward.pid", f->dir);
}

static int forward_wait_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	if (poll(&p, 1, FORWARD_START_MS) <= 0)
		return -ETIMEDOUT;
	return read(fd, &byte, 1) == 1 ? 0 : -ESRCH;
}

static int forward_spawn(struct forward *f, struct err *err)
{
	_cleanup_free_ char *record = forward_record_path(f);
	_cleanup_free_ char *log = str_format("%s/forward.log", f->dir);
	_cleanup_close_ int log_fd = -EBADF, ready_fd = -EBADF, say_fd = -EBADF;
	const char *argv[] = {f->program, f->dir, NULL};
	struct spawn_spec spec = {.argv = argv,
				  .stdin_fd = -EBADF,
				  .pass_fds = &f->host_ns_fd,
				  .n_pass_fds = 1,
				  .new_session = true};
	int pipe_fds[2], r;

	if (!record || !log)
		return err_oom(err);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "cannot make a pipe for arca-forward");
	ready_fd = pipe_fds[0];
	say_fd = pipe_fds[1];
	log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		return err_sys(err, -errno, "cannot open %s", log);
	spec.stdout_fd = say_fd;
	spec.stderr_fd = log_fd;
	r = underlay_spawn(f->underlay, &spec, &f->process.pid, &f->process.pidfd, err);
	if (r < 0)
		return r;
	cleanup_close(&say_fd);
	say_fd = -EBADF;
	r = process_record(&f->process, record);
	if (r == 0)
		r = forward_wait_ready(ready_fd);
	if (r == 0)
		r = forward_connect(f);
	if (r == 0)
		return 0;
	process_end(&f->process, SIGKILL, FORWARD_END_MS);
	return err_sys(err, r, "arca-forward does not start: see %s", log);
}

static bool forward_lives_there(const struct forward *f, const struct process *process)
{
	_cleanup_free_ char *path = str_format("/proc/%d/ns/net", (int)process->pid);
	struct underlay_status status;
	struct stat st;

	underlay_status(f->underlay, &status);
	return path && stat(path, &st) == 0 && st.st_ino == status.ns;
}

static int forward_hello(struct forward *f)
{
	const struct forward_message hello = {.op = FORWARD_HELLO};
	struct forward_message answer;
	uint32_t version;
	int r = forward_ask(f, &hello, &answer);

	if (r < 0)
		return r;
	version = answer.value;
	forward_message_done(&answer);
	return version == FORWARD_VERSION ? 0 : -EPROTO;
}

/* What a forwarder that was there before us has. */
static int forward_learn(struct forward *f)
{
	const struct forward_message list = {.op = FORWARD_LIST};
	struct forward_message message;
	int r = forward_ask(f, &list, &message);

	while (r == 0) {
		bool last = message.op != FORWARD_LIST || !*message.owner;

		if (!last && !f->known)
			r = forward_remember(f, &message);
		forward_message_done(&message);
		if (r == 0 && last)
			break;
		if (r == 0)
			r = forward_next_answer(f, &message);
	}
	if (r == 0)
		f->known = true;
	return r;
}

/* Return: 0, or negative errno if none of before is of use; then none runs */
static int forward_find(struct forward *f)
{
	_cleanup_free_ char *record = forward_record_path(f);
	int r;

	if (!record)
		return -ENOMEM;
	if (f->process.pidfd < 0) {
		r = process_find(record, &f->process);
		if (r < 0)
			return r;
	}
	r = forward_lives_there(f, &f->process) ? forward_connect(f) : -EXDEV;
	if (r == 0)
		r = forward_hello(f);
	if (r == 0)
		r = forward_learn(f);
	if (r < 0) {
		log_warn("the forwarder of before is replaced: %s", strerror(-r));
		cleanup_close(&f->fd);
		f->fd = -EBADF;
		process_end(&f->process, SIGTERM, FORWARD_END_MS);
	}
	return r;
}

static size_t forward_publish_again(struct forward *f)
{
	struct forward_owner *owner, *tmp;
	size_t lost = 0;

	HASH_ITER (hh, f->owners, owner, tmp) {
		struct forward_message add = {
			.op = FORWARD_ADD, .mappings = owner->mappings, .n = owner->n};
		struct forward_message answer = {};
		int r;

		memcpy(add.owner, owner->id, sizeof(add.owner));
		r = forward_ask(f, &add, &answer);
		if (r == 0)
			r = answer.error;
		if (r < 0) {
			log_error("port %u of %.12s is published no more: %s", answer.port,
				  owner->id, strerror(-r));
			lost++;
		}
		forward_message_done(&answer);
		if (f->fd < 0)
			break; /* died again: the next one gets them */
	}
	return lost;
}

/**
 * forward_process_ensure() - Have a forwarder that answers and publishes what it should
 * @f:	 Client, locked
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int forward_process_ensure(struct forward *f, struct err *err)
{
	const uint64_t one = 1;
	bool again;
	size_t lost;
	int r;

	if (f->fd >= 0 && process_alive(&f->process))
		return 0;
	forward_process_drop(f);
	r = underlay_wait(f->underlay, err);
	if (r < 0)
		return r;
	again = f->known;
	if (forward_find(f) < 0) {
		r = forward_spawn(f, err);
		if (r < 0)
			return r;
		lost = forward_publish_again(f);
		f->known = true;
		if (again && f->restarted)
			f->restarted(HASH_COUNT(f->owners) - lost, lost, f->user);
	}
	(void)!write(f->wake_fd, &one, sizeof(one)); /* a full counter wakes as well */
	return 0;
}

/**
 * forward_process_drop() - Let go of the connection, and of the process if it has ended
 * @f: Client, locked
 */
void forward_process_drop(struct forward *f)
{
	cleanup_close(&f->fd);
	f->fd = -EBADF;
	if (f->process.pidfd >= 0 && !process_alive(&f->process))
		process_forget(&f->process);
}

static void forward_look_done(struct forward *f)
{
	struct forward_owner *owner, *tmp;

	HASH_ITER (hh, f->owners, owner, tmp)
		forward_forget_owner(f, owner);
	process_forget(&f->process);
	cleanup_close(&f->fd);
	buf_done(&f->in);
}

/**
 * forward_look() - Who has published what, for somebody who is not the forwarder's daemon
 * @dir:     <exec-root>/net
 * @fn:	     Called for each owner
 * @user:    Its argument
 * @ret_pid: The forwarder, 0 if none runs; set on success
 * @err:     Filled on failure
 *
 * Over a connection of its own, beside the daemon's; none is started.
 *
 * Return: 0, or negative errno if there is one and it does not answer
 */
int forward_look(const char *dir, forward_owner_fn fn, void *user, pid_t *ret_pid, struct err *err)
{
	_cleanup_(forward_look_done) struct forward f = {
		.dir = (char *)dir, .process = PROCESS_NONE, .fd = -EBADF};
	_cleanup_free_ char *record = forward_record_path(&f);
	struct forward_owner *owner, *tmp;
	int r = record ? process_find(record, &f.process) : -ENOMEM;

	if (r == -ENOENT || r == -ESRCH) {
		*ret_pid = 0;
		return 0;
	}
	if (r == 0)
		r = forward_connect(&f);
	if (r == 0)
		r = forward_hello(&f);
	if (r == 0)
		r = forward_learn(&f);
	if (r < 0)
		return err_sys(err, r, "the forwarder of published ports does not answer");
	HASH_ITER (hh, f.owners, owner, tmp)
		fn(owner->id, owner->mappings, owner->n, user);
	*ret_pid = f.process.pid;
	return 0;
}
