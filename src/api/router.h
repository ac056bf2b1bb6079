/* SPDX-License-Identifier: Apache-2.0 */
/* router.h - from method and path to a row of the route table */
#pragma once

#include <stddef.h>

#include "http/http.h"

struct api;
struct router;

typedef int (*api_handler_fn)(struct api *api, struct http_req *req);

/* One endpoint. pattern has at most one variable: {name} stands for one path segment, {name:.*}
 * for one or more (image names have slashes). handler NULL: 501. */
struct api_route {
	const char *method, *pattern;
	enum http_mode mode;
	api_handler_fn handler;
	const char *section, *summary; /* for docs/API.md */
};

extern const struct api_route api_routes[];
extern const size_t api_routes_n;

int router_new(const struct api_route *routes, size_t n, struct router **ret_router);
void router_free(struct router *router);
int router_find(const struct router *router, const char *method, const char *path,
		const struct api_route **ret_route, const char **ret_var_name, char **ret_var);
int router_version(const char *path, unsigned int *ret_version, const char **ret_rest,
		   struct err *err);
