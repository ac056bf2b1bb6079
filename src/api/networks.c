/* SPDX-License-Identifier: Apache-2.0 */
/* networks.c - handlers for networks, and for connecting containers to them */
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/schema.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/filters.h"
#include "core/networks.h"

static const char *const network_list_filters[] = {"dangling", "driver", "id",	 "label",
						   "name",     "scope",	 "type", NULL};
static const char *const network_prune_filters[] = {"until", "label", "label!", NULL};

static void networks_json_decref(json_t **json)
{
	json_decref(*json);
}

/* The body as an object, checked; nothing and null are an empty one. */
static int networks_body(struct http_req *req, const struct schema_field *fields, const char *name,
			 json_t **ret_body)
{
	_cleanup_(networks_json_decref) json_t *body = NULL;
	int r = api_body_json(req, &body);

	if (r < 0)
		return r;
	if (!body)
		body = json_object();
	if (!body)
		return err_oom(&req->err);
	r = schema_check(fields, name, body, &req->err);
	if (r == 0)
		*ret_body = TAKE_PTR(body);
	return r;
}

/* GET /networks?filters -> 200 | 400 */
int api_network_list(struct api *api, struct http_req *req)
{
	_cleanup_(networks_json_decref) json_t *filters = NULL;
	json_t *list;
	int r;

	r = filters_parse(http_query(req, "filters"), network_list_filters, &filters, &req->err);
	if (r == 0)
		r = network_list(api->core->networks, filters, &list, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, list);
}

/* Unlike most of the API's flags, this one must be what Go calls a boolean. */
static int networks_check_verbose(struct http_req *req)
{
	static const char *const words[] = {"1", "t", "T", "TRUE",  "true",  "True", "",
					    "0", "f", "F", "FALSE", "false", "False"};
	const char *text = http_query(req, "verbose");

	if (!text)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_eq(text, words[i]))
			return 0;
	}
	return err_user(&req->err, ERR_INVALID,
			"invalid value for verbose: %.100s: strconv.ParseBool: parsing \"%.100s\": "
			"invalid syntax",
			text, text);
}

/* GET /networks/{id}?verbose&scope -> 200 | 400 | 404; verbose adds what only a swarm has */
int api_network_inspect(struct api *api, struct http_req *req)
{
	json_t *network;
	int r = networks_check_verbose(req);

	if (r == 0)
		r = network_inspect(api->core->networks, http_var(req, "id"),
				    http_query(req, "scope"), &network, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, network);
}

/* POST /networks/create -> 201 | 400 | 403 | 404 | 409 */
int api_network_create(struct api *api, struct http_req *req)
{
	_cleanup_(networks_json_decref) json_t *body = NULL;
	char id[ID_BUF];
	int r = networks_body(req, schema_network_create, "CreateRequest", &body);

	if (r == 0)
		r = network_create(api->core->networks, body, id, &req->err);
	if (r < 0)
		return r;
	return api_reply_json(req, 201, json_pack("{s:s, s:s}", "Id", id, "Warning", ""));
}

/* POST /networks/{id}/connect -> 200 | 400 | 403 | 404 */
int api_network_connect(struct api *api, struct http_req *req)
{
	_cleanup_(networks_json_decref) json_t *body = NULL;
	int r = networks_body(req, schema_network_connect, "ConnectOptions", &body);
	const char *container;

	if (r < 0)
		return r;
	container = json_string_value(json_object_get(body, "Container"));
	r = container_connect(api->core->containers, http_var(req, "id"), container ?: "",
			      json_object_get(body, "EndpointConfig"), &req->err);
	return r < 0 ? r : http_resp_empty(req, 200);
}

/* POST /networks/{id}/disconnect -> 200 | 400 | 404 */
int api_network_disconnect(struct api *api, struct http_req *req)
{
	_cleanup_(networks_json_decref) json_t *body = NULL;
	int r = networks_body(req, schema_network_disconnect, "DisconnectOptions", &body);
	const char *container;

	if (r < 0)
		return r;
	container = json_string_value(json_object_get(body, "Container"));
	r = container_disconnect(api->core->containers, http_var(req, "id"), container ?: "",
				 json_is_true(json_object_get(body, "Force")), &req->err);
	return r < 0 ? r : http_resp_empty(req, 200);
}

/* DELETE /networks/{id} -> 204 | 400 | 403 | 404 */
int api_network_remove(struct api *api, struct http_req *req)
{
	int r = network_remove(api->core->networks, http_var(req, "id"), &req->err);

	return r < 0 ? r : http_resp_empty(req, 204);
}

/* POST /networks/prune?filters -> 200 | 400 */
int api_network_prune(struct api *api, struct http_req *req)
{
	_cleanup_(networks_json_decref) json_t *filters = NULL;
	_cleanup_(networks_json_decref) json_t *deleted = json_array();
	int r;

	if (!deleted)
		return err_oom(&req->err);
	r = filters_parse(http_query(req, "filters"), network_prune_filters, &filters, &req->err);
	if (r == 0)
		r = network_prune(api->core->networks, filters, deleted, &req->err);
	if (r < 0)
		return r;
	return api_reply_json(
		req, 200,
		json_pack("{s:O?}", "NetworksDeleted", json_array_size(deleted) ? deleted : NULL));
}
