/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_list.c - GET /containers/json
 *
 * An entry is built once and kept with the container until something it shows changes: the
 * container's version, or the words for its age. A list of hundreds is then mostly references.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "core/container_filter.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/port_plan.h"

/* dockerd's quoting: arguments with blanks in single quotes */
static char *list_command(const json_t *config)
{
	_cleanup_buf_ struct buf out = {0};
	_cleanup_json_ json_t *args = NULL;
	const char *path;
	json_t *item;
	size_t i;

	container_command(config, &path, &args);
	buf_adds(&out, path);
	json_array_foreach (args, i, item) {
		const char *arg = json_string_value(item);

		buf_addf(&out, strchr(arg, ' ') ? " '%s'" : " %s", arg);
	}
	return out.failed ? NULL : buf_steal(&out);
}

/* Its own, and those that links give; in order. State lock held. */
static json_t *list_names(const struct container *c)
{
	char own[CONTAINER_NAME_MAX + 2];
	json_t *names = json_array(), *item;
	bool own_is_in = false;
	size_t i;
	int r = 0;

	(void)snprintf(own, sizeof(own), "/%s", c->name);
	json_array_foreach (c->link_names, i, item) {
		if (!own_is_in && strcmp(own, json_string_value(item)) < 0) {
			r |= jx_add_str(names, own);
			own_is_in = true;
		}
		r |= json_array_append(names, item);
	}
	if (!own_is_in)
		r |= jx_add_str(names, own);
	if (r == 0)
		return names;
	json_decref(names);
	return NULL;
}

static int list_share_list(json_t *out, const char *key, json_t *value)
{
	return jx_set(out, key, value ? value : json_object());
}

/* State lock held. */
static json_t *list_build(struct container *c)
{
	_cleanup_free_ char *command = list_command(c->config);
	const json_t *host = c->host_config;
	json_t *out = json_object();
	int r;

	r = jx_set_str(out, "Id", c->id);
	r |= jx_set(out, "Names", list_names(c));
	r |= jx_set_str(out, "Image", jx_str(c->config, "Image"));
	r |= jx_set_str(out, "ImageID", c->image_id);
	r |= jx_set_str(out, "Command", command ? command : "");
	r |= jx_set_int(out, "Created", c->created_ns / NSEC_PER_SEC);
	r |= jx_set(out, "Ports", port_plan_listed(c->ports));
	r |= list_share_list(out, "Labels", json_incref(json_object_get(c->config, "Labels")));
	r |= jx_set_str(out, "State", container_state_name(c->state));
	r |= jx_set_str(out, "Status", c->list_status);
	r |= jx_set(out, "HostConfig",
		    json_pack("{s:s}", "NetworkMode", jx_str(host, "NetworkMode")));
	if (jx_len(host, "Annotations") > 0)
		r |= jx_share(json_object_get(out, "HostConfig"), "Annotations",
			      json_object_get(host, "Annotations"));
	r |= jx_set(out, "NetworkSettings", json_pack("{s:O?}", "Networks", c->networks_brief));
	r |= jx_set(out, "Mounts", container_mounts_json(host));
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}

/* New reference to the entry, from the cache if it is still true. */
static json_t *list_item(struct container *c, int64_t now_ns)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	char status[sizeof(c->list_status)];

	container_status_text(c, now_ns, status, sizeof(status));
	if (!c->list_item || c->list_version != c->version || !str_eq(status, c->list_status)) {
		json_decref(c->list_item);
		memcpy(c->list_status, status, sizeof(status));
		c->list_version = c->version;
		c->list_item = list_build(c);
	}
	return json_incref(c->list_item);
}

static json_t *list_item_with_size(struct container *c, int64_t now_ns)
{
	_cleanup_json_ json_t *cached = list_item(c, now_ns);
	json_t *item = json_copy(cached);
	uint64_t bytes = container_upper_bytes(c);

	if (item && (jx_set_int(item, "SizeRw", (int64_t)bytes) ||
		     jx_set_int(item, "SizeRootFs", (int64_t)(bytes + c->image_bytes)))) {
		json_decref(item);
		return NULL;
	}
	return item;
}

static bool list_is_up(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	return container_state_is_up(c->state);
}

/**
 * container_list() - Containers as docker ps lists them
 * @cs:	     Manager
 * @all:     Also those that do not run
 * @limit:   At most so many, of all states; 0 for no limit
 * @size:    With SizeRw and SizeRootFs
 * @filters: Parsed filters or NULL
 * @ret:     New array, newest first
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_list(struct containers *cs, bool all, int limit, bool size, json_t *filters,
		   json_t **ret, struct err *err)
{
	_cleanup_(container_filter_done) struct container_filter filter = {0};
	_cleanup_json_ json_t *out = json_array();
	int64_t now_ns = clock_realtime_ns();
	struct container **containers;
	size_t n = 0;
	int r;

	r = container_filter_init(&filter, cs, filters, err);
	if (r < 0)
		return r;
	containers = containers_snapshot(cs, &n);
	if (!containers || !out)
		r = err_oom(err);
	all = all || limit > 0 || filter.all;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct container *c = containers[i];

		if (limit > 0 && json_array_size(out) >= (size_t)limit)
			break;
		if ((!all && !list_is_up(c)) || !container_filter_match(&filter, c))
			continue;
		if (json_array_append_new(out, size ? list_item_with_size(c, now_ns)
						    : list_item(c, now_ns)) < 0)
			r = err_oom(err);
	}
	containers_snapshot_free(containers, n);
	if (r == 0)
		*ret = TAKE_PTR(out);
	return r;
}
