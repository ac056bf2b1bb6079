/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel.c - cancellation of a blocked call, from another thread
 *
 * DOC: Theory of operation
 *
 * A request owns a cancel. Code that blocks hangs a watch on it whose callback wakes the block
 * (signals a condition, writes an eventfd), and removes the watch before it returns. Callbacks run
 * once, under the cancel's lock, on the thread that fires: they must not block nor touch the
 * cancel. After cancel_watch_remove() the callback is not running and will not run.
 */
#include "base/cancel.h"

#include <utlist.h>

/**
 * cancel_init() - Start unfired
 * @c: Cancel
 */
void cancel_init(struct cancel *c)
{
	pthread_mutex_init(&c->lock, NULL);
	c->fired = false;
	c->watches = NULL;
}

/**
 * cancel_done() - Release; no watch may be left
 * @c: Cancel
 */
void cancel_done(struct cancel *c)
{
	pthread_mutex_destroy(&c->lock);
}

/**
 * cancel_fire() - Fire, once; later calls do nothing
 * @c: Cancel
 */
void cancel_fire(struct cancel *c)
{
	struct cancel_watch *w;

	pthread_mutex_lock(&c->lock);
	if (!c->fired) {
		c->fired = true;
		DL_FOREACH (c->watches, w)
			w->fn(w->user);
	}
	pthread_mutex_unlock(&c->lock);
}

/**
 * cancel_fired() - Whether it was fired
 * @c: Cancel, or NULL for one that never fires
 *
 * Return: the answer
 */
bool cancel_fired(struct cancel *c)
{
	bool fired;

	if (!c)
		return false;
	pthread_mutex_lock(&c->lock);
	fired = c->fired;
	pthread_mutex_unlock(&c->lock);
	return fired;
}

/**
 * cancel_watch_add() - Be called when it fires
 * @c:	  Cancel, or NULL for one that never fires
 * @w:	  Watch, embedded by the caller, who must remove it
 * @fn:	  Callback
 * @user: Its argument
 *
 * Return: true if it had fired already; @fn is then not called
 */
bool cancel_watch_add(struct cancel *c, struct cancel_watch *w, cancel_fn fn, void *user)
{
	bool fired;

	w->fn = fn;
	w->user = user;
	if (!c)
		return false;
	pthread_mutex_lock(&c->lock);
	DL_APPEND(c->watches, w);
	fired = c->fired;
	pthread_mutex_unlock(&c->lock);
	return fired;
}

/**
 * cancel_watch_remove() - Stop being called
 * @c: The cancel given to cancel_watch_add()
 * @w: Watch
 */
void cancel_watch_remove(struct cancel *c, struct cancel_watch *w)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	DL_DELETE(c->watches, w);
	pthread_mutex_unlock(&c->lock);
}
