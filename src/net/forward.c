/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c - published ports: the daemon's side of arca-forward
 *
 * DOC: Theory of operation
 *
 * The forwarder is one process that outlives the daemon. This client remembers what it publishes:
 * it asks a forwarder that was there before, and when one dies it starts another and publishes all
 * of it again, with the ports that had been bound. It is known to have died by its pidfd, which a
 * thread waits for, or by the next request that fails, whichever comes first. Calls come from any
 * thread and take turns; each is one request and one answer on a unix socket.
 *
 * After a restart of the daemon the owners are what the forwarder says. Whoever is gone meanwhile
 * is to be deleted by the caller, and whoever is missing (forward_has()) to be added.
 */
#include "net/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "net/forward_impl.h"
#include "net/underlay.h"

#define FORWARD_END_MS 1000
#define FORWARD_RETRY_MIN_MS 500 /* between tries to start a forwarder that does not start */
#define FORWARD_RETRY_MAX_MS 30000

static struct forward_owner *forward_find_owner(struct forward *f, const char *id)
{
	struct forward_owner *owner;

	HASH_FIND_STR(f->owners, id, owner);
	return owner;
}

/**
 * forward_remember() - Note what an owner has published
 * @f:	     Client, locked
 * @message: Its owner and mappings; copied
 *
 * Return: 0, or -ENOMEM
 */
int forward_remember(struct forward *f, const struct forward_message *message)
{
	struct forward_owner *owner = forward_find_owner(f, message->owner);

	if (owner)
		forward_forget_owner(f, owner);
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return -ENOMEM;
	owner->mappings = calloc(message->n ? message->n : 1, sizeof(*owner->mappings));
	if (!owner->mappings) {
		free(owner);
		return -ENOMEM;
	}
	memcpy(owner->id, message->owner, sizeof(owner->id));
	if (message->n)
		memcpy(owner->mappings, message->mappings, message->n * sizeof(*owner->mappings));
	owner->n = message->n;
	HASH_ADD_STR(f->owners, id, owner);
	return 0;
}

/**
 * forward_forget_owner() - Note that an owner publishes nothing any more
 * @f:	   Client, locked
 * @owner: Freed
 */
void forward_forget_owner(struct forward *f, struct forward_owner *owner)
{
	HASH_DEL(f->owners, owner);
	free(owner->mappings);
	free(owner);
}

static void forward_free(struct forward *f)
{
	struct forward_owner *owner, *tmp;

	HASH_ITER (hh, f->owners, owner, tmp)
		forward_forget_owner(f, owner);
	process_forget(&f->process);
	cleanup_close(&f->fd);
	cleanup_close(&f->wake_fd);
	cleanup_close(&f->host_ns_fd);
	buf_done(&f->in);
	pthread_mutex_destroy(&f->lock);
	free(f->dir);
	free(f->program);
	free(f);
}

DEFINE_CLEANUP(struct forward *, forward_free)

/* Return: whether there is a forwarder, or none is wanted */
static bool forward_revive(struct forward *f)
{
	struct err err = {};
	int r = 0;

	pthread_mutex_lock(&f->lock);
	if (!f->stopping && !process_alive(&f->process)) {
		if (f->process.pidfd >= 0)
			log_warn("the forwarder of published ports has died");
		r = forward_process_ensure(f, &err);
	}
	pthread_mutex_unlock(&f->lock);
	if (r < 0)
		log_debug("no forwarder: %s", err.msg); /* the underlay has said why, or add will */
	return r >= 0;
}

static void *forward_thread(void *arg)
{
	struct forward *f = arg;
	int timeout_ms = 0, retry_ms = FORWARD_RETRY_MIN_MS;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)pthread_setname_np(pthread_self(), "arca-forwarder"); /* only a label */
	for (;;) {
		_cleanup_close_ int pidfd = -EBADF;
		struct pollfd fds[2];
		uint64_t count;
		bool stopping;

		pthread_mutex_lock(&f->lock);
		stopping = f->stopping;
		if (f->process.pidfd >= 0)
			pidfd = fcntl(f->process.pidfd, F_DUPFD_CLOEXEC, 0);
		pthread_mutex_unlock(&f->lock);
		if (stopping)
			return NULL;
		fds[0] = (struct pollfd){.fd = f->wake_fd, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = pidfd, .events = POLLIN};
		if (poll(fds, 2, timeout_ms) < 0)
			continue;
		if (fds[0].revents && read(f->wake_fd, &count, sizeof(count)) > 0)
			continue; /* another process to wait for */
		if (forward_revive(f)) {
			timeout_ms = -1;
			retry_ms = FORWARD_RETRY_MIN_MS;
		} else {
			timeout_ms = retry_ms;
			retry_ms = MIN(retry_ms * 2, FORWARD_RETRY_MAX_MS);
		}
	}
}

static int forward_new(const struct forward_config *config, struct forward **ret_forward,
		       struct err *err)
{
	_cleanup_(forward_freep) struct forward *f = calloc(1, sizeof(*f));

	if (!f)
		return err_oom(err);
	f->fd = f->wake_fd = f->host_ns_fd = -EBADF;
	f->process = PROCESS_NONE;
	f->underlay = config->underlay;
	f->restarted = config->restarted;
	f->user = config->user;
	pthread_mutex_init(&f->lock, NULL);
	f->dir = strdup(config->dir);
	f->program = strdup(config->program);
	if (!f->dir || !f->program)
		return err_oom(err);
	f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->host_ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (f->wake_fd < 0 || f->host_ns_fd < 0)
		return err_sys(err, -errno, "cannot open this process's network namespace");
	*ret_forward = TAKE_PTR(f);
	return 0;
}

/**
 * forward_open() - Begin to find or to start the forwarder
 * @config:	 Copied, but for the underlay
 * @ret_forward: Owned by the caller, who ends it with forward_close() or forward_remove()
 * @err:	 Filled on failure
 *
 * The calling thread is in the host's network namespace. A forwarder that cannot be started shows
 * in forward_add() and forward_list(), and is tried again.
 *
 * Return: 0, or negative errno
 */
int forward_open(const struct forward_config *config, struct forward **ret_forward, struct err *err)
{
	_cleanup_(forward_freep) struct forward *f = NULL;
	int r = forward_new(config, &f, err);

	if (r < 0)
		return r;
	r = -pthread_create(&f->thread, NULL, forward_thread, f);
	if (r < 0)
		return err_sys(err, r, "cannot start the forwarder's thread");
	*ret_forward = TAKE_PTR(f);
	return 0;
}

static void forward_stop(struct forward *f)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_mutex_unlock(&f->lock);
	(void)!write(f->wake_fd, &one, sizeof(one));
	pthread_join(f->thread, NULL);
}

/**
 * forward_close() - Let go of the forwarder; it goes on for the next daemon
 * @forward: Client or NULL; no call of another thread is on its way
 */
void forward_close(struct forward *forward)
{
	if (!forward)
		return;
	forward_stop(forward);
	forward_free(forward);
}

/**
 * forward_remove() - End the forwarder if it publishes nothing, then let go of it
 * @forward: Client or NULL
 *
 * For the end of a daemon that leaves no VM behind; underlay_remove() comes after it.
 */
void forward_remove(struct forward *forward)
{
	static const char *const names[] = {"forward.pid", "forward.sock", "forward.log"};

	if (!forward)
		return;
	forward_stop(forward);
	for (size_t i = 0; !forward->owners && i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = str_format("%s/%s", forward->dir, names[i]);

		if (i == 0)
			process_end(&forward->process, SIGTERM, FORWARD_END_MS);
		if (path)
			(void)unlink(path); /* may not be there */
	}
	forward_free(forward);
}

/* One request, tried once more with a new forwarder if the old one died of it or before. */
static int forward_request(struct forward *f, const struct forward_message *request,
			   struct forward_message *ret_answer, struct err *err)
{
	int r = 0;

	for (int i = 0; i < 2; i++) {
		r = forward_process_ensure(f, err);
		if (r < 0)
			return r;
		r = forward_ask(f, request, ret_answer);
		if (r == 0)
			return 0;
		if (r == -EINVAL || r == -E2BIG)
			return err_user(err, ERR_INVALID, "these ports cannot be published");
		/* Mute or talking nonsense: a new one is better than none. */
		if (process_alive(&f->process))
			process_end(&f->process, SIGKILL, FORWARD_END_MS);
	}
	return err_sys(err, r, "the forwarder of published ports does not answer");
}

static int forward_add_locked(struct forward *f, struct forward_message *add,
			      struct forward_failure *ret_failure, struct err *err)
{
	_cleanup_(forward_message_done) struct forward_message answer = {};
	struct forward_mapping *mappings = add->mappings;
	int r = forward_request(f, add, &answer, err);

	if (r < 0)
		return r;
	if (answer.error == -EEXIST)
		return err_sys(err, -EEXIST, "%.12s has published its ports already", add->owner);
	if (answer.error) {
		*ret_failure = (struct forward_failure){
			.index = answer.value, .port = answer.port, .error = answer.error};
		memcpy(ret_failure->holder, answer.owner, sizeof(ret_failure->holder));
		return answer.value < add->n ? FORWARD_E_PORT
					     : err_sys(err, -EBADMSG, "bad answer");
	}
	if (answer.n != add->n)
		return err_sys(err, -EBADMSG, "the forwarder does not say what it published");
	r = forward_remember(f, &answer);
	if (r < 0)
		return err_oom(err);
	memcpy(mappings, answer.mappings, answer.n * sizeof(*mappings));
	return 0;
}

/**
 * forward_add() - Publish all of an owner's ports, or none
 * @forward:	 Client
 * @owner:	 Container's id, at most FORWARD_OWNER_MAX characters
 * @mappings:	 Ports; on success each host_port is the one bound (of a range the first)
 * @n:		 How many, 1..FORWARD_MAPPINGS_MAX
 * @ret_failure: Filled with FORWARD_E_PORT
 * @err:	 Filled on failure
 *
 * The daemon's IPv4 and IPv6 halves of one ephemeral port are two mappings, the second with
 * same_port. May block while a forwarder is started; not on the loop thread.
 *
 * Return: 0, FORWARD_E_PORT if a port cannot be bound, or negative errno
 */
int forward_add(struct forward *forward, const char *owner, struct forward_mapping *mappings,
		size_t n, struct forward_failure *ret_failure, struct err *err)
{
	struct forward_message add = {.op = FORWARD_ADD, .mappings = mappings, .n = n};
	int r;

	if (n == 0 || !*owner || strlen(owner) > FORWARD_OWNER_MAX)
		return err_sys(err, -EINVAL, "bad owner or no ports to publish");
	memcpy(add.owner, owner, strlen(owner) + 1);
	pthread_mutex_lock(&forward->lock);
	r = forward_add_locked(forward, &add, ret_failure, err);
	pthread_mutex_unlock(&forward->lock);
	return r;
}

/**
 * forward_del() - Unpublish an owner's ports; its connections are reset
 * @forward: Client
 * @owner:   Container's id
 *
 * Always succeeds: without a forwarder, none of its successors publishes them again.
 *
 * Return: 0, or -ENOENT if it had none
 */
int forward_del(struct forward *forward, const char *owner)
{
	struct forward_message del = {.op = FORWARD_DEL}, answer = {.error = -ENOENT};
	struct forward_owner *known;
	struct err err = {};
	int r;

	if (!*owner || strlen(owner) > FORWARD_OWNER_MAX)
		return -ENOENT;
	memcpy(del.owner, owner, strlen(owner) + 1);
	pthread_mutex_lock(&forward->lock);
	/* First: a forwarder that is started by the request must not be given it again. */
	known = forward_find_owner(forward, owner);
	r = known ? 0 : -ENOENT;
	if (known)
		forward_forget_owner(forward, known);
	if ((r == 0 || !forward->known) && forward_request(forward, &del, &answer, &err) < 0)
		log_warn("cannot unpublish the ports of %.12s: %s", owner, err.msg);
	known = forward_find_owner(forward, owner); /* learnt by the request */
	if (known)
		forward_forget_owner(forward, known);
	pthread_mutex_unlock(&forward->lock);
	r = r == 0 ? 0 : answer.error;
	forward_message_done(&answer);
	return r;
}

/**
 * forward_list() - Who has published what
 * @forward: Client
 * @fn:	     Called for each owner; must not call the client
 * @user:    Its argument
 * @err:     Filled on failure
 *
 * Return: 0, or negative errno
 */
int forward_list(struct forward *forward, forward_owner_fn fn, void *user, struct err *err)
{
	struct forward_owner *owner, *tmp;
	int r;

	pthread_mutex_lock(&forward->lock);
	r = forward_process_ensure(forward, err);
	if (r == 0) {
		HASH_ITER (hh, forward->owners, owner, tmp)
			fn(owner->id, owner->mappings, owner->n, user);
	}
	pthread_mutex_unlock(&forward->lock);
	return r;
}

/**
 * forward_has() - Whether an owner has published anything
 * @forward: Client
 * @owner:   Container's id
 *
 * Return: the answer; false also if no forwarder can be asked
 */
bool forward_has(struct forward *forward, const char *owner)
{
	struct err err = {};
	bool has;

	pthread_mutex_lock(&forward->lock);
	has = forward_process_ensure(forward, &err) == 0 && forward_find_owner(forward, owner);
	pthread_mutex_unlock(&forward->lock);
	return has;
}

/**
 * forward_pid() - The forwarder's process
 * @forward: Client
 *
 * Return: its pid, 0 if none runs
 */
pid_t forward_pid(struct forward *forward)
{
	pid_t pid;

	pthread_mutex_lock(&forward->lock);
	pid = process_alive(&forward->process) ? forward->process.pid : 0;
	pthread_mutex_unlock(&forward->lock);
	return pid;
}

/**
 * forward_host_has_ipv6() - Whether the host can listen on IPv6
 *
 * Where it cannot, a port published everywhere is published on IPv4 alone, as dockerd does it.
 *
 * Return: the answer
 */
bool forward_host_has_ipv6(void)
{
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};

	return fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
}
