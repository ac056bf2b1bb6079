/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_remove.c - rm: the process, the files, the row, the name, in this order
 *
 * The row says `removing` first, so that a daemon killed half-way goes on where it was. A failure
 * to delete files leaves DEAD, which can be removed again.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/exec.h"

#define REMOVE_ROUNDS_MAX 5

/**
 * container_remove_held() - Remove a container that does not run
 * @c:	 Container, verb lock held; the caller has a reference
 * @err: Filled on failure
 *
 * Return: 0, or negative errno (the container is DEAD)
 */
int container_remove_held(struct container *c, struct err *err)
{
	int r;

	rank_lock(&c->lock);
	if (c->state != CONTAINER_REMOVING)
		container_move(c, CONTAINER_REMOVING);
	rank_unlock(&c->lock);
	(void)container_row_save(c); /* the row goes below; only a crash needs to know */
	container_run_drop(c);
	(void)container_settle_held(c, true, err); /* cannot fail */
	r = fs_remove_tree(c->dir);
	if (r < 0 && r != -ENOENT)
		err_sys(err, r, "cannot remove the files of container %s", c->id);
	else
		r = container_row_delete(c, err);
	if (r < 0) {
		rank_lock(&c->lock);
		container_move(c, CONTAINER_DEAD);
		rank_unlock(&c->lock);
		(void)container_row_save(c); /* it said so */
		return r;
	}
	if (c->cs->core->execs)
		exec_container_gone(c->cs->core->execs, c->id, true);
	containers_forget(c->cs, c);
	container_links_changed(c->cs);
	container_event(c, "destroy", NULL);
	rank_lock(&c->lock);
	c->removed = true;
	pthread_cond_broadcast(&c->changed);
	rank_unlock(&c->lock);
	return 0;
}

/* Whether rm may go on: 0, a refusal, or 1 when it runs and has to be killed first. */
static int remove_check(struct container *c, const char *ref, bool force, struct err *err)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	if (c->removed)
		return err_user(err, ERR_NOT_FOUND, "No such container: %s", c->id);
	if (c->state == CONTAINER_REMOVING)
		return err_user(err, ERR_CONFLICT, "removal of container %s is already in progress",
				c->id);
	if (!container_state_is_up(c->state))
		return 0;
	if (force)
		return 1;
	if (c->state == CONTAINER_PAUSED)
		return err_user(err, ERR_CONFLICT,
				"cannot remove container \"%s\": container is paused and must be "
				"unpaused first",
				ref);
	return err_user(err, ERR_CONFLICT,
			"cannot remove container \"%s\": container is %s: stop the container "
			"before removing or force remove",
			ref, container_state_name(c->state));
}

/* End a container that is up; afterwards it does not run, unless somebody started it again. */
static int remove_kill(struct container *c, struct err *err)
{
	uint64_t exits;
	bool restarting;

	rank_lock(&c->lock);
	container_wait_adopted(c);
	exits = c->exits;
	c->stopped_by_user = true;
	restarting = c->state == CONTAINER_RESTARTING;
	rank_unlock(&c->lock);
	return restarting ? 0 : container_kill_now(c, exits, true, err);
}

/* Return: 0, a refusal, or 1 when it has to be killed (again) first. */
static int remove_idle(struct container *c, const char *ref, bool force, struct err *err)
{
	bool waits;
	int r;

	RANK_LOCK_SCOPE(verb, &c->verb);
	if (c->removed) /* --rm was faster */
		return 0;
	rank_lock(&c->lock);
	waits = force && c->state == CONTAINER_RESTARTING;
	if (waits)
		container_move(c, CONTAINER_EXITED);
	rank_unlock(&c->lock);
	if (waits)
		container_cancel_restart(c);
	r = remove_check(c, ref, force, err);
	return r != 0 ? r : container_remove_held(c, err);
}

/**
 * container_remove() - DELETE /containers/{id}
 * @cs:	     Manager
 * @ref:     Container
 * @force:   Kill it if it runs
 * @volumes: Remove its anonymous volumes; it has none yet
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_remove(struct containers *cs, const char *ref, bool force, bool volumes UNUSED,
		     struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r == 0)
		r = remove_check(c, ref, force, err);
	/* a start that was under way, or came in between, makes another round */
	for (unsigned int i = 1; r >= 0; i++) {
		if (r > 0)
			r = remove_kill(c, err);
		if (r == 0)
			r = remove_idle(c, ref, force && i < REMOVE_ROUNDS_MAX, err);
		if (r <= 0)
			return r;
	}
	return r;
}
