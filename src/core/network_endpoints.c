/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_endpoints.c - claim and release: what a container has on its networks while it runs
 *
 * DOC: Theory of operation
 *
 * A claim is one transaction over all endpoints: each finds its network (by the id that an earlier
 * claim found, or else by the name the client gave), gets an id, a MAC, addresses and an
 * interface's name. Either all have them afterwards or nothing has changed. A release undoes it,
 * but the addresses rest with the container. Loading fills the same structure from the rows, so
 * that a new daemon knows what its predecessor's containers have.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

/* The one that default routes lead out of: by priority, then by name. Internal ones have no
 * gateway. */
static struct network_endpoint *route_owner(struct network_endpoints *all, bool four, bool six)
{
	struct network_endpoint *best = NULL;

	for (size_t i = 0; i < all->n; i++) {
		struct network_endpoint *e = &all->items[i];
		int64_t mine, others;

		if (!network_endpoint_is_claimed(e) || (four && !e->gateway4.family) ||
		    (six && !e->gateway6.family))
			continue;
		mine = jx_int(e->settings, "GwPriority");
		others = best ? jx_int(best->settings, "GwPriority") : 0;
		if (!best || mine > others ||
		    (mine == others && strcmp(e->network_name, best->network_name) < 0))
			best = e;
	}
	return best;
}

/* As with dockerd, one that leads out by both families is before those that do by one, whatever
 * their priority. */
static void endpoints_route(struct network_endpoints *all)
{
	struct network_endpoint *both = route_owner(all, true, true);
	struct network_endpoint *v4 = both ? both : route_owner(all, true, false);
	struct network_endpoint *v6 = both ? both : route_owner(all, false, true);

	for (size_t i = 0; i < all->n; i++) {
		all->items[i].default_route4 = &all->items[i] == v4;
		all->items[i].default_route6 = &all->items[i] == v6;
	}
}

/* Rows, and for those that are claimed the rest. */
static int endpoints_read(struct networks *networks, const struct network_container *container,
			  struct network_endpoints *ret)
{
	int r = network_endpoint_rows_load(networks, container->id, container->mode, ret);

	for (size_t i = 0; i < ret->n && r == 0; i++) {
		_cleanup_network_ struct network *network = NULL;

		if (!network_endpoint_is_claimed(&ret->items[i]))
			continue;
		r = network_find_exact(networks, "id", ret->items[i].network_id, &network);
		if (r == 0 && network)
			r = network_endpoint_fill(networks, container->id, network, &ret->items[i]);
	}
	endpoints_route(ret);
	return r;
}

/**
 * network_endpoints_load() - A container's endpoints as they are
 * @networks:  Manager
 * @container: Container
 * @ret:       Filled on success; network_endpoints_done()
 * @err:       Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_endpoints_load(struct networks *networks, const struct network_container *container,
			   struct network_endpoints *ret, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	int r = endpoints_read(networks, container, &all);

	if (r < 0)
		return err_sys(err, r, "cannot read the endpoints of %.12s", container->id);
	*ret = all;
	all = (struct network_endpoints){0};
	return 0;
}

/* Said before what went wrong, at a start. */
static void claim_words(struct err *err)
{
	char text[ERR_MSG_MAX];

	if (!err)
		return;
	(void)snprintf(text, sizeof(text), "%s", err->msg);
	(void)snprintf(err->msg, sizeof(err->msg), "failed to set up container networking: %.900s",
		       text);
}

static int claim_all(struct networks *networks, const struct network_container *container,
		     struct network_endpoints *all, struct err *err)
{
	int r = network_endpoint_rows_load(networks, container->id, container->mode, all);

	if (r < 0)
		return err_sys(err, r, "cannot read the endpoints of %.12s", container->id);
	for (size_t i = 0; i < all->n; i++) /* of a claim that a crash left */
		all->items[i].endpoint_id[0] = '\0';
	for (size_t i = 0; i < all->n; i++) {
		r = network_endpoint_claim_one(networks, container, all, &all->items[i], err);
		if (r < 0)
			return r;
	}
	id_generate(all->sandbox_id);
	r = store_exec(networks->core->store, "UPDATE containers SET sandbox_id = ? WHERE id = ?",
		       NULL, NULL, "ss", all->sandbox_id, container->id);
	return r < 0 ? err_sys(err, r, "cannot record the networks of %.12s", container->id) : 0;
}

/**
 * network_endpoints_claim() - Everything that a container's networks give it, at a start
 * @networks:  Manager
 * @container: Container that does not run
 * @ret:       Filled on success; network_endpoints_done()
 * @err:       Filled on failure, in dockerd's words
 *
 * Publishes a connect event for each.
 *
 * Return: 0, or a negative errno: then nothing is claimed
 */
int network_endpoints_claim(struct networks *networks, const struct network_container *container,
			    struct network_endpoints *ret, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct store *store = networks->core->store;
	RANK_LOCK_SCOPE(guard, &networks->lock);
	int r = store_begin(store);

	if (r < 0)
		return err_sys(err, r, "cannot record the networks of %.12s", container->id);
	r = ipam_rest(&networks->ipam, container->id, NULL); /* of a claim that a crash left */
	r = r < 0 ? err_sys(err, r, "cannot read the addresses of %.12s", container->id)
		  : claim_all(networks, container, &all, err);
	if (r < 0) {
		store_rollback(store);
		claim_words(err);
		return r;
	}
	r = store_commit(store);
	if (r < 0)
		return err_sys(err, r, "cannot record the networks of %.12s", container->id);
	endpoints_route(&all);
	for (size_t i = 0; i < all.n; i++)
		network_endpoint_event(networks, "connect", all.items[i].network_id, container->id);
	*ret = all;
	all = (struct network_endpoints){0};
	return 0;
}

static int claim_named(struct networks *networks, const struct network_container *container,
		       const char *network_id, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	_cleanup_network_ struct network *network = NULL;
	int r = endpoints_read(networks, container, &all);

	if (r == 0)
		r = network_find_exact(networks, "id", network_id, &network);
	if (r < 0 || !network)
		return err_sys(err, r < 0 ? r : -ENOENT, "cannot read the endpoints of %.12s",
			       container->id);
	for (size_t i = 0; i < all.n; i++) {
		struct network_endpoint *e = &all.items[i];

		if (!network_endpoint_is_claimed(e) &&
		    (str_eq(e->network, network->name) || str_eq(e->network_id, network_id)))
			return network_endpoint_claim_one(networks, container, &all, e, err);
	}
	return err_user(err, ERR_INTERNAL, "container %s is not connected to network %.200s",
			container->id, network->name);
}

/**
 * network_endpoint_claim() - The same for one endpoint more, of a container that runs
 * @networks:	Manager
 * @container:	Container whose endpoint's row is there and not claimed
 * @network_id: Full id
 * @err:	Filled on failure
 *
 * Publishes nothing: the caller does once the container has its interface
 * (network_endpoint_event()).
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_claim(struct networks *networks, const struct network_container *container,
			   const char *network_id, struct err *err)
{
	struct store *store = networks->core->store;
	RANK_LOCK_SCOPE(guard, &networks->lock);
	int r = store_begin(store);

	if (r < 0)
		return err_sys(err, r, "cannot record an endpoint of %.12s", container->id);
	r = claim_named(networks, container, network_id, err);
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	r = store_commit(store);
	return r < 0 ? err_sys(err, r, "cannot record an endpoint of %.12s", container->id) : 0;
}

static int released_row(void *user, struct store_row *row)
{
	return jx_add_str(user, store_row_text(row, 0));
}

static int release_rows(struct networks *networks, const char *container_id, json_t *left)
{
	struct store *store = networks->core->store;
	int r;

	r = store_exec(store,
		       "SELECT network_id FROM endpoints WHERE container_id = ?"
		       " AND endpoint_id <> '' ORDER BY network",
		       released_row, left, "s", container_id);
	if (r == 0)
		r = store_exec(store,
			       "UPDATE endpoints SET endpoint_id = '', mac = '', interface = ''"
			       " WHERE container_id = ? AND endpoint_id <> ''",
			       NULL, NULL, "s", container_id);
	if (r == 0)
		r = store_exec(store,
			       "UPDATE containers SET sandbox_id = '' WHERE id = ?"
			       " AND sandbox_id <> ''",
			       NULL, NULL, "s", container_id);
	if (r == 0)
		r = ipam_rest(&networks->ipam, container_id, NULL);
	return r < 0 ? r : 0;
}

/**
 * network_endpoints_release() - The container does not run any more
 * @networks:	  Manager
 * @container_id: Container
 *
 * Its addresses rest with it. Publishes a disconnect event for each endpoint that was claimed; a
 * second call finds none. What cannot be written is logged, and made good at the next claim.
 */
void network_endpoints_release(struct networks *networks, const char *container_id)
{
	_cleanup_json_ json_t *left = json_array();
	struct store *store = networks->core->store;
	json_t *id;
	size_t i;
	int r;

	RANK_LOCK_SCOPE(guard, &networks->lock);
	r = store_begin(store);
	if (r == 0) {
		r = release_rows(networks, container_id, left);
		if (r < 0)
			store_rollback(store);
		else
			r = store_commit(store);
	}
	if (r < 0) {
		log_error("container %.12s: cannot record that it left its networks: %s",
			  container_id, strerror(-r));
		return;
	}
	json_array_foreach (left, i, id)
		network_endpoint_event(networks, "disconnect", json_string_value(id), container_id);
}

/**
 * network_endpoint_event() - Publish connect or disconnect
 * @networks:	  Manager
 * @action:	  "connect" or "disconnect"
 * @network_id:	  Full id
 * @container_id: Full id
 */
void network_endpoint_event(struct networks *networks, const char *action, const char *network_id,
			    const char *container_id)
{
	_cleanup_network_ struct network *network = NULL;

	if (network_find_exact(networks, "id", network_id, &network) == 0 && network)
		network_event(networks, network, action,
			      json_pack("{s:s}", "container", container_id));
}

/**
 * network_endpoints_rename() - The container has another name: so do its endpoints
 * @networks:  Manager
 * @container: Container with its new name
 *
 * Return: 0 or a negative errno
 */
int network_endpoints_rename(struct networks *networks, const struct network_container *container)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct store *store = networks->core->store;
	RANK_LOCK_SCOPE(guard, &networks->lock);
	int r = store_begin(store);

	if (r < 0)
		return r;
	r = network_endpoint_rows_load(networks, container->id, container->mode, &all);
	for (size_t i = 0; i < all.n && r == 0; i++) {
		struct network_endpoint *e = &all.items[i];

		if (!e->dns_names)
			continue;
		json_decref(e->dns_names);
		e->dns_names = network_dns_names(container, e->settings);
		r = e->dns_names ? network_endpoint_row_save(networks, container->id, e) : -ENOMEM;
	}
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	return store_commit(store);
}
