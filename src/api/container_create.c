/* SPDX-License-Identifier: Apache-2.0 */
/* container_create.c - handlers that take a container's configuration: create and update */
#include "api/api.h"
#include "api/handlers.h"
#include "api/schema.h"
#include "base/cleanup.h"
#include "core/container.h"
#include "core/core.h"

static void create_json_decref(json_t **json)
{
	json_decref(*json);
}

/* Take a member out of the body: an object, empty if it is missing or null. New reference. */
static json_t *create_take(json_t *body, const char *key)
{
	json_t *value = json_incref(json_object_get(body, key));

	(void)json_object_del(body, key); /* may be missing */
	if (json_is_object(value))
		return value;
	json_decref(value);
	return json_object();
}

/* dockerd: at least one field that is the container's own. */
static bool create_has_config(const json_t *body)
{
	for (const struct schema_field *f = schema_container_config; f->name; f++)
		if (json_object_get(body, f->name))
			return true;
	return false;
}

static int create_read_body(struct http_req *req, json_t **ret_body)
{
	_cleanup_(create_json_decref) json_t *body = NULL;
	const char *text;
	size_t len;
	int r;

	r = api_body_json(req, &body);
	if (r < 0)
		return r;
	(void)http_body_all(req, HTTP_BODY_MAX, &text, &len); /* has just worked */
	if (len == 0)
		return err_user(&req->err, ERR_INVALID,
				"invalid JSON: got EOF while reading request body");
	if (body) {
		r = schema_check(schema_container_create, "CreateRequest", body, &req->err);
		if (r < 0)
			return r;
	}
	if (!body || !create_has_config(body))
		return err_user(&req->err, ERR_INVALID,
				"config cannot be empty in order to create a container");
	*ret_body = TAKE_PTR(body);
	return 0;
}

/* POST /containers/create?name&platform -> 201 | 400 | 404 | 409 */
int api_container_create(struct api *api, struct http_req *req)
{
	_cleanup_(create_json_decref) json_t *body = NULL, *host = NULL, *net = NULL;
	_cleanup_(create_json_decref) json_t *warnings = json_array();
	char id[ID_BUF];
	int r;

	r = create_read_body(req, &body);
	if (r < 0)
		return r;
	host = create_take(body, "HostConfig");
	net = create_take(body, "NetworkingConfig");
	if (!host || !net || !warnings)
		return err_oom(&req->err);
	r = container_create(api->core->containers,
			     &(struct container_create){.name = http_query(req, "name"),
							.platform = http_query(req, "platform"),
							.config = body,
							.host_config = host,
							.networking_config = net,
							.warnings = warnings},
			     id, &req->err);
	if (r < 0)
		return r;
	return api_reply_json(req, 201, json_pack("{s:s, s:O}", "Id", id, "Warnings", warnings));
}

/* POST /containers/{id}/update -> 200 | 400 | 404 | 409 */
int api_container_update(struct api *api, struct http_req *req)
{
	_cleanup_(create_json_decref) json_t *body = NULL;
	_cleanup_(create_json_decref) json_t *warnings = json_array();
	int r;

	r = api_body_json(req, &body);
	if (r < 0)
		return r;
	if (!body)
		body = json_object();
	if (!body || !warnings)
		return err_oom(&req->err);
	r = schema_check(schema_container_update, "UpdateConfig", body, &req->err);
	if (r < 0)
		return r;
	r = container_update(api->core->containers, http_var(req, "id"), body, warnings, &req->err);
	if (r < 0)
		return r;
	return api_reply_json(req, 200, json_pack("{s:O}", "Warnings", warnings));
}
