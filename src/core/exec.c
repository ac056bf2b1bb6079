/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - further processes in running containers: create, inspect, list, resize
 *
 * DOC: Theory of operation
 *
 *     CREATED -> STARTING -> RUNNING -> ENDED
 *                        \-> CREATED (the container was not there) or ENDED (it did not start)
 *
 * An exec is a row and an object. Starting one takes a hold on its container (container_live) and
 * makes a stdio; both belong to the exec until its end, which the loop thread records at once (so
 * that a client that saw the output end can ask for the exit code) and the reaper thread then
 * writes down, tells and puts away: the row first, then the agent may forget the process, so a
 * daemon killed between the two asks the agent again. Ended execs stay for EXEC_KEEP_NS, or as
 * long as their container.
 *
 * Threads: es->lock guards all that changes. Nothing of containers, the store or the events is
 * called with it.
 */
#include "core/exec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "core/core.h"
#include "core/exec_impl.h"
#include "core/stdio_keys.h"

/* One reference less; the last frees. Without es->lock. */
void exec_unref(struct exec *ex)
{
	struct execs *es = ex->es;
	bool last;

	pthread_mutex_lock(&es->lock);
	last = --ex->refs == 0;
	pthread_mutex_unlock(&es->lock);
	if (!last)
		return;
	assert(!ex->io && !ex->listed);
	json_decref(ex->config);
	free(ex->start_error);
	free(ex);
}

/* A boolean of the create body. */
bool exec_flag(const struct exec *ex, const char *key)
{
	return json_is_true(json_object_get(ex->config, key));
}

/* Make an object with one reference; NULL without memory (config is gone then, too). */
struct exec *exec_new(struct execs *es, const char *id, const char *container_id, json_t *config)
{
	struct exec *ex = calloc(1, sizeof(*ex));
	json_t *size = json_object_get(config, "ConsoleSize");

	if (!ex) {
		json_decref(config);
		return NULL;
	}
	ex->es = es;
	ex->refs = 1;
	(void)snprintf(ex->id, sizeof(ex->id), "%s", id);
	(void)snprintf(ex->container_id, sizeof(ex->container_id), "%s", container_id);
	ex->config = config;
	ex->tty = exec_flag(ex, "Tty");
	ex->rows = (unsigned int)json_integer_value(json_array_get(size, 0));
	ex->cols = (unsigned int)json_integer_value(json_array_get(size, 1));
	return ex;
}

/* Take an exec out of the table, with the table's reference; the caller unrefs it unlocked. */
void exec_forget_locked(struct exec *ex)
{
	assert(ex->listed);
	HASH_DEL(ex->es->table, ex);
	ex->listed = false;
}

/**
 * exec_find() - Look an exec up
 * @es:	 Execs
 * @id:	 Full id
 * @ret: A reference; set on success
 * @err: Filled on failure
 *
 * Return: 0, or the errno of ERR_NOT_FOUND
 */
int exec_find(struct execs *es, const char *id, struct exec **ret, struct err *err)
{
	struct exec *ex;

	pthread_mutex_lock(&es->lock);
	HASH_FIND_STR(es->table, id, ex);
	if (ex)
		ex->refs++;
	pthread_mutex_unlock(&es->lock);
	if (!ex)
		return err_user(err, ERR_NOT_FOUND, "No such exec instance: %s", id);
	*ret = ex;
	return 0;
}

/* The command as one text, for events; NULL without memory. */
char *exec_command(const struct exec *ex)
{
	_cleanup_buf_ struct buf text = {0};
	json_t *arg;
	size_t i;

	json_array_foreach (json_object_get(ex->config, "Cmd"), i, arg) {
		if (i > 1)
			buf_adds(&text, " ");
		buf_adds(&text, json_string_value(arg));
		if (i == 0)
			buf_adds(&text, " "); /* also where nothing follows, as dockerd */
	}
	return text.failed ? NULL : buf_steal(&text);
}

static int exec_check_strings(json_t *config, const char *key, struct err *err)
{
	json_t *value = json_object_get(config, key), *item;
	size_t i;

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_array(value))
		return err_user(err, ERR_INVALID,
				"invalid JSON: json: cannot unmarshal into Go struct field "
				"ExecOptions.%s of type []string",
				key);
	json_array_foreach (value, i, item) {
		if (!json_is_string(item))
			return err_user(err, ERR_INVALID,
					"invalid JSON: json: cannot unmarshal into Go struct field "
					"ExecOptions.%s of type string",
					key);
	}
	return 0;
}

static int exec_check_type(json_t *config, const char *key, bool string, struct err *err)
{
	json_t *value = json_object_get(config, key);

	if (!value || json_is_null(value) ||
	    (string ? json_is_string(value) : json_is_boolean(value)))
		return 0;
	return err_user(err, ERR_INVALID,
			"invalid JSON: json: cannot unmarshal into Go struct field ExecOptions.%s "
			"of type %s",
			key, string ? "string" : "bool");
}

static int exec_check_size(json_t *config, struct err *err)
{
	json_t *size = json_object_get(config, "ConsoleSize");

	if (!size || json_is_null(size))
		return 0;
	for (size_t i = 0; i < 2; i++) {
		json_t *n = json_array_get(size, i);

		if (json_array_size(size) != 2 || !json_is_integer(n) ||
		    json_integer_value(n) < 0 || json_integer_value(n) > UINT16_MAX)
			return err_user(err, ERR_INVALID, "invalid ConsoleSize");
	}
	return 0;
}

/* The create body; a string Cmd becomes an array. */
static int exec_check_config(json_t *config, struct err *err)
{
	static const char *const strings[] = {"User", "WorkingDir", "DetachKeys"};
	static const char *const bools[] = {"AttachStdin", "AttachStdout", "AttachStderr", "Tty",
					    "Privileged"};
	json_t *cmd = json_object_get(config, "Cmd");
	const char *keys = json_string_value(json_object_get(config, "DetachKeys"));
	struct stdio_keys parsed;
	int r = 0;

	if (json_is_string(cmd) && json_object_set_new(config, "Cmd", json_pack("[O]", cmd)) < 0)
		return err_oom(err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(strings); i++)
		r = exec_check_type(config, strings[i], true, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(bools); i++)
		r = exec_check_type(config, bools[i], false, err);
	if (r == 0)
		r = exec_check_strings(config, "Cmd", err);
	if (r == 0)
		r = exec_check_strings(config, "Env", err);
	if (r == 0)
		r = exec_check_size(config, err);
	if (r < 0)
		return r;
	if (json_array_size(json_object_get(config, "Cmd")) == 0)
		return err_user(err, ERR_INVALID, "No exec command specified");
	if (!str_empty(keys) && stdio_keys_parse(keys, &parsed) < 0)
		return err_user(err, ERR_INVALID, "Invalid escape keys (%s) provided", keys);
	return 0;
}

static void exec_publish_created(struct exec *ex)
{
	_cleanup_free_ char *command = exec_command(ex);
	_cleanup_free_ char *action = str_format("exec_create: %s", command ? command : "");

	if (action)
		container_publish(ex->es->core->containers, ex->container_id, action,
				  json_pack("{s:s}", "execID", ex->id));
}

/**
 * exec_create() - Prepare a process in a running container
 * @es:		   Execs
 * @container_ref: Container
 * @config:	   The create body, borrowed and normalised; NULL for none
 * @ret_id:	   The exec's id; set on success
 * @err:	   Filled on failure
 *
 * Return: 0, or the errno of ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT (not running, paused)
 */
int exec_create(struct execs *es, const char *container_ref, json_t *config,
		char ret_id[static ID_BUF], struct err *err)
{
	_cleanup_exec_ struct exec *ex = NULL;
	struct container_live live;
	char id[ID_BUF];
	int r;

	r = exec_check_config(config, err);
	if (r < 0)
		return r;
	r = container_live_get(es->core->containers, container_ref, &live, err);
	if (r < 0)
		return r;
	r = container_live_check_links(&live, err);
	if (r < 0) {
		container_live_put(&live);
		return r;
	}
	id_generate(id);
	ex = exec_new(es, id, live.id, json_deep_copy(config));
	container_live_put(&live);
	if (!ex)
		return err_oom(err);
	r = exec_row_insert(ex, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&es->lock);
	if (HASH_COUNT(es->table) >= EXEC_MAX) {
		r = -EBUSY;
	} else {
		HASH_ADD_STR(es->table, id, ex);
		ex->listed = true;
		ex->refs++;
	}
	pthread_mutex_unlock(&es->lock);
	if (r < 0) {
		(void)exec_row_delete(es, id); /* a restart sweeps it */
		return err_user(err, ERR_CONFLICT, "too many exec instances");
	}
	exec_publish_created(ex);
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

/**
 * exec_is_tty() - Whether an exec has a terminal
 * @es:	     Execs
 * @id:	     Exec
 * @ret_tty: Set on success
 * @err:     Filled on failure
 *
 * Return: 0, or the errno of ERR_NOT_FOUND
 */
int exec_is_tty(struct execs *es, const char *id, bool *ret_tty, struct err *err)
{
	_cleanup_exec_ struct exec *ex = NULL;
	int r = exec_find(es, id, &ex, err);

	if (r < 0)
		return r;
	*ret_tty = ex->tty;
	return 0;
}

/**
 * exec_resize() - Set the size of an exec's terminal
 * @es:	  Execs
 * @id:	  Exec; before its start the size is remembered
 * @rows: Lines
 * @cols: Columns
 * @err:  Filled on failure
 *
 * Return: 0, or negative errno
 */
int exec_resize(struct execs *es, const char *id, unsigned int rows, unsigned int cols,
		struct err *err)
{
	_cleanup_exec_ struct exec *ex = NULL;
	int r = exec_find(es, id, &ex, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&es->lock);
	ex->rows = rows;
	ex->cols = cols;
	if (ex->state == EXEC_ENDED)
		r = err_user(err, ERR_CONFLICT, "exec %s is not running", id);
	else if (ex->io) /* does not block, calls nobody */
		r = stdio_resize(ex->io, rows, cols, err);
	pthread_mutex_unlock(&es->lock);
	return r;
}

/* The key codes, as JSON carries Go's []byte. */
static json_t *exec_keys_json(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct stdio_keys keys = {.n = 0};
	_cleanup_buf_ struct buf out = {0};

	if (!str_empty(text))
		(void)stdio_keys_parse(text, &keys); /* was checked */
	buf_adds(&out, "");
	for (size_t i = 0; i < keys.n; i += 3) {
		size_t n = MIN(3, keys.n - i);
		unsigned int v = keys.keys[i] << 16;
		char four[4];

		if (n > 1)
			v |= (unsigned int)keys.keys[i + 1] << 8;
		if (n > 2)
			v |= keys.keys[i + 2];
		for (unsigned int k = 0; k < 4; k++)
			four[k] = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
		buf_add(&out, four, 4);
	}
	return json_string(out.data);
}

static json_t *exec_process_json(const struct exec *ex)
{
	json_t *cmd = json_object_get(ex->config, "Cmd");
	json_t *user = json_object_get(ex->config, "User");
	json_t *args = json_array();
	json_t *process = json_pack("{s:b, s:O, s:o, s:b}", "tty", ex->tty, "entrypoint",
				    json_array_get(cmd, 0), "arguments", args, "privileged",
				    exec_flag(ex, "Privileged"));

	for (size_t i = 1; i < json_array_size(cmd); i++)
		(void)json_array_append(args, json_array_get(cmd, i));
	if (!str_empty(json_string_value(user)))
		(void)json_object_set(process, "user", user);
	return process;
}

/**
 * exec_inspect() - Docker's description of an exec
 * @es:	 Execs
 * @id:	 Exec
 * @ret: A new object; set on success
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int exec_inspect(struct execs *es, const char *id, json_t **ret, struct err *err)
{
	_cleanup_exec_ struct exec *ex = NULL;
	json_t *code, *out;
	bool running;
	int pid;
	int r = exec_find(es, id, &ex, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&es->lock);
	running = ex->state == EXEC_RUNNING;
	code = ex->state == EXEC_ENDED ? json_integer(ex->exit_code) : json_null();
	pid = ex->pid;
	pthread_mutex_unlock(&es->lock);
	out = json_pack(
		"{s:s, s:b, s:o, s:o, s:b, s:b, s:b, s:b, s:s, s:o, s:i}", "ID", ex->id, "Running",
		running, "ExitCode", code, "ProcessConfig", exec_process_json(ex), "OpenStdin",
		exec_flag(ex, "AttachStdin"), "OpenStderr", exec_flag(ex, "AttachStderr"),
		"OpenStdout", exec_flag(ex, "AttachStdout"), "CanRemove", 0, "ContainerID",
		ex->container_id, "DetachKeys",
		exec_keys_json(json_string_value(json_object_get(ex->config, "DetachKeys"))), "Pid",
		pid);
	if (!out)
		return err_oom(err);
	*ret = out;
	return 0;
}

/**
 * exec_ids() - Execs of a container that run or may still be started
 * @es:		  Execs
 * @container_id: Full id
 *
 * Return: a new array, or null if there are none
 */
json_t *exec_ids(struct execs *es, const char *container_id)
{
	json_t *ids = NULL;
	struct exec *ex, *tmp;

	pthread_mutex_lock(&es->lock);
	HASH_ITER (hh, es->table, ex, tmp) {
		if (ex->state == EXEC_ENDED || !str_eq(ex->container_id, container_id))
			continue;
		if (!ids)
			ids = json_array();
		(void)json_array_append_new(ids, json_string(ex->id));
	}
	pthread_mutex_unlock(&es->lock);
	return ids ? ids : json_null();
}

/**
 * exec_container_gone() - A container stopped, or was removed
 * @es:		  Execs
 * @container_id: Full id
 * @removed:	  Its execs are forgotten
 *
 * What still ran in it ends with 137. Any thread, and under the container's lock.
 */
void exec_container_gone(struct execs *es, const char *container_id, bool removed)
{
	struct exec *ex, *tmp;

	pthread_mutex_lock(&es->lock);
	HASH_ITER (hh, es->table, ex, tmp) {
		if (!str_eq(ex->container_id, container_id))
			continue;
		if (ex->io && ex->state != EXEC_ENDED)
			stdio_lost(ex->io);
		ex->removed |= removed;
		if (removed || ex->orphan)
			exec_reap_locked(ex);
	}
	pthread_mutex_unlock(&es->lock);
}

static void execs_drop(struct execs *es)
{
	struct exec *ex, *tmp;

	HASH_ITER (hh, es->table, ex, tmp) {
		pthread_mutex_lock(&es->lock);
		exec_forget_locked(ex);
		pthread_mutex_unlock(&es->lock);
		if (ex->io) {
			stdio_free(TAKE_PTR(ex->io));
			container_live_put(&ex->live);
		}
		exec_unref(ex);
	}
}
DEFINE_CLEANUP(struct execs *, execs_free)

/**
 * execs_new() - Load the execs, and go on with those that run
 * @core: Containers, store and events are there
 * @ret:  The execs, for execs_free(); set on success
 * @err:  Filled on failure
 *
 * Return: 0, or negative errno
 */
int execs_new(struct core *core, struct execs **ret, struct err *err)
{
	_cleanup_(execs_freep) struct execs *es = calloc(1, sizeof(*es));
	int r;

	if (!es)
		return err_oom(err);
	es->core = core;
	pthread_mutex_init(&es->lock, NULL);
	pthread_cond_init(&es->changed, NULL);
	r = exec_rows_load(es, err);
	if (r == 0)
		r = exec_reaper_start(es, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(es);
	return 0;
}

/**
 * execs_free() - Let go of the execs; their processes go on
 * @es: Execs or NULL; no request is left
 */
void execs_free(struct execs *es)
{
	if (!es)
		return;
	exec_reaper_stop(es);
	execs_drop(es);
	pthread_cond_destroy(&es->changed);
	pthread_mutex_destroy(&es->lock);
	free(es);
}
