/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.c - the Docker Engine API as hooks of the HTTP server
 *
 * DOC: Theory of operation
 *
 * A request passes three functions here: api_route() finds its row (routes.c) from the path behind
 * the version prefix; api_handle() calls the row's handler, which decodes, calls one function of
 * core/ or image/, and encodes; api_error() renders whatever went wrong as Docker does. No state:
 * struct api is immutable after api_new(), so any thread may be in any handler.
 */
#include "api/absent.h"
#include "api/api.h"

#include <errno.h>
#include <stdlib.h>

#include "api/router.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

/* What dockerd says on every answer, errors included. */
static void api_common_headers(struct http_req *req)
{
	http_resp_header(req, "Api-Version", API_VERSION);
	http_resp_header(req, "Docker-Experimental", "false");
	http_resp_header(req, "Ostype", "linux");
	http_resp_header(req, "Server", "Arca/" ARCA_VERSION " (linux)");
}

static int api_route(struct http_req *req, enum http_mode *ret_mode, void **ret_route)
{
	struct api *api = req->user;
	const struct api_route *route;
	const char *rest, *name;
	char *value;
	int r;

	api_common_headers(req);
	r = router_version(req->path, &req->api_version, &rest, &req->err);
	if (r < 0)
		return r;
	r = router_find(api->router, req->method, rest, &route, &name, &value);
	if (r == -ENOENT)
		return err_user(&req->err, ERR_NOT_FOUND, "page not found");
	if (r < 0)
		return err_oom(&req->err);
	if (value) {
		req->vars[req->n_vars].name = name;
		req->vars[req->n_vars++].value = value;
	}
	r = route->handler ? 0 : absent_refuse(route, value, &req->err);
	if (r < 0)
		return r;
	if (!route->handler)
		return err_user(&req->err, ERR_NOT_IMPLEMENTED,
				"%s %s is not implemented by Arca yet", req->method, rest);
	*ret_mode = route->mode;
	*ret_route = (void *)route;
	return 0;
}

static int api_handle(struct http_req *req, void *row)
{
	const struct api_route *route = row;

	return route->handler(req->user, req);
}

static const unsigned int api_statuses[] = {
	[ERR_NONE] = 500,	  [ERR_INTERNAL] = 500,	    [ERR_INVALID] = 400,
	[ERR_UNAUTHORIZED] = 401, [ERR_FORBIDDEN] = 403,    [ERR_NOT_FOUND] = 404,
	[ERR_CONFLICT] = 409,	  [ERR_NOT_MODIFIED] = 304, [ERR_NOT_IMPLEMENTED] = 501,
	[ERR_UNAVAILABLE] = 503,  [ERR_CANNOT_RUN] = 400,
};

/**
 * api_err_status() - The HTTP status of an error
 * @err: Error
 *
 * Return: status
 */
unsigned int api_err_status(const struct err *err)
{
	return (size_t)err->kind < ARRAY_SIZE(api_statuses) ? api_statuses[err->kind] : 500;
}

static void api_error(struct http_req *req)
{
	unsigned int status = api_err_status(&req->err);

	if (status >= 500 && status != 501)
		log_error("%s %s: %s", req->method, req->path, req->err.msg);
	else
		log_debug("%s %s: %u %s", req->method, req->path, status, req->err.msg);
	if (status == 304)
		(void)http_resp_empty(req, status); /* no memory: the connection is cut */
	else
		(void)api_reply_json(
			req, status,
			json_pack("{s:s%}", "message", req->err.msg, strlen(req->err.msg)));
}

const struct http_hooks api_http_hooks = {
	.route = api_route,
	.handle = api_handle,
	.error = api_error,
};

/**
 * api_new() - Prepare the API
 * @core:    Managers; must be there before the first request
 * @ret_api: Set on success; api_free()
 *
 * Return: 0 or -ENOMEM
 */
int api_new(struct core *core, struct api **ret_api)
{
	_cleanup_free_ struct api *api = calloc(1, sizeof(*api));

	if (!api || router_new(api_routes, api_routes_n, &api->router) < 0)
		return -ENOMEM;
	api->core = core;
	*ret_api = TAKE_PTR(api);
	return 0;
}

/**
 * api_free() - Free the API; the HTTP server has stopped
 * @api: API or NULL
 */
void api_free(struct api *api)
{
	if (!api)
		return;
	router_free(api->router);
	free(api);
}
