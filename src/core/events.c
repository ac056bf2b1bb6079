/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - what happened, for GET /events
 *
 * DOC: Theory of operation
 *
 * The last EVENTS_KEPT_MAX events are kept in a ring and, by a thread of their own, in SQLite, so
 * that `--since` reaches back past a restart of the daemon and publishing never waits for a disk.
 * What is published while the thread writes goes into its next transaction. Every event has a
 * number that only grows, and a time that only grows, so a listener is a position in the ring; one
 * that falls behind by the whole ring is ended with -ENOBUFS.
 *
 * An event's JSON never changes once it is in the ring: listeners on several threads read the same
 * object and only count references.
 *
 * Threads: any. events->lock guards all; it is held for no callback, no SQL.
 */
#include "core/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "core/core.h"
#include "store/store.h"

#define EVENTS_TRIM_EVERY 128 /* rows written between two trims of the table */

struct events {
	struct store *store; /* borrowed; NULL: in memory only */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	json_t *ring[EVENTS_KEPT_MAX]; /* owned */
	int64_t times[EVENTS_KEPT_MAX];
	uint64_t next;	  /* number of the next event; numbers begin at 1 */
	uint64_t written; /* first event that is not in the table */
	int64_t last_ns;
	bool stopping, have_thread;
	pthread_t thread;
};

struct events_wait {
	struct events *events;
	bool cancelled; /* events->lock */
};

static uint64_t events_oldest(const struct events *events)
{
	return events->next > EVENTS_KEPT_MAX ? events->next - EVENTS_KEPT_MAX : 1;
}

/* Into the ring; under the lock (or before anybody else is there). */
static void events_keep(struct events *events, json_t *event /* stolen */, int64_t time_ns)
{
	size_t slot = events->next % EVENTS_KEPT_MAX;

	json_decref(events->ring[slot]);
	events->ring[slot] = event;
	events->times[slot] = time_ns;
	events->next++;
	events->last_ns = MAX(events->last_ns, time_ns);
}

static int events_load_row(void *user, struct store_row *row)
{
	const char *body = store_row_text(row, 1);
	json_t *event = body ? json_loads(body, 0, NULL) : NULL;

	if (event)
		events_keep(user, event, store_row_int(row, 0));
	return 0;
}

/* Insert events [from, to), whose texts are given; NULL where memory ran out. */
static int events_insert(struct store *store, char *const *bodies, const int64_t *times, size_t n)
{
	int r = store_begin(store);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (bodies[i])
			r = store_exec(store, "INSERT INTO events (time_ns, body) VALUES (?, ?)",
				       NULL, NULL, "is", times[i], bodies[i]);
	}
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	return store_commit(store);
}

static int events_trim(struct store *store)
{
	return store_exec(store, "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?",
			  NULL, NULL, "i", (int64_t)EVENTS_KEPT_MAX);
}

/* One transaction with all that is not written yet; under the lock, which it gives up meanwhile. */
static void events_write(struct events *events)
{
	char *bodies[EVENTS_TRIM_EVERY];
	int64_t times[EVENTS_TRIM_EVERY];
	uint64_t from = MAX(events->written, events_oldest(events));
	size_t n = 0;
	int r;

	for (; from < events->next && n < ARRAY_SIZE(bodies); from++, n++) {
		bodies[n] = json_dumps(events->ring[from % EVENTS_KEPT_MAX], JSON_COMPACT);
		times[n] = events->times[from % EVENTS_KEPT_MAX];
	}
	events->written = from;
	pthread_mutex_unlock(&events->lock);
	r = events_insert(events->store, bodies, times, n);
	if (r == 0 && (from / EVENTS_TRIM_EVERY) != ((from - n) / EVENTS_TRIM_EVERY))
		r = events_trim(events->store);
	if (r < 0)
		log_warn("cannot keep events: %s", strerror(-r));
	for (size_t i = 0; i < n; i++)
		free(bodies[i]);
	pthread_mutex_lock(&events->lock);
}

static void *events_thread(void *user)
{
	struct events *events = user;

	(void)pthread_setname_np(pthread_self(), "arca-events"); /* only a label */
	pthread_mutex_lock(&events->lock);
	for (;;) {
		if (events->written < events->next)
			events_write(events);
		else if (events->stopping)
			break;
		else
			pthread_cond_wait(&events->changed, &events->lock);
	}
	pthread_mutex_unlock(&events->lock);
	return NULL;
}
DEFINE_CLEANUP(struct events *, events_free)

/**
 * events_new() - Load the events that were kept and begin to keep more
 * @core:	Its store is used; without one events live in memory only
 * @ret_events: The events, for events_free(); set on success
 * @err:	Filled on failure
 *
 * Return: 0, or negative errno
 */
int events_new(struct core *core, struct events **ret_events, struct err *err)
{
	_cleanup_(events_freep) struct events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return err_oom(err);
	pthread_mutex_init(&events->lock, NULL);
	pthread_cond_init(&events->changed, NULL);
	events->store = core->store;
	events->next = 1;
	if (events->store) {
		r = store_exec(events->store,
			       "SELECT time_ns, body FROM (SELECT * FROM events ORDER BY id DESC "
			       "LIMIT ?) ORDER BY id",
			       events_load_row, events, "i", (int64_t)EVENTS_KEPT_MAX);
		if (r < 0)
			return err_sys(err, r, "cannot load the events");
		events->written = events->next;
		r = -pthread_create(&events->thread, NULL, events_thread, events);
		if (r < 0)
			return err_sys(err, r, "cannot start a thread");
		events->have_thread = true;
	}
	*ret_events = TAKE_PTR(events);
	return 0;
}

/**
 * events_free() - Write what is not yet written and free; no listener may be left
 * @events: Events or NULL
 */
void events_free(struct events *events)
{
	if (!events)
		return;
	if (events->have_thread) {
		pthread_mutex_lock(&events->lock);
		events->stopping = true;
		pthread_cond_broadcast(&events->changed);
		pthread_mutex_unlock(&events->lock);
		pthread_join(events->thread, NULL);
	}
	for (size_t i = 0; i < EVENTS_KEPT_MAX; i++)
		json_decref(events->ring[i]);
	pthread_cond_destroy(&events->changed);
	pthread_mutex_destroy(&events->lock);
	free(events);
}

/* The API object, with the fields of old clients for containers and images. */
static json_t *events_object(const char *type, const char *action, const char *actor_id,
			     json_t *attributes /* stolen */, int64_t time_ns)
{
	json_t *image = json_object_get(attributes, "image");
	bool container = str_eq(type, "container");
	json_t *event = json_object();

	if (container || str_eq(type, "image")) {
		(void)json_object_set_new(event, "status", json_string(action));
		(void)json_object_set_new(event, "id", json_string(actor_id));
	}
	if (container && json_is_string(image))
		(void)json_object_set(event, "from", image);
	(void)json_object_set_new(event, "Type", json_string(type));
	(void)json_object_set_new(event, "Action", json_string(action));
	(void)json_object_set_new(event, "Actor",
				  json_pack("{s:s, s:o}", "ID", actor_id, "Attributes",
					    attributes ? attributes : json_object()));
	(void)json_object_set_new(event, "scope", json_string("local"));
	(void)json_object_set_new(event, "time", json_integer(time_ns / NSEC_PER_SEC));
	(void)json_object_set_new(event, "timeNano", json_integer(time_ns));
	return event; /* the setters refuse NULL: without memory, fields or all of it are missing */
}

/**
 * events_publish() - Tell that something happened
 * @events:	Events; any thread
 * @type:	"container", "image", ...
 * @action:	"die", "exec_start: sh", ...
 * @actor_id:	Id of the object
 * @attributes: Object of strings, stolen; or NULL
 */
void events_publish(struct events *events, const char *type, const char *action,
		    const char *actor_id, json_t *attributes)
{
	json_t *event;
	int64_t now;

	pthread_mutex_lock(&events->lock);
	now = clock_realtime_ns();
	now = MAX(now, events->last_ns + 1);
	event = events_object(type, action, actor_id, attributes, now);
	if (event) {
		events_keep(events, event, now);
		pthread_cond_broadcast(&events->changed);
	}
	pthread_mutex_unlock(&events->lock);
	log_debug("event %s %s %.12s", type, action, actor_id);
}

static void events_on_cancel(void *user)
{
	struct events_wait *wait = user;

	pthread_mutex_lock(&wait->events->lock);
	wait->cancelled = true;
	pthread_cond_broadcast(&wait->events->changed);
	pthread_mutex_unlock(&wait->events->lock);
}

/*
 * The next event at or after *at, waiting for it until until_ns. 1: *ret_event (a reference);
 * 0: time is over; <0: cancelled or overrun.
 */
static int events_next(struct events_wait *wait, uint64_t *at, int64_t until_ns, json_t **ret_event,
		       int64_t *ret_time)
{
	struct events *events = wait->events;
	struct timespec until = {.tv_sec = (time_t)(until_ns / NSEC_PER_SEC),
				 .tv_nsec = (long)(until_ns % NSEC_PER_SEC)};
	int r = -ECANCELED;

	pthread_mutex_lock(&events->lock);
	while (!wait->cancelled) {
		if (*at < events_oldest(events)) {
			r = -ENOBUFS;
			break;
		}
		if (*at < events->next) {
			*ret_event = json_incref(events->ring[*at % EVENTS_KEPT_MAX]);
			*ret_time = events->times[*at % EVENTS_KEPT_MAX];
			(*at)++;
			r = 1;
			break;
		}
		if (!until_ns) {
			pthread_cond_wait(&events->changed, &events->lock);
		} else if (pthread_cond_timedwait(&events->changed, &events->lock, &until) ==
			   ETIMEDOUT) {
			r = 0;
			break;
		}
	}
	pthread_mutex_unlock(&events->lock);
	return r;
}

static uint64_t events_position(struct events *events, int64_t since_ns)
{
	uint64_t at;

	pthread_mutex_lock(&events->lock);
	at = events->next;
	if (since_ns) {
		while (at > events_oldest(events) &&
		       events->times[(at - 1) % EVENTS_KEPT_MAX] >= since_ns)
			at--;
	}
	pthread_mutex_unlock(&events->lock);
	return at;
}

/**
 * events_follow() - Replay old events, then follow
 * @events:   Events
 * @since_ns: Replay from here on; 0: nothing old
 * @until_ns: Up to here; 0: for ever; a past time: replay only
 * @cancel:   Ends it; may be NULL
 * @fn:	      Called for each event on this thread; the event is borrowed and must not be changed
 * @user:     Its argument
 *
 * Return: 0 when @until_ns came, -ECANCELED, -ENOBUFS for a listener that fell too far behind, or
 * what @fn returned below 0
 */
int events_follow(struct events *events, int64_t since_ns, int64_t until_ns, struct cancel *cancel,
		  events_fn fn, void *user)
{
	struct events_wait wait = {.events = events};
	uint64_t at = events_position(events, since_ns);
	struct cancel_watch watch;
	int64_t time_ns;
	json_t *event;
	int r = 1;

	if (cancel_watch_add(cancel, &watch, events_on_cancel, &wait))
		wait.cancelled = true; /* nobody else writes it any more */
	while (r > 0) {
		r = events_next(&wait, &at, until_ns, &event, &time_ns);
		if (r <= 0)
			break;
		if (until_ns && time_ns > until_ns) {
			r = 0;
		} else {
			r = fn(user, event);
			r = r < 0 ? r : 1;
		}
		json_decref(event);
	}
	cancel_watch_remove(cancel, &watch);
	return r;
}
