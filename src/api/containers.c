/* SPDX-License-Identifier: Apache-2.0 */
/* containers.c - handlers that look at containers: list, inspect, top, and the bulk prune */
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/filters.h"

static const char *const container_list_filters[] = {
	"ancestor", "before", "exited",	 "expose",  "health", "id",	"is-task", "isolation",
	"label",    "name",   "network", "publish", "since",  "status", "volume",  NULL,
};
static const char *const container_prune_filters[] = {"until", "label", "label!", NULL};

static void containers_json_decref(json_t **json)
{
	json_decref(*json);
}

/* GET /containers/json?all&limit&size&filters -> 200 | 400 */
int api_container_list(struct api *api, struct http_req *req)
{
	_cleanup_(containers_json_decref) json_t *filters = NULL;
	json_t *list;
	int limit, r;

	r = api_query_int(req, "limit", 0, &limit);
	if (r < 0)
		return r;
	r = filters_parse(http_query(req, "filters"), container_list_filters, &filters, &req->err);
	if (r < 0)
		return r;
	r = container_list(api->core->containers, http_query_bool(req, "all", false), MAX(limit, 0),
			   http_query_bool(req, "size", false), filters, &list, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, list);
}

/* GET /containers/{id}/json?size -> 200 | 404 */
int api_container_inspect(struct api *api, struct http_req *req)
{
	json_t *container;
	int r;

	r = container_inspect(api->core->containers, http_var(req, "id"),
			      http_query_bool(req, "size", false), &container, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, container);
}

/* GET /containers/{id}/top?ps_args -> 200 | 404 | 409 */
int api_container_top(struct api *api, struct http_req *req)
{
	const char *ps_args = http_query(req, "ps_args");
	json_t *top;
	int r;

	r = container_top(api->core->containers, http_var(req, "id"), ps_args ? ps_args : "", &top,
			  &req->err);
	return r < 0 ? r : api_reply_json(req, 200, top);
}

/* POST /containers/prune?filters -> 200 | 400 */
int api_container_prune(struct api *api, struct http_req *req)
{
	_cleanup_(containers_json_decref) json_t *filters = NULL;
	_cleanup_(containers_json_decref) json_t *deleted = json_array();
	uint64_t bytes = 0;
	int r;

	if (!deleted)
		return err_oom(&req->err);
	r = filters_parse(http_query(req, "filters"), container_prune_filters, &filters, &req->err);
	if (r < 0)
		return r;
	r = container_prune(api->core->containers, filters, deleted, &bytes, &req->err);
	if (r < 0)
		return r;
	return api_reply_json(req, 200,
			      json_pack("{s:O?, s:I}", "ContainersDeleted",
					json_array_size(deleted) ? deleted : NULL, "SpaceReclaimed",
					(json_int_t)bytes));
}
