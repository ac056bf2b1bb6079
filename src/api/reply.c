/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - encoding answers as Docker's server does: compact JSON and a newline */
#include <errno.h>

#include "api/api.h"
#include "base/cleanup.h"

#define REPLY_JSON_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER)

static int reply_dump(const char *text, size_t len, void *user)
{
	struct buf *b = user;

	buf_add(b, text, len);
	return b->failed ? -1 : 0;
}

/* "value\n", or <0. A string that is not UTF-8 never gets into a json_t. */
static int reply_encode(const json_t *value, struct buf *b)
{
	if (!value || json_dump_callback(value, reply_dump, b, REPLY_JSON_FLAGS) < 0)
		return -ENOMEM;
	buf_adds(b, "\n");
	return b->failed ? -ENOMEM : 0;
}

/**
 * api_reply_json() - Answer with JSON
 * @req:    Request
 * @status: HTTP status
 * @value:  Value; the reference is stolen. NULL counts as memory that ran out
 *
 * Return: 0 or <0 with req->err filled
 */
int api_reply_json(struct http_req *req, unsigned int status, json_t *value)
{
	_cleanup_buf_ struct buf b = {0};
	int r = reply_encode(value, &b);
	size_t len = b.len;

	json_decref(value);
	if (r < 0)
		return err_oom(&req->err);
	return http_resp_steal(req, status, "application/json", buf_steal(&b), len);
}

/**
 * api_reply_id() - Answer 201 {"Id": id}
 * @req: Request
 * @id:  Id
 *
 * Return: 0 or <0
 */
int api_reply_id(struct http_req *req, const char *id)
{
	return api_reply_json(req, 201, json_pack("{s:s}", "Id", id));
}

/**
 * api_stream_json() - Write one JSON value and a newline to a streamed answer
 * @req:   Request after http_stream_begin()
 * @value: Value, borrowed
 *
 * Return: 0, -EPIPE once the client left
 */
int api_stream_json(struct http_req *req, json_t *value)
{
	_cleanup_buf_ struct buf b = {0};
	int r = reply_encode(value, &b);

	return r < 0 ? r : http_stream_write(req, b.data, b.len);
}

/**
 * api_strings() - An array of strings
 * @strings: NULL-terminated, or NULL
 *
 * Return: new array, empty for NULL; or NULL if memory ran out
 */
json_t *api_strings(const char *const *strings)
{
	json_t *array = json_array();

	for (; array && strings && *strings; strings++)
		(void)json_array_append_new(array, json_string(*strings)); /* skips non-UTF-8 */
	return array;
}
