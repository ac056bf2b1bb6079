/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_recover.c - what a daemon that starts finds: rows, directories, VMs
 *
 * DOC: Theory of operation
 *
 * For every row whose VM may live (vm is not NONE) the VM is looked for:
 *
 *	row	    VM found, knows the process	  VM found, does not	VM gone
 *	RUN	    take it up: streams resume;	  it never started:	exit 137 if it was up,
 *		    an exit that was missed is	  stop the VM		else nothing happened
 *		    told like any other
 *	TEARDOWN    the exit is recorded: stop	  stop			nothing to do
 *
 * Then: removals that were cut short go on, directories without a row and VMs without a container
 * go, and restart policies get their say. All before the first request is served.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "store/store.h"
#include "vm/vm.h"

static const Arca__V1__ProcessState *recover_find(const Arca__V1__HelloResponse *hello,
						  const char *id)
{
	for (size_t i = 0; i < hello->n_processes; i++) {
		if (str_eq(hello->processes[i]->id, id))
			return hello->processes[i];
	}
	return NULL;
}

static void recover_save_no_vm(struct container *c)
{
	rank_lock(&c->lock);
	c->vm = CONTAINER_VM_NONE;
	rank_unlock(&c->lock);
	(void)container_row_save(c); /* it said so */
}

/* The VM went while no daemon watched. */
static void recover_lost(struct container *c)
{
	struct stdio_exit exit = {.code = 137, .at_ns = clock_realtime_ns(), .lost = true};

	if (container_state_is_up(c->state) && c->state != CONTAINER_RESTARTING) {
		log_warn("container %.12s: its virtual machine is gone", c->id);
		/* nobody knows more than the row: nothing is lost if it cannot be written */
		(void)container_record_exit(c, &exit, "the container's virtual machine ended");
	}
	recover_save_no_vm(c);
}

/* Take a process up again: what is left of its output and its exit come by themselves. */
static int recover_resume(struct container *c, struct container_run *run, struct err *err)
{
	int r;

	rank_lock(&c->lock);
	if (c->state != CONTAINER_RUNNING && c->state != CONTAINER_PAUSED) {
		container_move(c, CONTAINER_RUNNING); /* killed between start and row */
		c->started_ns = clock_realtime_ns();
		c->finished_ns = 0;
	}
	c->pid = sandbox_pid(run->sb);
	run->phase = RUN_STARTED;
	run->started = true;
	rank_unlock(&c->lock);
	r = stdio_resume(run->io, sandbox_rpc(run->sb), err);
	if (r == 0)
		(void)container_row_save(c); /* it said so */
	return r;
}

static void recover_found(struct container *c, struct container_run *run,
			  const Arca__V1__HelloResponse *hello)
{
	struct err err = {0};

	if (c->vm == CONTAINER_VM_RUN && recover_find(hello, c->id)) {
		if (recover_resume(c, run, &err) == 0) {
			log_info("container %.12s: taken up again", c->id);
			return;
		}
		log_error("container %.12s: cannot be taken up: %s", c->id, err.msg);
	}
	rank_lock(&c->lock);
	run->phase = RUN_FAILED;
	run->started = false;
	rank_unlock(&c->lock);
	sandbox_stop(run->sb, CONTAINER_VM_STOP_MS);
	container_run_drop(c);
	recover_lost(c);
}

static void recover_vm(struct container *c)
{
	_cleanup_run_ struct container_run *run = NULL;
	Arca__V1__HelloResponse *hello = NULL;
	struct err err = {0};
	int r;

	rank_lock(&c->lock);
	r = container_run_get(c, &run, &err);
	rank_unlock(&c->lock);
	if (r == 0)
		r = sandbox_adopt(c->cs->core->vmm, c->id, container_run_gone, run, &run->sb,
				  &hello, &err);
	if (r < 0) {
		if (r != -ENOENT)
			log_error("container %.12s: cannot reach its virtual machine: %s", c->id,
				  err.msg);
		container_run_drop(c);
		recover_lost(c);
		return;
	}
	recover_found(c, run, hello);
	arca__v1__hello_response__free_unpacked(hello, NULL);
}

static void recover_policy(struct container *c)
{
	bool restart;

	rank_lock(&c->lock);
	restart = c->state == CONTAINER_RESTARTING ||
		  (c->state == CONTAINER_EXITED && container_should_restart(c, true));
	if (restart && c->state == CONTAINER_EXITED)
		container_move(c, CONTAINER_RESTARTING);
	rank_unlock(&c->lock);
	if (restart)
		container_schedule_restart(c);
}

static void recover_one(struct container *c)
{
	struct err err = {0};
	bool auto_remove;

	RANK_LOCK_SCOPE(verb, &c->verb);
	if (c->vm != CONTAINER_VM_NONE)
		recover_vm(c);
	else if (c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED)
		recover_lost(c);
	auto_remove = c->state == CONTAINER_EXITED && jx_bool(c->host_config, "AutoRemove");
	if (auto_remove || c->state == CONTAINER_REMOVING) {
		if (container_remove_held(c, &err) < 0)
			log_error("container %.12s: cannot be removed: %s", c->id, err.msg);
		return;
	}
	recover_policy(c);
}

static bool recover_keep_vm(void *user, const char *id)
{
	struct containers *cs = user;
	_cleanup_container_ struct container *c = NULL;
	struct err err = {0};

	return containers_find(cs, id, &c, &err) == 0 && c->vm != CONTAINER_VM_NONE;
}

static int recover_count_row(void *user, struct store_row *row UNUSED)
{
	*(bool *)user = true;
	return 0;
}

/* Also a row that could not be read: what it names is somebody's data. */
static bool recover_has_row(struct containers *cs, const char *id)
{
	bool found = false;

	return store_exec(cs->core->store, "SELECT 1 FROM containers WHERE id = ?",
			  recover_count_row, &found, "s", id) < 0 ||
	       found;
}

/* A create that was cut short left a directory and no row. */
static void recover_sweep_directories(struct containers *cs)
{
	_cleanup_free_ char *root = str_format("%s/containers", cs->core->config.data_root);
	_cleanup_closedir_ DIR *dir = root ? opendir(root) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL;

		if (strlen(entry->d_name) != ID_LEN || !str_is_hex(entry->d_name) ||
		    recover_has_row(cs, entry->d_name))
			continue;
		path = str_format("%s/%s", root, entry->d_name);
		if (path && fs_remove_tree(path) == 0)
			log_info("removed what was left of container %.12s", entry->d_name);
	}
}

/**
 * containers_recover() - Bring rows, directories and VMs into agreement
 * @cs:	 Manager with its rows loaded
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int containers_recover(struct containers *cs, struct err *err)
{
	struct container **all;
	size_t n = 0;
	int r;

	spec_prepare();
	all = containers_snapshot(cs, &n);
	if (!all)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		recover_one(all[i]);
	containers_snapshot_free(all, n);
	recover_sweep_directories(cs);
	r = vmm_sweep(cs->core->vmm, recover_keep_vm, cs);
	if (r < 0)
		log_error("cannot clean up virtual machines without a container: %s", strerror(-r));
	return 0;
}
