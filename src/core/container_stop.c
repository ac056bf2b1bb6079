/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_stop.c - stop: the stop signal, patience, SIGKILL; restart
 *
 * The verb lock is not held while we wait: recording the exit needs it.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "base/err.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"

static int stop_signal(struct container *c, const char *signal, int *ret_signo, struct err *err)
{
	const char *text = str_empty(signal) ? jx_str(c->config, "StopSignal") : signal;

	if (str_empty(text)) {
		*ret_signo = SIGTERM;
		return 0;
	}
	if (container_signal_parse(text, ret_signo) < 0)
		return err_user(err, ERR_INVALID, "invalid signal: %s", text);
	return 0;
}

static int stop_timeout(struct container *c, int timeout_s)
{
	const json_t *own = json_object_get(c->config, "StopTimeout");

	if (timeout_s == INT_MIN)
		timeout_s = json_is_integer(own) ? (int)json_integer_value(own)
						 : CONTAINER_STOP_DEFAULT_S;
	return timeout_s < 0 ? -1 : timeout_s > INT_MAX / 1000 ? INT_MAX : timeout_s * 1000;
}

/**
 * container_stop_begin() - A client wants to signal or stop a container
 * @c:	       Container, no lock held; waits for a start that is under way
 * @stop:      It is not to be started again by its restart policy. The row says so before the
 *	       signal is sent: a daemon killed in between leaves the exit to the next one
 * @ret_exits: Receives c->exits, for container_wait_exits()
 *
 * A container that waits for its restart only has to stop waiting.
 *
 * Return: 1 if there is a process, 0 if there was only a restart to come, -EALREADY
 */
int container_stop_begin(struct container *c, bool stop, uint64_t *ret_exits)
{
	int r;

	RANK_LOCK_SCOPE(verb, &c->verb);
	rank_lock(&c->lock);
	*ret_exits = c->exits;
	if (!container_state_is_up(c->state))
		r = -EALREADY;
	else
		r = c->state != CONTAINER_RESTARTING;
	stop &= r >= 0;
	if (stop)
		c->stopped_by_user = true;
	if (stop && r == 0)
		container_move(c, CONTAINER_EXITED);
	rank_unlock(&c->lock);
	if (stop && r == 0)
		container_cancel_restart(c);
	if (stop)
		(void)container_row_save(c); /* it said so */
	return r;
}

/* Signal, wait, kill. */
static int stop_run(struct container *c, int signo, int timeout_ms, uint64_t exits,
		    struct cancel *cancel, struct err *err)
{
	int r = container_signal_send(c, signo, exits, err);

	if (r < 0 && err->kind == ERR_CONFLICT) /* it has ended: the exit is being recorded */
		r = container_wait_exits(c, exits, CONTAINER_KILL_WAIT_MS, cancel);
	else if (r == 0)
		r = container_wait_exits(c, exits, timeout_ms, cancel);
	if (r == 0)
		return 0;
	if (r == -ECANCELED) /* we stop: what was begun is not finished */
		return err_sys(err, r, "the daemon is shutting down");
	return container_kill_now(c, exits, false, err);
}

static bool stop_is_up(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	return container_state_is_up(c->state);
}

/* What comes late in dockerd is a 500. */
static int stop_failed(const char *what, const char *ref, struct err *err)
{
	char why[ERR_MSG_MAX];

	(void)snprintf(why, sizeof(why), "%s", err->msg);
	return err_user(err, ERR_INTERNAL, "%s%.128s: %.800s", what, ref, why);
}

/* A signal that is none is looked at late. */
static int stop_refused(int r, const char *what, const char *ref, struct err *err)
{
	return r == 0 || err->kind != ERR_INVALID ? r : stop_failed(what, ref, err);
}

/**
 * container_stop_it() - Stop a container and wait until its exit was recorded
 * @c:	       Container, no lock held
 * @signal:    First signal, or NULL for the container's own
 * @timeout_s: Seconds until SIGKILL; -1 never; INT_MIN the container's own
 * @cancel:    Ends the wait, may be NULL
 * @err:       Filled on failure
 *
 * Where nothing runs, no signal is looked at: dockerd answers 304 to any.
 *
 * Return: 0, -EALREADY with ERR_NOT_MODIFIED if it does not run, or a negative errno
 */
int container_stop_it(struct container *c, const char *signal, int timeout_s, struct cancel *cancel,
		      struct err *err)
{
	uint64_t exits;
	int signo, r;

	r = stop_signal(c, signal, &signo, err);
	if (r < 0 && stop_is_up(c))
		return r;
	if (r == 0)
		r = container_stop_begin(c, true, &exits);
	if (r < 0) {
		err_user(err, ERR_NOT_MODIFIED, "container is already stopped");
		return -EALREADY;
	}
	if (r > 0)
		r = stop_run(c, signo, stop_timeout(c, timeout_s), exits, cancel, err);
	if (r == 0)
		container_event(c, "stop", NULL);
	return r;
}

/**
 * container_stop() - POST /containers/{id}/stop
 * @cs:	       Manager
 * @ref:       Container
 * @signal:    First signal, or NULL
 * @timeout_s: As for container_stop_it()
 * @cancel:    Ends the wait, may be NULL
 * @err:       Filled on failure
 *
 * Return: 0, -EALREADY with ERR_NOT_MODIFIED, or a negative errno
 */
int container_stop(struct containers *cs, const char *ref, const char *signal, int timeout_s,
		   struct cancel *cancel, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	r = container_stop_it(c, signal, timeout_s, cancel, err);
	return stop_refused(r, "cannot stop container: ", ref, err);
}

static void restart_keep(struct container *c, bool keep)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	if (keep)
		c->keep++;
	else
		c->keep--;
}

/**
 * container_restart() - POST /containers/{id}/restart
 * @cs:	       Manager
 * @ref:       Container
 * @signal:    First signal, or NULL
 * @timeout_s: As for container_stop_it()
 * @cancel:    Ends the wait, may be NULL
 * @err:       Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_restart(struct containers *cs, const char *ref, const char *signal, int timeout_s,
		      struct cancel *cancel, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	restart_keep(c, true); /* --rm does not remove it in between */
	r = container_stop_it(c, signal, timeout_s, cancel, err);
	if (r == 0 || r == -EALREADY) {
		RANK_LOCK_SCOPE(verb, &c->verb); /* waits until the VM is down */
		restart_keep(c, false);
		r = container_start_afresh(c, err);
		if (r == -EALREADY)
			r = 0; /* somebody else's restart was faster */
		else if (r < 0)
			r = stop_failed("Cannot restart container ", ref, err);
	} else {
		restart_keep(c, false);
		r = stop_refused(r, "Cannot restart container ", ref, err);
	}
	if (r == 0)
		container_event(c, "restart", NULL);
	return r;
}
