/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_reap.c - the thread that puts ended execs away
 *
 * What ended on the loop thread comes here for everything that may block: its row, the agent's
 * Release, its streams, the hold on its container. So do execs of removed containers, those whose
 * time is over, and those that an earlier daemon started and this one has yet to take over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "core/core.h"
#include "core/exec_impl.h"
#include "rpc/client.h"

#define EXEC_RELEASE_WAIT_MS 5000

/* Have the reaper look at an exec; under es->lock. */
void exec_reap_locked(struct exec *ex)
{
	if (ex->reap)
		return;
	ex->reap = true;
	ex->refs++;
	ex->reap_next = ex->es->reap;
	ex->es->reap = ex;
	pthread_cond_broadcast(&ex->es->changed);
}

static void exec_release(const struct exec *ex)
{
	Arca__V1__ReleaseRequest request = ARCA__V1__RELEASE_REQUEST__INIT;
	struct err ignored;

	request.id = (char *)ex->id;
	/* an agent that is gone has nothing to forget */
	(void)rpc_call(ex->live.rpc, "/arca.v1.Process/Release", &request.base,
		       &arca__v1__empty__descriptor, EXEC_RELEASE_WAIT_MS, NULL, &ignored);
}

/* The run ended: write it down, tell it, let everything go. */
static void exec_put_away(struct exec *ex, int exit_code, int64_t ended_ns, int pid, bool ran)
{
	struct execs *es = ex->es;
	struct stdio *io;
	char code[16];
	int r;

	r = exec_row_save(es, ex->id, EXEC_ENDED, exit_code, pid, ended_ns);
	if (r < 0)
		log_error("cannot keep the end of exec %.12s: %s", ex->id, strerror(-r));
	(void)snprintf(code, sizeof(code), "%d", exit_code);
	if (ran)
		container_publish(es->core->containers, ex->container_id, "exec_die",
				  json_pack("{s:s, s:s}", "execID", ex->id, "exitCode", code));
	pthread_mutex_lock(&es->lock);
	io = ex->io;
	ex->io = NULL;
	pthread_mutex_unlock(&es->lock);
	if (!io)
		return;
	exec_release(ex);
	stdio_free(io);
	container_live_put(&ex->live);
}

static void exec_delete(struct exec *ex)
{
	struct execs *es = ex->es;
	bool listed;
	int r;

	pthread_mutex_lock(&es->lock);
	listed = ex->listed;
	if (listed)
		exec_forget_locked(ex);
	pthread_mutex_unlock(&es->lock);
	if (!listed)
		return;
	r = exec_row_delete(es, ex->id);
	if (r < 0)
		log_error("cannot forget exec %.12s: %s", ex->id, strerror(-r));
	exec_unref(ex);
}

/* The container of an exec that an earlier daemon started: take it over or give it up. */
static void exec_adopt(struct exec *ex)
{
	int r = exec_resume(ex);

	if (r == -EAGAIN)
		return; /* paused, or its VM is not found yet: the next tick */
	pthread_mutex_lock(&ex->es->lock);
	ex->orphan = false;
	if (r < 0) {
		ex->state = EXEC_ENDED;
		ex->exit_code = 137;
		ex->ended_ns = clock_realtime_ns();
	}
	pthread_mutex_unlock(&ex->es->lock);
	if (r < 0)
		exec_put_away(ex, 137, ex->ended_ns, 0, true);
}

/* One exec that needs something; without the lock. */
static void exec_tend(struct exec *ex)
{
	struct execs *es = ex->es;
	bool ended, over, orphan, ran;
	int64_t ended_ns;
	int code, pid;

	pthread_mutex_lock(&es->lock);
	ended = ex->state == EXEC_ENDED;
	orphan = ex->orphan && !ended;
	ended_ns = ex->ended_ns;
	over = (ended && ended_ns + EXEC_KEEP_NS < clock_realtime_ns()) ||
	       (ex->removed && (ended || ex->state == EXEC_CREATED));
	code = ex->exit_code;
	pid = ex->pid;
	ran = !ex->start_failed;
	ended = ended && ex->io;
	pthread_mutex_unlock(&es->lock);
	if (ended)
		exec_put_away(ex, code, ended_ns, pid, ran);
	if (over)
		exec_delete(ex);
	else if (orphan)
		exec_adopt(ex);
}

/* Queue what time alone has made due; under the lock. */
static void exec_tick_locked(struct execs *es)
{
	int64_t now = clock_realtime_ns();
	struct exec *ex, *tmp;

	HASH_ITER (hh, es->table, ex, tmp) {
		if (ex->orphan || (ex->state == EXEC_ENDED && ex->ended_ns + EXEC_KEEP_NS < now))
			exec_reap_locked(ex);
	}
}

static void *exec_reaper(void *user)
{
	struct execs *es = user;

	(void)pthread_setname_np(pthread_self(), "arca-exec"); /* only a label */
	pthread_mutex_lock(&es->lock);
	exec_tick_locked(es);
	while (es->reap || !es->stopping) {
		struct exec *ex = es->reap;
		struct timespec until;

		if (ex) {
			es->reap = ex->reap_next;
			ex->reap = false;
			pthread_mutex_unlock(&es->lock);
			exec_tend(ex);
			exec_unref(ex);
			pthread_mutex_lock(&es->lock);
			continue;
		}
		(void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail for this clock */
		until.tv_sec += EXEC_TICK_S;
		if (pthread_cond_timedwait(&es->changed, &es->lock, &until) == ETIMEDOUT)
			exec_tick_locked(es);
	}
	pthread_mutex_unlock(&es->lock);
	return NULL;
}

/**
 * exec_reaper_start() - Start the reaper
 * @es:	 Execs, loaded
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int exec_reaper_start(struct execs *es, struct err *err)
{
	int r = -pthread_create(&es->thread, NULL, exec_reaper, es);

	if (r < 0)
		return err_sys(err, r, "cannot start a thread");
	es->have_thread = true;
	return 0;
}

/**
 * exec_reaper_stop() - Let the reaper finish what is queued, and stop it
 * @es: Execs
 */
void exec_reaper_stop(struct execs *es)
{
	if (!es->have_thread)
		return;
	pthread_mutex_lock(&es->lock);
	es->stopping = true;
	pthread_cond_broadcast(&es->changed);
	pthread_mutex_unlock(&es->lock);
	pthread_join(es->thread, NULL);
	es->have_thread = false;
}
