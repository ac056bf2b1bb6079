/* SPDX-License-Identifier: Apache-2.0 */
/* test-events.c - events: shape, replay, following, and a restart of the daemon */
#include "core/events.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/core.h"
#include "store/store.h"
#include "test.h"

struct seen {
	struct buf text; /* actions, joined by ' ' */
	int stop_after, n;
	int64_t last_ns;
	bool disorder;
};

static int on_event(void *user, json_t *event)
{
	struct seen *seen = user;
	int64_t ns = json_integer_value(json_object_get(event, "timeNano"));

	seen->disorder |= ns <= seen->last_ns;
	seen->last_ns = ns;
	buf_addf(&seen->text, "%s%s", seen->n++ ? " " : "",
		 json_string_value(json_object_get(event, "Action")));
	return seen->n == seen->stop_after ? -EINTR : 0;
}

static void events_freep(struct events **events)
{
	events_free(*events);
}
#define _cleanup_events_ __attribute__((cleanup(events_freep)))

static struct events *events_in_memory(void)
{
	struct core core = {.store = NULL};
	struct events *events = NULL;
	struct err err = {0};

	(void)events_new(&core, &events, &err);
	return events;
}

static int keep(void *user, json_t *event)
{
	*(json_t **)user = json_incref(event);
	return -EINTR;
}

TEST(event_has_both_forms)
{
	_cleanup_events_ struct events *events = events_in_memory();
	_cleanup_free_ char *text = NULL;
	json_t *event = NULL;

	events_publish(events, "container", "die", "c1",
		       json_pack("{s:s, s:s}", "image", "busybox", "exitCode", "3"));
	ASSERT_ERROR(events_follow(events, 1, 0, NULL, keep, &event), EINTR);
	ASSERT(json_integer_value(json_object_get(event, "time")) > 1600000000);
	(void)json_object_del(event, "time");
	(void)json_object_del(event, "timeNano");
	text = json_dumps(event, JSON_COMPACT | JSON_SORT_KEYS);
	ASSERT_STREQ(text, "{\"Action\":\"die\",\"Actor\":{\"Attributes\":{\"exitCode\":\"3\","
			   "\"image\":\"busybox\"},\"ID\":\"c1\"},\"Type\":\"container\","
			   "\"from\":\"busybox\",\"id\":\"c1\",\"scope\":\"local\","
			   "\"status\":\"die\"}");
	json_decref(event);
}

TEST(event_of_a_network_has_the_new_form_only)
{
	_cleanup_events_ struct events *events = events_in_memory();
	json_t *event = NULL;

	events_publish(events, "network", "create", "n1", NULL);
	(void)events_follow(events, 1, 0, NULL, keep, &event);
	ASSERT(!json_object_get(event, "status"));
	ASSERT(json_is_object(json_object_get(json_object_get(event, "Actor"), "Attributes")));
	json_decref(event);
}

TEST(replay_between_two_times)
{
	_cleanup_events_ struct events *events = events_in_memory();
	struct seen seen = {0};
	int64_t since, until;

	events_publish(events, "container", "a", "x", NULL);
	(void)usleep(1000);
	since = clock_realtime_ns();
	events_publish(events, "container", "b", "x", NULL);
	events_publish(events, "container", "c", "x", NULL);
	until = clock_realtime_ns();
	(void)usleep(1000);
	events_publish(events, "container", "d", "x", NULL);
	ASSERT_OK(events_follow(events, since, until, NULL, on_event, &seen));
	ASSERT_STREQ(seen.text.data, "b c");
	ASSERT(!seen.disorder);
	buf_reset(&seen.text);
	seen.n = 0;
	ASSERT_OK(events_follow(events, 0, until, NULL, on_event, &seen));
	ASSERT_EQ(seen.n, 0); /* since 0: nothing old */
	buf_done(&seen.text);
}

/* Goal: a future `until` is kept by a timer, not by the next event. */
TEST(until_comes_without_an_event)
{
	_cleanup_events_ struct events *events = events_in_memory();
	struct seen seen = {0};
	int64_t until = clock_realtime_ns() + 50 * NSEC_PER_MSEC;

	ASSERT_OK(events_follow(events, 0, until, NULL, on_event, &seen));
	ASSERT(clock_realtime_ns() >= until);
	ASSERT(clock_realtime_ns() < until + 5 * NSEC_PER_SEC);
}

struct follower {
	struct events *events;
	struct cancel *cancel;
	struct seen seen;
	int r;
};

static void *follow(void *user)
{
	struct follower *f = user;

	f->r = events_follow(f->events, 1, 0, f->cancel, on_event, &f->seen);
	return NULL;
}

TEST(follow_and_cancel)
{
	_cleanup_events_ struct events *events = events_in_memory();
	struct follower f = {.events = events};
	struct cancel cancel;
	pthread_t thread;

	cancel_init(&cancel);
	f.cancel = &cancel;
	ASSERT_OK(pthread_create(&thread, NULL, follow, &f));
	for (int i = 0; i < 500; i++)
		events_publish(events, "container", "x", "y", NULL);
	for (int i = 0; i < 1000 && __atomic_load_n(&f.seen.n, __ATOMIC_RELAXED) < 500; i++)
		(void)usleep(10000); /* a busy machine may start the thread late */
	cancel_fire(&cancel);
	pthread_join(thread, NULL);
	ASSERT_ERROR(f.r, ECANCELED);
	ASSERT_EQ(f.seen.n, 500);
	ASSERT(!f.seen.disorder);
	ASSERT_ERROR(events_follow(events, 0, 0, &cancel, on_event, &f.seen), ECANCELED);
	buf_done(&f.seen.text);
	cancel_done(&cancel);
}

static int publish_many(void *user, json_t *event UNUSED)
{
	struct events *events = *(struct events **)user;

	for (int i = 0; i < EVENTS_KEPT_MAX + 1; i++)
		events_publish(events, "container", "x", "y", NULL);
	return 0;
}

/* Goal: a listener that falls behind by all that is kept is told so; memory stays bounded. */
TEST(listener_too_slow)
{
	_cleanup_events_ struct events *events = events_in_memory();

	events_publish(events, "container", "first", "y", NULL);
	ASSERT_ERROR(events_follow(events, 1, 0, NULL, publish_many, &events), ENOBUFS);
}

/* Goal: events outlive the daemon, no more than EVENTS_KEPT_MAX of them. */
TEST(events_are_kept_in_the_store)
{
	char dir[] = "/tmp/arca-test-events-XXXXXX";
	struct core core = {0};
	struct events *events = NULL;
	struct seen seen = {0};
	struct err err = {0};
	char path[64];

	ASSERT(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/db", dir);
	ASSERT_OK(store_open(path, &core.store, &err));
	ASSERT_OK(events_new(&core, &events, &err));
	for (int i = 0; i < 2000; i++) {
		char action[16];

		(void)snprintf(action, sizeof(action), "a%d", i);
		events_publish(events, "container", action, "y", NULL);
	}
	events_free(events);
	ASSERT_OK(events_new(&core, &events, &err));
	ASSERT_OK(events_follow(events, 1, 1, NULL, on_event, &seen));
	ASSERT_EQ(seen.n, 0);
	ASSERT_OK(events_follow(events, 1, clock_realtime_ns() + 1, NULL, on_event, &seen));
	ASSERT(seen.n > 900 && seen.n <= EVENTS_KEPT_MAX);
	ASSERT(str_ends(seen.text.data, " a1998 a1999"));
	ASSERT(!seen.disorder);
	buf_done(&seen.text);
	events_free(events);
	store_close(core.store);
	(void)fs_remove_tree(dir);
}

TEST_MAIN()
