/* SPDX-License-Identifier: Apache-2.0 */
/* container_pause.c - freeze and thaw the container's cgroup in the guest */
#include <errno.h>

#include "agent.pb-c.h"
#include "base/err.h"
#include "core/containers.h"
#include "rpc/client.h"
#include "vm/vm.h"

static int pause_check(struct container *c, bool pause, struct container_run **ret, struct err *err)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	if (pause && c->state == CONTAINER_PAUSED)
		return err_user(err, ERR_CONFLICT, "container %s is already paused", c->id);
	if (pause && c->state == CONTAINER_RESTARTING)
		return err_user(err, ERR_CONFLICT,
				"container %s is restarting, wait until the container is running",
				c->id);
	if (!pause && c->state != CONTAINER_PAUSED)
		return err_user(err, ERR_CONFLICT, "container %s is not paused", c->id);
	if (pause && (c->state != CONTAINER_RUNNING || !c->run || !c->run->sb))
		return err_user(err, ERR_CONFLICT, "container %s is not running", c->id);
	if (!c->run || !c->run->sb || c->run->phase == RUN_ENDED)
		return err_user(err, ERR_CONFLICT, "container %s is not running", c->id);
	*ret = container_run_ref(c->run);
	return 0;
}

/**
 * container_pause() - POST /containers/{id}/pause and unpause
 * @cs:	   Manager
 * @ref:   Container
 * @pause: Freeze; else thaw
 * @err:   Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_pause(struct containers *cs, const char *ref, bool pause, struct err *err)
{
	Arca__V1__PauseRequest request = ARCA__V1__PAUSE_REQUEST__INIT;
	_cleanup_run_ struct container_run *run = NULL;
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(verb, &c->verb);
	r = pause_check(c, pause, &run, err);
	if (r < 0)
		return r;
	request.container_id = c->id;
	request.paused = pause;
	r = rpc_call(sandbox_rpc(run->sb), "/arca.v1.Sandbox/Pause", &request.base,
		     &arca__v1__empty__descriptor, CONTAINER_RPC_WAIT_MS, NULL, err);
	if (r != 0)
		return r < 0 ? r : -EIO;
	rank_lock(&c->lock);
	container_move(c, pause ? CONTAINER_PAUSED : CONTAINER_RUNNING);
	rank_unlock(&c->lock);
	(void)container_row_save(c); /* it said so */
	container_event(c, pause ? "pause" : "unpause", NULL);
	return 0;
}
