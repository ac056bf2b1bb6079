/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_filter.c - the filters of docker ps
 *
 * Values of one key are alternatives, keys are all required. Regular expressions (name, id) are the
 * client's: POSIX extended, on names of bounded length.
 */
#include "core/container_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/filters.h"
#include "core/jsonx.h"
#include "core/ports.h"
#include "image/image.h"

static bool filter_name(const json_t *filters, const char *name)
{
	char with_slash[CONTAINER_NAME_MAX + 2];

	(void)snprintf(with_slash, sizeof(with_slash), "/%s", name);
	return filters_match_pattern(filters, "name", name) ||
	       filters_match_pattern(filters, "name", with_slash);
}

static int filter_refuse(const char *key, const char *value, const char *why, struct err *err)
{
	return err_user(err, ERR_INVALID, "invalid filter '%s=%.200s'%s", key, value, why);
}

static int filter_check_status(const json_t *filters, struct err *err)
{
	enum container_state state;
	char why[320];
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, "status"), i, item) {
		const char *value = json_string_value(item);

		if (container_state_parse(value, &state) == 0)
			continue;
		(void)snprintf(why, sizeof(why),
			       ": invalid value for state (%.200s): must be one of created, "
			       "running, paused, restarting, removing, exited, dead",
			       value);
		return filter_refuse("status", value, why, err);
	}
	return 0;
}

static int filter_check_exited(const json_t *filters, struct err *err)
{
	char why[256];
	json_t *item;
	size_t i;
	int64_t n;

	json_array_foreach (json_object_get(filters, "exited"), i, item) {
		const char *value = json_string_value(item);

		if (str_i64(value, &n) == 0)
			continue;
		(void)snprintf(why, sizeof(why),
			       ": strconv.Atoi: parsing \"%.200s\": invalid syntax", value);
		return filter_refuse("exited", value, why, err);
	}
	return 0;
}

static int filter_check_health(const json_t *filters, struct err *err)
{
	static const char *const words[] = {"none", "starting", "healthy", "unhealthy"};
	char why[320];
	json_t *item;
	size_t i, k;

	json_array_foreach (json_object_get(filters, "health"), i, item) {
		const char *value = json_string_value(item);

		for (k = 0; k < ARRAY_SIZE(words) && !str_eq(value, words[k]); k++)
			;
		if (k < ARRAY_SIZE(words))
			continue;
		(void)snprintf(why, sizeof(why),
			       ": invalid value for health (%.200s): must be one of none, "
			       "starting, healthy, unhealthy",
			       value);
		return filter_refuse("health", value, why, err);
	}
	return 0;
}

static int filter_check_is_task(const json_t *filters, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, "is-task"), i, item) {
		const char *value = json_string_value(item);

		if (!str_eq(value, "true") && !str_eq(value, "false") && !str_eq(value, "1") &&
		    !str_eq(value, "0"))
			return err_user(err, ERR_INVALID, "invalid filter 'is-task=[%.200s]'",
					value);
	}
	return 0;
}

/* What dockerd makes of it is a 500, in the words of Go's library. */
static int filter_check_ports(const json_t *filters, const char *key, struct err *err)
{
	struct port_range range;
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item) {
		const char *value = json_string_value(item);
		int r = ports_parse(value, &range), len = (int)strcspn(value, "/");

		if (r == 0)
			continue;
		if (len == 0)
			return err_user(err, ERR_INTERNAL,
					"error while looking up for %s %.200s: Empty string "
					"specified for ports.",
					key, value);
		if (r == -ERANGE && memchr(value, '-', (size_t)len))
			return err_user(err, ERR_INTERNAL,
					"error while looking up for %s %.200s: Invalid range "
					"specified for the Port: %.*s",
					key, value, MIN(len, 200), value);
		return err_user(err, ERR_INTERNAL,
				"error while looking up for %s %.200s: strconv.ParseUint: parsing "
				"\"%.*s\": %s",
				key, value, MIN(len, 200), value,
				r == -ERANGE ? "value out of range" : "invalid syntax");
	}
	return 0;
}

static int filter_check(const json_t *filters, struct err *err)
{
	int r = filter_check_status(filters, err);

	if (r == 0)
		r = filter_check_exited(filters, err);
	if (r == 0)
		r = filter_check_health(filters, err);
	if (r == 0)
		r = filter_check_is_task(filters, err);
	if (r == 0)
		r = filter_check_ports(filters, "publish", err);
	return r < 0 ? r : filter_check_ports(filters, "expose", err);
}

static int filter_created(struct containers *cs, const json_t *filters, const char *key,
			  int64_t *ret_ns, struct err *err)
{
	json_t *values = json_object_get(filters, key);
	_cleanup_container_ struct container *c = NULL;
	int r;

	if (json_array_size(values) == 0)
		return 0;
	r = containers_find(cs, json_string_value(json_array_get(values, 0)), &c, err);
	if (r == 0)
		*ret_ns = c->created_ns;
	return r;
}

static int filter_ancestors(struct container_filter *f, struct containers *cs)
{
	json_t *item;
	size_t i;

	if (!filters_has(f->filters, "ancestor"))
		return 0;
	f->ancestors = json_array();
	json_array_foreach (json_object_get(f->filters, "ancestor"), i, item) {
		struct image *image = NULL;
		struct err ignored = {0};

		if (image_get(cs->core->images, json_string_value(item), &image, &ignored) < 0)
			continue; /* no such image: nothing was made from it */
		(void)jx_add_str(f->ancestors, image->id);
		image_free(image);
	}
	return f->ancestors ? 0 : -ENOMEM;
}

/**
 * container_filter_init() - Check filters and look up what they refer to
 * @f:	     Filter; container_filter_done() in any case
 * @cs:	     Manager
 * @filters: Parsed filters or NULL, borrowed
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_filter_init(struct container_filter *f, struct containers *cs, const json_t *filters,
			  struct err *err)
{
	int r;

	*f = (struct container_filter){.filters = filters};
	r = filter_check(filters, err);
	if (r == 0)
		r = filter_created(cs, filters, "before", &f->before_ns, err);
	if (r == 0)
		r = filter_created(cs, filters, "since", &f->since_ns, err);
	if (r < 0)
		return r;
	f->all = filters_has(filters, "status") || filters_has(filters, "exited") ||
		 filters_has(filters, "before") || filters_has(filters, "since");
	return filter_ancestors(f, cs) < 0 ? err_oom(err) : 0;
}

/**
 * container_filter_done() - Free what container_filter_init() looked up
 * @f: Filter
 */
void container_filter_done(struct container_filter *f)
{
	json_decref(f->ancestors);
}

static bool filter_array_has(const json_t *list, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (str_eq(json_string_value(item), text))
			return true;
	}
	return false;
}

/* "80", "80/tcp", "80-90/udp" against the keys of a port map */
static bool filter_ports(const json_t *filters, const char *key, const json_t *ports)
{
	json_t *values = json_object_get(filters, key), *item, *port;
	struct port_range wanted, have;
	const char *name;
	size_t i;

	if (json_array_size(values) == 0)
		return true;
	json_array_foreach (values, i, item) {
		if (ports_parse(json_string_value(item), &wanted) < 0)
			continue; /* was refused */
		json_object_foreach ((json_t *)ports, name, port) {
			if (ports_parse(name, &have) == 0 && have.first >= wanted.first &&
			    have.first <= wanted.last && str_eq(have.proto, wanted.proto))
				return true;
		}
	}
	return false;
}

/* Fields that change; the state lock is taken here. */
static bool filter_state(const struct container_filter *f, struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	char code[16];

	if (!filter_name(f->filters, c->name))
		return false;
	if (!filters_match(f->filters, "status", container_state_name(c->state)))
		return false;
	if (filters_has(f->filters, "exited")) {
		(void)snprintf(code, sizeof(code), "%d", c->exit_code);
		if (container_state_is_up(c->state) || c->started_ns == 0 ||
		    !filters_match(f->filters, "exited", code))
			return false;
	}
	return true;
}

/* By the name that the container knows, or by (the beginning of) the network's id. */
static bool filter_networks(const json_t *filters, struct container *c)
{
	json_t *values = json_object_get(filters, "network"), *item, *endpoint;
	const char *name;
	size_t i;

	if (json_array_size(values) == 0)
		return true;
	RANK_LOCK_SCOPE(state, &c->lock);
	json_object_foreach (c->networks, name, endpoint) {
		const char *id = jx_str(endpoint, "NetworkID");

		json_array_foreach (values, i, item) {
			const char *value = json_string_value(item);

			if (str_eq(value, name) || (*value && str_starts(id, value)))
				return true;
		}
	}
	return false;
}

/**
 * container_filter_match() - Whether a container passes
 * @f: Filter
 * @c: Container, no lock held
 *
 * Return: the answer
 */
bool container_filter_match(const struct container_filter *f, struct container *c)
{
	const json_t *labels = json_object_get(c->config, "Labels");
	_cleanup_json_ json_t *host = NULL;

	if (!f->filters || json_object_size(f->filters) == 0)
		return true;
	if ((f->before_ns && c->created_ns >= f->before_ns) ||
	    (f->since_ns && c->created_ns <= f->since_ns))
		return false;
	if (f->ancestors && !filter_array_has(f->ancestors, c->image_id))
		return false;
	if (!filters_match_labels(f->filters, "label", labels) ||
	    !filters_match_labels(f->filters, "label!", labels) || !filter_state(f, c))
		return false;
	if (filters_has(f->filters, "volume")) /* there are none yet */
		return false;
	if (!filters_match(f->filters, "health", "none"))
		return false;
	if (!filters_match(f->filters, "is-task", "false") &&
	    !filters_match(f->filters, "is-task", "0"))
		return false;
	host = container_host_config(c);
	return filters_match_pattern(f->filters, "id", c->id) && filter_networks(f->filters, c) &&
	       filter_ports(f->filters, "publish", json_object_get(host, "PortBindings")) &&
	       filter_ports(f->filters, "expose", json_object_get(c->config, "ExposedPorts"));
}
