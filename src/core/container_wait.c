/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_wait.c - wait: until it does not run, until the next exit, until it is removed
 *
 * Begin and end are two steps: what has happened is remembered at the begin (the count of exits),
 * so nothing that happens between them is missed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/containers.h"

enum wait_condition { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };

struct container_wait {
	struct container *c; /* owned reference */
	enum wait_condition condition;
	uint64_t exits;
};

static void container_wait_free(struct container_wait *wait)
{
	container_unref(wait->c);
	free(wait);
}
DEFINE_CLEANUP(struct container_wait *, container_wait_free)

static int wait_parse(const char *text, enum wait_condition *ret, struct err *err)
{
	if (str_empty(text) || str_eq(text, "not-running"))
		*ret = WAIT_NOT_RUNNING;
	else if (str_eq(text, "next-exit"))
		*ret = WAIT_NEXT_EXIT;
	else if (str_eq(text, "removed"))
		*ret = WAIT_REMOVED;
	else
		return err_user(err, ERR_INVALID, "invalid condition: \"%s\"", text);
	return 0;
}

/**
 * container_wait_begin() - Begin to wait
 * @cs:	       Manager
 * @ref:       Container
 * @condition: NULL, "", "not-running", "next-exit" or "removed"
 * @ret:       For container_wait_end(), which must follow
 * @err:       Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_wait_begin(struct containers *cs, const char *ref, const char *condition,
			 struct container_wait **ret, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	enum wait_condition parsed = WAIT_NOT_RUNNING;
	struct container_wait *wait;
	int r;

	r = wait_parse(condition, &parsed, err);
	if (r == 0)
		r = containers_find(cs, ref, &c, err);
	if (r < 0)
		return r;
	wait = calloc(1, sizeof(*wait));
	if (!wait)
		return err_oom(err);
	wait->condition = parsed;
	rank_lock(&c->lock);
	wait->exits = c->exits;
	rank_unlock(&c->lock);
	wait->c = TAKE_PTR(c);
	*ret = wait;
	return 0;
}

static bool wait_over(const struct container_wait *wait)
{
	const struct container *c = wait->c;

	if (c->removed)
		return true;
	switch (wait->condition) {
	case WAIT_NOT_RUNNING:
		return !container_state_is_up(c->state) && !c->telling;
	case WAIT_NEXT_EXIT:
		return c->exits != wait->exits;
	default:
		return false;
	}
}

static void waker_fire(void *user)
{
	struct container_waker *waker = user;
	RANK_LOCK_SCOPE(state, &waker->c->lock);

	waker->fired = true;
	pthread_cond_broadcast(&waker->c->changed);
}

/**
 * container_waker_start() - Let a cancel wake this thread's wait for c->changed
 * @waker:  Storage, until container_waker_stop()
 * @c:	    Container, no lock held
 * @cancel: Cancel, may be NULL
 *
 * Under the state lock look at waker->fired, never at the cancel itself: its lock is held while it
 * fires.
 */
void container_waker_start(struct container_waker *waker, struct container *c,
			   struct cancel *cancel)
{
	*waker = (struct container_waker){.c = c, .cancel = cancel};
	if (cancel_watch_add(cancel, &waker->watch, waker_fire, waker))
		waker_fire(waker);
}

/**
 * container_waker_stop() - End what container_waker_start() began
 * @waker: Waker, no lock held
 */
void container_waker_stop(struct container_waker *waker)
{
	cancel_watch_remove(waker->cancel, &waker->watch);
}

/**
 * container_wait_end() - Wait until the condition holds
 * @wait:      From container_wait_begin(), freed in any case
 * @cancel:    Ends the wait, may be NULL
 * @ret_code:  Exit code
 * @ret_error: NULL or heap text
 * @err:       Filled on failure
 *
 * Return: 0, -ECANCELED, or another negative errno
 */
int container_wait_end(struct container_wait *wait, struct cancel *cancel, int *ret_code,
		       char **ret_error, struct err *err)
{
	_cleanup_(container_wait_freep) struct container_wait *owned UNUSED = wait;
	struct container *c = wait->c;
	struct container_waker waker;
	int r = 0;

	container_waker_start(&waker, c, cancel);
	rank_lock(&c->lock);
	while (!wait_over(wait) && !waker.fired)
		pthread_cond_wait(&c->changed, &c->lock.mutex);
	if (!wait_over(wait))
		r = -ECANCELED;
	*ret_code = c->exits != wait->exits ? c->last_code : c->exit_code;
	/* as dockerd: what an earlier start failed with, where nothing has happened since */
	*ret_error = str_empty(c->error) || c->removed || c->exits != wait->exits
			     ? NULL
			     : strdup(c->error);
	rank_unlock(&c->lock);
	container_waker_stop(&waker);
	return r < 0 ? err_sys(err, r, "the client is gone") : 0;
}
