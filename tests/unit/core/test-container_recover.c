/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon that starts and finds VMs, some of which say nothing. */
#include "bed.h"

#include <errno.h>
#include <pthread.h>

#include "core/container_live.h"

TEST_MAIN()

#define MANY 20

/* Goal: VMs are taken up side by side, so that a slow one costs the others nothing. */
TEST(vms_are_adopted_side_by_side)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	for (int i = 0; i < MANY; i++) {
		_cleanup_free_ char *name = str_format("c%d", i);

		ASSERT_OK(make(&b, name, "{}", id, &err));
		ASSERT_OK(container_start(b.cs, id, &err));
	}
	fakes.adopt = fakes.adopt_knows = true;
	fakes.adopt_together = MANY;
	bed_restart(&b);
	ASSERT_EQ(fakes.adopting_max, MANY);
	for (int i = 0; i < MANY; i++) {
		_cleanup_free_ char *name = str_format("c%d", i);

		ASSERT_STATE(&b, name, "running 0");
	}
	ASSERT_EQ(fakes.sandboxes, MANY);
}

/* More VMs than workers: all the same. */
TEST(more_vms_than_workers_are_adopted)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	for (int i = 0; i < 2 * WORKERS_MAX + 3; i++) {
		ASSERT_OK(make(&b, NULL, "{}", id, &err));
		ASSERT_OK(container_start(b.cs, id, &err));
	}
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_EQ(fakes.sandboxes, 2 * WORKERS_MAX + 3);
}

struct client {
	struct bed *b;
	atomic_bool done;
	int r;
	struct err err;
};

static void *client_stops(void *user)
{
	struct client *client = user;

	client->r = container_stop(client->b->cs, "mute", "", 1, NULL, &client->err);
	client->done = true;
	return NULL;
}

static void *client_holds(void *user)
{
	struct client *client = user;
	struct container_live live;

	client->r = container_live_get(client->b->cs, "mute", &live, &client->err);
	client->done = true;
	return NULL;
}

static void *client_removes(void *user)
{
	struct client *client = user;

	client->r = container_remove(client->b->cs, "mute2", true, false, &client->err);
	client->done = true;
	return NULL;
}

/* Goal: the API does not wait for a mute guest; who wants that very container does. */
TEST(a_mute_guest_holds_up_its_own_container_only)
{
	BED(b);
	struct client stops = {.b = &b}, holds = {.b = &b};
	struct err err = {0};
	pthread_t threads[2];
	char id[ID_BUF];

	ASSERT_OK(make(&b, "mute", "{}", fakes.adopt_mute, &err));
	ASSERT_OK(container_start(b.cs, "mute", &err));
	ASSERT_OK(make(&b, "well", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, "well", &err));
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_EQ(fakes.adopting, 1); /* still, and here we are */
	ASSERT_STATE(&b, "mute", "running 0");
	ASSERT_STATE(&b, "well", "running 0");
	ASSERT(container_live_is_adopting(b.cs, "mute"));
	ASSERT(!container_live_is_adopting(b.cs, "well"));
	ASSERT(!container_live_is_adopting(b.cs, "nosuch"));
	ASSERT_OK(container_stop(b.cs, "well", "", 1, NULL, &err));
	ASSERT_OK(container_start(b.cs, "well", &err));
	ASSERT_OK(pthread_create(&threads[0], NULL, client_stops, &stops));
	ASSERT_OK(pthread_create(&threads[1], NULL, client_holds, &holds));
	usleep(100000);
	ASSERT(!stops.done);
	ASSERT(!holds.done);
	ASSERT_EQ(fakes.adopting, 1);
	fakes.unmuted = true; /* patience ended: that VM is gone */
	ASSERT_OK(pthread_join(threads[0], NULL));
	ASSERT_OK(pthread_join(threads[1], NULL));
	ASSERT_ERROR(stops.r, EALREADY);
	ASSERT_EQ(holds.err.kind, ERR_CONFLICT);
	ASSERT_STATE(&b, "mute", "exited 137");
	ASSERT_EQ(fakes.sandboxes, 1);
}

/* Goal: rm -f of it waits as well, and then removes. */
TEST(a_mute_guest_can_be_removed)
{
	BED(b);
	struct client removes = {.b = &b};
	struct err err = {0};
	pthread_t thread;

	ASSERT_OK(make(&b, "mute2", "{}", fakes.adopt_mute, &err));
	ASSERT_OK(container_start(b.cs, "mute2", &err));
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_EQ(fakes.adopting, 1);
	ASSERT_OK(pthread_create(&thread, NULL, client_removes, &removes));
	usleep(100000);
	ASSERT(!removes.done);
	fakes.unmuted = true;
	ASSERT_OK(pthread_join(thread, NULL));
	ASSERT_OK(removes.r);
	ASSERT_STATE(&b, "mute2", "gone");
	ASSERT_EQ(fakes.sandboxes, 0);
}

/* Goal: a daemon told to end while it still waits for a guest ends, and leaves the rest alone. */
TEST(a_shutdown_while_adopting)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "mute", "{}", fakes.adopt_mute, &err));
	ASSERT_OK(container_start(b.cs, "mute", &err));
	ASSERT_OK(make(&b, "well", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, "well", &err));
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_EQ(fakes.adopting, 1);
	fakes.unmuted = true;
	bed_restart(&b);
	ASSERT_STATE(&b, "well", "running 0");
	ASSERT_STATE(&b, "mute", "exited 137");
	ASSERT_EQ(fakes.stopped_hard + fakes.stopped_softly, 0);
}
