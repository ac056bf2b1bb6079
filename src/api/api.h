/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - the Docker Engine API: hooks for the HTTP server, and what its handlers share */
#pragma once

#include <jansson.h>

#include "http/http.h"

struct core;
struct router;

#define API_VERSION "1.51"
#define API_VERSION_MIN "1.24"
#define API_VERSION_NUMBER 151 /* as req->api_version has it */

struct api {
	struct core *core;     /* borrowed */
	struct router *router; /* owned */
};

extern const struct http_hooks api_http_hooks; /* with a struct api as user */

int api_new(struct core *core, struct api **ret_api);
void api_free(struct api *api);
unsigned int api_err_status(const struct err *err);

/* reply.c: the answer's encoding */
int api_reply_json(struct http_req *req, unsigned int status, json_t *value /* stolen */);
int api_reply_id(struct http_req *req, const char *id);
int api_stream_json(struct http_req *req, json_t *value /* borrowed */);
json_t *api_strings(const char *const *strings /* NULL-terminated, may be NULL */);

/* decode.c: the request's decoding */
int api_json_parse(const char *text, size_t len, json_t **ret_value, struct err *err);
int api_body_json(struct http_req *req, json_t **ret_body);
int api_query_int(struct http_req *req, const char *key, int missing, int *ret_value);
int api_query_uint(struct http_req *req, const char *key, unsigned int *ret_value);
