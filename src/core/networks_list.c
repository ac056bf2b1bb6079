/* SPDX-License-Identifier: Apache-2.0 */
/* networks_list.c - inspect, list with filters, and what events say of a network */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "core/events.h"
#include "core/filters.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

/**
 * network_event() - Publish an event of a network
 * @networks: Manager
 * @network:  Network
 * @action:   "create", "destroy" ...
 * @more:     Further attributes, reference stolen, or NULL
 */
void network_event(struct networks *networks, const struct network *network, const char *action,
		   json_t *more)
{
	_cleanup_json_ json_t *extra = more;
	json_t *attributes;

	if (!networks->core->events)
		return;
	attributes = json_pack("{s:s, s:s}", "name", network->name, "type", network->driver);
	if (attributes && extra)
		(void)json_object_update(attributes, extra); /* as well as memory allows */
	events_publish(networks->core->events, "network", action, network->id, attributes);
}

static json_t *network_json(const struct network *network, json_t *containers /* stolen */)
{
	json_t *out = json_object();
	char created[CLOCK_RFC3339_MAX];
	int r;

	clock_format_rfc3339(network->created_ns, created);
	r = jx_set_str(out, "Name", network->name);
	r |= jx_set_str(out, "Id", network->id);
	r |= jx_set_str(out, "Created", created);
	r |= jx_set_str(out, "Scope", network->scope);
	r |= jx_set_str(out, "Driver", network->driver);
	r |= jx_set_bool(out, "EnableIPv4", network->ipv4);
	r |= jx_set_bool(out, "EnableIPv6", network->ipv6);
	r |= jx_share(out, "IPAM", network->ipam);
	r |= jx_set_bool(out, "Internal", network->internal);
	r |= jx_set_bool(out, "Attachable", network->attachable);
	r |= jx_set_bool(out, "Ingress", false);
	r |= jx_set(out, "ConfigFrom", json_pack("{s:s}", "Network", network->config_from));
	r |= jx_set_bool(out, "ConfigOnly", network->config_only);
	r |= jx_set(out, "Containers", containers);
	r |= jx_share(out, "Options", network->options);
	r |= jx_share(out, "Labels", network->labels);
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}

static void member_address(struct net_addr addr, unsigned int bits, char out[NET_PREFIX_TEXT])
{
	net_prefix_format((struct net_prefix){addr, bits}, out);
}

static int inspect_member(void *user, const struct network_member *member)
{
	char v4[NET_PREFIX_TEXT], v6[NET_PREFIX_TEXT];

	member_address(member->v4, member->v4_bits, v4);
	member_address(member->v6, member->v6_bits, v6);
	return jx_set(user, member->container_id,
		      json_pack("{s:s, s:s, s:s, s:s, s:s}", "Name", member->container_name,
				"EndpointID", member->endpoint_id, "MacAddress", member->mac,
				"IPv4Address", v4, "IPv6Address", v6));
}

/* dockerd's other words for the same, in this place only */
static int inspect_ambiguous(const char *ref, int r, struct err *err)
{
	char digits[16];
	const char *count = err ? strrchr(err->msg, '(') : NULL;

	if (r == -EINVAL && count && sscanf(count, "(%15[0-9] ", digits) == 1)
		return err_user(err, ERR_INVALID,
				"%s matches found based on ID prefix: network %.200s is ambiguous",
				digits, ref);
	return r;
}

/**
 * network_inspect() - GET /networks/{id}
 * @networks: Manager
 * @ref:      Network
 * @scope:    Only if it has this one; NULL or "" for any
 * @ret:      New object
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_inspect(struct networks *networks, const char *ref, const char *scope, json_t **ret,
		    struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	_cleanup_json_ json_t *containers = json_object();
	json_t *out;
	int r = network_find(networks, ref, &network, err);

	if (r < 0)
		return inspect_ambiguous(ref, r, err);
	if (!str_empty(scope) && !str_eq(scope, network->scope))
		return err_user(err, ERR_NOT_FOUND, "network %.200s not found", ref);
	r = network_members(networks, network->id, inspect_member, containers);
	if (r < 0)
		return err_sys(err, r, "cannot read the endpoints of %.200s", network->name);
	out = network_json(network, TAKE_PTR(containers));
	if (!out)
		return err_oom(err);
	*ret = out;
	return 0;
}

struct listing {
	struct networks *networks;
	const json_t *filters;
	json_t *out;   /* array */
	json_t *used;  /* set of the ids of networks with claimed endpoints */
	bool dangling; /* with has_dangling: which ones */
	bool has_dangling;
};

static bool list_type_matches(const json_t *filters, const struct network *network)
{
	return !filters_has(filters, "type") ||
	       filters_match(filters, "type", network->predefined ? "builtin" : "custom");
}

/* As dockerd: any part of the id will do. */
static bool list_id_matches(const json_t *filters, const struct network *network)
{
	return filters_match_pattern(filters, "id", network->id);
}

static bool list_wants(const struct listing *listing, const struct network *network)
{
	const json_t *filters = listing->filters;
	bool used = json_object_get(listing->used, network->id) != NULL;

	if (listing->has_dangling && listing->dangling != (!used && !network->predefined))
		return false;
	return filters_match(filters, "driver", network->driver) &&
	       list_id_matches(filters, network) &&
	       filters_match_pattern(filters, "name", network->name) &&
	       filters_match(filters, "scope", network->scope) &&
	       list_type_matches(filters, network) &&
	       filters_match_labels(filters, "label", network->labels);
}

static int list_one(void *user, struct network *taken)
{
	_cleanup_network_ struct network *network = taken;
	struct listing *listing = user;

	if (!list_wants(listing, network))
		return 0;
	return json_array_append_new(listing->out, network_json(network, json_object())) < 0
		       ? -ENOMEM
		       : 0;
}

static int list_used_row(void *user, struct store_row *row)
{
	return jx_set(user, store_row_text(row, 0), json_true());
}

static int list_check_filters(struct listing *listing, struct err *err)
{
	const json_t *dangling = json_object_get(listing->filters, "dangling"), *item;
	const char *text = json_string_value(json_array_get(dangling, 0));
	size_t i;

	json_array_foreach (json_object_get(listing->filters, "type"), i, item) {
		if (!str_eq(json_string_value(item), "custom") &&
		    !str_eq(json_string_value(item), "builtin"))
			return err_user(err, ERR_INTERNAL, "invalid filter: 'type'='%.200s'",
					json_string_value(item));
	}
	if (!text)
		return 0;
	listing->has_dangling = true;
	listing->dangling = str_eq(text, "true") || str_eq(text, "1");
	if (json_array_size(dangling) > 1)
		return err_user(err, ERR_INVALID,
				"got more than one value for filter key \"dangling\"");
	if (!listing->dangling && !str_eq(text, "false") && !str_eq(text, "0"))
		return err_user(err, ERR_INVALID,
				"invalid value for filter 'dangling', must be \"true\" (or \"1\"), "
				"or \"false\" (or \"0\")");
	return 0;
}

/**
 * network_list() - GET /networks
 * @networks: Manager
 * @filters:  Parsed filters or NULL
 * @ret:      New array, newest first; Containers is empty in it, as with dockerd
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_list(struct networks *networks, const json_t *filters, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *out = json_array(), *used = json_object();
	struct listing listing = {
		.networks = networks, .filters = filters, .out = out, .used = used};
	int r = list_check_filters(&listing, err);

	if (r < 0)
		return r;
	r = store_exec(networks->core->store,
		       "SELECT DISTINCT network_id FROM endpoints WHERE endpoint_id <> ''",
		       list_used_row, used, "");
	if (r == 0)
		r = network_rows_each(networks, list_one, &listing);
	if (r < 0)
		return err_sys(err, r, "cannot read the networks");
	*ret = TAKE_PTR(out);
	return 0;
}
