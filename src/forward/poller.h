/* SPDX-License-Identifier: Apache-2.0 */
/* poller.h - the forwarder's one loop: descriptors, work that goes on, memory that waits */
#pragma once

#include <stdint.h>

struct poller_source;

typedef void (*poller_fn)(struct poller_source *source, uint32_t events);

/* Embedded in what it is about; fn NULL: not watched. */
struct poller_source {
	int fd; /* owned by who embeds it */
	poller_fn fn;
};

/* Work that was cut off for fairness; embedded. */
struct poller_work {
	void (*fn)(struct poller_work *work);
	struct poller_work *prev, *next;
};

int poller_init(void);
int poller_add(struct poller_source *source, uint32_t events);
void poller_remove(struct poller_source *source);
void poller_again(struct poller_work *work);
void poller_forget(struct poller_work *work);
void poller_free_later(void *memory);
void poller_every(unsigned int period_ms, void (*fn)(void));
int poller_run(void);
