/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meshes.c - the networks that have members, and what is told to them
 *
 * What a message wakes in a VM takes a processor from the start that caused it. So while something
 * is being started, ATTACH_MEANWHILE messages are under way at once; the rest follow when it runs,
 * as many at once as there are processors to take them. One that is not answered within
 * ATTACH_LATE_MS does not count: a VM that is mute delays what the others are told by that, once,
 * however many starts follow each other. A call that fails for another reason than the VM's end is
 * followed by the whole list after ATTACH_RETRY_MS.
 */
#include "core/attachments_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/core.h"
#include "core/spec.h"
#include "net/vmnet.h"
#include "rpc/client.h"

#define ATTACH_RETRY_MS 1000
#define ATTACH_MEANWHILE 1
#define ATTACH_LATE_MS 250

/**
 * meshes_new() - No network has a member yet
 * @core: Managers
 * @ret:  meshes_free(); set on success
 * @err:  Filled on failure
 *
 * Return: 0 or -ENOMEM
 */
int meshes_new(struct core *core, struct meshes **ret, struct err *err)
{
	struct meshes *meshes = calloc(1, sizeof(*meshes));

	if (!meshes)
		return err_oom(err);
	meshes->core = core;
	meshes->refs = 1;
	meshes->window = (size_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), ATTACH_MEANWHILE);
	rank_lock_init(&meshes->lock, LOCK_MESHES);
	*ret = meshes;
	return 0;
}

static void meshes_unref(struct meshes *meshes)
{
	if (atomic_fetch_sub(&meshes->refs, 1) != 1)
		return;
	mesh_links_done(&meshes->links);
	rank_lock_done(&meshes->lock);
	free(meshes);
}

static void patience_disarm(void *user)
{
	struct meshes *meshes = user;

	if (meshes->patience)
		loop_timer_remove(meshes->patience);
	meshes->patience = NULL;
}

/**
 * meshes_free() - Let go of it
 * @meshes: All attachments have ended; calls of theirs may be under way. NULL is fine
 */
void meshes_free(struct meshes *meshes)
{
	if (!meshes)
		return;
	meshes_rotate_no_more(meshes);
	(void)loop_call(meshes->core->loop, patience_disarm,
			meshes); /* a loop that is gone has none */
	meshes_unref(meshes);
}

/**
 * attachment_unref() - Give a reference back; the last frees it
 * @a: Attachment that is no member any more
 */
void attachment_unref(struct attachment *a)
{
	if (atomic_fetch_sub(&a->refs, 1) != 1)
		return;
	mesh_peer_done(&a->peer);
	meshes_unref(a->meshes);
	free(a);
}

/**
 * mesh_take() - The mesh of a network, made for its first member
 * @meshes:	Manager, locked
 * @network_id: Network
 * @ret:	mesh_give(); set on success
 *
 * Return: 0 or -ENOMEM
 */
int mesh_take(struct meshes *meshes, const char *network_id, struct live_mesh **ret)
{
	struct live_mesh *live;

	HASH_FIND_STR(meshes->table, network_id, live);
	if (!live) {
		live = calloc(1, sizeof(*live));
		if (live)
			live->mesh = mesh_new();
		if (!live || !live->mesh) {
			free(live);
			return -ENOMEM;
		}
		memcpy(live->id, network_id, ID_BUF);
		HASH_ADD_STR(meshes->table, id, live);
	}
	live->users++;
	*ret = live;
	return 0;
}

/**
 * mesh_give() - A member has left; the last takes the mesh along
 * @meshes: Manager, locked
 * @live:   What mesh_take() gave
 */
void mesh_give(struct meshes *meshes, struct live_mesh *live)
{
	if (--live->users > 0)
		return;
	HASH_DEL(meshes->table, live);
	mesh_free(live->mesh);
	free(live);
}

static int peer_put_ports(uint32_t **field, size_t *n, const struct mesh_link *link)
{
	*field = calloc(link->n, sizeof(**field));
	if (!*field)
		return -ENOMEM;
	memcpy(*field, link->ports, link->n * sizeof(**field));
	*n = link->n;
	return 0;
}

/* Which ports the two may reach of each other. Return: >0 if any, 0, or -ENOMEM */
static int peer_fill_ports(const struct attachment *whom, const struct mesh_peer *from,
			   Arca__V1__Peer *to)
{
	const struct mesh_links *links = &whom->meshes->links;
	const struct mesh_link *in = mesh_links_find(links, from->container, whom->container_id);
	const struct mesh_link *out = mesh_links_find(links, whom->container_id, from->container);
	int r = 0;

	if (in)
		r = peer_put_ports(&to->ports_in, &to->n_ports_in, in);
	if (r == 0 && out)
		r = peer_put_ports(&to->ports_out, &to->n_ports_out, out);
	return r < 0 ? r : in || out;
}

/**
 * mesh_peer_fill() - A peer as agents are told of it
 * @whom: Who is told; meshes->lock held
 * @from: Peer
 * @to:	  Initialised; free_unpacked() also after a failure
 *
 * Return: 0 or -ENOMEM
 */
int mesh_peer_fill(const struct attachment *whom, const struct mesh_peer *from, Arca__V1__Peer *to)
{
	int linked = from->by_link ? peer_fill_ports(whom, from, to) : 0;
	bool tunnel = from->by_link ? linked > 0 : from->port != 0;
	int r = linked < 0 || spec_put(&to->endpoint_id, from->id) ||
		spec_bytes(linked > 0 ? &to->linked_key : &to->public_key, from->key,
			   tunnel ? sizeof(from->key) : 0) ||
		spec_bytes(&to->underlay4, from->underlay4, tunnel ? sizeof(from->underlay4) : 0) ||
		spec_bytes(&to->v4, from->v4, from->has_v4 ? sizeof(from->v4) : 0) ||
		spec_bytes(&to->v6, from->v6, from->has_v6 ? sizeof(from->v6) : 0);

	to->port = tunnel ? from->port : 0;
	for (char **n = from->names; r == 0 && n && *n; n++)
		r = spec_add_string(&to->names, &to->n_names, *n);
	return r ? -ENOMEM : 0;
}

static void attachment_retry_due(void *user)
{
	struct attachment *a = user;

	loop_timer_remove(a->timer);
	a->timer = NULL;
	rank_lock(&a->meshes->lock);
	a->retrying = false;
	if (a->member)
		mesh_resync(a->member);
	rank_unlock(&a->meshes->lock);
	attachment_unref(a);
}

/* Loop thread. */
static void attachment_retry(struct attachment *a)
{
	if (a->retrying || loop_timer_add(a->meshes->core->loop, ATTACH_RETRY_MS,
					  attachment_retry_due, a, &a->timer) < 0)
		return;
	a->retrying = true;
	atomic_fetch_add(&a->refs, 1);
}

static void attachment_on_reply(void *user UNUSED, ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

/* What waits must not wait for somebody who never answers. */
static void patience_due(void *user);

static void patience_arm(void *user)
{
	struct meshes *meshes = user;

	if (loop_timer_add(meshes->core->loop, ATTACH_LATE_MS, patience_due, meshes,
			   &meshes->patience) == 0)
		return;
	rank_lock(&meshes->lock);
	meshes->patient = false; /* the next that is deferred tries again */
	rank_unlock(&meshes->lock);
}

static void patience_due(void *user)
{
	struct meshes *meshes = user;
	int64_t late_ns = clock_monotonic_ns() - ATTACH_LATE_MS * NSEC_PER_MSEC;
	struct attachment *a;
	bool again;

	patience_disarm(meshes);
	rank_lock(&meshes->lock);
	DL_FOREACH (meshes->list, a)
		if (a->counts && a->sent_ns <= late_ns)
			attachment_uncount(a);
	meshes_flush(meshes);
	again = meshes->patient = meshes->deferred != NULL;
	rank_unlock(&meshes->lock);
	if (again)
		patience_arm(meshes);
}

/* meshes->lock held, as for all below. */
static void attachment_defer(struct attachment *a)
{
	struct meshes *meshes = a->meshes;

	if (a->waits)
		return;
	a->waits = true;
	DL_APPEND2(meshes->deferred, a, prev_deferred, next_deferred);
	if (!meshes->patient)
		meshes->patient = loop_post(meshes->core->loop, patience_arm, meshes) == 0;
}

static void attachment_count(struct attachment *a)
{
	a->counts = true;
	a->sent_ns = clock_monotonic_ns();
	a->meshes->under_way++;
}

/**
 * attachment_uncount() - Its message holds up nobody any more
 * @a: Attachment, whether one is under way or not; meshes->lock held
 */
void attachment_uncount(struct attachment *a)
{
	if (!a->counts)
		return;
	a->counts = false;
	a->meshes->under_way--;
}

/**
 * attachment_undefer() - Its message does not wait any more
 * @a: Attachment, whether it does or not; meshes->lock held
 */
void attachment_undefer(struct attachment *a)
{
	if (!a->waits)
		return;
	a->waits = false;
	DL_DELETE2(a->meshes->deferred, a, prev_deferred, next_deferred);
}

static bool meshes_may_send(const struct meshes *meshes)
{
	return meshes->under_way < (meshes->starting > 0 ? ATTACH_MEANWHILE : meshes->window);
}

/**
 * meshes_flush() - Send messages that wait, as far as they may be sent
 * @meshes: Manager, locked
 */
void meshes_flush(struct meshes *meshes)
{
	while (meshes->deferred && meshes_may_send(meshes)) {
		struct attachment *a = meshes->deferred;

		attachment_undefer(a);
		mesh_flush(a->member);
	}
}

static void attachment_on_closed(void *user, enum rpc_status status, const char *text)
{
	struct attachment *a = user;

	if (status != RPC_OK && status != RPC_UNAVAILABLE)
		log_warn("container %.12s does not take its peers on network %.12s: %s",
			 a->container_id, a->network_id, text ?: "");
	rank_lock(&a->meshes->lock);
	attachment_uncount(a);
	if (a->member) {
		mesh_acked(a->member, status == RPC_OK);
		if (status != RPC_OK && status != RPC_UNAVAILABLE)
			attachment_retry(a);
	}
	meshes_flush(a->meshes);
	rank_unlock(&a->meshes->lock);
	attachment_unref(a);
}

static int set_peers_fill(const struct attachment *a, const struct mesh_update *update,
			  Arca__V1__SetPeersRequest *request)
{
	int r = spec_put(&request->container_id, a->container_id) ||
		spec_put(&request->network_id, a->network_id);

	request->complete = update->complete && !a->meshes->partial;
	request->poke = update->poke;
	request->hold = update->hold;
	for (size_t i = 0; i < update->set_n && r == 0; i++) {
		Arca__V1__Peer *peer = SPEC_ADD(request, set, Arca__V1__Peer, arca__v1__peer__init);

		r = peer ? mesh_peer_fill(a, update->set[i], peer) : -ENOMEM;
	}
	for (size_t i = 0; i < update->removed_n && r == 0; i++)
		r = spec_add_string(&request->removed_endpoint_ids,
				    &request->n_removed_endpoint_ids, update->removed[i]);
	return r ? -ENOMEM : 0;
}

/**
 * attachment_send() - SetPeers to an attachment's agent; a mesh_send_fn, with meshes->lock held
 * @user:   Attachment
 * @update: What it is told
 *
 * Return: 0, -EAGAIN if it waits until others have answered, -ECANCELED while nobody is told
 * anything, or another negative errno
 */
int attachment_send(void *user, const struct mesh_update *update)
{
	static const struct rpc_stream_ops ops = {.message = attachment_on_reply,
						  .closed = attachment_on_closed};
	struct attachment *a = user;
	Arca__V1__SetPeersRequest *request = calloc(1, sizeof(*request));
	struct rpc_stream *stream;
	struct meshes *meshes = a->meshes;
	int r;

	if (meshes->held) {
		free(request);
		return -ECANCELED; /* meshes_release() tells everybody all, or the next daemon's */
	}
	if (!meshes_may_send(meshes)) {
		free(request);
		attachment_defer(a);
		return -EAGAIN;
	}
	if (!request)
		return -ENOMEM;
	arca__v1__set_peers_request__init(request);
	r = set_peers_fill(a, update, request);
	atomic_fetch_add(&a->refs, 1);
	if (r == 0)
		r = rpc_stream_open(a->rpc, "/arca.v1.Network/SetPeers", &request->base,
				    &arca__v1__empty__descriptor, &ops, a, &stream);
	if (r == 0) {
		rpc_stream_close_send(stream);
		attachment_count(a);
	} else {
		atomic_fetch_sub(&a->refs, 1); /* not the last: the run has one */
	}
	arca__v1__set_peers_request__free_unpacked(request, NULL);
	return r == -EAGAIN ? -EBUSY : r;
}

/**
 * meshes_hold() - Tell nobody anything until meshes_release()
 * @meshes: Manager
 *
 * Also while the daemon goes: its runs end here, their VMs do not.
 */
void meshes_hold(struct meshes *meshes)
{
	RANK_LOCK_SCOPE(guard, &meshes->lock);

	meshes->held = true;
}

/**
 * meshes_release() - A new daemon has found who is there: tell everybody the whole list
 * @meshes: Manager
 * @all:    Or gave up on those who do not answer. If not: the list cuts nobody off yet, and another
 *	    call follows
 *
 * With all, what is left of VMs that ended meanwhile is removed.
 */
void meshes_release(struct meshes *meshes, bool all)
{
	struct attachment *a;
	struct err err = {};

	rank_lock(&meshes->lock);
	if (!all && !meshes->held) { /* the last was found just now */
		rank_unlock(&meshes->lock);
		return;
	}
	meshes->held = false;
	meshes->partial = !all;
	DL_FOREACH (meshes->list, a) {
		if (!a->ready)
			continue;
		mesh_resync(a->member);
		mesh_ready(a->member);
	}
	rank_unlock(&meshes->lock);
	if (all && meshes->core->underlay && vmnet_sweep(meshes->core->underlay, &err) < 0)
		log_debug("bridges without ports stay: %s", err.msg);
}
