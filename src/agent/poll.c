/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c - the agent's only thread: epoll and timers
 *
 * DOC: Theory of operation
 *
 * Watches live inside their owners. An owner may remove (and free) any watch from inside any
 * callback: events already fetched for it are struck out of the batch. Level triggered, unless the
 * owner adds EPOLLET. A watch whose peer hung up reports EPOLLHUP whatever was asked for, so
 * somebody who does not want to read for a while must remove the watch, not clear its events.
 */
#include "agent/poll.h"

#include <errno.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/util.h"

/**
 * poll_init() - Make the epoll descriptor
 * @p: Poller
 *
 * Return: 0 or negative errno
 */
int poll_init(struct poller *p)
{
	*p = (struct poller){0};
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return p->epoll_fd < 0 ? -errno : 0;
}

/**
 * poll_done() - Close the epoll descriptor
 * @p: Poller; its watches must not be used again
 */
void poll_done(struct poller *p)
{
	if (p->epoll_fd >= 0)
		(void)close(p->epoll_fd); /* nothing to lose */
	p->epoll_fd = -EBADF;
}

/**
 * poll_add() - Watch a descriptor
 * @p:	    Poller
 * @w:	    Watch, not added yet
 * @fd:	    Descriptor, stays the owner's
 * @events: EPOLL* wanted
 * @fn:	    Called for each event
 *
 * Return: 0 or negative errno
 */
int poll_add(struct poller *p, struct poll_watch *w, int fd, uint32_t events, poll_fn fn)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (w->added)
		return 0;
	w->fd = fd;
	w->fn = fn;
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	w->added = true;
	return 0;
}

/**
 * poll_remove() - Stop watching
 * @p: Poller
 * @w: Watch; nothing happens if it is not added. Its fd must still be open.
 */
void poll_remove(struct poller *p, struct poll_watch *w)
{
	if (!w->added)
		return;
	(void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL); /* it is there: we added it */
	w->added = false;
	for (int i = 0; i < p->batch_len; i++) {
		if (p->batch[i].data.ptr == w)
			p->batch[i].data.ptr = NULL;
	}
}

/**
 * poll_timer_set() - Call @fn once after a delay; replaces what the timer was set to
 * @p:	      Poller
 * @t:	      Timer
 * @delay_ns: From now, nanoseconds
 * @fn:	      Called on expiry
 */
void poll_timer_set(struct poller *p, struct poll_timer *t, int64_t delay_ns, poll_timer_fn fn)
{
	poll_timer_cancel(p, t);
	t->due_ns = clock_monotonic_ns() + delay_ns;
	t->fn = fn;
	DL_APPEND(p->timers, t);
}

/**
 * poll_timer_cancel() - Forget a timer
 * @p: Poller
 * @t: Timer, armed or not
 */
void poll_timer_cancel(struct poller *p, struct poll_timer *t)
{
	if (!t->due_ns)
		return;
	DL_DELETE(p->timers, t);
	t->due_ns = 0;
}

static int poll_timeout_ms(const struct poller *p)
{
	const struct poll_timer *t;
	int64_t first = INT64_MAX, left;

	if (!p->timers)
		return -1;
	DL_FOREACH (p->timers, t) {
		first = MIN(first, t->due_ns);
	}
	left = first - clock_monotonic_ns();
	return left <= 0 ? 0 : (int)MIN(left / NSEC_PER_MSEC + 1, 60000);
}

static void poll_run_timers(struct poller *p)
{
	int64_t now;
	struct poll_timer *t;

	if (!p->timers)
		return;
	now = clock_monotonic_ns();
again:
	DL_FOREACH (p->timers, t) {
		if (t->due_ns > now)
			continue;
		poll_timer_cancel(p, t);
		t->fn(t);
		goto again; /* the callback may have changed the list */
	}
}

/**
 * poll_once() - Wait for something and handle it
 * @p: Poller
 *
 * Return: 0 or negative errno of epoll_wait
 */
int poll_once(struct poller *p)
{
	int n = epoll_wait(p->epoll_fd, p->batch, POLL_BATCH_MAX, poll_timeout_ms(p));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	p->batch_len = n;
	for (int i = 0; i < n; i++) {
		struct poll_watch *w = p->batch[i].data.ptr;

		if (w)
			w->fn(w, p->batch[i].events);
	}
	p->batch_len = 0;
	poll_run_timers(p);
	return 0;
}
