/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containers.c - the table of containers: by id, by name, by prefix
 *
 * DOC: Theory of operation
 *
 * A container object is shared: the table holds one reference, every verb in progress another. The
 * table lock guards both hashes and the names; a container being created stands in them (its name
 * and its image are taken) but is not found until it is listed. Removal takes it out of the table
 * last, so its name is free only when nothing of it is left on disk.
 *
 * Locks are ranked in core/locks.h: a container's verb lock, the table's, a container's state lock.
 */
#include "core/containers.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/attachments.h"
#include "core/container_links.h"
#include "core/container_log.h"
#include "core/jsonx.h"

/**
 * container_ref() - One more reference
 * @c: Container
 *
 * Return: @c
 */
struct container *container_ref(struct container *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

/**
 * container_unref() - Give a reference back; the last frees
 * @c: Container
 */
void container_unref(struct container *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	if (c->log)
		container_log_close(c->log);
	json_decref(c->config);
	json_decref(c->host_config);
	json_decref(c->link_names);
	json_decref(c->networks);
	json_decref(c->networks_brief);
	json_decref(c->ports);
	json_decref(c->chosen_ports);
	json_decref(c->list_item);
	json_decref(c->inspect);
	free(c->image_id);
	free(c->platform);
	free(c->dir);
	free(c->rootfs);
	free(c->error);
	pthread_cond_destroy(&c->changed);
	rank_lock_done(&c->lock);
	rank_lock_done(&c->verb);
	free(c);
}

/**
 * container_new() - An empty container object, in no table
 * @cs: Manager
 * @id: Its id
 *
 * Return: one reference, or NULL
 */
struct container *container_new(struct containers *cs, const char *id)
{
	struct container *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	(void)snprintf(c->id, sizeof(c->id), "%s", id);
	c->cs = cs;
	c->refs = 1;
	c->state = CONTAINER_CREATED;
	rank_lock_init(&c->verb, LOCK_CONTAINER_VERB);
	rank_lock_init(&c->lock, LOCK_CONTAINER_STATE);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	c->dir = str_format("%s/containers/%s", cs->core->config.data_root, id);
	if (!c->dir) {
		container_unref(c);
		return NULL;
	}
	return c;
}

/**
 * containers_reserve() - Put a container into the table, unlisted, under a name
 * @cs:	  Manager
 * @c:	  Container; the table takes a reference of its own
 * @name: Valid name
 * @err:  Filled when the name is taken
 *
 * Return: 0 or -EEXIST
 */
int containers_reserve(struct containers *cs, struct container *c, const char *name,
		       struct err *err)
{
	RANK_LOCK_SCOPE(table, &cs->lock);
	struct container *other;

	HASH_FIND(by_name, cs->by_name, name, strlen(name), other);
	if (other) {
		err_user(err, ERR_CONFLICT,
			 "Conflict. The container name \"/%s\" is already in use by container "
			 "\"%s\". You have to remove (or rename) that container to be able to "
			 "reuse that name.",
			 name, other->id);
		return -EEXIST;
	}
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	HASH_ADD(by_id, cs->by_id, id, ID_LEN, c);
	HASH_ADD(by_name, cs->by_name, name, strlen(c->name), c);
	container_ref(c);
	return 0;
}

/**
 * containers_publish() - From now on the container is found and listed
 * @cs: Manager
 * @c:	Container in the table
 */
void containers_publish(struct containers *cs, struct container *c)
{
	RANK_LOCK_SCOPE(table, &cs->lock);
	c->listed = true;
	container_links_note(c);
}

/**
 * containers_forget() - Take a container out of the table
 * @cs: Manager
 * @c:	Container in the table; the caller has a reference of its own
 */
void containers_forget(struct containers *cs, struct container *c)
{
	rank_lock(&cs->lock);
	HASH_DELETE(by_id, cs->by_id, c);
	HASH_DELETE(by_name, cs->by_name, c);
	c->listed = false;
	rank_unlock(&cs->lock);
	container_unref(c);
}

/**
 * containers_rename() - Change the name in the table
 * @cs:	  Manager
 * @c:	  Container in the table
 * @name: Valid new name
 * @err:  Filled when the name is taken
 *
 * Return: 0 or -EEXIST
 */
int containers_rename(struct containers *cs, struct container *c, const char *name, struct err *err)
{
	RANK_LOCK_SCOPE(table, &cs->lock);
	struct container *other;

	HASH_FIND(by_name, cs->by_name, name, strlen(name), other);
	if (other) {
		err_user(err, ERR_CONFLICT,
			 "Error when allocating new name: Conflict. The container name \"/%s\" is "
			 "already in use by container \"%s\". You have to remove (or rename) that "
			 "container to be able to reuse that name.",
			 name, other->id);
		return -EEXIST;
	}
	HASH_DELETE(by_name, cs->by_name, c);
	rank_lock(&c->lock);
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	c->version++;
	rank_unlock(&c->lock);
	HASH_ADD(by_name, cs->by_name, name, strlen(c->name), c);
	return 0;
}

/* Full id, then name, also one that a link gives, then prefix of an id: Docker's order. Table lock
 * held. */
static int containers_lookup(struct containers *cs, const char *ref, struct container **ret)
{
	size_t len = strlen(ref);
	struct container *c = NULL, *tmp, *found = NULL;

	if (len == ID_LEN)
		HASH_FIND(by_id, cs->by_id, ref, ID_LEN, c);
	if (!c || !c->listed) {
		const char *name = *ref == '/' ? ref + 1 : ref;

		HASH_FIND(by_name, cs->by_name, name, strlen(name), c);
		if (!c)
			c = container_link_find(cs, ref);
	}
	if (c && c->listed) {
		*ret = c;
		return 0;
	}
	if (len == 0 || len > ID_LEN || strspn(ref, "0123456789abcdef") != len)
		return -ENOENT;
	HASH_ITER (by_id, cs->by_id, c, tmp) {
		if (!c->listed || strncmp(c->id, ref, len) != 0)
			continue;
		if (found)
			return -ENOTUNIQ;
		found = c;
	}
	*ret = found;
	return found ? 0 : -ENOENT;
}

/**
 * containers_find() - The container a client means
 * @cs:	 Manager
 * @ref: Full id, name with or without "/", or an unambiguous prefix of an id
 * @ret: Reference owned by the caller
 * @err: Filled on failure
 *
 * Return: 0, -ENOENT, or -ENOTUNIQ
 */
int containers_find(struct containers *cs, const char *ref, struct container **ret, struct err *err)
{
	struct container *c;
	int r;

	rank_lock(&cs->lock);
	r = containers_lookup(cs, ref, &c);
	if (r == 0)
		*ret = container_ref(c);
	rank_unlock(&cs->lock);
	if (r == -ENOTUNIQ)
		err_user(err, ERR_INVALID, "multiple IDs found with provided prefix: %s", ref);
	else if (r < 0)
		err_user(err, ERR_NOT_FOUND, "No such container: %s", ref);
	return r;
}

static int container_newest_first(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a;
	const struct container *y = *(struct container *const *)b;

	return x->created_ns < y->created_ns ? 1 : x->created_ns > y->created_ns ? -1 : 0;
}

/**
 * containers_snapshot() - Every listed container, newest first
 * @cs:	   Manager
 * @ret_n: How many
 *
 * Return: array of references for containers_snapshot_free(), or NULL without memory
 */
struct container **containers_snapshot(struct containers *cs, size_t *ret_n)
{
	struct container **all, *c, *tmp;
	size_t n = 0;

	rank_lock(&cs->lock);
	all = calloc(HASH_CNT(by_id, cs->by_id) + 1, sizeof(struct container *));
	if (all) {
		HASH_ITER (by_id, cs->by_id, c, tmp) {
			if (c->listed)
				all[n++] = container_ref(c);
		}
	}
	rank_unlock(&cs->lock);
	if (!all)
		return NULL;
	qsort(all, n, sizeof(struct container *), container_newest_first);
	*ret_n = n;
	return all;
}

/**
 * containers_snapshot_free() - Give back what containers_snapshot() made
 * @all: Array or NULL
 * @n:	 Its length
 */
void containers_snapshot_free(struct container **all, size_t n)
{
	for (size_t i = 0; all && i < n; i++)
		container_unref(all[i]);
	free(all);
}

/**
 * container_host_config() - The host config as of now
 * @c: Container
 *
 * Return: new reference to an immutable object
 */
json_t *container_host_config(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	return json_incref(c->host_config);
}

/* What a daemon that was killed between an exit and the end of its networks left is put right. One
 * whose VM may run is container_recover.c's: the process may be up and the row not say so yet. */
static int containers_load_networks(struct containers *cs, struct err *err)
{
	struct container **all;
	size_t n = 0;

	all = containers_snapshot(cs, &n);
	if (!all)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		container_networks_refresh(all[i]);
		if (*all[i]->sandbox_id && all[i]->vm != CONTAINER_VM_RUN &&
		    !container_state_is_up(all[i]->state))
			container_networks_down(all[i]);
	}
	containers_snapshot_free(all, n);
	return 0;
}

/**
 * containers_new() - Load the rows and take up what runs
 * @core: Wiring; store, images, vmm, events, networks and loop are ready
 * @ret:  Manager
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int containers_new(struct core *core, struct containers **ret, struct err *err)
{
	struct containers *cs = calloc(1, sizeof(*cs));
	int r;

	if (!cs)
		return err_oom(err);
	cs->core = core;
	rank_lock_init(&cs->lock, LOCK_CONTAINER_TABLE);
	rank_lock_init(&cs->link_lock, LOCK_LINKS);
	r = machines_new(core, &cs->machines);
	if (r == 0)
		r = workers_new(&cs->workers);
	if (r < 0)
		err_sys(err, r, "cannot start worker threads");
	if (r == 0)
		r = container_rows_load(cs, err);
	container_links_changed(cs);
	if (r == 0)
		r = containers_load_networks(cs, err);
	if (r == 0)
		r = containers_recover(cs, err);
	if (r < 0) {
		containers_free(cs);
		return r;
	}
	*ret = cs;
	return 0;
}

/**
 * containers_free() - Let go of every container; their VMs go on running
 * @cs: Manager or NULL
 *
 * No request may be in progress any more. Not on the loop thread.
 */
void containers_free(struct containers *cs)
{
	struct container *c, *tmp;

	if (!cs)
		return;
	cs->stopping = true;
	container_cancel_restart_timers(cs);
	if (cs->workers)
		workers_stop(cs->workers);
	meshes_hold(cs->core->meshes); /* nobody leaves a network by this */
	HASH_ITER (by_id, cs->by_id, c, tmp) {
		container_ref(c);
		container_run_drop(c);
		if (c->unsettled)
			container_run_unref(TAKE_PTR(c->unsettled)); /* the agent has its exit */
		containers_forget(cs, c);
		container_unref(c);
	}
	workers_free(cs->workers); /* only now does no stream call back any more */
	machines_free(cs->machines);
	rank_lock_done(&cs->link_lock);
	rank_lock_done(&cs->lock);
	free(cs);
}

/**
 * containers_count() - How many containers are in which state, for /info
 * @cs:	     Manager
 * @running: Receives running ones
 * @paused:  Receives paused ones
 * @stopped: Receives all others
 */
void containers_count(struct containers *cs, unsigned int *running, unsigned int *paused,
		      unsigned int *stopped)
{
	RANK_LOCK_SCOPE(table, &cs->lock);
	struct container *c, *tmp;

	*running = *paused = *stopped = 0;
	HASH_ITER (by_id, cs->by_id, c, tmp) {
		if (!c->listed)
			continue;
		rank_lock(&c->lock);
		if (c->state == CONTAINER_PAUSED)
			(*paused)++;
		else if (container_state_is_up(c->state))
			(*running)++;
		else
			(*stopped)++;
		rank_unlock(&c->lock);
	}
}

/**
 * containers_count_image() - How many containers were made from an image
 * @cs:	      Manager
 * @image_id: Image
 *
 * Containers being created count, too.
 *
 * Return: their number
 */
unsigned int containers_count_image(struct containers *cs, const char *image_id)
{
	RANK_LOCK_SCOPE(table, &cs->lock);
	struct container *c, *tmp;
	unsigned int n = 0;

	HASH_ITER (by_id, cs->by_id, c, tmp)
		n += c->image_id && str_eq(c->image_id, image_id);
	return n;
}

/**
 * containers_use_image() - Whether a container was made from an image
 * @cs:		  Manager
 * @image_id:	  Image
 * @running_only: Count only containers that are up
 * @ret_id:	  Receives the id of one that does
 *
 * Containers being created count, too.
 *
 * Return: the answer
 */
bool containers_use_image(struct containers *cs, const char *image_id, bool running_only,
			  char ret_id[static ID_BUF])
{
	RANK_LOCK_SCOPE(table, &cs->lock);
	struct container *c, *tmp;

	HASH_ITER (by_id, cs->by_id, c, tmp) {
		bool up;

		if (!c->image_id || !str_eq(c->image_id, image_id))
			continue;
		rank_lock(&c->lock);
		up = container_state_is_up(c->state);
		rank_unlock(&c->lock);
		if (running_only && !up)
			continue;
		(void)snprintf(ret_id, ID_BUF, "%s", c->id);
		return true;
	}
	return false;
}
