/* SPDX-License-Identifier: Apache-2.0 */
/* container_prune.c - remove every container that does not run */
#include <errno.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/containers.h"
#include "core/events.h"
#include "core/filters.h"
#include "core/jsonx.h"

static int prune_until(const json_t *filters, int64_t *ret_ns, struct err *err)
{
	const json_t *values = json_object_get(filters, "until");
	const char *text = json_string_value(json_array_get(values, 0));

	if (json_array_size(values) > 1)
		return err_user(err, ERR_INVALID, "more than one until filter specified");
	if (text && clock_parse_timestamp(text, clock_realtime_ns(), ret_ns) < 0)
		return err_user(err, ERR_INVALID, "invalid filter 'until=%s'", text);
	return 0;
}

static bool prune_wants(struct container *c, const json_t *filters, int64_t until_ns)
{
	const json_t *labels = json_object_get(c->config, "Labels");
	RANK_LOCK_SCOPE(state, &c->lock);

	return !container_state_is_up(c->state) && c->state != CONTAINER_REMOVING && !c->removed &&
	       (until_ns == 0 || c->created_ns < until_ns) &&
	       filters_match_labels(filters, "label", labels) &&
	       filters_match_labels(filters, "label!", labels);
}

static void prune_one(struct container *c, json_t *filters, int64_t until_ns, json_t *deleted_ids,
		      uint64_t *bytes)
{
	struct err err = {0};
	uint64_t size;

	RANK_LOCK_SCOPE(verb, &c->verb);
	if (!prune_wants(c, filters, until_ns))
		return;
	size = container_upper_bytes(c);
	if (container_remove_held(c, &err) < 0) {
		log_warn("container %.12s: cannot be pruned: %s", c->id, err.msg);
		return;
	}
	*bytes += size;
	(void)jx_add_str(deleted_ids, c->id); /* it is gone, listed or not */
}

/**
 * container_prune() - POST /containers/prune
 * @cs:		 Manager
 * @filters:	 until, label, label!; or NULL
 * @deleted_ids: Array, appended
 * @ret_bytes:	 Bytes freed on disk
 * @err:	 Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_prune(struct containers *cs, json_t *filters, json_t *deleted_ids,
		    uint64_t *ret_bytes, struct err *err)
{
	struct container **all;
	int64_t until_ns = 0;
	uint64_t bytes = 0;
	char reclaimed[24];
	size_t n = 0;
	int r = prune_until(filters, &until_ns, err);

	if (r < 0)
		return r;
	all = containers_snapshot(cs, &n);
	if (!all)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		prune_one(all[i], filters, until_ns, deleted_ids, &bytes);
	containers_snapshot_free(all, n);
	(void)snprintf(reclaimed, sizeof(reclaimed), "%llu", (unsigned long long)bytes);
	if (cs->core->events)
		events_publish(cs->core->events, "container", "prune", "",
			       json_pack("{s:s}", "reclaimed", reclaimed));
	*ret_bytes = bytes;
	return 0;
}
