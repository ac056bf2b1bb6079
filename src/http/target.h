/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - a request line's target: path and query, decoded */
#pragma once

#include <stddef.h>

#define HTTP_QUERY_PARAMS_MAX 256

struct http_param {
	const char *key, *value; /* borrowed: from the target's buffer */
};

struct http_target {
	char *buf;		   /* owned */
	const char *path;	   /* borrowed: from buf */
	struct http_param *params; /* owned; in the order of the request */
	size_t n_params;
};

int http_target_parse(const char *raw, struct http_target *ret_target);
void http_target_done(struct http_target *target);
const char *http_target_query(const struct http_target *target, const char *key);
