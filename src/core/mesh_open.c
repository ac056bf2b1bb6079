/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh_open.c - a container that joins a network of many
 *
 * DOC: Theory of operation
 *
 *	begin ---- started --- OPEN_CALM_MS ---- ready -> shown -> open
 *	 |	      |				  |	  |	  what it sends to the others goes
 *	 |	      the process runs		  |	  the others are told of it
 *	 joins held, with the list of all	  its VM sets its peers
 *
 * Each peer that a VM sets costs it a computation, and each member that is told wakes a VM. Neither
 * is needed before the process has something to send, so both come after its start, and after
 * OPEN_CALM_MS in which it takes its first steps. What it sends meanwhile waits in its VM
 * (agent/network_hold.c) until the others know it; net/mesh.c has the order. Those that do not
 * answer are waited for OPEN_WAIT_MS.
 */
#include "core/attachments_impl.h"

#include "base/clock.h"
#include "base/loop.h"
#include "core/core.h"

#define OPEN_CALM_MS 50
#define OPEN_WAIT_MS 500

static void open_due(void *user);

/* Loop thread. */
static void open_arm(struct attachment *a, unsigned int delay_ms)
{
	if (loop_timer_add(a->meshes->core->loop, delay_ms, open_due, a, &a->open_timer) < 0)
		attachment_unref(a); /* no memory: the agent opens it */
}

/* Return: whether to come again */
static bool open_step(struct attachment *a)
{
	RANK_LOCK_SCOPE(guard, &a->meshes->lock);

	if (!a->member)
		return false;
	if (a->ready)
		return !mesh_open(a->member);
	a->ready = true;
	if (!a->meshes->held)
		mesh_ready(a->member);
	return true;
}

static void open_due(void *user)
{
	struct attachment *a = user;

	loop_timer_remove(a->open_timer);
	a->open_timer = NULL;
	if (open_step(a))
		open_arm(a, OPEN_WAIT_MS);
	else
		attachment_unref(a);
}

static void open_begin(void *user)
{
	open_arm(user, OPEN_CALM_MS);
}

/**
 * attachment_open_later() - The process of a container that joined held runs
 * @a: Attachment
 *
 * Return: 0, or a negative errno: nothing will follow
 */
int attachment_open_later(struct attachment *a)
{
	int r;

	atomic_fetch_add(&a->refs, 1);
	r = loop_post(a->meshes->core->loop, open_begin, a);
	if (r < 0)
		atomic_fetch_sub(&a->refs, 1); /* not the last: the run has one */
	return r;
}
