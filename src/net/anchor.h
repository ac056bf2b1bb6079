/* SPDX-License-Identifier: Apache-2.0 */
/* anchor.h - a thread whose only use is that /proc/<tid>/ns/net names a namespace */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* Zero-initialised is none. */
struct anchor {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pid_t tid; /* 0: none */
	int error;
	bool started, stopping;
};

int anchor_start(struct anchor *anchor);
void anchor_stop(struct anchor *anchor);
