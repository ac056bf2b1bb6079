/* SPDX-License-Identifier: Apache-2.0 */
/* container_control.c - handlers that change a container's state */
#include <errno.h>
#include <limits.h>

#include "api/api.h"
#include "api/handlers.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"

#define CONTROL_START_BODY_MAX 7 /* dockerd's: what small clients send for "nothing" */

/* POST /containers/{id}/start -> 204 | 304 | 400 | 404 | 500 */
int api_container_start(struct api *api, struct http_req *req)
{
	const char *body;
	size_t len;
	int r;

	r = http_body_all(req, HTTP_BODY_MAX, &body, &len);
	if (r < 0)
		return r;
	if (len > CONTROL_START_BODY_MAX)
		return err_user(&req->err, ERR_INVALID,
				"starting container with non-empty request body was deprecated "
				"since API v1.22 and removed in v1.24");
	if (!str_empty(http_query(req, "checkpoint")))
		return err_user(&req->err, ERR_NOT_IMPLEMENTED,
				"checkpoints are not implemented by Arca yet");
	r = container_start(api->core->containers, http_var(req, "id"), &req->err);
	return r < 0 ? r : http_resp_empty(req, 204);
}

typedef int (*control_stop_fn)(struct containers *cs, const char *ref, const char *signal,
			       int timeout_s, struct cancel *cancel, struct err *err);

/* A client that leaves does not stop the stop, as with dockerd. */
static int control_stop(struct api *api, struct http_req *req, control_stop_fn stop)
{
	int timeout_s, r;

	r = api_query_int(req, "t", INT_MIN, &timeout_s);
	if (r < 0)
		return r;
	r = stop(api->core->containers, http_var(req, "id"), http_query(req, "signal"), timeout_s,
		 http_stopping(req), &req->err);
	return r < 0 ? r : http_resp_empty(req, 204);
}

/* POST /containers/{id}/stop?signal&t -> 204 | 304 | 400 | 404 */
int api_container_stop(struct api *api, struct http_req *req)
{
	return control_stop(api, req, container_stop);
}

/* POST /containers/{id}/restart?signal&t -> 204 | 400 | 404 */
int api_container_restart(struct api *api, struct http_req *req)
{
	return control_stop(api, req, container_restart);
}

/* POST /containers/{id}/kill?signal -> 204 | 400 | 404 | 409 */
int api_container_kill(struct api *api, struct http_req *req)
{
	const char *signal = http_query(req, "signal");
	int r;

	r = container_kill(api->core->containers, http_var(req, "id"), signal ? signal : "",
			   &req->err);
	return r < 0 ? r : http_resp_empty(req, 204);
}

/* POST /containers/{id}/pause -> 204 | 404 | 409 */
int api_container_pause(struct api *api, struct http_req *req)
{
	int r = container_pause(api->core->containers, http_var(req, "id"), true, &req->err);

	return r < 0 ? r : http_resp_empty(req, 204);
}

/* POST /containers/{id}/unpause -> 204 | 404 | 409 */
int api_container_unpause(struct api *api, struct http_req *req)
{
	int r = container_pause(api->core->containers, http_var(req, "id"), false, &req->err);

	return r < 0 ? r : http_resp_empty(req, 204);
}

/* DELETE /containers/{id}?v&force&link -> 204 | 400 | 404 | 409 */
int api_container_remove(struct api *api, struct http_req *req)
{
	int r;

	if (http_query_bool(req, "link", false))
		r = container_unlink(api->core->containers, http_var(req, "id"), &req->err);
	else
		r = container_remove(api->core->containers, http_var(req, "id"),
				     http_query_bool(req, "force", false),
				     http_query_bool(req, "v", false), &req->err);
	return r < 0 ? r : http_resp_empty(req, 204);
}

/* POST /containers/{id}/rename?name -> 204 | 400 | 404 | 409 */
int api_container_rename(struct api *api, struct http_req *req)
{
	const char *name = http_query(req, "name");
	int r;

	r = container_rename(api->core->containers, http_var(req, "id"), name ? name : "",
			     &req->err);
	return r < 0 ? r : http_resp_empty(req, 204);
}

/* POST /containers/{id}/resize?h&w -> 200 | 400 | 404 | 409 */
int api_container_resize(struct api *api, struct http_req *req)
{
	unsigned int rows, cols;
	int r;

	r = api_query_uint(req, "h", &rows);
	if (r == 0)
		r = api_query_uint(req, "w", &cols);
	if (r == 0)
		r = container_resize(api->core->containers, http_var(req, "id"), rows, cols,
				     &req->err);
	return r < 0 ? r : http_resp_empty(req, 200);
}

static int control_send_exit(struct http_req *req, int code, const char *error)
{
	json_t *exit = json_pack("{s:i}", "StatusCode", code);
	int r;

	if (exit && error)
		(void)json_object_set_new(exit, "Error", json_pack("{s:s}", "Message", error));
	r = exit ? api_stream_json(req, exit) : -ENOMEM;
	json_decref(exit);
	return r;
}

/*
 * POST /containers/{id}/wait?condition -> 200 | 400 | 404
 *
 * The headers say that the wait stands: docker run starts the container when it has them.
 */
int api_container_wait(struct api *api, struct http_req *req)
{
	_cleanup_free_ char *error = NULL;
	struct container_wait *wait;
	int code = 0, r;

	r = container_wait_begin(api->core->containers, http_var(req, "id"),
				 http_query(req, "condition"), &wait, &req->err);
	if (r < 0)
		return r;
	(void)http_stream_begin(req, 200, "application/json"); /* wait has to be ended anyway */
	r = container_wait_end(wait, &req->gone, &code, &error, &req->err);
	return r < 0 ? r : control_send_exit(req, code, error);
}
