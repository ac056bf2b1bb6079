/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_run.c - one run of a container: streams and VM, shared by those who use them
 *
 * DOC: Theory of operation
 *
 *	PENDING -> STARTING -> STARTED -> ENDED
 *			    -> FAILED
 *
 * A run exists from the first attach (docker run attaches before it starts) or from the start. The
 * container points to its current run only while it is pending or its process lives; when the exit
 * is recorded it lets go, and the next attach makes a new one. Attach sessions and live holds keep
 * their run, and with it the sandbox object, as long as they need.
 *
 * The stdio and sandbox callbacks come on the loop thread. They only note what happened under the
 * state lock, wake who waits for it, and hand an exit to a worker (container_exit.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/container_log.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "rpc/client.h"

/**
 * container_run_ref() - One more reference
 * @run: Run
 *
 * Return: @run
 */
struct container_run *container_run_ref(struct container_run *run)
{
	atomic_fetch_add(&run->refs, 1);
	return run;
}

/**
 * container_run_unref() - Give a reference back; the last frees streams and sandbox object
 * @run: Run
 *
 * The last one must not be given back on the loop thread. A VM that still runs is left alone.
 */
void container_run_unref(struct container_run *run)
{
	if (atomic_fetch_sub(&run->refs, 1) != 1)
		return;
	if (run->io)
		stdio_free(run->io);
	container_networks_leave(run, true); /* else it has left before */
	machine_forget(run);
	free(run->fail_text);
	container_unref(run->c);
	free(run);
}

static int container_log_options(const json_t *log_config, struct container_log_options *ret)
{
	const json_t *config = json_object_get(log_config, "Config");
	const char *size = jx_str(config, "max-size"), *files = jx_str(config, "max-file");
	int64_t bytes = 0;
	uint64_t n = 1;

	if (*size && str_size_bytes(size, &bytes) < 0)
		return -EINVAL;
	if (*files && str_u64(files, 100000, &n) < 0)
		return -EINVAL;
	ret->max_size_bytes = bytes > 0 ? (uint64_t)bytes : 0;
	ret->max_files = n ? (unsigned int)n : 1;
	ret->discard = str_eq(jx_str(log_config, "Type"), "none");
	return 0;
}

/**
 * container_log_get() - Open the log at first need
 * @c:	 Container, state lock held
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_log_get(struct container *c, struct err *err)
{
	struct container_log_options options = {0};
	_cleanup_free_ char *path = NULL;
	int r;

	if (c->log)
		return 0;
	path = str_format("%s/%s-json.log", c->dir, c->id);
	if (!path)
		return err_oom(err);
	r = container_log_options(json_object_get(c->host_config, "LogConfig"), &options);
	if (r < 0)
		return err_sys(err, r, "bad log options of %.12s", c->id);
	return container_log_open(path, &options, jx_bool(c->config, "Tty"), &c->log, err);
}

/**
 * container_run_get() - The current run, or a new pending one
 * @c:	 Container, state lock held
 * @ret: Reference owned by the caller
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_run_get(struct container *c, struct container_run **ret, struct err *err)
{
	struct container_run *run;
	struct stdio_spec spec = {.id = c->id,
				  .tty = jx_bool(c->config, "Tty"),
				  .open_stdin = jx_bool(c->config, "OpenStdin"),
				  .stdin_once = jx_bool(c->config, "StdinOnce")};
	int r;

	if (c->run) {
		*ret = container_run_ref(c->run);
		return 0;
	}
	r = container_log_get(c, err);
	if (r < 0)
		return r;
	run = calloc(1, sizeof(*run));
	if (!run)
		return err_oom(err);
	spec.log = c->log;
	r = stdio_new(c->cs->core->loop, &spec, &container_run_ops, run, &run->io);
	if (r < 0) {
		free(run);
		return err_sys(err, r, "cannot make the streams of %.12s", c->id);
	}
	run->refs = 2; /* the container's and the caller's */
	run->c = container_ref(c);
	run->phase = RUN_PENDING;
	c->run = run;
	*ret = run;
	return 0;
}

/**
 * container_run_drop() - Let the container go of its run
 * @c: Container; no lock held
 *
 * Clients of a run that was never started are told that it is over.
 */
void container_run_drop(struct container *c)
{
	struct container_run *run;
	bool pending;

	rank_lock(&c->lock);
	run = TAKE_PTR(c->run);
	pending = run && run->phase == RUN_PENDING;
	rank_unlock(&c->lock);
	if (!run)
		return;
	if (pending)
		stdio_lost(run->io);
	container_run_unref(run);
}

static void container_run_started(void *user, int guest_pid UNUSED)
{
	struct container_run *run = user;
	RANK_LOCK_SCOPE(state, &run->c->lock);

	if (run->phase == RUN_STARTING) {
		run->phase = RUN_STARTED;
		run->started = true;
		pthread_cond_broadcast(&run->c->changed);
	}
}

static void container_run_start_failed(void *user, int rpc_status, const char *text)
{
	struct container_run *run = user;
	RANK_LOCK_SCOPE(state, &run->c->lock);

	run->phase = RUN_FAILED;
	run->rpc_status = rpc_status;
	free(run->fail_text);
	run->fail_text = strdup(text ? text : "");
	pthread_cond_broadcast(&run->c->changed);
}

static void container_run_exited(void *user, const struct stdio_exit *exit)
{
	struct container_run *run = user;
	struct container *c = run->c;
	bool started;
	int r;

	rank_lock(&c->lock);
	/* while the daemon goes, nobody is left to do it: the next one hears it from the agent */
	started = run->started && run->phase != RUN_ENDED && !c->cs->stopping;
	if (started) {
		run->phase = RUN_ENDED;
		run->exit = *exit;
	} else if (run->phase == RUN_STARTING) {
		run->phase = RUN_FAILED;
		run->rpc_status = RPC_UNAVAILABLE;
		run->fail_text = strdup("the virtual machine ended before the process was started");
	}
	pthread_cond_broadcast(&c->changed);
	rank_unlock(&c->lock);
	if (!started)
		return;
	container_run_ref(run);
	r = workers_push(c->cs->workers, container_run_finish, run);
	if (r == 0)
		return;
	if (r != -ESHUTDOWN) /* the agent keeps it for the next daemon */
		log_error("container %.12s: no memory to record its exit", c->id);
	atomic_fetch_sub(&run->refs, 1); /* not the last: the container has one */
}

const struct stdio_ops container_run_ops = {
	.started = container_run_started,
	.start_failed = container_run_start_failed,
	.exited = container_run_exited,
};
