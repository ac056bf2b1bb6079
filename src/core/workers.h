/* SPDX-License-Identifier: Apache-2.0 */
/* workers.h - threads for what the loop thread must not do itself */
#pragma once

struct workers;
typedef void (*worker_fn)(void *user);

#define WORKERS_MAX 32

int workers_new(struct workers **ret_workers);
void workers_stop(struct workers *workers);
void workers_free(struct workers *workers);
int workers_push(struct workers *workers, worker_fn fn, void *user);
