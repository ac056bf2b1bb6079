/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the one event-loop thread: descriptors, timers, and calls from other threads */
#pragma once

#include <stdbool.h>

struct loop;
struct loop_fd;
struct loop_timer;

/* @events: POLLIN, POLLOUT, POLLHUP, POLLERR as poll(2) has them */
typedef void (*loop_fd_fn)(void *user, int events);
typedef void (*loop_fn)(void *user);

int loop_new(struct loop **ret_loop);
void loop_free(struct loop *loop);
bool loop_on_thread(const struct loop *loop);
int loop_post(struct loop *loop, loop_fn fn, void *user);
int loop_call(struct loop *loop, loop_fn fn, void *user);

int loop_fd_add(struct loop *loop, int fd, int events, loop_fd_fn fn, void *user,
		struct loop_fd **ret_watch);
void loop_fd_set(struct loop_fd *watch, int events);
void loop_fd_remove(struct loop_fd *watch);

int loop_timer_add(struct loop *loop, unsigned int delay_ms, loop_fn fn, void *user,
		   struct loop_timer **ret_timer);
void loop_timer_remove(struct loop_timer *timer);
