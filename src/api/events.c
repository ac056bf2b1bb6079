/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - GET /events: the stream of what happens, filtered as dockerd does */
#include "core/events.h"

#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "core/core.h"
#include "core/filters.h"

static const char *const events_filters[] = {
	"config", "container", "daemon", "event",   "image", "label",  "network", "node",
	"plugin", "scope",     "secret", "service", "type",  "volume", NULL,
};

/* A filter by an object's name or id concerns events of that type; an id may be cut short. */
static const char *const events_by_actor[] = {
	"config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume",
};

struct events_view {
	struct http_req *req;
	json_t *filters; /* may be NULL */
};

static void events_json_decref(json_t **json)
{
	json_decref(*json);
}

static const char *events_attribute(const json_t *event, const char *name)
{
	return json_string_value(json_object_get(
		json_object_get(json_object_get(event, "Actor"), "Attributes"), name));
}

static bool events_matches_prefix(const json_t *filters, const char *key, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item)
		if (text && str_starts(text, json_string_value(item)))
			return true;
	return false;
}

/* "event": exact, but "exec_start" also stands for "exec_start: sh" and "health_status" likewise */
static bool events_matches_action(const json_t *filters, const char *action)
{
	static const char *const loose[] = {"health_status", "exec_create", "exec_start"};
	const json_t *item;
	size_t i;

	if (filters_match(filters, "event", action))
		return true;
	json_array_foreach (json_object_get(filters, "event"), i, item)
		for (size_t j = 0; j < ARRAY_SIZE(loose); j++)
			if (str_eq(json_string_value(item), loose[j]) &&
			    str_starts(action, loose[j]))
				return true;
	return false;
}

static bool events_matches_actor(const json_t *filters, const json_t *event, const char *id)
{
	const char *name = events_attribute(event, "name");

	for (size_t i = 0; i < ARRAY_SIZE(events_by_actor); i++) {
		const char *key = events_by_actor[i];

		if (filters_has(filters, key) && !events_matches_prefix(filters, key, id) &&
		    !events_matches_prefix(filters, key, name))
			return false;
	}
	return true;
}

/* "image": the event's image by id or name, with or without tag */
static bool events_matches_image(const json_t *filters, const json_t *event, const char *type,
				 const char *id)
{
	const char *name = events_attribute(event, str_eq(type, "image") ? "name" : "image");
	const char *colon = name ? strrchr(name, ':') : NULL;
	_cleanup_free_ char *bare = NULL;

	if (filters_match(filters, "image", id) || filters_match(filters, "image", name))
		return true;
	if (!colon || strchr(colon, '/'))
		return false;
	bare = strndup(name, (size_t)(colon - name));
	return filters_match(filters, "image", bare);
}

static bool events_matches(const json_t *filters, const json_t *event)
{
	const json_t *actor = json_object_get(event, "Actor");
	const char *type = json_string_value(json_object_get(event, "Type"));
	const char *action = json_string_value(json_object_get(event, "Action"));
	const char *scope = json_string_value(json_object_get(event, "scope"));
	const char *id = json_string_value(json_object_get(actor, "ID"));

	if (!filters)
		return true;
	return filters_match(filters, "type", type) &&
	       filters_match(filters, "scope", scope ? scope : "local") &&
	       events_matches_action(filters, action ? action : "") &&
	       events_matches_actor(filters, event, id ? id : "") &&
	       events_matches_image(filters, event, type ? type : "", id ? id : "") &&
	       filters_match_labels(filters, "label", json_object_get(actor, "Attributes"));
}

static int events_send(void *user, json_t *event)
{
	struct events_view *view = user;

	if (!events_matches(view->filters, event))
		return 0;
	return api_stream_json(view->req, event);
}

static int events_time(struct http_req *req, const char *key, int64_t *ret_ns)
{
	const char *text = http_query(req, key);

	*ret_ns = 0;
	if (str_empty(text))
		return 0;
	if (clock_parse_timestamp(text, clock_realtime_ns(), ret_ns) < 0)
		return err_user(&req->err, ERR_INVALID, "invalid value for %s: \"%s\"", key, text);
	return 0;
}

/* GET /events?since&until&filters -> 200 | 400 */
int api_events(struct api *api, struct http_req *req)
{
	_cleanup_(events_json_decref) json_t *filters = NULL;
	struct events_view view = {.req = req};
	int64_t since_ns, until_ns;
	int r;

	r = events_time(req, "since", &since_ns);
	if (r == 0)
		r = events_time(req, "until", &until_ns);
	if (r == 0)
		r = filters_parse(http_query(req, "filters"), events_filters, &filters, &req->err);
	if (r < 0)
		return r;
	if (since_ns && until_ns && since_ns > until_ns)
		return err_user(&req->err, ERR_INVALID,
				"`since` time (%s) cannot be after `until` time (%s)",
				http_query(req, "since"), http_query(req, "until"));
	view.filters = filters;
	r = http_stream_begin(req, 200, "application/json");
	if (r < 0)
		return r;
	return events_follow(api->core->events, since_ns, until_ns, &req->gone, events_send, &view);
}
