/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what happened: kept (bounded, in SQLite and in memory) and told to those who listen */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"

struct core;
struct events;

#define EVENTS_KEPT_MAX 1024

int events_new(struct core *core, struct events **ret_events, struct err *err);
void events_free(struct events *events);
/* type "container", action "die", actor id, attributes (object of strings; reference stolen; may be
 * NULL). Any thread, never blocks long. */
void events_publish(struct events *events, const char *type, const char *action,
		    const char *actor_id, json_t *attributes);
/*
 * Replay what is kept from since_ns on (0: nothing old), then follow until until_ns (0: forever; a
 * past time: only replay), cancel, or fn < 0. event: the Docker API object (Type, Action, Actor,
 * scope, time, timeNano, status, id, from). fn runs on the caller's thread. A slow listener loses
 * nothing up to EVENTS_KEPT_MAX and is then ended with -ENOBUFS.
 */
typedef int (*events_fn)(void *user, json_t *event /* borrowed */);
int events_follow(struct events *events, int64_t since_ns, int64_t until_ns, struct cancel *cancel,
		  events_fn fn, void *user);
