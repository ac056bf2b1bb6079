/* SPDX-License-Identifier: Apache-2.0 */
/* network_connect.c - connect and disconnect, as far as rows go */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

/* Whether an endpoint is the one to a network, whatever the client called it. */
static bool connect_is_to(const struct network_endpoint *e, const struct network *network)
{
	if (!str_empty(e->network_id))
		return str_eq(e->network_id, network->id);
	return str_eq(e->network, network->name) || str_eq(e->network, network->id) ||
	       (strlen(e->network) >= ID_SHORT_LEN && str_starts(network->id, e->network));
}

static const struct network_endpoint *connect_find(const struct network_endpoints *all,
						   const struct network *network)
{
	for (size_t i = 0; i < all->n; i++) {
		if (connect_is_to(&all->items[i], network))
			return &all->items[i];
	}
	return NULL;
}

static bool connect_has(const struct network_endpoints *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++) {
		if (str_eq(all->items[i].network, name))
			return true;
	}
	return false;
}

static int connect_check(const struct network_container *container,
			 const struct network_endpoints *all, const struct network *network,
			 struct err *err)
{
	if (str_eq(network->driver, "host") && !str_eq(container->mode, "host"))
		return err_user(err, ERR_INVALID,
				"cannot connect container to host network - container must be "
				"created in host network mode");
	if (str_starts(container->mode, "container:") ||
	    (connect_has(all, "host") && !str_eq(network->driver, "host")))
		return err_user(err, ERR_INVALID,
				"container sharing network namespace with another container or "
				"host cannot be connected to any other network");
	if (connect_has(all, "none") || (str_eq(network->driver, "null") && all->n > 0))
		return err_user(err, ERR_INVALID,
				"container cannot be connected to multiple networks with one of "
				"the networks in private (none) mode");
	return 0;
}

static int connect_insert(struct networks *networks, const struct network_container *container,
			  const struct network *network, const json_t *settings, struct err *err)
{
	_cleanup_free_ char *text = jx_text(settings), *names_text = NULL;
	_cleanup_json_ json_t *names = NULL;
	int r;

	if (network_mode_is_user_defined(network->name)) {
		names = network_dns_names(container, settings);
		if (!names)
			return err_oom(err);
	}
	names_text = jx_text(names);
	if (!text || !names_text)
		return err_oom(err);
	r = store_exec(networks->core->store,
		       "INSERT INTO endpoints (container_id, network, settings, dns_names)"
		       " VALUES (?, ?, ?, ?)",
		       NULL, NULL, "ssss", container->id, network->name, text, names_text);
	return r < 0 ? err_sys(err, r, "cannot record an endpoint of %.12s", container->id) : 0;
}

static int connect_held(struct networks *networks, const struct network_container *container,
			const struct network *network, const json_t *settings, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	const struct network_endpoint *there;
	int r = network_endpoint_rows_load(networks, container->id, container->mode, &all);

	if (r < 0)
		return err_sys(err, r, "cannot read the endpoints of %.12s", container->id);
	r = network_settings_check(networks, network, network->name, settings, "", err);
	if (r < 0)
		return r;
	there = connect_find(&all, network);
	if (there && network_endpoint_is_claimed(there))
		return err_user(err, ERR_FORBIDDEN,
				"endpoint with name %.200s already exists in network %.200s",
				container->name, network->name);
	if (there) /* as dockerd: neither an error nor a change */
		return 0;
	r = connect_check(container, &all, network, err);
	return r < 0 ? r : connect_insert(networks, container, network, settings, err);
}

/**
 * network_endpoint_add() - The row of one endpoint more
 * @networks:  Manager
 * @container: Container, its verb lock held
 * @ref:       Network
 * @settings:  EndpointSettings of the request, or NULL
 * @err:       Filled on failure
 *
 * A container that does not run and has the endpoint already keeps it as it is.
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_add(struct networks *networks, const struct network_container *container,
			 const char *ref, const json_t *settings, struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	_cleanup_json_ json_t *normal = NULL;
	int r = network_settings_normalise(settings, &normal, err);

	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(guard, &networks->lock);
	r = network_find(networks, ref, &network, err);
	return r < 0 ? r : connect_held(networks, container, network, normal, err);
}

static int disconnect_held(struct networks *networks, const struct network_container *container,
			   const char *key, const char *network_id, struct err *err)
{
	struct store *store = networks->core->store;
	int r = store_begin(store);

	if (r == 0) {
		r = store_exec(store,
			       "DELETE FROM endpoints WHERE container_id = ? AND network = ?", NULL,
			       NULL, "ss", container->id, key);
		if (r == 0 && network_id)
			r = ipam_free(&networks->ipam, container->id, network_id);
		if (r < 0)
			store_rollback(store);
		else
			r = store_commit(store);
	}
	return r < 0 ? err_sys(err, r, "cannot remove an endpoint of %.12s", container->id) : 0;
}

/* The endpoint a client means: of a network that is there, or only by its name. */
static const struct network_endpoint *
disconnect_find(const struct network_endpoints *all, const struct network *network, const char *ref)
{
	if (network)
		return connect_find(all, network);
	for (size_t i = 0; i < all->n; i++) {
		if (str_eq(all->items[i].network, ref) || str_eq(all->items[i].network_id, ref))
			return &all->items[i];
	}
	return NULL;
}

/**
 * network_endpoint_remove() - An endpoint's row and addresses go
 * @networks:  Manager
 * @container: Container, its verb lock held; if it runs, its interface is gone
 * @ref:       Network; may be gone
 * @err:       Filled on failure
 *
 * Publishes a disconnect event if the endpoint was claimed.
 *
 * Return: 0 or a negative errno
 */
int network_endpoint_remove(struct networks *networks, const struct network_container *container,
			    const char *ref, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	_cleanup_network_ struct network *network = NULL;
	const struct network_endpoint *there;
	struct err missing = {0};
	int r;

	RANK_LOCK_SCOPE(guard, &networks->lock);
	if (network_find(networks, ref, &network, &missing) < 0 && missing.kind == ERR_INTERNAL) {
		*err = missing;
		return -EIO;
	}
	r = network_endpoint_rows_load(networks, container->id, container->mode, &all);
	if (r < 0)
		return err_sys(err, r, "cannot read the endpoints of %.12s", container->id);
	there = disconnect_find(&all, network, ref);
	if (!there && !network) {
		*err = missing;
		return -ENOENT;
	}
	if (!there)
		return err_user(err, ERR_INTERNAL,
				"container %s is not connected to %snetwork %.200s", container->id,
				str_empty(all.sandbox_id) ? "the " : "", network->name);
	r = disconnect_held(networks, container, there->network, network ? network->id : NULL, err);
	if (r == 0 && network_endpoint_is_claimed(there))
		network_endpoint_event(networks, "disconnect", there->network_id, container->id);
	return r;
}
