/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - VMs as containers share them
 *
 * DOC: Theory of operation
 *
 * A container usually has a VM of its own. One of network mode container:X is started in X's VM,
 * in X's network namespace, with disks of its own that are plugged in (vm/sandbox_disk.c). From
 * then on both are equal: who ends leaves the VM, and the last one powers it off. So one that
 * joined goes on when X is stopped or started anew, without X's networks, as with dockerd.
 *
 * A VM is called after the container it was started for, unless one of that name is still in use by
 * those who joined it; then its name is made up. Rows say which VM a container is in, and whether
 *it joined it.
 *
 *	members		runs in it, or rows that a new daemon has not looked for yet
 *	runs		those of them that are told of its end
 *
 * A container that leaves others behind is removed from the guest first, which unmounts its disks;
 * only then are the files behind them closed, and may be another VM's. A guest that does not do so
 * loses its VM, and the others in it their processes.
 *
 * Locking: machines->lock guards the list and every machine's members, runs and flags. It is never
 * held over anything that blocks; stdio_lost() is called with it, on the loop thread.
 */
#include "core/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "core/containers.h"
#include "net/underlay.h"
#include "rpc/client.h"
#include "vm/vm.h"

struct machine {
	struct machines *ms; /* borrowed */
	char id[ID_BUF];     /* of the VM */
	struct sandbox *sb;  /* owned; set before anybody else sees the machine */
	/* while a new daemon looks for it */
	pthread_mutex_t adopting; /* held meanwhile; guards the three; before machines->lock */
	bool looked_for;
	int found;			/* 0 or negative errno */
	Arca__V1__HelloResponse *hello; /* owned */
	/* one leaves at a time: the VM does not end while another's disks are unmounted; before
	 * machines->lock */
	pthread_mutex_t leaving;
	/* guarded by machines->lock */
	unsigned int refs; /* the list's while it has members, and one for each run */
	unsigned int members;
	struct container_run *runs; /* borrowed, list */
	bool ended;		    /* nobody may join any more */
	struct machine *prev, *next;
};

struct machines {
	struct core *core;     /* borrowed */
	struct rank_lock lock; /* guards all below */
	struct machine *list;
};

/**
 * machines_new() - The list of VMs in which something runs
 * @core: Wiring
 * @ret:  List
 *
 * Return: 0 or -ENOMEM
 */
int machines_new(struct core *core, struct machines **ret)
{
	struct machines *ms = calloc(1, sizeof(*ms));

	if (!ms)
		return -ENOMEM;
	ms->core = core;
	rank_lock_init(&ms->lock, LOCK_MACHINES);
	*ret = ms;
	return 0;
}

static void machine_free(struct machine *m)
{
	if (m->sb)
		sandbox_free(m->sb);
	if (m->hello)
		arca__v1__hello_response__free_unpacked(m->hello, NULL);
	pthread_mutex_destroy(&m->adopting);
	pthread_mutex_destroy(&m->leaving);
	free(m);
}

/* Lock held: one member less. The list lets go of it with the last; some run has a reference. */
static void machine_drop_member(struct machine *m)
{
	if (--m->members > 0)
		return;
	m->ended = true;
	DL_DELETE(m->ms->list, m);
	m->refs--;
}

/**
 * machines_free() - Forget all VMs; they go on running
 * @ms: List or NULL; no run is left
 */
void machines_free(struct machines *ms)
{
	struct machine *m, *tmp;

	if (!ms)
		return;
	DL_FOREACH_SAFE (ms->list, m, tmp) {
		DL_DELETE(ms->list, m);
		machine_free(m);
	}
	rank_lock_done(&ms->lock);
	free(ms);
}

static struct machine *machine_find(struct machines *ms, const char *id)
{
	struct machine *m;

	DL_FOREACH (ms->list, m) {
		if (str_eq(m->id, id))
			return m;
	}
	return NULL;
}

/* In the list, with one member. */
static struct machine *machine_new(struct machines *ms, const char *id)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->ms = ms;
	m->refs = m->members = 1;
	(void)snprintf(m->id, sizeof(m->id), "%s", id); /* ids fit */
	pthread_mutex_init(&m->adopting, NULL);
	pthread_mutex_init(&m->leaving, NULL);
	DL_APPEND(ms->list, m);
	return m;
}

/* Lock held. The run is a member already. */
static void machine_enter(struct machine *m, struct container_run *run)
{
	m->refs++;
	DL_APPEND2(m->runs, run, machine_prev, machine_next);
	run->machine = m;
}

/**
 * machine_forget() - A run does not know of its VM any more
 * @run: Run. Not on the loop thread. A VM in which it is a member goes on without this daemon
 */
void machine_forget(struct container_run *run)
{
	struct machine *m = TAKE_PTR(run->machine);
	bool last;

	if (!m)
		return;
	run->sb = NULL;
	rank_lock(&m->ms->lock);
	DL_DELETE2(m->runs, run, machine_prev, machine_next);
	last = --m->refs == 0;
	rank_unlock(&m->ms->lock);
	if (last)
		machine_free(m);
}

/* There is no such VM. */
static void machine_give_up(struct container_run *run)
{
	struct machine *m = run->machine;

	rank_lock(&m->ms->lock);
	machine_drop_member(m);
	rank_unlock(&m->ms->lock);
	machine_forget(run);
}

/* The VM ended; a sandbox_gone_fn. Loop thread. */
static void machine_gone(void *user)
{
	struct machine *m = user;
	struct container_run *run;
	RANK_LOCK_SCOPE(guard, &m->ms->lock);

	m->ended = true;
	DL_FOREACH2(m->runs, run, machine_next)
	stdio_lost(run->io);
}

/**
 * machines_expect() - A container's row says that it is in a VM
 * @ms: List
 * @id: The VM
 *
 * Return: 0 or -ENOMEM
 */
int machines_expect(struct machines *ms, const char *id)
{
	RANK_LOCK_SCOPE(guard, &ms->lock);
	struct machine *m = machine_find(ms, id);

	if (m)
		m->members++;
	else
		m = machine_new(ms, id);
	return m ? 0 : -ENOMEM;
}

/**
 * machines_know() - Whether something runs in a VM, or is still looked for in it
 * @ms: List
 * @id: The VM
 *
 * Return: the answer
 */
bool machines_know(struct machines *ms, const char *id)
{
	RANK_LOCK_SCOPE(guard, &ms->lock);
	return machine_find(ms, id) != NULL;
}

/**
 * machine_id() - What a VM is called
 * @m: Machine
 *
 * Return: borrowed, ID_LEN digits
 */
const char *machine_id(const struct machine *m)
{
	return m->id;
}

/**
 * machine_start() - A VM for a container's run
 * @ms:	  List
 * @run:  Run; its machine and sandbox are set on success
 * @spec: As for sandbox_start(); nothing runs in a VM of this id
 * @err:  Filled on failure, which leaves nothing
 *
 * Return: 0 or a negative errno
 */
int machine_start(struct machines *ms, struct container_run *run, const struct sandbox_spec *spec,
		  struct err *err)
{
	struct machine *m;
	int r;

	rank_lock(&ms->lock);
	m = machine_new(ms, spec->id);
	if (m)
		machine_enter(m, run); /* it is to hear of an early end */
	rank_unlock(&ms->lock);
	if (!m)
		return err_oom(err);
	r = sandbox_start(ms->core->vmm, spec, machine_gone, m, &m->sb, err);
	if (r == 0) {
		run->sb = m->sb;
		return 0;
	}
	machine_give_up(run);
	return r;
}

/**
 * machine_join() - A container's run takes place in the VM of another's
 * @run:   Run; its machine and sandbox are set on success
 * @other: Run that the caller holds
 * @err:   Filled on failure
 *
 * Return: 0, or -ENOENT if that VM has ended
 */
int machine_join(struct container_run *run, const struct container_run *other, struct err *err)
{
	struct machine *m = other->machine;
	RANK_LOCK_SCOPE(guard, &m->ms->lock);

	if (m->ended)
		return err_user(err, ERR_CONFLICT,
				"cannot join network namespace of a non running container: "
				"container %s is exited",
				other->c->name);
	m->members++;
	machine_enter(m, run);
	run->joined = true;
	run->sb = m->sb;
	return 0;
}

/* The first who asks looks for it; the others wait for that. */
static int machine_look_for(struct machine *m, struct err *err)
{
	pthread_mutex_lock(&m->adopting);
	if (!m->looked_for) {
		m->looked_for = true;
		m->found = sandbox_adopt(m->ms->core->vmm, m->id, machine_gone, m, &m->sb,
					 &m->hello, err);
		if (m->found < 0 && m->found != -ENOENT)
			log_error("cannot reach the virtual machine %.12s: %s", m->id, err->msg);
	}
	pthread_mutex_unlock(&m->adopting);
	return m->found;
}

/**
 * machine_adopt() - Find the VM of a run that an earlier daemon started
 * @ms:	       List
 * @run:       Run; its machine and sandbox are set on success
 * @id:	       VM, which machines_expect() was told of
 * @ret_hello: What its agent said, borrowed from the machine; set on success
 * @err:       Filled on failures other than -ENOENT
 *
 * Return: 0, -ENOENT if the VM is gone, or another negative errno: the run is no member any more
 */
int machine_adopt(struct machines *ms, struct container_run *run, const char *id,
		  const struct Arca__V1__HelloResponse **ret_hello, struct err *err)
{
	struct machine *m;
	int r;

	rank_lock(&ms->lock);
	m = machine_find(ms, id);
	if (m)
		machine_enter(m, run); /* it is to hear of an early end */
	rank_unlock(&ms->lock);
	if (!m)
		return -ENOENT; /* for want of memory nobody expects it */
	r = machine_look_for(m, err);
	if (r == 0) {
		run->sb = m->sb;
		*ret_hello = m->hello;
		return 0;
	}
	machine_give_up(run);
	return r;
}

/* What the VM has for the container that it was started for. */
static int machine_clear_first(const struct container_run *run, struct err *err)
{
	struct underlay *underlay = run->machine->ms->core->underlay;
	int r = sandbox_nics_remove(run->sb, err);

	if (r == 0 && underlay && sandbox_nic(run->sb)->index)
		r = underlay_host_gateway(underlay, (uint16_t)sandbox_nic(run->sb)->index, false,
					  err);
	return r < 0 ? r : sandbox_disks_release(run->sb, err);
}

/* The guest forgets a container whose VM stays: its processes, its root, what it knows of it. */
static int machine_clear(const struct container_run *run, unsigned int timeout_ms, struct err *err)
{
	Arca__V1__RemoveContainerRequest remove = ARCA__V1__REMOVE_CONTAINER_REQUEST__INIT;
	Arca__V1__ReleaseRequest release = ARCA__V1__RELEASE_REQUEST__INIT;
	struct err ignored = {0};
	int r;

	remove.container_id = release.id = run->c->id;
	r = rpc_call(sandbox_rpc(run->sb), "/arca.v1.Sandbox/RemoveContainer", &remove.base,
		     &arca__v1__empty__descriptor, timeout_ms, NULL, err);
	if (r != 0 && r != RPC_NOT_FOUND)
		return r < 0 ? r : -EPROTO;
	(void)rpc_call(sandbox_rpc(run->sb), "/arca.v1.Process/Release", &release.base,
		       &arca__v1__empty__descriptor, timeout_ms, NULL, &ignored);
	return run->joined ? sandbox_disks_remove(run->sb, run->c->id, err)
			   : machine_clear_first(run, err);
}

static bool machine_has_ended(struct machine *m)
{
	RANK_LOCK_SCOPE(guard, &m->ms->lock);
	return m->ended;
}

/* The VM stays for others, unless it cannot. */
static void machine_leave_others(struct machine *m, const struct container_run *run,
				 unsigned int timeout_ms)
{
	struct err err = {0};

	if (machine_has_ended(m) ||
	    machine_clear(run, timeout_ms ?: CONTAINER_VM_STOP_MS, &err) == 0 ||
	    machine_has_ended(m))
		return;
	log_error("container %.12s: its virtual machine does not let go of it and is ended: %s",
		  run->c->id, err.msg);
	sandbox_stop(m->sb, 0);
}

/**
 * machine_leave() - A run is over: the VM ends with it if it was the last
 * @run:	Run; once is enough. Not on the loop thread
 * @timeout_ms: For the guest to unmount the container's disks; 0: they are not needed any more
 */
void machine_leave(struct container_run *run, unsigned int timeout_ms)
{
	struct machine *m = run->machine;
	bool last;

	if (!m || run->left)
		return;
	run->left = true;
	pthread_mutex_lock(&m->leaving);
	rank_lock(&m->ms->lock);
	last = m->members == 1;
	if (last)
		m->ended = true; /* from here on nobody joins */
	rank_unlock(&m->ms->lock);
	if (last)
		sandbox_stop(m->sb, timeout_ms);
	else
		machine_leave_others(m, run, timeout_ms);
	rank_lock(&m->ms->lock);
	machine_drop_member(m); /* not before: the VM's name is in use until it has ended */
	rank_unlock(&m->ms->lock);
	pthread_mutex_unlock(&m->leaving);
}

/**
 * machine_kill() - End the VM of a run, whoever else is in it
 * @run: Run with a machine. Not on the loop thread
 */
void machine_kill(struct container_run *run)
{
	sandbox_stop(run->machine->sb, 0);
}
