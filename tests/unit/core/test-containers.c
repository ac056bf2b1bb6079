/* SPDX-License-Identifier: Apache-2.0 */
/* The life of containers, over a real database and loop, with fake VMs. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bed.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/container_live.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "rpc/client.h"
#include "store/store.h"
#include "test.h"

TEST_MAIN()

/* Goal: the whole life, with dockerd's events in dockerd's order. */
TEST(a_container_lives_and_dies)
{
	BED(b);
	_cleanup_free_ char *dir = NULL;
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "one", "{}", id, &err));
	dir = str_format("%s/containers/%s", b.root, id);
	ASSERT(fs_exists(dir));
	ASSERT_STATE(&b, "one", "created 0");
	ASSERT_EQ(fakes.sandboxes, 0);
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_STATE(&b, "/one", "running 0");
	ASSERT_ERROR(container_start(b.cs, id, &err), EALREADY);
	ASSERT_EQ(err.kind, ERR_NOT_MODIFIED);
	fakes_exit(id, 3);
	ASSERT_EQ(wait_for(&b, "one", "not-running"), 3);
	ASSERT_STATE(&b, "one", "exited 3");
	ASSERT_OK(container_remove(b.cs, "one", false, false, &err));
	ASSERT(no_sandboxes());
	ASSERT_EQ(fakes.stopped_softly, 1);
	ASSERT(!fs_exists(dir));
	ASSERT_STATE(&b, id, "gone");
	ASSERT_STREQ(fakes.events, "create connect start disconnect die destroy ");
}

/* Goal: a command that is not there costs 127, words, and no VM. */
TEST(a_start_that_fails_leaves_nothing)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	fakes.start = FAKE_NO_PROGRAM;
	ASSERT_OK(make(&b, "x1", "{}", id, &err));
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CANNOT_RUN);
	ASSERT_STREQ(err.msg,
		     "failed to create task for container: failed to create shim task: OCI runtime "
		     "create failed: runc create failed: unable to start container process: exec: "
		     "\"x\": executable file not found");
	ASSERT_STATE(&b, id, "created 127");
	ASSERT_EQ(fakes.sandboxes, 0);
	fakes.start = FAKE_NO_VM;
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT_STATE(&b, id, "created 128");
	fakes.start = FAKE_VM_DIES;
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_STATE(&b, id, "created 128");
	ASSERT_EQ(fakes.sandboxes, 0);
	fakes.start = FAKE_RUNS;
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_STATE(&b, id, "running 0");
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
}

/* Goal: an exit that comes with the start is told after it. */
TEST(a_process_that_ends_at_once_is_recorded)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	fakes.start = FAKE_DIES_AT_ONCE;
	for (int i = 0; i < 20; i++) {
		ASSERT_OK(make(&b, NULL, "{}", id, &err));
		ASSERT_OK(container_start(b.cs, id, &err));
		ASSERT_EQ(wait_for(&b, id, NULL), 7);
		ASSERT_OK(container_remove(b.cs, id, true, false, &err));
	}
	ASSERT(str_starts(fakes.events, "create connect start disconnect die destroy create "
					"connect start disconnect die destroy "));
}

/* Goal: stop asks, waits, kills; a guest that ignores SIGKILL loses its VM. */
TEST(stop_and_kill_end_it)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "st", "{}", id, &err));
	ASSERT_ERROR(container_stop(b.cs, id, NULL, 1, NULL, &err), EALREADY);
	ASSERT_EQ(err.kind, ERR_NOT_MODIFIED);
	ASSERT(container_kill(b.cs, id, "", &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT(container_kill(b.cs, "st", "SIGNOPE", &err) < 0);
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT_STREQ(err.msg, "cannot kill container: st: invalid signal: SIGNOPE");
	ASSERT(container_kill(b.cs, "st", "0", &err) < 0);
	ASSERT_STREQ(err.msg, "cannot kill container: st: invalid signal: 0");
	ASSERT(container_kill(b.cs, "st", "65", &err) < 0);
	ASSERT_STREQ(err.msg,
		     "cannot kill container: st: the linux daemon does not support signal 65");
	ASSERT_STATE(&b, id, "running 0");
	ASSERT(container_remove(b.cs, "st", false, false, &err) < 0);
	ASSERT_STREQ(err.msg, "cannot remove container \"st\": container is running: stop the "
			      "container before removing or force remove");
	ASSERT_OK(container_stop(b.cs, id, "INT", 5, NULL, &err));
	ASSERT_EQ(fakes.last_signal, SIGINT);
	ASSERT_STATE(&b, id, "exited 130");
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.signal_status = RPC_NOT_FOUND; /* it ended under our hands */
	ASSERT(container_kill(b.cs, id, "TERM", &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	fakes.signal_status = RPC_DEADLINE_EXCEEDED; /* the guest hangs */
	ASSERT_OK(container_kill(b.cs, id, "KILL", &err));
	ASSERT_STATE(&b, id, "exited 137");
	ASSERT(fakes.stopped_hard >= 1);
}

/* Goal: --rm removes, the waiter for it learns the code, and nothing is unmounted with care. */
TEST(auto_remove_removes)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, NULL, "{\"AutoRemove\":true}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes_exit(id, 9);
	ASSERT_EQ(wait_for(&b, id, "removed"), 9);
	ASSERT_STATE(&b, id, "gone");
	ASSERT_EQ(fakes.stopped_softly, 0);
}

/* Goal: names, ids, prefixes. */
TEST(references_find_one_or_say_why_not)
{
	BED(b);
	struct err err = {0};
	struct container *c;
	char id[ID_BUF], other[ID_BUF], prefix[ID_BUF];
	int r;

	ASSERT_OK(make(&b, "alpha", "{}", id, &err));
	ASSERT(make(&b, "alpha", "{}", other, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT(strstr(err.msg, "The container name \"/alpha\" is already in use by container \""));
	ASSERT(make(&b, "a b", "{}", other, &err) < 0);
	ASSERT_EQ(err.kind, ERR_INVALID);
	(void)snprintf(prefix, sizeof(prefix), "%.12s", id);
	ASSERT_OK(containers_find(b.cs, prefix, &c, &err));
	container_unref(c);
	ASSERT_ERROR(containers_find(b.cs, "nosuch", &c, &err), ENOENT);
	ASSERT_STREQ(err.msg, "No such container: nosuch");
	ASSERT_ERROR(containers_find(b.cs, "", &c, &err), ENOENT);
	for (int i = 0; i < 16; i++)
		ASSERT_OK(make(&b, NULL, "{}", other, &err)); /* 17 share 16 first digits */
	for (const char *d = "0123456789abcdef"; *d; d++) {
		(void)snprintf(prefix, sizeof(prefix), "%c", *d);
		r = containers_find(b.cs, prefix, &c, &err);
		if (r == -ENOTUNIQ)
			break;
		if (r == 0)
			container_unref(c);
	}
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT(str_starts(err.msg, "multiple IDs found with provided prefix: "));
	ASSERT_OK(container_rename(b.cs, "alpha", "beta", &err));
	ASSERT_STATE(&b, "alpha", "gone");
	ASSERT_STATE(&b, "beta", "created 0");
	ASSERT(container_rename(b.cs, "beta", "/beta", &err) < 0);
}

/* Goal: a create that is refused leaves no name, no directory, no row. */
TEST(a_refused_create_leaves_nothing)
{
	BED(b);
	_cleanup_free_ char *dir = str_format("%s/containers", b.root);
	struct err err = {0};
	char id[ID_BUF];
	unsigned int n = 0;

	ASSERT(make(&b, "no", "{\"Memory\":1}", id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT(make(&b, "no", "[]", id, &err) < 0);
	ASSERT_OK(fs_write_file(dir, "x", 1, 0600)); /* no directory can be made below it */
	ASSERT(make(&b, "no", "{}", id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT_STATE(&b, "no", "gone");
	ASSERT_EQ(HASH_CNT(by_id, b.cs->by_id), n);
	ASSERT_OK(unlink(dir));
	ASSERT_OK(make(&b, "no", "{}", id, &err));
}

/* Goal: what the daemon finds after kill -9, for each thing that may have happened meanwhile. */
TEST(recovery_takes_up_what_runs)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "r1", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_STATE(&b, "r1", "running 0");
	fakes.adopt_exit = 17; /* ended while nobody watched */
	bed_restart(&b);
	ASSERT_EQ(wait_for(&b, "r1", NULL), 17);
	ASSERT_STATE(&b, "r1", "exited 17");
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.adopt = false; /* VM and host went */
	bed_restart(&b);
	ASSERT_STATE(&b, "r1", "exited 137");
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.adopt = true;
	fakes.adopt_knows = false; /* an agent that knows nothing of it */
	bed_restart(&b);
	ASSERT_STATE(&b, "r1", "exited 137");
	ASSERT_OK(container_remove(b.cs, "r1", false, false, &err));
	ASSERT_EQ(fakes.sandboxes, 0);
	bed_restart(&b);
	ASSERT_STATE(&b, "r1", "gone");
}

/* Goal: the VM's loss is an exit with 137 and a reason. */
TEST(a_lost_vm_is_an_exit)
{
	BED(b);
	_cleanup_json_ json_t *json = NULL;
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "lo", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes_vm_dies(id);
	ASSERT_EQ(wait_for(&b, "lo", NULL), 137);
	ASSERT_OK(container_inspect(b.cs, "lo", false, &json, &err));
	ASSERT_STREQ(jx_str(json_object_get(json, "State"), "Error"),
		     "the container's virtual machine ended");
	ASSERT_OK(container_remove(b.cs, "lo", false, false, &err));
}

/* Goal: on-failure:N starts N times more; a stop in between ends it. */
TEST(restart_policies_are_kept)
{
	BED(b);
	_cleanup_json_ json_t *json = NULL;
	struct err err = {0};
	char id[ID_BUF];

	fakes.start = FAKE_DIES_AT_ONCE;
	ASSERT_OK(make(&b, "re",
		       "{\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":2}}", id,
		       &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_EQ(wait_for(&b, "re", "not-running"), 7);
	ASSERT_OK(container_inspect(b.cs, "re", false, &json, &err));
	ASSERT_EQ(jx_int(json, "RestartCount"), 2);
	ASSERT_STREQ(fakes.events, "create connect start disconnect die connect start disconnect "
				   "die connect start disconnect die ");
	ASSERT_OK(make(&b, "al", "{\"RestartPolicy\":{\"Name\":\"always\"}}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_OK(container_stop(b.cs, id, NULL, 0, NULL, &err));
	ASSERT_STATE(&b, "al", "exited 7");
	ASSERT_OK(container_remove(b.cs, "al", false, false, &err));
}

/* Goal: exec's hold outlives the container's run. */
TEST(a_live_hold_keeps_the_sandbox)
{
	BED(b);
	struct container_live live = {0};
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "li", "{}", id, &err));
	ASSERT(container_live_get(b.cs, "li", &live, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_OK(container_live_get(b.cs, "li", &live, &err));
	ASSERT_OK(container_pause(b.cs, "li", true, &err));
	ASSERT_STATE(&b, "li", "paused 0");
	ASSERT(container_pause(b.cs, "li", true, &err) < 0);
	ASSERT_OK(container_kill(b.cs, "li", "9", &err));
	ASSERT_STATE(&b, "li", "exited 137");
	ASSERT_OK(container_remove(b.cs, "li", false, false, &err));
	ASSERT_EQ(fakes.sandboxes, 1);
	container_live_put(&live);
	ASSERT_EQ(fakes.sandboxes, 0);
}

/* Goal: list shows what changed, newest first, and the filters hold. */
TEST(list_is_current_and_filtered)
{
	BED(b);
	_cleanup_json_ json_t *running = NULL, *all = NULL, *named = NULL, *filters = NULL;
	_cleanup_json_ json_t *bad = NULL, *none = NULL;
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "l1", "{}", id, &err));
	ASSERT_OK(make(&b, "l2", "{}", id, &err));
	ASSERT_OK(container_list(b.cs, false, 0, false, NULL, &running, &err));
	ASSERT_EQ(json_array_size(running), 0);
	ASSERT_OK(container_start(b.cs, "l1", &err));
	ASSERT_OK(container_list(b.cs, true, 0, true, NULL, &all, &err));
	ASSERT_EQ(json_array_size(all), 2);
	ASSERT_STREQ(jx_str(json_array_get(all, 0), "Status"), "Created");
	ASSERT_STREQ(jx_str(json_array_get(all, 1), "State"), "running");
	ASSERT_STREQ(jx_str(json_array_get(all, 1), "Command"), "sh");
	filters = jx_parse("{\"name\":[\"^/l2$\"],\"status\":[\"created\"]}");
	ASSERT_OK(container_list(b.cs, false, 0, false, filters, &named, &err));
	ASSERT_EQ(json_array_size(named), 1);
	bad = jx_parse("{\"status\":[\"sleeping\"]}");
	ASSERT(container_list(b.cs, false, 0, false, bad, &none, &err) < 0);
	ASSERT_STREQ(err.msg, "invalid filter 'status=sleeping': invalid value for state "
			      "(sleeping): must be one of "
			      "created, running, paused, restarting, removing, exited, dead");
	ASSERT_OK(container_remove(b.cs, "l1", true, false, &err));
}

/* Goal: prune takes what does not run, and only that. */
TEST(prune_spares_the_living)
{
	BED(b);
	_cleanup_json_ json_t *deleted = json_array();
	struct err err = {0};
	uint64_t bytes = 0;
	char id[ID_BUF];

	ASSERT_OK(make(&b, "p1", "{}", id, &err));
	ASSERT_OK(make(&b, "p2", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, "p2", &err));
	ASSERT_OK(container_prune(b.cs, NULL, deleted, &bytes, &err));
	ASSERT_EQ(json_array_size(deleted), 1);
	ASSERT(bytes > 0);
	ASSERT_STATE(&b, "p1", "gone");
	ASSERT_STATE(&b, "p2", "running 0");
	ASSERT_OK(container_remove(b.cs, "p2", true, false, &err));
}

/* Poll: a defect here is a state that never comes. */
static bool becomes(struct bed *b, const char *ref, const char *expected)
{
	for (int i = 0; i < 500; i++) {
		_cleanup_free_ char *now = state(b, ref);

		if (str_eq(now, expected))
			return true;
		usleep(10000);
	}
	return false;
}

/* Goal: start of a paused --rm container is refused; the container lives on. */
TEST(a_refused_start_removes_nothing)
{
	BED(b);
	_cleanup_container_ struct container *c = NULL;
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "ar", "{\"AutoRemove\":true}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_OK(container_pause(b.cs, id, true, &err));
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT_STATE(&b, "ar", "paused 0");
	ASSERT_OK(containers_find(b.cs, id, &c, &err));
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
	rank_lock(&c->verb); /* a start that waited while --rm was at work */
	ASSERT(container_start_afresh(c, &err) < 0);
	rank_unlock(&c->verb);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT_EQ(HASH_CNT(by_id, b.cs->by_id), 0);
}

struct helper {
	struct bed *b;
	const char *id;
	int delay_ms, code, r;
	pthread_t thread;
};

static void *helper_exit(void *user)
{
	struct helper *h = user;

	usleep((useconds_t)h->delay_ms * 1000);
	fakes_exit(h->id, h->code);
	return NULL;
}

static void *helper_start(void *user)
{
	struct helper *h = user;
	struct err err = {0};

	h->r = container_start(h->b->cs, h->id, &err);
	return NULL;
}

static void *helper_restart(void *user)
{
	struct helper *h = user;
	struct err err = {0};

	h->r = container_restart(h->b->cs, h->id, NULL, 5, NULL, &err);
	return NULL;
}

/* Goal: rm -f of what ends by itself, or is just being started, removes it. */
TEST(forced_removal_wins_races)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];
	struct helper h = {.b = &b, .id = id, .delay_ms = 100, .code = 5};

	ASSERT_OK(make(&b, "rf", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.signal_status = RPC_NOT_FOUND; /* the agent has reaped it, its exit is on the way */
	ASSERT_OK(pthread_create(&h.thread, NULL, helper_exit, &h));
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
	pthread_join(h.thread, NULL);
	ASSERT_STATE(&b, "rf", "gone");
	fakes.signal_status = 0;
	ASSERT_OK(make(&b, "rf", "{}", id, &err));
	fakes.start_takes_ms = 300;
	ASSERT_OK(pthread_create(&h.thread, NULL, helper_start, &h));
	usleep(100000);
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
	pthread_join(h.thread, NULL);
	ASSERT_OK(h.r);
	ASSERT_STATE(&b, "rf", "gone");
}

/* Goal: a signal to what is just being started arrives, and a stop is remembered. */
TEST(signals_wait_for_the_start)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];
	struct helper h = {.b = &b, .id = id};

	ASSERT_OK(make(&b, "sg", "{\"RestartPolicy\":{\"Name\":\"always\"}}", id, &err));
	fakes.start_takes_ms = 300;
	ASSERT_OK(pthread_create(&h.thread, NULL, helper_start, &h));
	usleep(100000);
	ASSERT_OK(container_kill(b.cs, id, "TERM", &err));
	pthread_join(h.thread, NULL);
	ASSERT_EQ(fakes.last_signal, SIGTERM);
	ASSERT(becomes(&b, "sg", "exited 143"));
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
}

/* Goal: a start that fails before there is a VM ends those who attached, and the restarting. */
TEST(an_image_that_is_gone_fails_the_start)
{
	BED(b);
	_cleanup_container_ struct container *c = NULL;
	struct stdio_attach attach = {.fd = -EBADF};
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "im", "{\"RestartPolicy\":{\"Name\":\"always\"}}", id, &err));
	ASSERT_OK(containers_find(b.cs, id, &c, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.no_image = true;
	free(c->rootfs);
	c->rootfs = strdup("/nonexistent/disk");
	fakes_exit(id, 1);
	ASSERT(becomes(&b, "im", "exited 128")); /* not "restarting" for ever */
	ASSERT_OK(container_attach(b.cs, id, &attach, &err));
	ASSERT(c->run);
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT(!c->run);
}

/* Goal: an exit that comes while the daemon goes is told by the next one. */
TEST(an_exit_during_shutdown_is_not_lost)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "sd", "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	b.cs->stopping = true;
	fakes_exit(id, 3);
	usleep(50000);
	ASSERT_STATE(&b, "sd", "running 0"); /* no worker touched it: there may be none any more */
	fakes.adopt = fakes.adopt_knows = true;
	fakes.adopt_exit = 3;
	bed_restart(&b);
	ASSERT_EQ(wait_for(&b, "sd", NULL), 3);
}

/* Goal: the back-off of a wait that a stop has ended does not hold up a later restart. */
TEST(a_stop_ends_the_back_off)
{
	BED(b);
	_cleanup_container_ struct container *c = NULL;
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "bo", "{\"RestartPolicy\":{\"Name\":\"always\"}}", id, &err));
	ASSERT_OK(containers_find(b.cs, id, &c, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	c->restart_delay_ms = 20000;
	fakes_exit(id, 1);
	ASSERT(becomes(&b, "bo", "restarting 1"));
	ASSERT_OK(container_stop(b.cs, id, NULL, 1, NULL, &err));
	ASSERT_STATE(&b, "bo", "exited 1");
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes_exit(id, 1);
	ASSERT(becomes(&b, "bo", "restarting 1"));
	ASSERT(becomes(&b, "bo", "running 0"));
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
}

/* Goal: two restarts of one --rm container at once: both succeed, it stays. */
TEST(restarts_may_meet)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];
	struct helper h[4];

	ASSERT_OK(make(&b, "rr", "{\"AutoRemove\":true}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 4; i++) {
			h[i] = (struct helper){.b = &b, .id = id};
			ASSERT_OK(pthread_create(&h[i].thread, NULL, helper_restart, &h[i]));
		}
		for (int i = 0; i < 4; i++)
			pthread_join(h[i].thread, NULL);
		for (int i = 0; i < 4; i++)
			ASSERT_OK(h[i].r);
	}
	ASSERT_STATE(&b, "rr", "running 0");
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
}

/* Goal: a daemon killed between the stop signal and the exit knows that it was stopped. */
TEST(a_stop_is_remembered_before_the_signal)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make(&b, "us", "{\"RestartPolicy\":{\"Name\":\"unless-stopped\"}}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.ignore_signals = true;
	ASSERT_OK(container_kill(b.cs, id, "TERM", &err));
	fakes.adopt = fakes.adopt_knows = true;
	fakes.adopt_exit = 0;
	bed_restart(&b);
	ASSERT(becomes(&b, "us", "exited 0"));
	usleep(300000);
	ASSERT_STATE(&b, "us", "exited 0");
}

/* Goal: a row that cannot be read costs that container's use, not its data or the others. */
TEST(a_bad_row_does_not_cost_the_disk)
{
	BED(b);
	_cleanup_free_ char *disk = NULL, *stray = NULL;
	struct err err = {0};
	char id[ID_BUF], other[ID_BUF];

	ASSERT_OK(make(&b, "unread", "{}", id, &err));
	ASSERT_OK(make(&b, "good", "{}", other, &err));
	disk = str_format("%s/containers/%s/upper.ext4", b.root, id);
	stray = str_format("%s/containers/%064d", b.root, 5);
	ASSERT_OK(fs_mkdir_p(stray, 0700));
	ASSERT(fs_exists(disk));
	ASSERT_OK(store_exec(b.core.store, "UPDATE containers SET config = 'x' WHERE id = ?", NULL,
			     NULL, "s", id));
	bed_restart(&b);
	ASSERT_STATE(&b, "unread", "gone"); /* no word that could be the beginning of an id */
	ASSERT_STATE(&b, "good", "created 0");
	ASSERT(fs_exists(disk));
	ASSERT(!fs_exists(stray)); /* no row at all */
}

/* Goal: a waiter that is slow to wake learns the exit's code, not the next run's. */
TEST(a_wait_outlasts_a_restart)
{
	BED(b);
	_cleanup_free_ char *error = NULL;
	struct container_wait *wait;
	struct err err = {0};
	char id[ID_BUF];
	int code = -1;

	ASSERT_OK(make(&b, "wa", "{\"RestartPolicy\":{\"Name\":\"always\"}}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_OK(container_wait_begin(b.cs, id, "next-exit", &wait, &err));
	fakes_exit(id, 5);
	ASSERT(becomes(&b, id, "restarting 5"));
	ASSERT(becomes(&b, id, "running 0"));
	ASSERT_OK(container_wait_end(wait, NULL, &code, &error, &err));
	ASSERT_EQ(code, 5);
	ASSERT_OK(container_remove(b.cs, id, true, false, &err));
}
