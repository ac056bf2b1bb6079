/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller.c - the forwarder's one loop, on epoll
 *
 * A callback may remove any source and give up the memory around it: that is freed only when no
 * event of the same round can name it any more. Work that has more to do than is fair asks for
 * another turn; it gets it after the events of the next round, which then do not wait.
 */
#include "forward/poller.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/util.h"

#define POLLER_EVENTS 256

struct poller_garbage {
	struct poller_garbage *next;
};

static int poller_fd = -EBADF;
static struct poller_work *poller_works;
static struct poller_garbage *poller_garbage;
static unsigned int poller_period_ms;
static void (*poller_period_fn)(void);

/**
 * poller_init() - Once, before everything else
 *
 * Return: 0, or negative errno
 */
int poller_init(void)
{
	poller_fd = epoll_create1(EPOLL_CLOEXEC);
	return poller_fd < 0 ? -errno : 0;
}

/**
 * poller_add() - Watch a descriptor
 * @source: Its fd and fn are set
 * @events: EPOLL*
 *
 * Return: 0, or negative errno; then fn is NULL
 */
int poller_add(struct poller_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(poller_fd, EPOLL_CTL_ADD, source->fd, &event) == 0)
		return 0;
	source->fn = NULL;
	return -errno;
}

/**
 * poller_remove() - Watch no more and close the descriptor
 * @source: Source, may be removed already
 */
void poller_remove(struct poller_source *source)
{
	source->fn = NULL;
	if (source->fd >= 0)
		(void)close(source->fd); /* takes it out of epoll: nothing else holds the file */
	source->fd = -EBADF;
}

/**
 * poller_again() - Call a piece of work in the next round
 * @work: Its fn is set; may be waiting already
 */
void poller_again(struct poller_work *work)
{
	if (!work->prev)
		DL_APPEND(poller_works, work);
}

/**
 * poller_forget() - Do not call it
 * @work: Work, may not be waiting
 */
void poller_forget(struct poller_work *work)
{
	if (!work->prev)
		return;
	DL_DELETE(poller_works, work);
	work->prev = work->next = NULL;
}

/**
 * poller_free_later() - Free memory when the round is over
 * @memory: From malloc(), at least a pointer large; its sources were removed
 */
void poller_free_later(void *memory)
{
	struct poller_garbage *garbage = memory;

	garbage->next = poller_garbage;
	poller_garbage = garbage;
}

/**
 * poller_every() - Call a function now and then
 * @period_ms: Milliseconds; 0: never
 * @fn:	       Function
 */
void poller_every(unsigned int period_ms, void (*fn)(void))
{
	poller_period_ms = period_ms;
	poller_period_fn = fn;
}

static void poller_collect(void)
{
	while (poller_garbage) {
		struct poller_garbage *garbage = poller_garbage;

		poller_garbage = garbage->next;
		free(garbage);
	}
}

/* Those that wait now; who asks for another turn meanwhile waits for the next round. */
static void poller_work_on(void)
{
	struct poller_work *last = poller_works ? poller_works->prev : NULL;
	bool more = last;

	while (more && poller_works) {
		struct poller_work *work = poller_works;

		more = work != last;
		poller_forget(work);
		work->fn(work);
	}
}

/**
 * poller_run() - Run until epoll fails
 *
 * Return: negative errno
 */
int poller_run(void)
{
	struct epoll_event events[POLLER_EVENTS];
	int64_t last_ns = clock_monotonic_ns();

	for (;;) {
		int timeout_ms = poller_works ? 0 : poller_period_ms ? (int)poller_period_ms : -1;
		int n = epoll_wait(poller_fd, events, POLLER_EVENTS, timeout_ms);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct poller_source *source = events[i].data.ptr;

			if (source->fn)
				source->fn(source, events[i].events);
		}
		poller_work_on();
		if (poller_period_ms &&
		    clock_monotonic_ns() - last_ns >= poller_period_ms * NSEC_PER_MSEC) {
			last_ns = clock_monotonic_ns();
			poller_period_fn();
		}
		poller_collect();
	}
}
