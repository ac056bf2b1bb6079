/* SPDX-License-Identifier: Apache-2.0 */
/* cancel.h - tell a waiting thread that nobody wants its answer any more */
#pragma once

#include <pthread.h>
#include <stdbool.h>

typedef void (*cancel_fn)(void *user);

/* One callback somebody hung on a cancel; embedded in the watcher's frame or object. */
struct cancel_watch {
	cancel_fn fn;
	void *user;
	struct cancel_watch *next, *prev;
};

struct cancel {
	pthread_mutex_t lock;
	bool fired;
	struct cancel_watch *watches;
};

void cancel_init(struct cancel *c);
void cancel_done(struct cancel *c);
void cancel_fire(struct cancel *c);
bool cancel_fired(struct cancel *c);
bool cancel_watch_add(struct cancel *c, struct cancel_watch *w, cancel_fn fn, void *user);
void cancel_watch_remove(struct cancel *c, struct cancel_watch *w);
