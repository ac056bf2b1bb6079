/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_settle.c - an exit that could not be written down yet
 *
 * DOC: Theory of operation
 *
 * Until an exit is in the row, the only other copy is the agent's, and that lives as long as the
 * VM. So a run whose row could not be written (a full disk) is unsettled: clients have been told,
 * the container is EXITED or RESTARTING, and its VM stays. Writing is tried again by a timer,
 * SETTLE_DELAY_MIN_MS doubling to SETTLE_DELAY_MAX_MS, and by every start; when it succeeds the VM
 * ends and a restart policy gets its say. A daemon that starts meanwhile finds a row that says
 * running and an agent that knows better (container_recover.c).
 *
 * A start is refused as long as it fails: the old VM has the disk. A removal is not: who removes
 * the container gives the exit code up, and gets space for others.
 *
 * c->unsettled and the delay belong to the verb lock, the timer to the loop thread.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "core/containers.h"

#define SETTLE_DELAY_MIN_MS 250
#define SETTLE_DELAY_MAX_MS 30000

static void settle_run(void *user)
{
	struct container *c = user;
	struct err ignored = {0}; /* the row said so */

	rank_lock(&c->verb);
	(void)container_settle_held(c, false, &ignored); /* it comes again */
	rank_unlock(&c->verb);
	container_unref(c);
}

static void settle_due(void *user)
{
	struct container *c = user;

	loop_timer_remove(c->settle_timer);
	c->settle_timer = NULL;
	if (workers_push(c->cs->workers, settle_run, c) < 0) {
		log_error("container %.12s: no memory to record its exit", c->id);
		container_unref(c); /* the table has one */
	}
}

static void settle_arm(void *user)
{
	struct container *c = user;

	if (c->cs->stopping || c->settle_timer ||
	    loop_timer_add(c->cs->core->loop, c->settle_delay_ms, settle_due, c, &c->settle_timer) <
		    0)
		container_unref(c);
}

/* Without memory for it the next start, removal or daemon does it. */
static void settle_schedule(struct container *c)
{
	unsigned int delay = c->settle_delay_ms * 2;

	delay = delay ? delay : SETTLE_DELAY_MIN_MS;
	c->settle_delay_ms = delay > SETTLE_DELAY_MAX_MS ? SETTLE_DELAY_MAX_MS : delay;
	if (loop_post(c->cs->core->loop, settle_arm, container_ref(c)) < 0)
		container_unref(c);
}

/**
 * container_settle_disarm() - No timer fires any more
 * @c: Container of which the caller has a reference; loop thread
 */
void container_settle_disarm(struct container *c)
{
	if (!c->settle_timer)
		return;
	loop_timer_remove(c->settle_timer);
	c->settle_timer = NULL;
	container_unref(c);
}

static void settle_cancel(void *user)
{
	struct container *c = user;

	container_settle_disarm(c);
	container_unref(c);
}

/**
 * container_settle_later() - Keep a run's VM until its exit is in the row
 * @c:	 Container whose exit was told, verb lock held
 * @run: Its run, reference stolen
 */
void container_settle_later(struct container *c, struct container_run *run)
{
	log_warn("container %.12s: its virtual machine is kept until its exit can be recorded",
		 c->id);
	c->unsettled = run;
	c->settle_delay_ms = 0;
	settle_schedule(c);
}

/**
 * container_settle_held() - Write an exit down that could not be written before, and end the VM
 * @c:	     Container, verb lock held
 * @discard: The container is being removed: end the VM in any case
 * @err:     Filled on failure
 *
 * Return: 0, also where there is nothing to do, or negative errno: the VM is still there
 */
int container_settle_held(struct container *c, bool discard, struct err *err)
{
	int r;

	if (!c->unsettled)
		return 0;
	r = discard ? 0 : container_row_save(c);
	if (r < 0) {
		settle_schedule(c);
		return err_sys(err, r, "cannot record how the last run of %.12s ended", c->id);
	}
	if (!discard)
		container_networks_down(c); /* that could not be written, either */
	/* one that leaves the table must not leave a timer behind */
	if (loop_call(c->cs->core->loop, settle_cancel, container_ref(c)) < 0)
		container_unref(c); /* the timer finds nothing to do */
	container_run_end(TAKE_PTR(c->unsettled), discard);
	return 0;
}
