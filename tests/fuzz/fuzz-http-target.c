/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-http-target.c - any request target through parsing, version negotiation and the real table
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/router.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void find(const struct router *router, const char *path)
{
	static const char *const methods[] = {"GET", "POST", "DELETE", "HEAD", "PUT", "BREW"};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		const struct api_route *route = NULL;
		const char *name = NULL;
		_cleanup_free_ char *value = NULL;

		if (router_find(router, methods[i], path, &route, &name, &value) < 0)
			continue;
		assert(str_eq(route->method, methods[i]));
		assert(!name == !value);
		assert(!value || (*value && strstr(path, value)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct router *router;
	_cleanup_free_ char *raw = strndup((const char *)data, len);
	_cleanup_(http_target_done) struct http_target target = {0};
	struct err err = {0};
	unsigned int version;
	const char *rest;

	if (!router && router_new(api_routes, api_routes_n, &router) < 0)
		abort();
	if (http_target_parse(raw, &target) < 0)
		return 0;
	assert(strlen(target.path) <= strlen(raw));
	for (size_t i = 0; i < target.n_params; i++)
		assert(http_target_query(&target, target.params[i].key));
	if (router_version(target.path, &version, &rest, &err) < 0) {
		assert(err.kind == ERR_INVALID && err.msg[0]);
		return 0;
	}
	assert(version >= 124 && version <= API_VERSION_NUMBER);
	find(router, rest);
	return 0;
}
