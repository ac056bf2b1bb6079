/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_attach.c - clients on a container's streams: attach, resize, logs
 *
 * An attach to a container that does not run gets a pending run and waits with it for the start.
 */
#include <errno.h>

#include "base/err.h"
#include "base/log.h"
#include "core/containers.h"
#include "core/jsonx.h"

static int attach_check(struct container *c, struct err *err)
{
	if (c->state == CONTAINER_PAUSED)
		return err_user(err, ERR_CONFLICT,
				"container %s is paused, unpause the container before attach",
				c->id);
	if (c->state == CONTAINER_RESTARTING && !c->run)
		return err_user(err, ERR_CONFLICT,
				"container %s is restarting, wait until the container is running",
				c->id);
	if (c->removed || c->state == CONTAINER_REMOVING || c->state == CONTAINER_DEAD)
		return err_user(err, ERR_CONFLICT, "container %s is marked for removal", c->id);
	return 0;
}

/**
 * container_attach() - POST /containers/{id}/attach
 * @cs:	    Manager
 * @ref:    Container
 * @attach: Client; blocks until it left or the process and its output ended
 * @err:    Filled on failure
 *
 * Return: 0, STDIO_E_DETACHED, or a negative errno
 */
int container_attach(struct containers *cs, const char *ref, struct stdio_attach *attach,
		     struct err *err)
{
	_cleanup_run_ struct container_run *run = NULL;
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	rank_lock(&c->lock);
	r = attach_check(c, err);
	if (r == 0)
		r = container_run_get(c, &run, err);
	rank_unlock(&c->lock);
	if (r < 0)
		return r;
	container_event(c, "attach", NULL);
	r = stdio_attach(run->io, attach, err);
	if (r == STDIO_E_DETACHED)
		container_event(c, "detach", NULL);
	return r;
}

/**
 * container_is_tty() - Whether the container has a terminal
 * @cs:	     Manager
 * @ref:     Container
 * @ret_tty: Answer
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_is_tty(struct containers *cs, const char *ref, bool *ret_tty, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r == 0)
		*ret_tty = jx_bool(c->config, "Tty");
	return r;
}

/**
 * container_resize() - POST /containers/{id}/resize
 * @cs:	  Manager
 * @ref:  Container
 * @rows: Height
 * @cols: Width
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_resize(struct containers *cs, const char *ref, unsigned int rows, unsigned int cols,
		     struct err *err)
{
	_cleanup_run_ struct container_run *run = NULL;
	_cleanup_container_ struct container *c = NULL;
	char height[12], width[12];
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	rank_lock(&c->lock);
	container_wait_adopted(c);
	if (c->run && c->run->phase == RUN_STARTED)
		run = container_run_ref(c->run);
	rank_unlock(&c->lock);
	if (!run)
		return err_user(err, ERR_CONFLICT, "container %s is not running", c->id);
	r = stdio_resize(run->io, rows, cols, err);
	if (r < 0)
		return r;
	(void)snprintf(height, sizeof(height), "%u", rows);
	(void)snprintf(width, sizeof(width), "%u", cols);
	container_event(c, "resize", json_pack("{s:s, s:s}", "height", height, "width", width));
	return 0;
}

/**
 * container_logs() - GET /containers/{id}/logs
 * @cs:	   Manager
 * @ref:   Container
 * @query: What is asked for
 * @write: Where it goes; blocking
 * @user:  Its argument
 * @err:   Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_logs(struct containers *cs, const char *ref, const struct container_log_query *query,
		   log_write_fn write, void *user, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	struct container_log_query asked = *query;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	rank_lock(&c->lock);
	r = container_log_get(c, err);
	if (c->state != CONTAINER_RUNNING && c->state != CONTAINER_PAUSED &&
	    c->state != CONTAINER_RESTARTING)
		asked.follow = false; /* as dockerd: nothing will follow */
	rank_unlock(&c->lock);
	return r < 0 ? r : container_log_read(c->log, &asked, write, user, err);
}
