/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - exec: create, start, inspect, resize */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/schema.h"
#include "api/streams.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/core.h"
#include "core/exec.h"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

/* POST /containers/{id}/exec -> 201 | 400 | 404 | 409 */
int api_exec_create(struct api *api, struct http_req *req)
{
	_cleanup_json_ json_t *body = NULL;
	char id[ID_BUF];
	int r;

	r = api_body_json(req, &body);
	if (r < 0)
		return r;
	if (!body)
		return err_user(&req->err, ERR_INVALID,
				"invalid JSON: got EOF while reading request body");
	r = schema_check(schema_exec_create, "ExecCreateRequest", body, &req->err);
	if (r < 0)
		return r;
	r = exec_create(api->core->execs, http_var(req, "id"), body, id, &req->err);
	return r < 0 ? r : api_reply_id(req, id);
}

static int exec_start_size(struct http_req *req, const json_t *body, unsigned int *ret_rows,
			   unsigned int *ret_cols)
{
	const json_t *size = json_object_get(body, "ConsoleSize");
	json_int_t rows, cols;

	if (!size || json_is_null(size))
		return 0;
	rows = json_integer_value(json_array_get(size, 0));
	cols = json_integer_value(json_array_get(size, 1));
	if (json_array_size(size) != 2 || rows < 0 || cols < 0 || rows > UINT16_MAX ||
	    cols > UINT16_MAX)
		return err_user(&req->err, ERR_INVALID, "invalid ConsoleSize");
	*ret_rows = (unsigned int)rows;
	*ret_cols = (unsigned int)cols;
	return 0;
}

/* The connection is hijacked: an error can only be said in the stream, as dockerd does. */
static void exec_say(const struct stdio_attach *attach, const char *text)
{
	size_t len = strlen(text) + 2;
	unsigned char head[8] = {1, 0, 0, 0, 0, 0, (unsigned char)(len >> 8), (unsigned char)len};
	_cleanup_buf_ struct buf out = {0};

	if (attach->mux)
		buf_add(&out, head, sizeof(head));
	buf_adds(&out, text);
	buf_adds(&out, "\r\n");
	if (!out.failed)
		(void)fs_write_all(attach->fd, out.data, out.len); /* the client may be gone */
}

/* POST /exec/{id}/start -> 101 | 200 | 400 | 404 | 409 */
int api_exec_start(struct api *api, struct http_req *req)
{
	_cleanup_json_ json_t *body = NULL;
	struct streams_hijack h = {.req = req};
	unsigned int rows = 0, cols = 0;
	bool detach;
	int r;

	r = api_body_json(req, &body);
	if (r == 0 && body)
		r = schema_check(schema_exec_start, "ExecStartRequest", body, &req->err);
	if (r == 0)
		r = exec_start_size(req, body, &rows, &cols);
	if (r < 0)
		return r;
	detach = json_is_true(json_object_get(body, "Detach"));
	h.attach = (struct stdio_attach){
		.fd = -EBADF,
		.in = true,
		.out = true,
		.err = true,
		.stream = true,
		.mux = !json_is_true(json_object_get(body, "Tty")),
		.cancel = &req->gone,
		.ready = streams_hijack,
		.user = &h,
	};
	h.content_type = streams_hijack_type(req, h.attach.mux);
	r = exec_start(api->core->execs, http_var(req, "id"), detach, &h.attach, rows, cols,
		       &req->err);
	if (r < 0 && h.attach.fd >= 0 && req->err.kind != ERR_NONE)
		exec_say(&h.attach, req->err.msg);
	cleanup_close(&h.attach.fd);
	if (r < 0 || !detach)
		return MIN(r, 0);
	return http_resp_empty(req, 200);
}

/* GET /exec/{id}/json -> 200 | 404 */
int api_exec_inspect(struct api *api, struct http_req *req)
{
	json_t *exec;
	int r;

	r = exec_inspect(api->core->execs, http_var(req, "id"), &exec, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, exec);
}

/* POST /exec/{id}/resize?h=&w= -> 200 | 400 | 404 | 409 */
int api_exec_resize(struct api *api, struct http_req *req)
{
	unsigned int rows, cols;
	int r;

	r = api_query_uint(req, "h", &rows);
	if (r == 0)
		r = api_query_uint(req, "w", &cols);
	if (r == 0)
		r = exec_resize(api->core->execs, http_var(req, "id"), rows, cols, &req->err);
	return r < 0 ? r : http_resp_empty(req, 200);
}
