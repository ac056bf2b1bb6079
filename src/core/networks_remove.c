/* SPDX-License-Identifier: Apache-2.0 */
/* networks_remove.c - rm and prune; a network goes when no running container is on it */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/events.h"
#include "core/filters.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

static int remove_member(void *user, const struct network_member *member)
{
	struct buf *out = user;

	buf_addf(out, "%sname:\"%s\" id:\"%.12s\"", out->len ? ", " : "", member->container_name,
		 member->endpoint_id);
	return out->failed ? -ENOMEM : 0;
}

static int dependant_row(void *user, struct store_row *row UNUSED)
{
	*(bool *)user = true;
	return 0;
}

static int remove_check(struct networks *networks, const struct network *network, struct err *err)
{
	_cleanup_buf_ struct buf members = {0};
	bool depended = false;
	int r;

	if (network->predefined)
		return err_user(err, ERR_FORBIDDEN,
				"%s is a pre-defined network and cannot be removed", network->name);
	r = store_exec(networks->core->store, "SELECT 1 FROM networks WHERE config_from = ?",
		       dependant_row, &depended, "s", network->name);
	if (r == 0)
		r = network_members(networks, network->id, remove_member, &members);
	if (r < 0)
		return err_sys(err, r, "cannot read the endpoints of %.200s", network->name);
	if (network->config_only && depended)
		return err_user(err, ERR_FORBIDDEN,
				"error while removing network: configuration network \"%.200s\" is "
				"in use",
				network->name);
	if (members.len > 0)
		return err_user(err, ERR_FORBIDDEN,
				"error while removing network: network %.200s has active endpoints "
				"(%.700s)",
				network->name, members.data);
	return 0;
}

/* Its subnets and addresses go with the row. */
static int remove_held(struct networks *networks, const struct network *network, struct err *err)
{
	int r = remove_check(networks, network, err);

	if (r < 0)
		return r;
	r = store_exec(networks->core->store, "DELETE FROM networks WHERE id = ?", NULL, NULL, "s",
		       network->id);
	if (r < 0)
		return err_sys(err, r, "cannot remove the record of network %.200s", network->name);
	network_event(networks, network, "destroy", NULL);
	return 0;
}

/**
 * network_remove() - DELETE /networks/{id}
 * @networks: Manager
 * @ref:      Network
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_remove(struct networks *networks, const char *ref, struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	RANK_LOCK_SCOPE(all, &networks->lock);
	int r = network_find(networks, ref, &network, err);

	return r < 0 ? r : remove_held(networks, network, err);
}

struct pruning {
	const json_t *filters;
	int64_t until_ns;
	json_t *ids; /* array */
};

static int prune_one(void *user, struct network *taken)
{
	_cleanup_network_ struct network *network = taken;
	struct pruning *pruning = user;

	if (network->predefined ||
	    (pruning->until_ns != 0 && network->created_ns >= pruning->until_ns) ||
	    !filters_match_labels(pruning->filters, "label", network->labels) ||
	    !filters_match_labels(pruning->filters, "label!", network->labels))
		return 0;
	return jx_add_str(pruning->ids, network->id);
}

static int prune_until(struct pruning *pruning, struct err *err)
{
	const json_t *values = json_object_get(pruning->filters, "until");
	const char *text = json_string_value(json_array_get(values, 0));

	if (json_array_size(values) > 1)
		return err_user(err, ERR_INVALID, "more than one until filter specified");
	if (text && clock_parse_timestamp(text, clock_realtime_ns(), &pruning->until_ns) < 0)
		return err_user(err, ERR_INVALID,
				"failed to parse value as time or duration: \"%.200s\"", text);
	return 0;
}

/* What is in use, or went meanwhile, is not an error here. */
static void prune_remove(struct networks *networks, const char *id, json_t *deleted)
{
	_cleanup_network_ struct network *network = NULL;
	struct err err = {0};

	RANK_LOCK_SCOPE(all, &networks->lock);
	if (network_find_exact(networks, "id", id, &network) < 0 || !network)
		return;
	if (remove_held(networks, network, &err) == 0)
		(void)jx_add_str(deleted, network->name); /* it is gone, told or not */
	else if (err.kind == ERR_INTERNAL)
		log_warn("network %.200s: cannot be pruned: %s", network->name, err.msg);
}

/**
 * network_prune() - POST /networks/prune
 * @networks: Manager
 * @filters:  until, label, label!; or NULL
 * @deleted:  Array, names are appended
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_prune(struct networks *networks, const json_t *filters, json_t *deleted,
		  struct err *err)
{
	_cleanup_json_ json_t *ids = json_array();
	struct pruning pruning = {.filters = filters, .ids = ids};
	json_t *id;
	size_t i;
	int r = prune_until(&pruning, err);

	if (r < 0)
		return r;
	r = network_rows_each(networks, prune_one, &pruning);
	if (r < 0)
		return err_sys(err, r, "cannot read the networks");
	json_array_foreach (ids, i, id)
		prune_remove(networks, json_string_value(id), deleted);
	if (networks->core->events)
		events_publish(networks->core->events, "network", "prune", "",
			       json_pack("{s:s}", "reclaimed", "0"));
	return 0;
}
