/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh_keys.c - new keys for tunnels from time to time
 *
 * One member of a network at a time, ATTACH_ROTATE_GAP_S apart: the VM makes a new key and begins
 * nothing for a while, the others learn of it and open new sessions at once. Handshakes that both
 * sides begin would stall each other.
 */
#include "core/attachments_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/core.h"
#include "core/spec.h"
#include "rpc/client.h"

#define ATTACH_ROTATE_GAP_S 3

static void rotate_on_reply(void *user, ProtobufCMessage *message)
{
	const Arca__V1__RotateResponse *response = (const Arca__V1__RotateResponse *)message;
	struct attachment *a = user;

	rank_lock(&a->meshes->lock);
	if (a->member && response->public_key.len == VM_KEY_LEN) {
		memcpy(a->peer.key, response->public_key.data, VM_KEY_LEN);
		log_debug("container %.12s has a new key on network %.12s", a->container_id,
			  a->network_id);
		if (mesh_change(a->member, &a->peer) < 0)
			mesh_resync(a->member); /* no memory: the next rotation tells them */
	}
	rank_unlock(&a->meshes->lock);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void rotate_on_closed(void *user, enum rpc_status status, const char *text)
{
	struct attachment *a = user;

	if (status != RPC_OK && status != RPC_UNAVAILABLE)
		log_warn("container %.12s does not rotate its key on network %.12s: %s",
			 a->container_id, a->network_id, text ?: "");
	attachment_unref(a);
}

/* meshes->lock held. */
static void attachment_rotate(struct attachment *a)
{
	static const struct rpc_stream_ops ops = {.message = rotate_on_reply,
						  .closed = rotate_on_closed};
	Arca__V1__RotateRequest request = ARCA__V1__ROTATE_REQUEST__INIT;
	struct rpc_stream *stream;

	request.container_id = a->container_id;
	request.network_id = a->network_id;
	request.old_key = (ProtobufCBinaryData){sizeof(a->peer.key), a->peer.key};
	atomic_fetch_add(&a->refs, 1);
	if (rpc_stream_open(a->rpc, "/arca.v1.Network/Rotate", &request.base,
			    &arca__v1__rotate_response__descriptor, &ops, a, &stream) < 0)
		atomic_fetch_sub(&a->refs, 1); /* not the last: the run has one */
	else
		rpc_stream_close_send(stream);
}

/* One member of each network whose key is old. Return: seconds until the next is. Lock held. */
static unsigned int rotate_round(struct meshes *meshes)
{
	int64_t now_ns = clock_monotonic_ns(), first_s = meshes->rotate_s;
	struct live_mesh *live, *next;
	struct attachment *a, *tmp;

	HASH_ITER (hh, meshes->table, live, next)
		live->rotated = false;
	DL_FOREACH_SAFE (meshes->list, a, tmp) {
		int64_t left_s = meshes->rotate_s - (now_ns - a->key_since_ns) / NSEC_PER_SEC;

		if (!a->ready || a->vmnet || meshes->held)
			continue;
		if (left_s > 0 || a->live->rotated) {
			first_s = MIN(first_s, MAX(left_s, 0));
			continue;
		}
		a->live->rotated = true;
		a->key_since_ns = now_ns;
		DL_DELETE(meshes->list, a); /* the others' turn, however short the period is */
		DL_APPEND(meshes->list, a);
		attachment_rotate(a);
	}
	return (unsigned int)MAX(first_s, ATTACH_ROTATE_GAP_S);
}

static void rotate_due(void *user)
{
	struct meshes *meshes = user;
	unsigned int next_s;

	loop_timer_remove(meshes->rotate_timer);
	meshes->rotate_timer = NULL;
	rank_lock(&meshes->lock);
	next_s = rotate_round(meshes);
	rank_unlock(&meshes->lock);
	if (loop_timer_add(meshes->core->loop, next_s * 1000, rotate_due, meshes,
			   &meshes->rotate_timer) < 0)
		log_error("no memory to rotate the keys of networks any more");
}

static void rotate_arm(void *user)
{
	struct meshes *meshes = user;

	(void)loop_timer_add(meshes->core->loop, ATTACH_ROTATE_GAP_S * 1000, rotate_due, meshes,
			     &meshes->rotate_timer); /* told by the caller */
}

static void rotate_disarm(void *user)
{
	struct meshes *meshes = user;

	if (meshes->rotate_timer)
		loop_timer_remove(meshes->rotate_timer);
	meshes->rotate_timer = NULL;
}

/**
 * meshes_rotate_no_more() - No timer fires any more
 * @meshes: Manager that is going away
 */
void meshes_rotate_no_more(struct meshes *meshes)
{
	(void)loop_call(meshes->core->loop, rotate_disarm,
			meshes); /* a loop that is gone has none */
}

/**
 * meshes_rotate_every() - New keys for all tunnels from time to time
 * @meshes:  Manager
 * @seconds: Period; 0: never
 *
 * Return: 0 or -ENOMEM
 */
int meshes_rotate_every(struct meshes *meshes, unsigned int seconds)
{
	int r;

	if (seconds == 0)
		return 0;
	meshes->rotate_s = seconds;
	r = loop_call(meshes->core->loop, rotate_arm, meshes);
	return r < 0 ? r : meshes->rotate_timer ? 0 : -ENOMEM;
}
