/* SPDX-License-Identifier: Apache-2.0 */
/* poll.h - the agent's only thread: epoll and timers */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct poll_watch;
struct poll_timer;

/* @events: EPOLLIN, EPOLLOUT, EPOLLHUP ... */
typedef void (*poll_fn)(struct poll_watch *watch, uint32_t events);
typedef void (*poll_timer_fn)(struct poll_timer *timer);

/* One watched descriptor, embedded in its owner. fd < 0 or !added: not watched. */
struct poll_watch {
	int fd; /* borrowed: from the owner */
	bool added;
	poll_fn fn;
};

struct poll_timer {
	int64_t due_ns; /* monotonic; 0 = not armed */
	poll_timer_fn fn;
	struct poll_timer *next, *prev;
};

#define POLL_BATCH_MAX 16

struct poller {
	int epoll_fd;
	struct epoll_event batch[POLL_BATCH_MAX];
	int batch_len;
	struct poll_timer *timers;
};

int poll_init(struct poller *p);
void poll_done(struct poller *p);
int poll_add(struct poller *p, struct poll_watch *w, int fd, uint32_t events, poll_fn fn);
void poll_remove(struct poller *p, struct poll_watch *w);
void poll_timer_set(struct poller *p, struct poll_timer *t, int64_t delay_ns, poll_timer_fn fn);
void poll_timer_cancel(struct poller *p, struct poll_timer *t);
int poll_once(struct poller *p);
