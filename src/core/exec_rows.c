/* SPDX-License-Identifier: Apache-2.0 */
/* exec_rows.c - the execs table (store/migrations.c); all SQL of execs is here */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/core.h"
#include "core/exec_impl.h"
#include "store/store.h"

/**
 * exec_row_insert() - Keep a new exec
 * @ex:	 Exec
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int exec_row_insert(struct exec *ex, struct err *err)
{
	_cleanup_free_ char *config = json_dumps(ex->config, JSON_COMPACT);
	int r;

	if (!config)
		return err_oom(err);
	r = store_exec(ex->es->core->store,
		       "INSERT INTO execs (id, container_id, config, state, exit_code, pid, "
		       "ended_ns) VALUES (?, ?, ?, ?, 0, 0, 0)",
		       NULL, NULL, "sssi", ex->id, ex->container_id, config, (int64_t)EXEC_CREATED);
	if (r < 0)
		return err_sys(err, r, "cannot keep the exec");
	return 0;
}

/**
 * exec_row_save() - Keep how far an exec has come
 * @es:	       Execs
 * @id:	       Its id
 * @state:     State
 * @exit_code: Once it ended
 * @pid:       In the guest
 * @ended_ns:  Once it ended
 *
 * Return: 0, or negative errno
 */
int exec_row_save(struct execs *es, const char *id, enum exec_state state, int exit_code, int pid,
		  int64_t ended_ns)
{
	return store_exec(es->core->store,
			  "UPDATE execs SET state = ?, exit_code = ?, pid = ?, ended_ns = ? "
			  "WHERE id = ?",
			  NULL, NULL, "iiiis", (int64_t)state, (int64_t)exit_code, (int64_t)pid,
			  ended_ns, id);
}

/**
 * exec_row_delete() - Forget an exec
 * @es: Execs
 * @id: Its id
 *
 * Return: 0, or negative errno
 */
int exec_row_delete(struct execs *es, const char *id)
{
	return store_exec(es->core->store, "DELETE FROM execs WHERE id = ?", NULL, NULL, "s", id);
}

static int exec_row_load(void *user, struct store_row *row)
{
	const char *id = store_row_text(row, 0), *container_id = store_row_text(row, 1);
	const char *text = store_row_text(row, 2);
	json_t *config = text ? json_loads(text, 0, NULL) : NULL;
	struct execs *es = user;
	struct exec *ex;

	if (!id || !container_id || !json_is_object(config) || strlen(id) != ID_LEN ||
	    strlen(container_id) != ID_LEN) {
		json_decref(config);
		return 0; /* not written by us */
	}
	ex = exec_new(es, id, container_id, config);
	if (!ex)
		return -ENOMEM;
	ex->state = (enum exec_state)store_row_int(row, 3);
	ex->exit_code = (int)store_row_int(row, 4);
	ex->pid = (int)store_row_int(row, 5);
	ex->ended_ns = store_row_int(row, 6);
	ex->orphan = ex->state == EXEC_STARTING || ex->state == EXEC_RUNNING;
	ex->listed = true;
	HASH_ADD_STR(es->table, id, ex);
	return 0;
}

/**
 * exec_rows_load() - Load all execs into an empty table
 * @es:	 Execs
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int exec_rows_load(struct execs *es, struct err *err)
{
	int r = store_exec(es->core->store,
			   "SELECT id, container_id, config, state, exit_code, pid, ended_ns "
			   "FROM execs",
			   exec_row_load, es, "");

	if (r < 0)
		return err_sys(err, r, "cannot load the execs");
	return 0;
}
