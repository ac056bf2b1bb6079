/* SPDX-License-Identifier: Apache-2.0 */
/* Exits while the database cannot be written. */
#include "bed.h"

TEST_MAIN()

static void disk_full(struct bed *b, bool full)
{
	(void)store_exec(b->core.store,
			 full ? "CREATE TRIGGER full BEFORE UPDATE OF exit_code ON containers"
				" BEGIN SELECT RAISE(ABORT, 'disk full'); END"
			      : "DROP TRIGGER full",
			 NULL, NULL, "");
}

/* Goal: an exit code is in the row or still at the agent, whenever the daemon is killed. */
TEST(an_exit_that_cannot_be_written_keeps_its_vm)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "full", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	disk_full(&b, true);
	fakes_exit(id, 3);
	ASSERT_EQ(wait_for(&b, "full", NULL), 3); /* it is told all the same */
	ASSERT_STATE(&b, "full", "exited 3");
	ASSERT(container_start(b.cs, id, &err) < 0); /* after the worker: the verb lock */
	ASSERT(strstr(err.msg, "cannot record how the last run of"));
	ASSERT_STATE(&b, "full", "exited 3");
	ASSERT_EQ(fakes.sandboxes, 1);
	ASSERT_EQ(fakes.stopped_softly + fakes.stopped_hard, 0);
	disk_full(&b, false);
	fakes.adopt = fakes.adopt_knows = true;
	fakes.adopt_exit = 3; /* what the agent kept */
	bed_restart(&b);
	ASSERT_EQ(wait_for(&b, "full", NULL), 3);
	ASSERT_STATE(&b, "full", "exited 3");
	ASSERT(no_sandboxes());
	fakes.adopt = false;
	bed_restart(&b);
	ASSERT_STATE(&b, "full", "exited 3");
}

/* Goal: once there is space again the exit is written, the VM ends, and policies go on. */
TEST(an_exit_is_written_when_there_is_space)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF], again[ID_BUF];

	ASSERT_OK(make(&b, "once", "{}", id, &err));
	ASSERT_OK(make(&b, "again", "{\"RestartPolicy\":{\"Name\":\"always\"}}", again, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_OK(container_start(b.cs, again, &err));
	disk_full(&b, true);
	fakes_exit(id, 4);
	fakes_exit(again, 5);
	ASSERT_EQ(wait_for(&b, "once", NULL), 4);
	usleep(400000); /* at least one retry in vain */
	ASSERT_STATE(&b, "once", "exited 4");
	ASSERT_STATE(&b, "again", "restarting 5");
	ASSERT_EQ(fakes.sandboxes, 2);
	disk_full(&b, false);
	for (int i = 0; i < 1000 && fakes.stopped_softly < 2; i++)
		usleep(10000);
	ASSERT_EQ(fakes.stopped_softly, 2);
	for (int i = 0; i < 1000; i++) {
		_cleanup_free_ char *now = state(&b, "again");

		if (str_eq(now, "running 0"))
			break;
		usleep(10000);
	}
	ASSERT_STATE(&b, "again", "running 0");
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_STATE(&b, "once", "running 0");
}

/* Goal: what frees space is not refused for want of it. */
TEST(a_container_whose_exit_is_not_written_can_be_removed)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "full", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	disk_full(&b, true);
	fakes_exit(id, 3);
	ASSERT_EQ(wait_for(&b, "full", NULL), 3);
	ASSERT_OK(container_remove(b.cs, "full", false, false, &err));
	ASSERT_EQ(fakes.stopped_hard, 1);
	ASSERT(no_sandboxes());
	ASSERT_STATE(&b, id, "gone");
}

/* Goal: --rm does not wait for an exit code that goes with the row. */
TEST(auto_remove_does_not_wait_for_the_row)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "full", "{\"AutoRemove\":true}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	disk_full(&b, true);
	fakes_exit(id, 3);
	ASSERT_EQ(wait_for(&b, "full", "removed"), 3);
	ASSERT(no_sandboxes());
}
