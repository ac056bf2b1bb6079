/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_kill.c - signals to the container's process, and the end of patience
 *
 * SIGKILL that the guest does not act upon within CONTAINER_KILL_WAIT_MS is followed by the end of
 * the VM: a guest cannot keep its container alive.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "rpc/client.h"
#include "vm/vm.h"

/* Hold the run that follows so many exits, if its process lives; NULL if it does not. */
static struct container_run *kill_hold(struct container *c, uint64_t exits)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	if (!c->run || !c->run->sb || c->exits != exits ||
	    (c->state != CONTAINER_RUNNING && c->state != CONTAINER_PAUSED))
		return NULL;
	return container_run_ref(c->run);
}

static int kill_not_running(struct container *c, struct err *err)
{
	return err_user(err, ERR_CONFLICT, "container %s is not running", c->id);
}

/**
 * container_signal_send() - Send a signal to the container's first process
 * @c:	   Container; verb lock not held
 * @signo: Signal
 * @exits: c->exits when it was running: a run begun since is not meant
 * @err:   Filled on failure
 *
 * Publishes `kill`. A paused container is thawed, so that the signal takes effect, as dockerd does.
 *
 * Return: 0, or negative errno with ERR_CONFLICT when it does not run (any more)
 */
int container_signal_send(struct container *c, int signo, uint64_t exits, struct err *err)
{
	Arca__V1__SignalRequest request = ARCA__V1__SIGNAL_REQUEST__INIT;
	_cleanup_run_ struct container_run *run = kill_hold(c, exits);
	struct err ignored = {0};
	char number[8];
	bool paused;
	int r;

	if (!run)
		return kill_not_running(c, err);
	request.id = c->id;
	request.signal = signo;
	r = rpc_call(sandbox_rpc(run->sb), "/arca.v1.Process/Signal", &request.base,
		     &arca__v1__empty__descriptor, CONTAINER_RPC_WAIT_MS, NULL, err);
	if (r == RPC_NOT_FOUND || r == RPC_UNAVAILABLE)
		return kill_not_running(c, err);
	if (r > 0)
		return -EIO;
	if (r < 0)
		return r;
	(void)snprintf(number, sizeof(number), "%d", signo);
	container_event(c, "kill", json_pack("{s:s}", "signal", number));
	rank_lock(&c->lock);
	paused = c->state == CONTAINER_PAUSED;
	rank_unlock(&c->lock);
	if (paused)
		(void)container_pause(c->cs, c->id, false, &ignored); /* it may have died of it */
	return 0;
}

/**
 * container_wait_exits() - Wait until an exit more than @exits was recorded
 * @c:		Container, no lock held
 * @exits:	c->exits before
 * @timeout_ms: How long, whole seconds; -1 for ever
 * @cancel:	Ends the wait, may be NULL
 *
 * Return: 0, -ETIMEDOUT, or -ECANCELED
 */
int container_wait_exits(struct container *c, uint64_t exits, int timeout_ms, struct cancel *cancel)
{
	struct container_waker waker;
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000; /* -1 is not looked at */
	container_waker_start(&waker, c, cancel);
	rank_lock(&c->lock);
	while (c->exits == exits && !c->removed && r == 0) {
		if (waker.fired)
			r = ECANCELED;
		else if (timeout_ms < 0)
			pthread_cond_wait(&c->changed, &c->lock.mutex);
		else
			r = pthread_cond_timedwait(&c->changed, &c->lock.mutex, &until);
	}
	if (c->exits != exits || c->removed)
		r = 0;
	rank_unlock(&c->lock);
	container_waker_stop(&waker);
	return -r;
}

static bool kill_is_up(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	return c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED;
}

/**
 * container_kill_now() - SIGKILL, and the VM's end if that does not help; waits for the exit
 * @c:	     Container, no lock held
 * @exits:   c->exits when it was running: a run begun since is not meant
 * @discard: The container will be removed: its disk needs no clean end
 * @err:     Filled on failure
 *
 * Return: 0 (also if it had ended), or negative errno
 */
int container_kill_now(struct container *c, uint64_t exits, bool discard, struct err *err)
{
	struct container_run *run;
	int r;

	rank_lock(&c->lock);
	if (c->run && c->exits == exits && discard)
		c->run->discard = true;
	rank_unlock(&c->lock);
	r = container_signal_send(c, SIGKILL, exits, err);
	if (r < 0 && err->kind == ERR_CONFLICT) {
		if (!kill_is_up(c))
			return 0;
		r = 0; /* it ended by itself; its exit is being recorded */
	}
	if (r == 0 && container_wait_exits(c, exits, CONTAINER_KILL_WAIT_MS, NULL) == 0)
		return 0;
	run = kill_hold(c, exits);
	if (!run)
		return 0;
	log_warn("container %.12s: its guest does not obey SIGKILL, ending the VM", c->id);
	machine_kill(run);
	container_run_unref(run);
	r = container_wait_exits(c, exits, CONTAINER_KILL_WAIT_MS, NULL);
	return r < 0 ? err_sys(err, r, "container %.12s does not end", c->id) : 0;
}

/* dockerd's words: it knows numbers that Linux does not. */
static int kill_parse(const char *signal, int *ret_signo, struct err *err)
{
	int64_t number;

	if (str_empty(signal)) {
		*ret_signo = SIGKILL;
		return 0;
	}
	if (container_signal_parse(signal, ret_signo) == 0)
		return 0;
	if (str_i64(signal, &number) == 0 && number != 0)
		return err_user(err, ERR_INVALID, "the linux daemon does not support signal %lld",
				(long long)number);
	return err_user(err, ERR_INVALID, "invalid signal: %s", signal);
}

/* Only SIGKILL and the container's own stop signal mean that it is not to come again. */
static bool kill_stops(const struct container *c, int signo)
{
	const char *own = jx_str(c->config, "StopSignal");
	int stop = SIGTERM;

	if (!str_empty(own) && container_signal_parse(own, &stop) < 0)
		stop = SIGTERM;
	return signo == SIGKILL || signo == stop;
}

static int kill_it(struct containers *cs, const char *ref, const char *signal, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	uint64_t exits;
	int signo, r;

	r = kill_parse(signal, &signo, err);
	if (r == 0)
		r = containers_find(cs, ref, &c, err);
	if (r < 0)
		return r;
	r = container_stop_begin(c, kill_stops(c, signo), &exits);
	if (r == 0)
		return 0; /* as dockerd: it waits for its restart, there is nobody to signal */
	if (r < 0)
		return kill_not_running(c, err);
	return signo == SIGKILL ? container_kill_now(c, exits, false, err)
				: container_signal_send(c, signo, exits, err);
}

/**
 * container_kill() - POST /containers/{id}/kill
 * @cs:	    Manager
 * @ref:    Container
 * @signal: Name or number; "" is SIGKILL
 * @err:    Filled on failure
 *
 * SIGKILL waits until the container has ended.
 *
 * Return: 0 or a negative errno
 */
int container_kill(struct containers *cs, const char *ref, const char *signal, struct err *err)
{
	char why[ERR_MSG_MAX];
	int r = kill_it(cs, ref, signal, err);

	if (r < 0 && err->kind != ERR_INTERNAL) {
		(void)snprintf(why, sizeof(why), "%s", err->msg);
		r = err_user(err, err->kind, "cannot kill container: %.128s: %.800s", ref, why);
	}
	return r;
}
