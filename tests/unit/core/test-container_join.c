/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that share a VM: who leaves it how, and what a new daemon finds; with fake VMs. */
#include <errno.h>

#include "bed.h"

TEST_MAIN()

#define JOIN(name) "{\"NetworkMode\":\"container:" name "\"}"

static int up(struct bed *b, const char *name, const char *host, char id[static ID_BUF])
{
	struct err err = {0};
	int r = make(b, name, host, id, &err);

	return r < 0 ? r : container_start(b->cs, id, &err);
}

static bool state_is(struct bed *b, const char *ref, const char *expected)
{
	for (int i = 0; i < 1000; i++) {
		_cleanup_free_ char *is = state(b, ref);

		if (str_eq(is, expected))
			return true;
		usleep(10000);
	}
	return false;
}

/* Goal: whoever goes first leaves the VM to the other, with its disks given back. */
TEST(the_last_one_ends_the_vm)
{
	for (int first = 0; first < 2; first++) {
		BED(b);
		struct err err = {0};
		char one[ID_BUF], two[ID_BUF];

		ASSERT_OK(up(&b, "one", "{}", one));
		ASSERT_OK(up(&b, "two", JOIN("one"), two));
		ASSERT_EQ(fakes.sandboxes, 1);
		ASSERT_EQ(fakes.disks, 1);
		fakes_exit(first ? two : one, 0);
		ASSERT_EQ(wait_for(&b, first ? "two" : "one", "not-running"), 0);
		ASSERT_OK(container_remove(b.cs, first ? two : one, false, false, &err));
		ASSERT_EQ(fakes.cleared, 1);
		ASSERT_EQ(fakes.disks, first ? 0 : 1);
		ASSERT_EQ(fakes.released, first ? 0 : 1);
		ASSERT_EQ(fakes.stopped_softly + fakes.stopped_hard, 0);
		ASSERT_STATE(&b, first ? one : two, "running 0");
		fakes_exit(first ? one : two, 0);
		ASSERT_EQ(wait_for(&b, first ? "one" : "two", "not-running"), 0);
		ASSERT_OK(container_remove(b.cs, first ? one : two, false, false, &err));
		ASSERT(no_sandboxes());
		ASSERT_EQ(fakes.cleared, 1);
		ASSERT_EQ(fakes.stopped_softly, 1);
	}
}

/* Goal: the first is started anew in another VM while the old one is still somebody's. */
TEST(a_restart_does_not_meet_the_old_vm)
{
	BED(b);
	struct err err = {0};
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(up(&b, "two", JOIN("one"), two));
	ASSERT_OK(container_restart(b.cs, "one", NULL, 0, NULL, &err));
	ASSERT_EQ(fakes.sandboxes, 2);
	ASSERT_STATE(&b, "two", "running 0");
	ASSERT_OK(container_restart(b.cs, "two", NULL, 0, NULL, &err));
	for (int i = 0; i < 1000 && fakes.sandboxes > 1; i++)
		usleep(10000);
	ASSERT_EQ(fakes.sandboxes, 1);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
	ASSERT_OK(container_remove(b.cs, "two", true, false, &err));
	ASSERT(no_sandboxes());
}

/* Goal: a VM's name is in use until it has ended, also where the one it is called after left it. */
TEST(a_start_does_not_meet_a_vm_that_is_about_to_end)
{
	BED(b);
	struct err err = {0};
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(up(&b, "two", JOIN("one"), two));
	ASSERT_OK(container_stop(b.cs, "one", NULL, 0, NULL, &err));
	for (int i = 0; i < 1000 && !fakes.released; i++)
		usleep(1000);
	fakes.stop_takes_ms = 500;
	fakes_exit(two, 0);
	for (int i = 0; i < 1000 && !(fakes.stopped_softly + fakes.stopped_hard); i++)
		usleep(1000);
	ASSERT_OK(container_start(b.cs, "one", &err));
	ASSERT_EQ(fakes.namesakes, 0);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
	ASSERT_OK(container_remove(b.cs, "two", true, false, &err));
	ASSERT(no_sandboxes());
}

/* Goal: a start that fails takes the container's part back and nothing else. */
TEST(a_failed_join_hurts_nobody)
{
	BED(b);
	struct err err = {0};
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(make(&b, "two", JOIN("one"), two, &err));
	fakes.start = FAKE_NO_PROGRAM;
	ASSERT(container_start(b.cs, "two", &err) < 0);
	ASSERT_STATE(&b, "two", "created 127");
	ASSERT_EQ(fakes.disks, 0);
	fakes.start = FAKE_RUNS;
	fakes.no_slot = true;
	ASSERT(container_start(b.cs, "two", &err) < 0);
	ASSERT_STREQ(err.msg, "no room");
	ASSERT_STATE(&b, "one", "running 0");
	ASSERT_EQ(fakes.released, 0);
	ASSERT_EQ(fakes.stopped_softly + fakes.stopped_hard, 0);
	ASSERT_OK(container_stop(b.cs, "one", NULL, 0, NULL, &err));
	ASSERT_ERROR(container_start(b.cs, "two", &err), EEXIST);
	ASSERT_STREQ(err.msg, "cannot join network namespace of a non running container: container "
			      "one is exited");
}

/* Goal: a guest that does not let go of a container's disks loses its VM. */
TEST(a_guest_that_keeps_a_disk_is_ended)
{
	BED(b);
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(up(&b, "two", JOIN("one"), two));
	fakes.clear_refused = true;
	fakes_exit(two, 0);
	ASSERT_EQ(wait_for(&b, "two", "not-running"), 0);
	ASSERT(state_is(&b, "one", "exited 137"));
	ASSERT(no_sandboxes());
}

/* Goal: the VM's end is everybody's. */
TEST(a_vm_that_dies_ends_all)
{
	BED(b);
	struct err err = {0};
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(up(&b, "two", JOIN("one"), two));
	fakes_vm_dies(one);
	ASSERT(state_is(&b, "one", "exited 137"));
	ASSERT(state_is(&b, "two", "exited 137"));
	ASSERT(no_sandboxes());
	ASSERT_EQ(fakes.cleared, 0);
	ASSERT_OK(container_start(b.cs, "one", &err));
	ASSERT_OK(container_start(b.cs, "two", &err));
	ASSERT_EQ(fakes.sandboxes, 1);
}

/* Goal: a new daemon looks for a VM once, and it ends with the last of those it finds in it. */
TEST(recovery_finds_all_of_a_vm)
{
	BED(b);
	struct err err = {0};
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(up(&b, "two", JOIN("one"), two));
	fakes.adopt = fakes.adopt_knows = true;
	memcpy(fakes.adopt_knows_too, two, ID_BUF);
	bed_restart(&b);
	ASSERT_STATE(&b, "one", "running 0");
	ASSERT_STATE(&b, "two", "running 0");
	ASSERT_EQ(fakes.adopted, 1);
	ASSERT_EQ(fakes.sandboxes, 1);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
	ASSERT_EQ(fakes.released, 1);
	fakes.adopt_knows = false; /* the VM is still called after the first */
	bed_restart(&b);
	ASSERT_STATE(&b, "two", "running 0");
	ASSERT_EQ(fakes.stopped_softly + fakes.stopped_hard, 0);
	ASSERT_OK(container_remove(b.cs, "two", true, false, &err));
	ASSERT(no_sandboxes());
}

/* Goal: one that the agent does not know costs the other nothing. */
TEST(recovery_of_a_join_that_was_cut_short)
{
	BED(b);
	char one[ID_BUF], two[ID_BUF];

	ASSERT_OK(up(&b, "one", "{}", one));
	ASSERT_OK(up(&b, "two", JOIN("one"), two));
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_STATE(&b, "one", "running 0");
	ASSERT_STATE(&b, "two", "exited 137");
	ASSERT_EQ(fakes.disks, 0);
	ASSERT_EQ(fakes.stopped_softly + fakes.stopped_hard, 0);
}
