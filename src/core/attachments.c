/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attachments.c - running containers on their networks
 *
 * DOC: Theory of operation
 *
 * A VM has made its tunnels' keys before anybody waits for it, so the others of a network can be
 * told of a new member while its process is still being started, and it takes the list of them
 * along (net/mesh.h plans it). After that each change is a SetPeers to each of the others, without
 * anybody waiting (meshes.c sends it). Where there are many others, the new member is held until
 * its process runs (mesh_open.c).
 *
 * A network of the driver vmnet has no tunnels: each endpoint is a card of its VM's, plugged in
 * before the agent hears of it (vmnet_ports.c). Its members are told of each other all the same,
 * for names.
 *
 * On a network that keeps its members apart (enable_icc=false) they are told of each other in the
 * same way, without keys: no VM takes a packet from one whose key it does not know, whatever that
 * one sends. Ports of a vmnet are isolated in the bridge. On the default bridge two that have a
 * link are told of each other's tunnel and of the ports that it opens (mesh_links.c).
 *
 * A new daemon joins the members that it finds with the keys they have, and tells nobody anything
 * until all have been found or given up (meshes_hold()): a list that lacks those who are found last
 * would cut them off. While some are slow to answer the others go on with lists that cut nobody
 * off.
 *
 * Locking: meshes->lock guards the table, the list, and each attachment's member; above it the verb
 * lock, below it the meshes' own.
 */
#include "core/attachments_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/core.h"
#include "core/spec.h"
#include "core/vmnet_ports.h"
#include "net/underlay.h"
#include "net/vmnet.h"
#include "rpc/client.h"

#define ATTACH_KEYS_WAIT_MS 20000
#define ATTACH_CALL_WAIT_MS 10000
#define ATTACH_AT_ONCE_MAX 4 /* members who may hear of one that is only being started */
#define ATTACH_INDEX_MAX (UNDERLAY_WG_PORT_MAX - UNDERLAY_WG_PORT_MIN)
#define ATTACH_NO_TUNNEL UINT_MAX

static int peer_names(const json_t *names, struct mesh_peer *peer)
{
	json_t *item;
	size_t i;

	peer->names = calloc(json_array_size(names) + 1, sizeof(*peer->names));
	if (!peer->names)
		return -ENOMEM;
	json_array_foreach (names, i, item) {
		peer->names[i] = strdup(json_string_value(item));
		if (!peer->names[i])
			return -ENOMEM;
	}
	return 0;
}

static bool peer_addr(struct net_addr addr, uint8_t *to, size_t len)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];

	if (addr.family == 0 || net_addr_to_bytes(addr, bytes) != len)
		return false;
	memcpy(to, bytes, len);
	return true;
}

/* Without a port nobody is told of the tunnel. */
static void attachment_set_tunnel(struct attachment *a, const struct attachments *all,
				  const uint8_t *key, const struct network_endpoint *e)
{
	bool never = e->apart && e->has_dns; /* links of a user's network are names */

	memcpy(a->peer.key, key, sizeof(a->peer.key));
	memcpy(a->peer.underlay4, sandbox_nic(all->sb)->v4, sizeof(a->peer.underlay4));
	a->peer.by_link = e->apart && !never;
	a->peer.port = never ? 0 : (uint16_t)(UNDERLAY_WG_PORT_MIN + a->index);
}

/* key: NULL without a tunnel */
static int attachment_new(struct attachments *all, const struct network_endpoint *e,
			  unsigned int index, const uint8_t *key, struct attachment **ret)
{
	struct attachment *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->refs = 1;
	a->meshes = all->meshes;
	atomic_fetch_add(&a->meshes->refs, 1);
	a->index = index;
	a->rpc = sandbox_rpc(all->sb);
	memcpy(a->container_id, all->container_id, ID_BUF);
	memcpy(a->network_id, e->network_id, ID_BUF);
	memcpy(a->peer.id, e->endpoint_id, ID_BUF);
	memcpy(a->peer.container, all->container_id, ID_BUF);
	a->key_since_ns = clock_monotonic_ns();
	a->vmnet = !key;
	if (key)
		attachment_set_tunnel(a, all, key, e);
	a->peer.has_v4 = peer_addr(e->v4, a->peer.v4, sizeof(a->peer.v4));
	a->peer.has_v6 = peer_addr(e->v6, a->peer.v6, sizeof(a->peer.v6));
	if (peer_names(e->has_dns ? e->dns_names : NULL, &a->peer) < 0) {
		attachment_unref(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

/* Into its network's mesh: the others are told. */
static int attachment_join(struct attachment *a)
{
	struct meshes *meshes = a->meshes;
	RANK_LOCK_SCOPE(guard, &meshes->lock);
	int r = mesh_take(meshes, a->network_id, &a->live);

	if (r < 0)
		return r;
	a->held = a->held && mesh_members(a->live->mesh) > ATTACH_AT_ONCE_MAX;
	r = mesh_join(a->live->mesh, &a->peer, a->held, attachment_send, a, &a->member);
	if (r < 0) {
		mesh_give(meshes, a->live);
		return r;
	}
	DL_APPEND(meshes->list, a);
	return 0;
}

static void attachment_leave(struct attachment *a)
{
	struct meshes *meshes = a->meshes;

	rank_lock(&meshes->lock);
	if (a->member) {
		attachment_undefer(a);
		attachment_uncount(a);
		DL_DELETE(meshes->list, a);
		mesh_leave(TAKE_PTR(a->member));
		mesh_give(meshes, a->live);
	}
	rank_unlock(&meshes->lock);
}

static int attachments_put(struct attachments *all, struct attachment *a)
{
	struct attachment **bigger = reallocarray(all->v, all->n + 1, sizeof(struct attachment *));

	if (!bigger)
		return -ENOMEM;
	all->v = bigger;
	bigger[all->n++] = a;
	return 0;
}

static int attachments_join(struct attachments *all, const struct network_endpoint *e,
			    unsigned int index, const uint8_t *key, struct attachment **ret)
{
	struct attachment *a = NULL;
	int r = attachment_new(all, e, index, key, &a);

	if (r == 0)
		r = attachments_put(all, a);
	if (r < 0) {
		if (a)
			attachment_unref(a);
		return r;
	}
	*ret = a;
	a->held = key && all->starting;
	r = attachment_join(a);
	if (r < 0) {
		all->n--;
		attachment_unref(a);
	}
	return r;
}

/* What has tunnels: networks of the mesh. */
static bool endpoint_is_meshed(const struct network_endpoint *e)
{
	return network_endpoint_is_claimed(e) && str_eq(e->driver, "bridge");
}

static struct attachments *attachments_new(struct meshes *meshes, const char *container_id,
					   struct sandbox *sb)
{
	struct attachments *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->meshes = meshes;
	all->sb = sb;
	memcpy(all->container_id, container_id, ID_BUF);
	return all;
}

static void attachments_set_starting(struct attachments *all, bool starting)
{
	RANK_LOCK_SCOPE(guard, &all->meshes->lock);

	if (all->starting == starting)
		return;
	all->starting = starting;
	all->meshes->starting += starting ? 1 : -1;
	meshes_flush(all->meshes);
}

struct taking {
	const struct attachment *a;
	Arca__V1__NetworkAttach *attach;
};

static int take_peer(void *user, const struct mesh_peer *peer)
{
	struct taking *taking = user;
	Arca__V1__Peer *to = SPEC_ADD(taking->attach, peers, Arca__V1__Peer, arca__v1__peer__init);

	return to ? mesh_peer_fill(taking->a, peer, to) : -ENOMEM;
}

static int take_peers(struct attachment *a, Arca__V1__NetworkAttach *attach)
{
	RANK_LOCK_SCOPE(guard, &a->meshes->lock);

	return mesh_peers(a->member, take_peer, &(struct taking){a, attach});
}

static struct underlay *attachments_underlay(const struct attachments *all)
{
	return all->meshes->core->underlay;
}

static int attachments_plug(const struct attachments *all, const struct network_endpoint *e,
			    struct err *err)
{
	return vmnet_plug(attachments_underlay(all), all->sb, e,
			  all->reaches_host ? all->meshes->core->networks : NULL, err);
}

/* The endpoint in the request, with everybody who is there already. */
static int begin_vmnet(struct attachments *all, const struct network_endpoint *e,
		       Arca__V1__ContainerSpec *spec, struct err *err)
{
	Arca__V1__NetworkAttach *attach =
		SPEC_ADD(spec, networks, Arca__V1__NetworkAttach, arca__v1__network_attach__init);
	struct attachment *a;
	int r = attach ? spec_network_fill(e, attach) : -ENOMEM;

	if (r < 0)
		return err_oom(err);
	r = attachments_plug(all, e, err);
	if (r < 0)
		return r;
	r = attachments_join(all, e, ATTACH_NO_TUNNEL, NULL, &a);
	if (r < 0) {
		vmnet_port_close(attachments_underlay(all), e->network_id, e->endpoint_id);
		return err_sys(err, r, "cannot join network %.12s", e->network_id);
	}
	r = take_peers(a, attach);
	return r < 0 ? err_oom(err) : 0;
}

/* Likewise, with a tunnel. */
static int begin_one(struct attachments *all, const struct network_endpoint *e, unsigned int index,
		     Arca__V1__ContainerSpec *spec)
{
	Arca__V1__NetworkAttach *attach =
		SPEC_ADD(spec, networks, Arca__V1__NetworkAttach, arca__v1__network_attach__init);
	struct attachment *a;
	int r = attach ? spec_network_fill(e, attach) : -ENOMEM;

	if (r < 0)
		return r;
	attach->index = index;
	r = spec_bytes(&attach->offered_key, all->keys[index], VM_KEY_LEN);
	if (r == 0)
		r = attachments_join(all, e, index, all->keys[index], &a);
	if (r < 0)
		return r;
	attach->hold = a->held;
	return take_peers(a, attach);
}

static int index_check(unsigned int index, struct err *err)
{
	if (index > ATTACH_INDEX_MAX)
		return err_user(err, ERR_INVALID, "a container can be on %d networks at once",
				ATTACH_INDEX_MAX + 1);
	return 0;
}

/*
 * Beyond the keys that are made ahead: the interface is there when the process starts, and the
 * others hear of it with attachments_ready(), which finds the same index.
 */
static int begin_alone(const struct network_endpoint *e, unsigned int index,
		       Arca__V1__ContainerSpec *spec, struct err *err)
{
	Arca__V1__NetworkAttach *attach =
		SPEC_ADD(spec, networks, Arca__V1__NetworkAttach, arca__v1__network_attach__init);

	if (!attach || spec_network_fill(e, attach) < 0)
		return err_oom(err);
	attach->index = index;
	return 0;
}

static int begin_meshed(struct attachments *all, const struct network_endpoint *e,
			unsigned int index, Arca__V1__ContainerSpec *spec, struct err *err)
{
	int r = index == 0 ? sandbox_keys(all->sb, ATTACH_KEYS_WAIT_MS, all->keys, err)
			   : index_check(index, err);

	if (r == 0 && index >= VM_NIC_KEYS)
		return begin_alone(e, index, spec, err);

	if (r < 0)
		return r;
	r = begin_one(all, e, index, spec);
	return r < 0 ? err_sys(err, r, "cannot join the networks of %.12s", all->container_id) : 0;
}

/**
 * attachments_begin() - A container that is about to be started joins its networks
 * @meshes:	  Manager
 * @container_id: Container
 * @sb:		  Its VM; borrowed until attachments_end()
 * @endpoints:	  Claimed
 * @spec:	  Its networks are filled in; host_gateway: it may reach the host
 * @ret:	  attachments_end(); set on success
 * @err:	  Filled on failure
 *
 * Of more networks than a VM has keys ahead, the rest have their peers with attachments_ready().
 *
 * Return: 0 or a negative errno
 */
int attachments_begin(struct meshes *meshes, const char *container_id, struct sandbox *sb,
		      const struct network_endpoints *endpoints, Arca__V1__ContainerSpec *spec,
		      struct attachments **ret, struct err *err)
{
	struct attachments *all = attachments_new(meshes, container_id, sb);
	unsigned int index = 0;
	int r = 0;

	if (!all)
		return err_oom(err);
	all->reaches_host = spec->host_gateway != NULL;
	attachments_set_starting(all, true);
	for (size_t i = 0; i < endpoints->n && r == 0; i++) {
		const struct network_endpoint *e = &endpoints->items[i];

		if (network_endpoint_is_vmnet(e))
			r = begin_vmnet(all, e, spec, err);
		else if (endpoint_is_meshed(e))
			r = begin_meshed(all, e, index++, spec, err);
	}
	if (r < 0)
		attachments_end(all, false);
	else
		*ret = all;
	return r;
}

static struct attachment *attachments_find(const struct attachments *all, const char *network_id)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i]->network_id, network_id))
			return all->v[i];
	return NULL;
}

static void attachment_set_ready(struct attachment *a, bool resync)
{
	RANK_LOCK_SCOPE(guard, &a->meshes->lock);

	a->ready = true;
	if (a->meshes->held || !a->member)
		return;
	mesh_ready(a->member);
	if (resync)
		mesh_resync(a->member);
}

/**
 * attachments_ready() - The process runs
 * @all:       Attachments
 * @endpoints: What attachments_begin() was given; those that it left out join now
 * @err:       Filled on failure
 *
 * Return: 0 or a negative errno
 */
int attachments_ready(struct attachments *all, const struct network_endpoints *endpoints,
		      struct err *err)
{
	int r = 0;

	attachments_set_starting(all, false);
	for (size_t i = 0; i < all->n; i++)
		if (!all->v[i]->held || attachment_open_later(all->v[i]) < 0)
			attachment_set_ready(all->v[i], false);
	for (size_t i = 0; i < endpoints->n && r == 0; i++)
		if (!attachments_find(all, endpoints->items[i].network_id))
			r = attachments_add(all, &endpoints->items[i], err);
	return r;
}

static unsigned int attachments_free_index(const struct attachments *all)
{
	for (unsigned int index = 0;; index++) {
		bool taken = false;

		for (size_t i = 0; i < all->n; i++)
			taken |= all->v[i]->index == index;
		if (!taken)
			return index;
	}
}

/* key: NULL without a tunnel */
static int add_call(struct attachments *all, const struct network_endpoint *e, unsigned int index,
		    uint8_t *key, struct err *err)
{
	Arca__V1__AttachNetworkRequest *request = calloc(1, sizeof(*request));
	ProtobufCMessage *reply = NULL;
	int r;

	if (!request)
		return err_oom(err);
	arca__v1__attach_network_request__init(request);
	request->network = malloc(sizeof(*request->network));
	if (!request->network) {
		free(request);
		return err_oom(err);
	}
	arca__v1__network_attach__init(request->network);
	request->network->index = key ? index : 0;
	r = spec_put(&request->container_id, all->container_id) ||
			    spec_network_fill(e, request->network) < 0
		    ? err_oom(err)
		    : rpc_call(sandbox_rpc(all->sb), "/arca.v1.Network/Attach", &request->base,
			       &arca__v1__attach_network_response__descriptor, ATTACH_CALL_WAIT_MS,
			       &reply, err);
	arca__v1__attach_network_request__free_unpacked(request, NULL);
	if (r != 0)
		return r < 0 ? r : -EPROTO;
	const Arca__V1__AttachNetworkResponse *response =
		(const Arca__V1__AttachNetworkResponse *)reply;
	if (!key)
		r = 0;
	else if (response->public_key.len == VM_KEY_LEN)
		memcpy(key, response->public_key.data, VM_KEY_LEN);
	else
		r = err_user(err, ERR_INTERNAL, "the agent gave no key for network %.12s",
			     e->network_id);
	protobuf_c_message_free_unpacked(reply, NULL);
	return r;
}

static int add_vmnet(struct attachments *all, const struct network_endpoint *e, struct err *err)
{
	struct err ignored = {};
	struct attachment *a;
	int r = attachments_plug(all, e, err);

	if (r < 0)
		return r;
	r = add_call(all, e, ATTACH_NO_TUNNEL, NULL, err);
	if (r == 0) {
		r = attachments_join(all, e, ATTACH_NO_TUNNEL, NULL, &a);
		if (r < 0)
			(void)err_sys(err, r, "cannot join network %.12s", e->network_id);
	}
	if (r < 0) /* the first error counts */
		(void)vmnet_unplug(attachments_underlay(all), all->sb, e->network_id,
				   e->endpoint_id, &ignored);
	else
		attachment_set_ready(a, true);
	return r;
}

static void detach_on_reply(void *user UNUSED, ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

static void detach_on_closed(void *user UNUSED, enum rpc_status status UNUSED,
			     const char *text UNUSED)
{
}

/* What the VM may have and nobody wants, as soon as its agent answers. An Attach that was given up
 * may still be on its way there; this comes after it. */
static void detach_later(const struct attachments *all, const char *network_id)
{
	static const struct rpc_stream_ops ops = {.message = detach_on_reply,
						  .closed = detach_on_closed};
	Arca__V1__DetachNetworkRequest request = ARCA__V1__DETACH_NETWORK_REQUEST__INIT;
	struct rpc_stream *stream;

	request.container_id = (char *)all->container_id;
	request.network_id = (char *)network_id;
	if (rpc_stream_open(sandbox_rpc(all->sb), "/arca.v1.Network/Detach", &request.base,
			    &arca__v1__empty__descriptor, &ops, NULL, &stream) == 0)
		rpc_stream_close_send(stream);
}

/**
 * attachments_add() - A container that runs joins one more network
 * @all:      Attachments; the container's verb lock is held
 * @endpoint: Claimed; one of a driver that moves nothing needs nothing
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int attachments_add(struct attachments *all, const struct network_endpoint *endpoint,
		    struct err *err)
{
	uint8_t key[VM_KEY_LEN];
	unsigned int index;
	struct attachment *a;
	int r;

	if (network_endpoint_is_vmnet(endpoint))
		return add_vmnet(all, endpoint, err);
	if (!endpoint_is_meshed(endpoint))
		return 0;
	r = attachments_remove(all, endpoint->network_id, err); /* that could not be before */
	if (r < 0)
		return r;
	index = attachments_free_index(all);
	r = index_check(index, err);
	if (r < 0)
		return r;
	r = add_call(all, endpoint, index, key, err);
	if (r == 0) {
		r = attachments_join(all, endpoint, index, key, &a);
		if (r < 0)
			err_sys(err, r, "cannot join network %.12s", endpoint->network_id);
	}
	if (r < 0) {
		detach_later(all, endpoint->network_id);
		return r;
	}
	attachment_set_ready(a, true);
	return 0;
}

/**
 * attachments_remove() - A container that runs leaves a network
 * @all:	Attachments; the container's verb lock is held
 * @network_id: Network; one that it is not on is left alone
 * @err:	Filled on failure
 *
 * Its peers forget it in any case. After a failure it is still here, so that the next call tries
 * again and its index is not given to another.
 *
 * Return: 0 or a negative errno
 */
int attachments_remove(struct attachments *all, const char *network_id, struct err *err)
{
	Arca__V1__DetachNetworkRequest request = ARCA__V1__DETACH_NETWORK_REQUEST__INIT;
	struct attachment *a = attachments_find(all, network_id);
	struct err ignored = {};
	int r;

	if (!a)
		return 0;
	attachment_leave(a);
	request.container_id = all->container_id;
	request.network_id = a->network_id;
	r = rpc_call(sandbox_rpc(all->sb), "/arca.v1.Network/Detach", &request.base,
		     &arca__v1__empty__descriptor, ATTACH_CALL_WAIT_MS, NULL, err);
	if (a->vmnet) {
		int unplugged = vmnet_unplug(attachments_underlay(all), all->sb, a->network_id,
					     a->peer.id, r == 0 ? err : &ignored);

		r = r == 0 ? unplugged : r;
	}
	if (r != 0)
		return r < 0 ? r : -EPROTO;
	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i] != a)
			continue;
		all->v[i] = all->v[--all->n];
		break;
	}
	attachment_unref(a);
	return 0;
}

/**
 * attachments_route() - Have the default routes of a container that runs where they should be
 * @all:       Attachments; the container's verb lock is held
 * @endpoints: What it has now
 * @err:       Filled on failure
 *
 * For when a network was left: the agent does not know which of the others is next.
 *
 * Return: 0 or a negative errno
 */
int attachments_route(struct attachments *all, const struct network_endpoints *endpoints,
		      struct err *err)
{
	Arca__V1__SetDefaultsRequest request = ARCA__V1__SET_DEFAULTS_REQUEST__INIT;
	int r;

	for (size_t i = 0; i < endpoints->n; i++) {
		const struct network_endpoint *e = &endpoints->items[i];

		if (!attachments_find(all, e->network_id))
			continue;
		if (e->default_route4)
			request.default4 = (char *)e->network_id;
		if (e->default_route6)
			request.default6 = (char *)e->network_id;
	}
	if (!*request.default4 && !*request.default6)
		return 0;
	request.container_id = all->container_id;
	r = rpc_call(sandbox_rpc(all->sb), "/arca.v1.Network/SetDefaults", &request.base,
		     &arca__v1__empty__descriptor, ATTACH_CALL_WAIT_MS, NULL, err);
	return r > 0 ? -EPROTO : r;
}

static const Arca__V1__NetworkState *state_find(const Arca__V1__HelloResponse *hello,
						const char *container_id, const char *network_id)
{
	for (size_t i = 0; i < hello->n_networks; i++) {
		const Arca__V1__NetworkState *state = hello->networks[i];

		if (str_eq(state->container_id, container_id) &&
		    str_eq(state->network_id, network_id))
			return state;
	}
	return NULL;
}

/* What the VM still has of an endpoint; 0 as well where it has nothing. */
static int resume_one(struct attachments *all, const struct network_endpoint *e,
		      const Arca__V1__HelloResponse *hello)
{
	const Arca__V1__NetworkState *state = state_find(hello, all->container_id, e->network_id);
	bool vmnet = network_endpoint_is_vmnet(e);
	struct attachment *a;
	int r;

	if (!state || (!vmnet && !endpoint_is_meshed(e)) ||
	    state->public_key.len != (vmnet ? 0 : VM_KEY_LEN))
		return 0;
	r = attachments_join(all, e, vmnet ? ATTACH_NO_TUNNEL : state->index,
			     vmnet ? NULL : state->public_key.data, &a);
	if (r == 0)
		attachment_set_ready(a, true);
	return r;
}

/* What it has not, a daemon may have ended in the midst of. */
static int resume_missing(struct attachments *all, const struct network_endpoint *e,
			  struct err *err)
{
	struct err ignored = {};

	if (network_endpoint_is_vmnet(e))
		(void)vmnet_unplug(attachments_underlay(all), all->sb, e->network_id,
				   e->endpoint_id, &ignored);
	return attachments_add(all, e, err);
}

/* Left by a daemon that was killed while it undid something. */
static void resume_detach(const struct attachments *all, const struct network_endpoints *endpoints,
			  const Arca__V1__HelloResponse *hello)
{
	for (size_t i = 0; i < hello->n_networks; i++) {
		const Arca__V1__NetworkState *state = hello->networks[i];
		bool wanted = false;

		for (size_t k = 0; k < endpoints->n; k++)
			wanted |= (endpoint_is_meshed(&endpoints->items[k]) ||
				   network_endpoint_is_vmnet(&endpoints->items[k])) &&
				  str_eq(endpoints->items[k].network_id, state->network_id);
		if (!wanted && str_eq(state->container_id, all->container_id))
			detach_later(all, state->network_id);
	}
}

static void resume_attach(struct attachments *all, const struct network_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n; i++) {
		const struct network_endpoint *e = &endpoints->items[i];
		struct err err = {0};

		if (!attachments_find(all, e->network_id) && resume_missing(all, e, &err) < 0)
			log_error("container %.12s: is not on network %.12s any more: %s",
				  all->container_id, e->network_id, err.msg);
	}
}

/**
 * attachments_resume() - What a VM that a new daemon found is attached to
 * @meshes:	  Manager
 * @container_id: Container
 * @sb:		  Its VM; borrowed until attachments_end()
 * @endpoints:	  Claimed, as the rows have them
 * @hello:	  What the agent said
 * @reaches_host: Whether it may, on networks that it joins from now on
 * @ret:	  attachments_end(); set on success
 * @err:	  Filled on failure
 *
 * What the rows have and the VM has not is attached; what the VM has and the rows have not is
 * detached. What cannot be attached is no reason to give the container up.
 *
 * Return: 0 or a negative errno
 */
int attachments_resume(struct meshes *meshes, const char *container_id, struct sandbox *sb,
		       const struct network_endpoints *endpoints,
		       const Arca__V1__HelloResponse *hello, bool reaches_host,
		       struct attachments **ret, struct err *err)
{
	struct attachments *all = attachments_new(meshes, container_id, sb);
	int r = 0;

	if (!all)
		return err_oom(err);
	all->reaches_host = reaches_host;
	resume_detach(all, endpoints, hello);
	for (size_t i = 0; i < endpoints->n && r == 0; i++)
		r = resume_one(all, &endpoints->items[i], hello);
	if (r < 0) {
		attachments_end(all, false);
		return err_sys(err, r, "cannot join the networks of %.12s", container_id);
	}
	resume_attach(all, endpoints);
	*ret = all;
	return 0;
}

/**
 * attachments_renamed() - The others know a container by its new names
 * @all:       Attachments
 * @endpoints: With their names as they are now
 *
 * Return: 0 or -ENOMEM
 */
int attachments_renamed(struct attachments *all, const struct network_endpoints *endpoints)
{
	int r = 0;

	for (size_t i = 0; i < endpoints->n && r == 0; i++) {
		const struct network_endpoint *e = &endpoints->items[i];
		struct attachment *a = attachments_find(all, e->network_id);

		if (!a || !e->has_dns)
			continue;
		rank_lock(&a->meshes->lock);
		mesh_peer_done(&a->peer);
		r = peer_names(e->dns_names, &a->peer);
		if (r == 0 && a->member)
			r = mesh_change(a->member, &a->peer);
		rank_unlock(&a->meshes->lock);
	}
	return r;
}

/**
 * attachments_end() - The VM is gone or goes: the others forget it
 * @all:      Freed; may be NULL
 * @vm_stays: It is the daemon that goes: the VM keeps its ports
 */
void attachments_end(struct attachments *all, bool vm_stays)
{
	if (!all)
		return;
	attachments_set_starting(all, false);
	for (size_t i = 0; i < all->n; i++) {
		struct attachment *a = all->v[i];

		attachment_leave(a);
		if (a->vmnet && !vm_stays)
			vmnet_port_close(attachments_underlay(all), a->network_id, a->peer.id);
		attachment_unref(a);
	}
	meshes_set_links(all->meshes, all->container_id, &(struct mesh_links){});
	free(all->v);
	free(all);
}
