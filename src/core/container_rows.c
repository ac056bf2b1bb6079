/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_rows.c - containers in SQLite: one row each, JSON in columns
 *
 * A row is inserted when everything else of the container is on disk, and deleted when nothing is
 * any more. Every change of state is one statement, so one transaction. The caller holds the verb
 * lock (or the only reference); values are copied under the state lock, SQL runs outside it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "store/store.h"

static int container_row_insert_one(struct container *c, struct err *err)
{
	_cleanup_free_ char *config = jx_text(c->config);
	_cleanup_free_ char *host_config = jx_text(c->host_config);
	int r;

	if (!config || !host_config)
		return err_oom(err);
	r = store_exec(c->cs->core->store,
		       "INSERT INTO containers (id, name, created_ns, image_id, image_bytes,"
		       " platform, rootfs, config, host_config, networking, state)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '{}', ?)",
		       NULL, NULL, "ssisisssss", c->id, c->name, c->created_ns, c->image_id,
		       (int64_t)c->image_bytes, c->platform, c->rootfs, config, host_config,
		       container_state_name(c->state));
	return r < 0 ? err_sys(err, r, "cannot record container %.12s", c->id) : 0;
}

/**
 * container_row_insert() - The container exists from now on, with its endpoints
 * @c:	       Complete container
 * @endpoints: From network_settings_plan()
 * @err:       Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_row_insert(struct container *c, const json_t *endpoints, struct err *err)
{
	struct store *store = c->cs->core->store;
	int r = store_begin(store);

	if (r < 0)
		return err_sys(err, r, "cannot record container %.12s", c->id);
	r = container_row_insert_one(c, err);
	if (r == 0)
		r = network_endpoints_insert(c->cs->core->networks, c->id, endpoints, err);
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	r = store_commit(store);
	return r < 0 ? err_sys(err, r, "cannot record container %.12s", c->id) : 0;
}

/**
 * container_row_save() - Write state, exit and counters
 * @c: Container
 *
 * A failure is logged here: the state has happened, whether or not it could be written.
 *
 * Return: 0 or a negative errno
 */
int container_row_save(struct container *c)
{
	_cleanup_free_ char *error = NULL, *rootfs = NULL, *ports = NULL;
	const char *state;
	int64_t started_ns, finished_ns;
	int vm, joined, code, oom, restarts, by_user, r;
	char vm_id[ID_BUF];

	rank_lock(&c->lock);
	state = container_state_name(c->state);
	vm = (int)c->vm;
	joined = c->vm_joined;
	memcpy(vm_id, c->vm_id, sizeof(vm_id));
	code = c->exit_code;
	oom = c->oom_killed;
	restarts = (int)c->restart_count;
	by_user = c->stopped_by_user;
	started_ns = c->started_ns;
	finished_ns = c->finished_ns;
	error = strdup(c->error ? c->error : "");
	rootfs = strdup(c->rootfs);
	ports = c->chosen_ports ? jx_text(c->chosen_ports) : strdup("{}");
	rank_unlock(&c->lock);
	if (!error || !rootfs || !ports)
		r = -ENOMEM;
	else
		r = store_exec(c->cs->core->store,
			       "UPDATE containers SET state = ?, vm = ?, vm_id = ?,"
			       " vm_joined = ?, exit_code = ?,"
			       " oom_killed = ?, error = ?, started_ns = ?, finished_ns = ?,"
			       " restart_count = ?, stopped_by_user = ?, rootfs = ?,"
			       " chosen_ports = ? WHERE id = ?",
			       NULL, NULL, "sisiiisiiiisss", state, (int64_t)vm, vm_id,
			       (int64_t)joined, (int64_t)code, (int64_t)oom, error, started_ns,
			       finished_ns, (int64_t)restarts, (int64_t)by_user, rootfs, ports,
			       c->id);
	if (r < 0)
		log_error("container %.12s: cannot record state %s: %s", c->id, state,
			  strerror(-r));
	return r;
}

/**
 * container_row_save_config() - Write the host config after an update
 * @c:	 Container
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_row_save_config(struct container *c, struct err *err)
{
	_cleanup_json_ json_t *host_config = container_host_config(c);
	_cleanup_free_ char *text = jx_text(host_config);
	int r;

	if (!text)
		return err_oom(err);
	r = store_exec(c->cs->core->store, "UPDATE containers SET host_config = ? WHERE id = ?",
		       NULL, NULL, "ss", text, c->id);
	return r < 0 ? err_sys(err, r, "cannot record the update of %.12s", c->id) : 0;
}

/**
 * container_row_save_name() - Write the name
 * @c:	 Container
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_row_save_name(struct container *c, struct err *err)
{
	int r = store_exec(c->cs->core->store, "UPDATE containers SET name = ? WHERE id = ?", NULL,
			   NULL, "ss", c->name, c->id);

	return r < 0 ? err_sys(err, r, "cannot record the new name of %.12s", c->id) : 0;
}

/**
 * container_row_delete() - The container is no more
 * @c:	 Container
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_row_delete(struct container *c, struct err *err)
{
	int r = store_exec(c->cs->core->store, "DELETE FROM containers WHERE id = ?", NULL, NULL,
			   "s", c->id);

	return r < 0 ? err_sys(err, r, "cannot remove the record of %.12s", c->id) : 0;
}

enum container_column {
	COL_ID,
	COL_NAME,
	COL_CREATED,
	COL_IMAGE,
	COL_IMAGE_BYTES,
	COL_PLATFORM,
	COL_ROOTFS,
	COL_CONFIG,
	COL_HOST_CONFIG,
	COL_STATE,
	COL_VM,
	COL_EXIT_CODE,
	COL_OOM_KILLED,
	COL_ERROR,
	COL_STARTED,
	COL_FINISHED,
	COL_RESTARTS,
	COL_BY_USER,
	COL_VM_ID,
	COL_VM_JOINED,
	COL_CHOSEN_PORTS,
};

static const char container_row_select[] =
	"SELECT id, name, created_ns, image_id, image_bytes, platform, rootfs, config, host_config,"
	" state, vm, exit_code, oom_killed, error, started_ns, finished_ns,"
	" restart_count, stopped_by_user, vm_id, vm_joined, chosen_ports FROM containers";

static char *container_row_dup(struct store_row *row, int column)
{
	const char *text = store_row_text(row, column);

	return strdup(text ? text : "");
}

static int container_row_fill(struct container *c, struct store_row *row)
{
	const char *error = store_row_text(row, COL_ERROR);
	const char *vm_id = store_row_text(row, COL_VM_ID);

	c->created_ns = store_row_int(row, COL_CREATED);
	c->image_id = container_row_dup(row, COL_IMAGE);
	c->image_bytes = (uint64_t)store_row_int(row, COL_IMAGE_BYTES);
	c->platform = container_row_dup(row, COL_PLATFORM);
	c->rootfs = container_row_dup(row, COL_ROOTFS);
	c->config = jx_parse(store_row_text(row, COL_CONFIG));
	c->host_config = jx_parse(store_row_text(row, COL_HOST_CONFIG));
	c->vm = (enum container_vm)store_row_int(row, COL_VM);
	c->vm_joined = store_row_int(row, COL_VM_JOINED) != 0;
	(void)snprintf(c->vm_id, sizeof(c->vm_id), "%s",
		       str_empty(vm_id) ? c->id : vm_id); /* ids fit */
	c->exit_code = (int)store_row_int(row, COL_EXIT_CODE);
	c->oom_killed = store_row_int(row, COL_OOM_KILLED) != 0;
	c->error = str_empty(error) ? NULL : strdup(error);
	c->started_ns = store_row_int(row, COL_STARTED);
	c->finished_ns = store_row_int(row, COL_FINISHED);
	c->restart_count = (unsigned int)store_row_int(row, COL_RESTARTS);
	c->stopped_by_user = store_row_int(row, COL_BY_USER) != 0;
	if (c->vm != CONTAINER_VM_NONE)
		c->chosen_ports = jx_parse(store_row_text(row, COL_CHOSEN_PORTS));
	if (!c->image_id || !c->platform || !c->rootfs)
		return -ENOMEM;
	if (!json_is_object(c->config) || !json_is_object(c->host_config))
		return -EBADMSG;
	return container_state_parse(store_row_text(row, COL_STATE), &c->state);
}

static int container_row_load(void *user, struct store_row *row)
{
	struct containers *cs = user;
	_cleanup_container_ struct container *c = NULL;
	struct err err = {0};
	int r;

	c = container_new(cs, store_row_text(row, COL_ID));
	if (!c)
		return -ENOMEM;
	r = container_row_fill(c, row);
	if (r == 0)
		r = containers_reserve(cs, c, store_row_text(row, COL_NAME), &err);
	if (r == -ENOMEM)
		return r;
	if (r < 0) { /* one bad row must not take the others down */
		log_error("container %.12s: its record cannot be read, left alone: %s", c->id,
			  strerror(-r));
		return 0;
	}
	container_ports_loaded(c);
	containers_publish(cs, c);
	return 0;
}

/**
 * container_rows_load() - Fill the table from the database
 * @cs:	 Empty manager
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_rows_load(struct containers *cs, struct err *err)
{
	int r = store_exec(cs->core->store, container_row_select, container_row_load, cs, "");

	return r < 0 ? err_sys(err, r, "cannot read the containers") : 0;
}
