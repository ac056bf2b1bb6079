/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "test.h"

TEST_MAIN()

DEFINE_CLEANUP(struct router *, router_free)

static const struct api_route table[] = {
	{"GET", "/images/{name:.*}/json", HTTP_INLINE, NULL, "", "inspect"},
	{"GET", "/images/json", HTTP_INLINE, NULL, "", "list"},
	{"GET", "/networks/{id}", HTTP_INLINE, NULL, "", "network"},
	{"DELETE", "/images/{name:.*}", HTTP_INLINE, NULL, "", "remove"},
};

static const char *find(const struct router *router, const char *method, const char *path,
			char *value)
{
	const struct api_route *route = NULL;
	const char *name = NULL;
	_cleanup_free_ char *var = NULL;

	if (router_find(router, method, path, &route, &name, &var) < 0)
		return "none";
	(void)snprintf(value, 64, "%s=%s", name ? name : "", var ? var : "");
	return route->summary;
}

/* Goal: exact rows first, greedy variables over slashes, plain ones not. */
TEST(router_find_matches)
{
	_cleanup_(router_freep) struct router *router = NULL;
	char v[64];

	ASSERT_OK(router_new(table, ARRAY_SIZE(table), &router));
	ASSERT_STREQ(find(router, "GET", "/images/json", v), "list");
	ASSERT_STREQ(v, "=");
	ASSERT_STREQ(find(router, "GET", "/images/localhost:5000/a/b:c/json", v), "inspect");
	ASSERT_STREQ(v, "name=localhost:5000/a/b:c");
	ASSERT_STREQ(find(router, "GET", "/images//a/json", v), "inspect");
	ASSERT_STREQ(v, "name=/a");
	ASSERT_STREQ(find(router, "DELETE", "/images/json", v), "remove");
	ASSERT_STREQ(find(router, "GET", "/networks/x", v), "network");
	ASSERT_STREQ(v, "id=x");
}

/* Goal: near misses. */
TEST(router_find_refuses)
{
	static const char *const bad[] = {"",
					  "/",
					  "/images",
					  "/images//json",
					  "/networks/",
					  "/networks/a/b",
					  "/images/json/",
					  "/network"};
	_cleanup_(router_freep) struct router *router = NULL;
	char v[64];

	ASSERT_OK(router_new(table, ARRAY_SIZE(table), &router));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_STREQ(find(router, "GET", bad[i], v), "none");
	ASSERT_STREQ(find(router, "POST", "/images/json", v), "none");
}

/* Goal: the version prefix in all its forms, and Docker's words outside of the range. */
TEST(router_version_negotiates)
{
	unsigned int version = 7;
	const char *rest = NULL;
	struct err err = {0};

	ASSERT_OK(router_version("/v1.24/_ping", &version, &rest, &err));
	ASSERT_EQ(version, 124);
	ASSERT_STREQ(rest, "/_ping");
	ASSERT_OK(router_version("/v1.51/", &version, &rest, &err));
	ASSERT_EQ(version, 151);
	ASSERT_STREQ(rest, "/");
	ASSERT_OK(router_version("/version", &version, &rest, &err));
	ASSERT_EQ(version, 151);
	ASSERT_STREQ(rest, "/version");
	ASSERT_OK(router_version("/v1.24", &version, &rest, &err));
	ASSERT_STREQ(rest, "/v1.24"); /* which is no page */

	ASSERT_ERROR(router_version("/v1.10/x", &version, &rest, &err), EINVAL);
	ASSERT_STREQ(err.msg, "client version 1.10 is too old. Minimum supported API version is "
			      "1.24, please upgrade your client to a newer version");
	ASSERT_ERROR(router_version("/v1.99/x", &version, &rest, &err), EINVAL);
	ASSERT_STREQ(err.msg,
		     "client version 1.99 is too new. Maximum supported API version is 1.51");
	ASSERT_ERROR(router_version("/v2.0/x", &version, &rest, &err), EINVAL);
	ASSERT_ERROR(router_version("/v1.100/x", &version, &rest, &err), EINVAL);
	ASSERT_ERROR(router_version("/v1..4/x", &version, &rest, &err), EINVAL);
	ASSERT_ERROR(router_version("/v1.4294967342/x", &version, &rest, &err), EINVAL);
	ASSERT_ERROR(router_version("/v1.111111111111111111111111/x", &version, &rest, &err),
		     EINVAL);
	ASSERT_STREQ(rest, "/v1.24");
}

/* Goal: the table of the whole API is consistent. */
TEST(routes_are_unique_and_reachable)
{
	_cleanup_(router_freep) struct router *router = NULL;

	ASSERT_OK(router_new(api_routes, api_routes_n, &router));
	ASSERT(api_routes_n > 100);
	for (size_t i = 0; i < api_routes_n; i++) {
		const struct api_route *row = &api_routes[i], *found = NULL;
		_cleanup_free_ char *path = strdup(row->pattern), *var = NULL;
		const char *open = strchr(row->pattern, '{'), *name = NULL;

		if (open) {
			const char *close = strchr(open, '}');

			(void)snprintf(path + (open - row->pattern), strlen(path), "%s%s", "zz",
				       close + 1);
		}
		ASSERT_OK(router_find(router, row->method, path, &found, &name, &var));
		if (found != row)
			printf("# %s %s\n", row->method, row->pattern);
		ASSERT(found == row);
	}
}

static bool has_row(const char *method, const char *path)
{
	for (size_t i = 0; i < api_routes_n; i++) {
		const char *a = api_routes[i].pattern, *b = path;

		if (!str_eq(api_routes[i].method, method))
			continue;
		while (*a && *a == *b) {
			a++, b++;
			if (str_starts(a, ":.*}"))
				a += strlen(":.*");
		}
		if (!*a && !*b)
			return true;
	}
	return false;
}

/* Goal: every endpoint of the specification has a row. */
TEST(routes_cover_the_specification)
{
	_cleanup_free_ char *list = NULL;
	char *save = NULL;

	ASSERT_OK(fs_read_file(ENDPOINTS, 65536, &list, NULL));
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		*space = '\0';
		if (!has_row(line, space + 1))
			printf("# %s %s\n", line, space + 1);
		ASSERT(has_row(line, space + 1));
	}
}
