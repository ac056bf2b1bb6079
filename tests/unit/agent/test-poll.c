/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/poll.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "test.h"

TEST_MAIN()

static struct poller poller;
static struct poll_watch watches[2];
static int fired;

static void remove_other(struct poll_watch *w, uint32_t events UNUSED)
{
	fired++;
	poll_remove(&poller, &watches[w == &watches[0]]);
	poll_remove(&poller, w);
}

/* Goal: a callback may remove a watch whose event waits in the same batch. */
TEST(poll_strikes_removed_watches_out_of_the_batch)
{
	int a[2], b[2];

	ASSERT_OK(poll_init(&poller));
	ASSERT_OK(pipe2(a, O_CLOEXEC));
	ASSERT_OK(pipe2(b, O_CLOEXEC));
	ASSERT_EQ(write(a[1], "x", 1), 1);
	ASSERT_EQ(write(b[1], "x", 1), 1);
	ASSERT_OK(poll_add(&poller, &watches[0], a[0], EPOLLIN, remove_other));
	ASSERT_OK(poll_add(&poller, &watches[1], b[0], EPOLLIN, remove_other));
	ASSERT_OK(poll_once(&poller));
	ASSERT_EQ(fired, 1);
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
	poll_done(&poller);
}

static struct poll_timer timers[2];
static int order[2], n_order;

static void timer_fired(struct poll_timer *t)
{
	order[n_order++] = (int)(t - timers);
}

static void timer_cancels_other(struct poll_timer *t)
{
	timer_fired(t);
	poll_timer_cancel(&poller, &timers[t == &timers[0]]);
}

/* Goal: timers fire once, and a cancelled one never. */
TEST(poll_timers)
{
	ASSERT_OK(poll_init(&poller));
	poll_timer_set(&poller, &timers[0], 5 * NSEC_PER_MSEC, timer_fired);
	poll_timer_set(&poller, &timers[1], 0, timer_fired);
	while (n_order < 2)
		ASSERT_OK(poll_once(&poller));
	ASSERT_EQ(order[0], 1);
	ASSERT_EQ(order[1], 0);
	n_order = 0;
	poll_timer_set(&poller, &timers[0], 0, timer_cancels_other);
	poll_timer_set(&poller, &timers[1], 0, timer_cancels_other);
	ASSERT_OK(poll_once(&poller));
	ASSERT_EQ(n_order, 1);
	ASSERT(!poller.timers);
	poll_done(&poller);
}
