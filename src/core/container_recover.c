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
 * go, and restart policies get their say.
 *
 * A guest that says nothing holds its own container up, not the others and not the daemon: VMs are
 * looked for on the workers, WORKERS_MAX at a time, and the first request is served when all have
 * been begun and either all are done or RECOVER_WAIT_MS are over. Who is late keeps its verb lock
 * and `adopting` until it is done, which is the time that sandbox_adopt() gives a guest. Inspect,
 * list and logs answer meanwhile as the row has it; whoever wants to change the container, or needs
 * its VM, waits.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "core/attachments.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "net/underlay.h"
#include "store/store.h"
#include "vm/vm.h"

#define RECOVER_WAIT_MS 3000

/* What containers_recover() and the workers share; the last of them frees it. */
struct recovery {
	pthread_mutex_t lock; /* calls nobody; guards all below */
	pthread_cond_t changed;
	size_t unbegun, undone;
	unsigned int refs;
};

struct recover_job {
	struct recovery *recovery; /* shared */
	struct container *c;	   /* owned reference */
};

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
	container_networks_down(c); /* also of one that was being started; twice finds nothing */
	recover_save_no_vm(c);
}

/* What the kernel has may have been changed, or never have been done by a daemon that was killed.
 */
static int recover_host_gateway(struct container *c, struct container_run *run, struct err *err)
{
	struct underlay *underlay = c->cs->core->underlay;
	unsigned int nic = sandbox_nic(run->sb)->index;

	if (!underlay || !nic)
		return 0;
	return underlay_host_gateway(underlay, (uint16_t)nic,
				     spec_asks_host_gateway(c->host_config), err);
}

/* Take a process up again: what is left of its output and its exit come by themselves. */
static int recover_resume(struct container *c, struct container_run *run,
			  const Arca__V1__HelloResponse *hello, struct err *err)
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
	r = recover_host_gateway(c, run, err);
	if (r == 0)
		r = container_networks_resume(c, run, hello, err);
	if (r == 0)
		r = stdio_resume(run->io, sandbox_rpc(run->sb), err);
	if (r < 0)
		return r;
	(void)container_row_save(c); /* it said so */
	container_ports_resume(run);
	return 0;
}

static void recover_found(struct container *c, struct container_run *run,
			  const Arca__V1__HelloResponse *hello)
{
	struct err err = {0};

	if (c->vm == CONTAINER_VM_RUN && recover_find(hello, c->id)) {
		if (recover_resume(c, run, hello, &err) == 0) {
			log_info("container %.12s: taken up again", c->id);
			return;
		}
		log_error("container %.12s: cannot be taken up: %s", c->id, err.msg);
	}
	rank_lock(&c->lock);
	run->phase = RUN_FAILED;
	run->started = false;
	rank_unlock(&c->lock);
	machine_leave(run, CONTAINER_VM_STOP_MS);
	container_run_drop(c);
	recover_lost(c);
}

static void recover_vm(struct container *c)
{
	_cleanup_run_ struct container_run *run = NULL;
	const Arca__V1__HelloResponse *hello = NULL;
	struct err err = {0};
	int r;

	rank_lock(&c->lock);
	r = container_run_get(c, &run, &err);
	rank_unlock(&c->lock);
	if (r == 0)
		r = machine_adopt(c->cs->machines, run, c->vm_id, &hello, &err);
	if (r < 0) {
		container_run_drop(c);
		recover_lost(c);
		return;
	}
	run->joined = c->vm_joined;
	recover_found(c, run, hello);
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

/* Verb lock held. */
static void recover_held(struct container *c)
{
	struct err err = {0};
	bool auto_remove;

	c->published = c->vm != CONTAINER_VM_NONE && c->cs->core->forward; /* it may be */
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

static void recover_one(struct container *c)
{
	RANK_LOCK_SCOPE(verb, &c->verb);
	recover_held(c);
}

static void recovery_unref(struct recovery *rec)
{
	bool last;

	pthread_mutex_lock(&rec->lock);
	last = --rec->refs == 0;
	pthread_mutex_unlock(&rec->lock);
	if (!last)
		return;
	pthread_cond_destroy(&rec->changed);
	pthread_mutex_destroy(&rec->lock);
	free(rec);
}
DEFINE_CLEANUP(struct recovery *, recovery_unref)

static struct recovery *recovery_new(void)
{
	struct recovery *rec = calloc(1, sizeof(*rec));
	pthread_condattr_t attr;

	if (!rec)
		return NULL;
	rec->refs = 1;
	pthread_mutex_init(&rec->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rec->changed, &attr);
	pthread_condattr_destroy(&attr);
	return rec;
}

/* Return: how many are left */
static size_t recovery_count(struct recovery *rec, size_t *count)
{
	size_t left;

	pthread_mutex_lock(&rec->lock);
	left = --*count;
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->lock);
	return left;
}

/* One less; with the last, who runs on a network is known. */
static void recovery_done(struct containers *cs, struct recovery *rec)
{
	if (recovery_count(rec, &rec->undone) == 0)
		meshes_release(cs->core->meshes, true);
}

/* A worker_fn. */
static void recover_run(void *user)
{
	struct recover_job *job = user;
	struct container *c = job->c;

	rank_lock(&c->verb);
	(void)recovery_count(job->recovery, &job->recovery->unbegun);
	recover_held(c);
	rank_lock(&c->lock);
	c->adopting = false;
	pthread_cond_broadcast(&c->changed);
	rank_unlock(&c->lock);
	rank_unlock(&c->verb);
	recovery_done(c->cs, job->recovery);
	recovery_unref(job->recovery);
	container_unref(c);
	free(job);
}

/* Look for a container's VM on a worker, or here where that cannot be. */
static void recover_push(struct recovery *rec, struct container *c)
{
	struct recover_job *job = calloc(1, sizeof(*job));

	if (!job) {
		recover_one(c);
		return;
	}
	*job = (struct recover_job){.recovery = rec, .c = container_ref(c)};
	pthread_mutex_lock(&rec->lock);
	rec->unbegun++;
	rec->undone++;
	rec->refs++;
	pthread_mutex_unlock(&rec->lock);
	rank_lock(&c->lock);
	c->adopting = true;
	rank_unlock(&c->lock);
	if (workers_push(c->cs->workers, recover_run, job) < 0)
		recover_run(job);
}

static void recovery_wait(struct containers *cs, struct recovery *rec)
{
	struct timespec until;
	size_t left;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail for this clock */
	until.tv_sec += RECOVER_WAIT_MS / 1000;
	pthread_mutex_lock(&rec->lock);
	while (rec->unbegun)
		pthread_cond_wait(&rec->changed, &rec->lock);
	while (rec->undone && r == 0)
		r = pthread_cond_timedwait(&rec->changed, &rec->lock, &until);
	left = rec->undone;
	pthread_mutex_unlock(&rec->lock);
	if (!left)
		return;
	log_warn("%zu virtual machines do not answer yet: their containers are taken up later",
		 left);
	meshes_release(cs->core->meshes, false);
}

static bool recover_keep_vm(void *user, const char *id)
{
	const struct containers *cs = user;

	return machines_know(cs->machines, id);
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

/* A VM does not end before all who are in it have been looked for. */
static void recover_expect(struct containers *cs, struct container **all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all[i]->vm != CONTAINER_VM_NONE &&
		    machines_expect(cs->machines, all[i]->vm_id) < 0)
			log_error("container %.12s: no memory to look for its virtual machine",
				  all[i]->id);
}

/**
 * containers_recover() - Bring rows, directories and VMs into agreement
 * @cs:	 Manager with its rows loaded
 * @err: Filled on failure
 *
 * Containers whose guests are slow to answer are taken up after this has returned.
 *
 * Return: 0 or a negative errno
 */
int containers_recover(struct containers *cs, struct err *err)
{
	_cleanup_(recovery_unrefp) struct recovery *rec = recovery_new();
	struct container **all;
	size_t n = 0;
	int r;

	if (!rec)
		return err_oom(err);
	spec_prepare();
	all = containers_snapshot(cs, &n);
	if (!all)
		return err_oom(err);
	recover_expect(cs, all, n);
	meshes_hold(cs->core->meshes);
	rec->undone = 1; /* until all are begun */
	for (size_t i = 0; i < n; i++) {
		if (all[i]->vm != CONTAINER_VM_NONE)
			recover_push(rec, all[i]);
		else
			recover_one(all[i]);
	}
	containers_snapshot_free(all, n);
	recovery_done(cs, rec);
	recovery_wait(cs, rec);
	recover_sweep_directories(cs);
	if (cs->core->forward && workers_push(cs->workers, container_ports_sweep, cs) < 0)
		log_error("no memory to look for ports that are published for nobody");
	r = vmm_sweep(cs->core->vmm, recover_keep_vm, cs);
	if (r < 0)
		log_error("cannot clean up virtual machines without a container: %s", strerror(-r));
	return 0;
}
