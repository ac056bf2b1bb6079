/* SPDX-License-Identifier: Apache-2.0 */
/* exec_start.c - starting an exec, following its run, and taking over one that was started before
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

#define EXEC_CODE_NOT_FOUND 127 /* as a shell has it */
#define EXEC_CODE_CANNOT 126
/* Where dockerd refuses to create the exec (it reads passwd files itself), the CLI ends with 1. */
#define EXEC_CODE_REFUSED 1

static void exec_on_started(void *user, int pid)
{
	struct exec *ex = user;

	pthread_mutex_lock(&ex->es->lock);
	ex->state = EXEC_RUNNING;
	ex->pid = pid;
	pthread_cond_broadcast(&ex->es->changed);
	pthread_mutex_unlock(&ex->es->lock);
}

static void exec_on_start_failed(void *user, int status, const char *text)
{
	struct exec *ex = user;

	pthread_mutex_lock(&ex->es->lock);
	ex->state = EXEC_ENDED;
	ex->start_failed = true;
	ex->start_error = strdup(text);
	ex->exit_code = status == RPC_NOT_FOUND		 ? EXEC_CODE_NOT_FOUND
			: status == RPC_INVALID_ARGUMENT ? EXEC_CODE_REFUSED
							 : EXEC_CODE_CANNOT;
	ex->ended_ns = clock_realtime_ns();
	exec_reap_locked(ex);
	pthread_mutex_unlock(&ex->es->lock);
}

static void exec_on_exited(void *user, const struct stdio_exit *exit)
{
	struct exec *ex = user;

	pthread_mutex_lock(&ex->es->lock);
	ex->state = EXEC_ENDED;
	ex->exit_code = exit->code;
	ex->ended_ns = clock_realtime_ns();
	exec_reap_locked(ex);
	pthread_mutex_unlock(&ex->es->lock);
}

const struct stdio_ops exec_stdio_ops = {
	.started = exec_on_started,
	.start_failed = exec_on_start_failed,
	.exited = exec_on_exited,
};

/* CREATED -> STARTING, for one caller. */
static int exec_claim(struct exec *ex, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&ex->es->lock);
	if (ex->state == EXEC_ENDED)
		r = err_user(err, ERR_CONFLICT, "Error: Exec command %s has already run", ex->id);
	else if (ex->state != EXEC_CREATED)
		r = err_user(err, ERR_CONFLICT, "Error: Exec command %s is already running",
			     ex->id);
	else
		ex->state = EXEC_STARTING;
	pthread_mutex_unlock(&ex->es->lock);
	return r;
}

/* A start that never reached the agent leaves the exec as it was. */
static void exec_unclaim(struct exec *ex)
{
	struct stdio *io;

	pthread_mutex_lock(&ex->es->lock);
	io = ex->io;
	ex->io = NULL;
	ex->state = EXEC_CREATED;
	if (ex->removed)
		exec_reap_locked(ex);
	pthread_mutex_unlock(&ex->es->lock);
	if (!io)
		return;
	stdio_free(io);
	container_live_put(&ex->live);
}

/* Take the hold on the container and make the streams. */
static int exec_make_io(struct exec *ex, struct err *err)
{
	struct stdio_spec spec = {
		.id = ex->id,
		.tty = ex->tty,
		.open_stdin = exec_flag(ex, "AttachStdin"),
		.stdin_once = true,
	};
	struct core *core = ex->es->core;
	struct container_live live;
	struct stdio *io;
	int r;

	r = container_live_get(core->containers, ex->container_id, &live, err);
	if (r < 0)
		return r;
	r = stdio_new(core->loop, &spec, &exec_stdio_ops, ex, &io);
	if (r < 0) {
		container_live_put(&live);
		return err_oom(err);
	}
	pthread_mutex_lock(&ex->es->lock);
	ex->live = live;
	ex->io = io;
	pthread_mutex_unlock(&ex->es->lock);
	return 0;
}

/* Replace *list of *n strings, malloc'ed as protobuf-c has them. */
static int exec_set_args(Arca__V1__ProcessSpec *spec, const json_t *cmd)
{
	size_t n = json_array_size(cmd), i;
	char **args = calloc(n + 1, sizeof(*args));

	if (!args)
		return -ENOMEM;
	for (i = 0; i < spec->n_args; i++)
		free(spec->args[i]);
	free(spec->args);
	spec->args = args;
	spec->n_args = 0;
	for (i = 0; i < n; i++) {
		args[i] = strdup(json_string_value(json_array_get(cmd, i)));
		if (!args[i])
			return -ENOMEM;
		spec->n_args++;
	}
	return 0;
}

/* Set one "K=V"; a "K" alone takes it out. */
static int exec_set_env(Arca__V1__ProcessSpec *spec, const char *entry)
{
	size_t key = strcspn(entry, "="), i;
	char **env, *copy = strdup(entry);

	if (!copy)
		return -ENOMEM;
	for (i = 0; i < spec->n_env; i++) {
		if (strncmp(spec->env[i], entry, key) == 0 && spec->env[i][key] == '=')
			break;
	}
	if (!entry[key]) {
		free(copy);
		if (i < spec->n_env) {
			free(spec->env[i]);
			spec->env[i] = spec->env[--spec->n_env];
		}
		return 0;
	}
	if (i < spec->n_env) {
		free(spec->env[i]);
		spec->env[i] = copy;
		return 0;
	}
	env = reallocarray(spec->env, spec->n_env + 1, sizeof(*env));
	if (!env) {
		free(copy);
		return -ENOMEM;
	}
	spec->env = env;
	env[spec->n_env++] = copy;
	return 0;
}

static bool exec_has_env(const Arca__V1__ProcessSpec *spec, const char *prefix)
{
	for (size_t i = 0; i < spec->n_env; i++) {
		if (str_starts(spec->env[i], prefix))
			return true;
	}
	return false;
}

static int exec_set_text(char **field, const json_t *value)
{
	const char *text = json_string_value(value);
	char *copy;

	if (str_empty(text))
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = copy;
	return 0;
}

static void exec_spec_free(Arca__V1__ProcessSpec **spec)
{
	if (*spec)
		arca__v1__process_spec__free_unpacked(*spec, NULL);
}

/* The container's rules with the exec's own wishes. */
static int exec_make_spec(struct exec *ex, unsigned int rows, unsigned int cols,
			  Arca__V1__ProcessSpec **ret, struct err *err)
{
	__attribute__((cleanup(exec_spec_free))) Arca__V1__ProcessSpec *spec = NULL;
	json_t *entry;
	size_t i;
	int r;

	r = container_process_spec(&ex->live, exec_flag(ex, "Privileged"), &spec, err);
	if (r < 0)
		return r;
	r = exec_set_args(spec, json_object_get(ex->config, "Cmd"));
	json_array_foreach (json_object_get(ex->config, "Env"), i, entry) {
		if (r == 0)
			r = exec_set_env(spec, json_string_value(entry));
	}
	if (r == 0 && ex->tty && !exec_has_env(spec, "TERM="))
		r = exec_set_env(spec, "TERM=xterm");
	if (r == 0)
		r = exec_set_text(&spec->user, json_object_get(ex->config, "User"));
	if (r == 0)
		r = exec_set_text(&spec->cwd, json_object_get(ex->config, "WorkingDir"));
	if (r < 0)
		return err_oom(err);
	spec->tty = ex->tty;
	spec->open_stdin = exec_flag(ex, "AttachStdin");
	spec->rows = rows;
	spec->cols = cols;
	*ret = TAKE_PTR(spec);
	return 0;
}

static void exec_publish(struct exec *ex, const char *action, bool with_command)
{
	_cleanup_free_ char *command = with_command ? exec_command(ex) : NULL;
	_cleanup_free_ char *text =
		with_command ? str_format("%s: %s", action, command ? command : "") : NULL;

	container_publish(ex->es->core->containers, ex->container_id, text ? text : action,
			  json_pack("{s:s}", "execID", ex->id));
}

/* Send the start to the agent; io is there. */
static int exec_launch(struct exec *ex, Arca__V1__ProcessSpec *spec, struct err *err)
{
	Arca__V1__StartRequest start = ARCA__V1__START_REQUEST__INIT;
	int r;

	r = exec_row_save(ex->es, ex->id, EXEC_STARTING, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "cannot keep the start of the exec");
	exec_publish(ex, "exec_start", true);
	start.id = ex->id;
	start.container_id = ex->container_id;
	start.process = spec;
	r = stdio_start(ex->io, ex->live.rpc, &start, err);
	if (r < 0)
		(void)exec_row_save(ex->es, ex->id, EXEC_CREATED, 0, 0, 0);
	return r;
}

/* What attach->ready needs. */
struct exec_attach {
	struct stdio_attach attach;	   /* the caller's, with what the exec allows */
	const struct stdio_attach *caller; /* borrowed */
	struct exec *ex;
	Arca__V1__ProcessSpec *spec; /* borrowed */
	struct err *err;
	int r;
	bool launched;
};

/* The client is registered: hijack its connection, then start. */
static void exec_attach_ready(void *user)
{
	struct exec_attach *at = user;

	if (at->caller->ready)
		at->caller->ready(at->caller->user);
	at->attach.fd = at->caller->fd;
	if (at->attach.fd < 0)
		return;
	at->r = exec_launch(at->ex, at->spec, at->err);
	at->launched = at->r == 0;
	if (!at->launched)
		stdio_lost(at->ex->io); /* lets the attachment end */
}

static int exec_run_attached(struct exec *ex, const struct stdio_attach *attach,
			     Arca__V1__ProcessSpec *spec, bool *ret_launched, struct err *err)
{
	const char *keys = json_string_value(json_object_get(ex->config, "DetachKeys"));
	struct exec_attach at = {
		.attach = *attach, .caller = attach, .ex = ex, .spec = spec, .err = err};
	int r;

	at.attach.in = attach->in && exec_flag(ex, "AttachStdin");
	at.attach.out = attach->out && exec_flag(ex, "AttachStdout");
	at.attach.err = attach->err && exec_flag(ex, "AttachStderr");
	at.attach.stream = true;
	at.attach.replay_log = false;
	if (!str_empty(keys))
		at.attach.detach_keys = keys;
	at.attach.ready = exec_attach_ready;
	at.attach.user = &at;
	r = stdio_attach(ex->io, &at.attach, err);
	*ret_launched = at.launched;
	if (at.r < 0)
		return at.r;
	if (r == STDIO_E_DETACHED)
		exec_publish(ex, "exec_detach", false);
	return MIN(r, 0);
}

static int exec_run_detached(struct exec *ex, Arca__V1__ProcessSpec *spec, bool *ret_launched,
			     struct err *err)
{
	struct execs *es = ex->es;
	struct timespec until;
	int r;

	r = exec_launch(ex, spec, err);
	if (r < 0)
		return r;
	*ret_launched = true;
	(void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail for this clock */
	until.tv_sec += EXEC_START_WAIT_S;
	pthread_mutex_lock(&es->lock);
	while (ex->state == EXEC_STARTING && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&es->changed, &es->lock, &until);
	r = ex->state == EXEC_STARTING ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&es->lock);
	return r < 0 ? err_sys(err, r, "no answer to the start of exec %.12s", ex->id) : 0;
}

/* Docker's words for a start that the agent refused. */
static int exec_start_error(struct exec *ex, struct err *err)
{
	const char *text = ex->start_error ? ex->start_error : "unknown";

	if (str_starts(text, "unable to find "))
		return err_user(err, ERR_CANNOT_RUN, "%s", text);
	return err_user(err, ERR_CANNOT_RUN,
			"OCI runtime exec failed: exec failed: unable to start container process: "
			"%s",
			text);
}

static int exec_run(struct exec *ex, bool detach, const struct stdio_attach *attach,
		    unsigned int rows, unsigned int cols, bool *ret_launched, struct err *err)
{
	__attribute__((cleanup(exec_spec_free))) Arca__V1__ProcessSpec *spec = NULL;
	bool failed;
	int r;

	r = exec_make_io(ex, err);
	if (r < 0)
		return r;
	r = exec_make_spec(ex, rows, cols, &spec, err);
	if (r < 0)
		return r;
	r = detach ? exec_run_detached(ex, spec, ret_launched, err)
		   : exec_run_attached(ex, attach, spec, ret_launched, err);
	pthread_mutex_lock(&ex->es->lock);
	failed = ex->start_failed;
	pthread_mutex_unlock(&ex->es->lock);
	return failed ? exec_start_error(ex, err) : r;
}

/**
 * exec_start() - Start an exec
 * @es:	    Execs
 * @id:	    Exec in state CREATED
 * @detach: Return once it runs
 * @attach: Else the client to serve until it ended; its `ready` runs before the start. in, out and
 *	    err are narrowed to what the exec was created with. Ignored when detached
 * @rows:   Terminal's lines, 0: as created or resized before
 * @cols:   Terminal's columns
 * @err:    Filled on failure
 *
 * Return: 0 (it ended, the client left or detached), or negative errno: of ERR_NOT_FOUND,
 * ERR_CONFLICT before `ready` ran; of ERR_CANNOT_RUN after it
 */
int exec_start(struct execs *es, const char *id, bool detach, struct stdio_attach *attach,
	       unsigned int rows, unsigned int cols, struct err *err)
{
	_cleanup_exec_ struct exec *ex = NULL;
	bool launched = false;
	int r;

	r = exec_find(es, id, &ex, err);
	if (r < 0)
		return r;
	r = exec_claim(ex, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&es->lock);
	if (rows && cols) {
		ex->rows = rows;
		ex->cols = cols;
	}
	rows = ex->rows;
	cols = ex->cols;
	pthread_mutex_unlock(&es->lock);
	r = exec_run(ex, detach, attach, rows, cols, &launched, err);
	if (!launched)
		exec_unclaim(ex);
	return r;
}

/**
 * exec_resume() - Go on with an exec that an earlier daemon started
 * @ex: Exec
 *
 * Return: 0, -EAGAIN while its container is paused or being adopted, or another negative errno if
 * it is gone
 */
int exec_resume(struct exec *ex)
{
	struct err err = {0};
	struct stdio *io;
	int r;

	if (container_live_is_adopting(ex->es->core->containers, ex->container_id))
		return -EAGAIN; /* the reaper has others to tend */
	r = exec_make_io(ex, &err);
	if (r < 0)
		return strstr(err.msg, "is paused") ? -EAGAIN : -ENOENT;
	r = stdio_resume(ex->io, ex->live.rpc, &err);
	if (r == 0)
		return 0;
	log_warn("exec %.12s: %s", ex->id, err.msg);
	pthread_mutex_lock(&ex->es->lock);
	io = ex->io;
	ex->io = NULL;
	pthread_mutex_unlock(&ex->es->lock);
	stdio_free(io);
	container_live_put(&ex->live);
	return -ENOENT;
}
