/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - the event-loop thread, on libuv
 *
 * DOC: Theory of operation
 *
 * One thread runs the loop. Watches and timers are made, changed and removed on that thread only
 * (asserted); other threads hand it work with loop_post() (returns at once) or loop_call() (waits
 * until done). Posted calls run in order. A watch that is removed never calls back again, and its
 * memory goes when libuv says it is closed. Callbacks must not block.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>
#include <uv.h>

#include "base/util.h"

struct loop_work {
	loop_fn fn;
	void *user;
	struct loop_work *next, *prev;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_t thread;
	pthread_mutex_t lock; /* guards work, stopping */
	struct loop_work *work;
	bool stopping;
};

struct loop_fd {
	uv_poll_t poll;
	loop_fd_fn fn;
	void *user;
	bool removed;
};

struct loop_timer {
	uv_timer_t timer;
	loop_fn fn;
	void *user;
	bool removed;
};

static void loop_close_any(uv_handle_t *h, void *arg UNUSED)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void loop_on_wake(uv_async_t *wake)
{
	struct loop *loop = wake->data;
	struct loop_work *work, *item, *tmp;
	bool stopping;

	pthread_mutex_lock(&loop->lock);
	work = loop->work;
	loop->work = NULL;
	stopping = loop->stopping;
	pthread_mutex_unlock(&loop->lock);
	DL_FOREACH_SAFE (work, item, tmp) {
		item->fn(item->user);
		free(item);
	}
	if (stopping)
		uv_stop(&loop->uv);
}

static void *loop_thread(void *arg)
{
	struct loop *loop = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)pthread_setname_np(pthread_self(), "arca-loop"); /* only a label */
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);	       /* ends by uv_stop() */
	uv_walk(&loop->uv, loop_close_any, NULL);
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* runs the close callbacks */
	return NULL;
}

/**
 * loop_new() - Start a loop thread
 * @ret_loop: The loop, owned by the caller; set on success
 *
 * Return: 0, or negative errno
 */
int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	pthread_mutex_init(&loop->lock, NULL);
	r = uv_loop_init(&loop->uv);
	if (r < 0) {
		free(loop);
		return r; /* libuv's codes are negative errnos on Linux */
	}
	r = uv_async_init(&loop->uv, &loop->wake, loop_on_wake);
	if (r == 0) {
		loop->wake.data = loop;
		r = -pthread_create(&loop->thread, NULL, loop_thread, loop);
	}
	if (r < 0) {
		uv_walk(&loop->uv, loop_close_any, NULL);
		(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
		(void)uv_loop_close(&loop->uv);
		free(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

/**
 * loop_free() - Stop the thread after the work posted so far, and free the loop
 * @loop: Loop or NULL; not called on the loop's own thread
 *
 * Watches and timers still there are dropped without a call back; their memory leaks by
 * design of the caller, who should have removed them.
 */
void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop_on_thread(loop));
	pthread_mutex_lock(&loop->lock);
	loop->stopping = true;
	pthread_mutex_unlock(&loop->lock);
	(void)uv_async_send(&loop->wake);
	pthread_join(loop->thread, NULL);
	(void)uv_loop_close(&loop->uv);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/**
 * loop_on_thread() - Whether the caller runs on the loop's thread
 * @loop: Loop
 *
 * Return: the answer
 */
bool loop_on_thread(const struct loop *loop)
{
	return pthread_equal(pthread_self(), loop->thread);
}

/**
 * loop_post() - Run a function on the loop thread, soon
 * @loop: Loop
 * @fn:	  Function
 * @user: Its argument
 *
 * Return: 0, or -ENOMEM
 */
int loop_post(struct loop *loop, loop_fn fn, void *user)
{
	struct loop_work *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->fn = fn;
	item->user = user;
	pthread_mutex_lock(&loop->lock);
	DL_APPEND(loop->work, item);
	pthread_mutex_unlock(&loop->lock);
	(void)uv_async_send(&loop->wake); /* fails only on a closed handle */
	return 0;
}

struct loop_sync {
	loop_fn fn;
	void *user;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void loop_run_sync(void *arg)
{
	struct loop_sync *sync = arg;

	sync->fn(sync->user);
	pthread_mutex_lock(&sync->lock);
	sync->done = true;
	pthread_cond_signal(&sync->cond);
	pthread_mutex_unlock(&sync->lock);
}

/**
 * loop_call() - Run a function on the loop thread and wait until it returned
 * @loop: Loop; on its own thread the function runs at once
 * @fn:	  Function
 * @user: Its argument
 *
 * Return: 0, or -ENOMEM
 */
int loop_call(struct loop *loop, loop_fn fn, void *user)
{
	struct loop_sync sync = {
		.fn = fn,
		.user = user,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
	int r;

	if (loop_on_thread(loop)) {
		fn(user);
		return 0;
	}
	r = loop_post(loop, loop_run_sync, &sync);
	if (r < 0)
		return r;
	pthread_mutex_lock(&sync.lock);
	while (!sync.done)
		pthread_cond_wait(&sync.cond, &sync.lock);
	pthread_mutex_unlock(&sync.lock);
	return 0;
}

static int loop_events_to_uv(int events)
{
	return (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0) |
	       UV_DISCONNECT;
}

static void loop_on_poll(uv_poll_t *poll, int status, int uv_events)
{
	struct loop_fd *watch = poll->data;
	int events = 0;

	if (watch->removed)
		return;
	if (status < 0)
		events |= POLLERR;
	if (uv_events & UV_READABLE)
		events |= POLLIN;
	if (uv_events & UV_WRITABLE)
		events |= POLLOUT;
	if (uv_events & UV_DISCONNECT)
		events |= POLLHUP;
	watch->fn(watch->user, events);
}

/**
 * loop_fd_add() - Watch a descriptor; loop thread only
 * @loop:      Loop
 * @fd:	       Descriptor, stays the caller's; must outlive the watch
 * @events:    POLLIN and/or POLLOUT; a hang-up is always reported as POLLHUP
 * @fn:	       Called for each event; may remove the watch
 * @user:      Its argument
 * @ret_watch: The watch, owned by the caller; set on success
 *
 * Return: 0, or negative errno
 */
int loop_fd_add(struct loop *loop, int fd, int events, loop_fd_fn fn, void *user,
		struct loop_fd **ret_watch)
{
	struct loop_fd *watch;
	int r;

	assert(loop_on_thread(loop));
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	r = uv_poll_init(&loop->uv, &watch->poll, fd);
	if (r < 0) {
		free(watch);
		return r;
	}
	watch->poll.data = watch;
	watch->fn = fn;
	watch->user = user;
	loop_fd_set(watch, events);
	*ret_watch = watch;
	return 0;
}

/**
 * loop_fd_set() - Change which events are reported; loop thread only
 * @watch:  Watch
 * @events: POLLIN, POLLOUT, both, or 0 to be told of nothing at all
 */
void loop_fd_set(struct loop_fd *watch, int events)
{
	if (events)
		(void)uv_poll_start(&watch->poll, loop_events_to_uv(events), loop_on_poll);
	else
		(void)uv_poll_stop(&watch->poll);
}

static void loop_free_fd(uv_handle_t *h)
{
	free(h->data);
}

/**
 * loop_fd_remove() - Stop watching; no call back follows; loop thread only
 * @watch: Watch or NULL; the descriptor may be closed right after
 */
void loop_fd_remove(struct loop_fd *watch)
{
	if (!watch)
		return;
	watch->removed = true;
	(void)uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, loop_free_fd);
}

static void loop_on_timer(uv_timer_t *timer)
{
	struct loop_timer *t = timer->data;

	if (!t->removed)
		t->fn(t->user);
}

/**
 * loop_timer_add() - Call once after a delay; loop thread only
 * @loop:      Loop
 * @delay_ms:  Milliseconds
 * @fn:	       Called once; must remove the timer, then or later
 * @user:      Its argument
 * @ret_timer: The timer, owned by the caller; set on success
 *
 * Return: 0, or negative errno
 */
int loop_timer_add(struct loop *loop, unsigned int delay_ms, loop_fn fn, void *user,
		   struct loop_timer **ret_timer)
{
	struct loop_timer *t;

	assert(loop_on_thread(loop));
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	(void)uv_timer_init(&loop->uv, &t->timer); /* never fails */
	t->timer.data = t;
	t->fn = fn;
	t->user = user;
	uv_update_time(&loop->uv);
	(void)uv_timer_start(&t->timer, loop_on_timer, delay_ms, 0); /* fails only without fn */
	*ret_timer = t;
	return 0;
}

/**
 * loop_timer_remove() - Drop a timer, fired or not; loop thread only
 * @timer: Timer or NULL
 */
void loop_timer_remove(struct loop_timer *timer)
{
	if (!timer)
		return;
	timer->removed = true;
	(void)uv_timer_stop(&timer->timer);
	uv_close((uv_handle_t *)&timer->timer, loop_free_fd);
}
