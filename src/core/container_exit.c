/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_exit.c - a process ended: record, tell, take the VM down, remove or restart
 *
 * DOC: Theory of operation
 *
 * A worker does it, under the verb lock, so a start that is still finishing comes first, and start,
 * remove and the like that follow wait until the disk is unmounted. The exit code is in the
 * database before anything else happens; until then the agent has it, so a VM whose exit could not
 * be written is kept (container_settle.c). Who waits is woken next, so that nobody's `docker run`
 * lasts longer for the unmounting. The agent is not asked to forget the process: it goes with its
 * VM.
 *
 * A restart policy moves the container to RESTARTING and sets a timer on the loop; its callback
 * hands the start to a worker. The back-off doubles from RESTART_DELAY_MIN_MS and begins anew after
 * a run of RESTART_DELAY_RESET_NS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/exec.h"
#include "core/jsonx.h"

#define RESTART_DELAY_MIN_MS 100
#define RESTART_DELAY_MAX_MS 60000
#define RESTART_DELAY_RESET_NS (10 * NSEC_PER_SEC)

/**
 * container_should_restart() - Whether the restart policy wants another run
 * @c:		  Container that is not running, state lock held
 * @daemon_start: The daemon (or host) came up: "always" forgets that the user stopped it
 *
 * Return: the answer
 */
bool container_should_restart(struct container *c, bool daemon_start)
{
	const json_t *policy = json_object_get(c->host_config, "RestartPolicy");
	const char *name = jx_str(policy, "Name");
	int64_t max = jx_int(policy, "MaximumRetryCount");

	if (str_eq(name, "always"))
		return daemon_start || !c->stopped_by_user;
	if (c->stopped_by_user)
		return false;
	if (str_eq(name, "unless-stopped"))
		return true;
	return str_eq(name, "on-failure") && c->exit_code != 0 &&
	       (max == 0 || c->restart_count < (uint64_t)max);
}

static unsigned int restart_next_delay(const struct container *c)
{
	unsigned int delay = c->restart_delay_ms * 2;

	if (delay == 0 || c->finished_ns - c->started_ns >= RESTART_DELAY_RESET_NS)
		delay = RESTART_DELAY_MIN_MS;
	return delay > RESTART_DELAY_MAX_MS ? RESTART_DELAY_MAX_MS : delay;
}

/* Whether it is to be started now. One whose network is that of another that is about to come up
 * waits for that. */
static bool restart_begin(struct container *c)
{
	bool waits = container_join_waits(c);
	RANK_LOCK_SCOPE(state, &c->lock);

	if (c->state != CONTAINER_RESTARTING || c->cs->stopping)
		return false;
	if (waits) {
		c->restart_delay_ms = restart_next_delay(c);
		container_schedule_restart(c);
		return false;
	}
	c->restart_count++;
	c->version++;
	return true;
}

static void restart_run(void *user)
{
	struct container *c = user;
	struct err err = {0};
	int r;

	rank_lock(&c->verb);
	if (restart_begin(c)) {
		r = container_start_held(c, &err);
		if (r < 0)
			log_error("container %.12s: cannot be restarted: %s", c->id, err.msg);
	}
	rank_unlock(&c->verb);
	container_unref(c);
}

static void restart_due(void *user)
{
	struct container *c = user;

	loop_timer_remove(c->restart_timer);
	c->restart_timer = NULL;
	if (workers_push(c->cs->workers, restart_run, c) < 0) {
		log_error("container %.12s: no memory to restart it", c->id);
		container_unref(c); /* the table has one */
	}
}

/* Also of a wait that a stop ended, before this one. Loop thread. */
static void restart_disarm(struct container *c)
{
	if (!c->restart_timer)
		return;
	loop_timer_remove(c->restart_timer);
	c->restart_timer = NULL;
	container_unref(c); /* the caller has one */
}

static void restart_cancel(void *user)
{
	struct container *c = user;

	restart_disarm(c);
	container_unref(c);
}

/**
 * container_cancel_restart() - The container does not wait for its restart any more
 * @c: Container that has left RESTARTING without being started; no state lock held
 */
void container_cancel_restart(struct container *c)
{
	if (loop_call(c->cs->core->loop, restart_cancel, container_ref(c)) < 0)
		container_unref(c); /* the timer finds nothing to do */
}

static void restart_arm(void *user)
{
	struct container *c = user;

	restart_disarm(c);
	if (c->cs->stopping || loop_timer_add(c->cs->core->loop, c->restart_delay_ms, restart_due,
					      c, &c->restart_timer) < 0)
		container_unref(c);
}

/**
 * container_schedule_restart() - Start again after the back-off
 * @c: Container in RESTARTING, restart_delay_ms set; no state lock held
 */
void container_schedule_restart(struct container *c)
{
	if (loop_post(c->cs->core->loop, restart_arm, container_ref(c)) < 0) {
		log_error("container %.12s: no memory to restart it", c->id);
		container_unref(c);
	}
}

static void restart_disarm_all(void *user)
{
	struct containers *cs = user;
	struct container *c, *tmp;

	RANK_LOCK_SCOPE(table, &cs->lock);
	HASH_ITER (by_id, cs->by_id, c, tmp) {
		restart_disarm(c); /* the table has a reference */
		container_settle_disarm(c);
	}
}

/**
 * container_cancel_restart_timers() - No timer fires any more
 * @cs: Manager that is going away
 */
void container_cancel_restart_timers(struct containers *cs)
{
	(void)loop_call(cs->core->loop, restart_disarm_all, cs); /* a loop that is gone has none */
}

static void exit_events(struct container *c, const struct stdio_exit *exit)
{
	char code[16], seconds[24];
	int64_t ran_ns = c->finished_ns - c->started_ns;

	(void)snprintf(code, sizeof(code), "%d", exit->code);
	(void)snprintf(seconds, sizeof(seconds), "%lld",
		       (long long)(ran_ns > 0 ? ran_ns / NSEC_PER_SEC : 0));
	if (exit->oom_killed)
		container_event(c, "oom", NULL);
	container_event(c, "die",
			json_pack("{s:s, s:s}", "exitCode", code, "execDuration", seconds));
}

/**
 * container_record_exit() - Write down that the process ended, and tell everybody
 * @c:	   Container that is up, verb lock held; ends in EXITED or RESTARTING
 * @exit:  How it ended
 * @error: Text for State.Error, or NULL
 *
 * The VM is still there; the row says so.
 *
 * Return: 0, or negative errno if the row could not be written: only the agent knows, then
 */
int container_record_exit(struct container *c, const struct stdio_exit *exit, const char *error)
{
	bool restart;
	int r;

	rank_lock(&c->lock);
	c->exit_code = exit->code;
	c->oom_killed = exit->oom_killed;
	c->finished_ns = exit->at_ns > c->started_ns ? exit->at_ns : clock_realtime_ns();
	c->pid = 0;
	free(c->error);
	c->error = error ? strdup(error) : NULL;
	c->vm = CONTAINER_VM_TEARDOWN;
	restart = !c->keep && !c->cs->stopping && container_should_restart(c, false);
	if (restart)
		c->restart_delay_ms = restart_next_delay(c);
	c->telling = true;
	container_move(c, restart ? CONTAINER_RESTARTING : CONTAINER_EXITED);
	rank_unlock(&c->lock);
	r = container_row_save(c);
	container_networks_down(c);
	exit_events(c, exit);
	if (c->cs->core->execs)
		exec_container_gone(c->cs->core->execs, c->id, false);
	rank_lock(&c->lock);
	c->exits++;
	c->last_code = exit->code;
	c->telling = false;
	pthread_cond_broadcast(&c->changed);
	rank_unlock(&c->lock);
	return r;
}

/**
 * container_run_end() - Leave the VM of a run that is over, and begin a restart's back-off
 * @run:     Run whose exit is recorded, reference stolen; its container's verb lock held
 * @discard: Its disk goes: no need to unmount it cleanly
 */
void container_run_end(struct container_run *run, bool discard)
{
	struct container *c = run->c;
	bool restart;

	machine_leave(run, discard || run->exit.lost ? 0 : CONTAINER_VM_STOP_MS);
	rank_lock(&c->lock);
	c->vm = CONTAINER_VM_NONE;
	restart = c->state == CONTAINER_RESTARTING;
	rank_unlock(&c->lock);
	(void)container_row_save(c); /* it said so */
	if (restart)
		container_schedule_restart(c);
	container_run_unref(run);
}

/**
 * container_run_finish() - Everything that follows an exit; a worker_fn
 * @user: Run that ended, reference stolen
 */
void container_run_finish(void *user)
{
	_cleanup_run_ struct container_run *run = user;
	_cleanup_container_ struct container *c = container_ref(run->c);
	struct container_run *current = NULL;
	struct err err = {0};
	bool remove;
	int r;

	RANK_LOCK_SCOPE(verb, &c->verb);
	rank_lock(&c->lock);
	if (c->run == run)
		current = TAKE_PTR(c->run);
	remove = jx_bool(c->host_config, "AutoRemove") && !c->keep;
	rank_unlock(&c->lock);
	if (!current)
		return;
	container_networks_leave(current, false);
	r = container_record_exit(c, &run->exit,
				  run->exit.lost ? "the container's virtual machine ended" : NULL);
	if (r < 0 && !run->exit.lost && !remove && !run->discard) {
		container_settle_later(c, current);
		return;
	}
	container_run_end(current, remove || run->discard);
	if (remove && container_remove_held(c, &err) < 0)
		log_error("container %.12s: cannot be removed: %s", c->id, err.msg);
}
