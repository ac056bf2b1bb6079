/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router.c - from method and path to a row of the route table
 *
 * DOC: Theory of operation
 *
 * The table is compiled once: every pattern becomes prefix, variable, suffix. Patterns without a
 * variable win over those with one ("/images/json" is never the image "json"). Immutable
 * afterwards, so no lock. The path is hostile: it is decoded text of any shape, without NUL.
 */
#include "api/router.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/str.h"

#define ROUTER_VERSION_MAX 16 /* characters of a version that may be right */
#define ROUTER_VAR_NAME_MAX 16

struct router_row {
	const struct api_route *route; /* borrowed */
	const char *prefix;	       /* borrowed: from the pattern */
	size_t prefix_len;
	const char *suffix; /* borrowed: from the pattern; NULL: no variable */
	size_t suffix_len;
	bool greedy;
	char var[ROUTER_VAR_NAME_MAX];
};

struct router {
	size_t n;
	struct router_row rows[];
};

static void router_compile(struct router_row *row, const struct api_route *route)
{
	const char *open = strchr(route->pattern, '{');
	const char *close, *colon;
	size_t name_len;

	row->route = route;
	row->prefix = route->pattern;
	if (!open) {
		row->prefix_len = strlen(route->pattern);
		return;
	}
	close = strchr(open, '}');
	assert(close);
	colon = memchr(open, ':', (size_t)(close - open));
	row->greedy = colon != NULL;
	row->prefix_len = (size_t)(open - route->pattern);
	row->suffix = close + 1;
	row->suffix_len = strlen(row->suffix);
	name_len = (size_t)((colon ? colon : close) - open - 1);
	assert(name_len < sizeof(row->var));
	memcpy(row->var, open + 1, name_len);
}

/**
 * router_new() - Compile a route table
 * @routes:	Table, which must stay
 * @n:		Its rows
 * @ret_router: Set on success; router_free()
 *
 * Return: 0 or -ENOMEM
 */
int router_new(const struct api_route *routes, size_t n, struct router **ret_router)
{
	struct router *router = calloc(1, sizeof(*router) + n * sizeof(router->rows[0]));

	if (!router)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) /* without a variable first */
		if (!strchr(routes[i].pattern, '{'))
			router_compile(&router->rows[router->n++], &routes[i]);
	for (size_t i = 0; i < n; i++)
		if (strchr(routes[i].pattern, '{'))
			router_compile(&router->rows[router->n++], &routes[i]);
	*ret_router = router;
	return 0;
}

/**
 * router_free() - Free a router
 * @router: Router or NULL
 */
void router_free(struct router *router)
{
	free(router);
}

/* Where the variable's value lies in path, if the row fits. */
static bool router_fits(const struct router_row *row, const char *path, size_t len,
			size_t *ret_var_len)
{
	size_t var_len;

	if (len < row->prefix_len || memcmp(path, row->prefix, row->prefix_len) != 0)
		return false;
	if (!row->suffix)
		return len == row->prefix_len;
	if (len <= row->prefix_len + row->suffix_len ||
	    memcmp(path + len - row->suffix_len, row->suffix, row->suffix_len) != 0)
		return false;
	var_len = len - row->prefix_len - row->suffix_len;
	if (!row->greedy && memchr(path + row->prefix_len, '/', var_len))
		return false;
	*ret_var_len = var_len;
	return true;
}

/**
 * router_find() - Find the row for a request
 * @router:	  Router
 * @method:	  HTTP method
 * @path:	  Path without version prefix
 * @ret_route:	  Set on success
 * @ret_var_name: Set to the variable's name, or NULL; belongs to the router
 * @ret_var:	  Set to its value, a new string, or NULL
 *
 * Return: 0, -ENOENT if nothing fits, -ENOMEM
 */
int router_find(const struct router *router, const char *method, const char *path,
		const struct api_route **ret_route, const char **ret_var_name, char **ret_var)
{
	size_t len = strlen(path), var_len = 0;

	for (size_t i = 0; i < router->n; i++) {
		const struct router_row *row = &router->rows[i];
		char *value = NULL;

		if (!router_fits(row, path, len, &var_len) || !str_eq(row->route->method, method))
			continue;
		if (row->suffix) {
			value = strndup(path + row->prefix_len, var_len);
			if (!value)
				return -ENOMEM;
		}
		*ret_route = row->route;
		*ret_var_name = row->suffix ? row->var : NULL;
		*ret_var = value;
		return 0;
	}
	return -ENOENT;
}

/* "1.47" -> 147. Each part has at most three digits; 0 if it is no version. */
static unsigned int router_version_number(const char *text)
{
	unsigned int part[2] = {0, 0};

	for (size_t i = 0; i < 2; i++) {
		const char *start = text;

		for (; isdigit((unsigned char)*text); text++)
			part[i] = part[i] * 10 + (unsigned int)(*text - '0');
		if (text == start || text - start > 3)
			return 0;
		if (*text == '\0')
			break;
		if (*text++ != '.')
			return 0;
	}
	return part[0] * 100 + MIN(part[1], 99u);
}

static int router_version_check(const char *text, unsigned int number, struct err *err)
{
	if (number == 0)
		return err_user(err, ERR_INVALID, "invalid API version: v%s", text);
	if (number < router_version_number(API_VERSION_MIN))
		return err_user(
			err, ERR_INVALID,
			"client version %s is too old. Minimum supported API version is %s, "
			"please upgrade your client to a newer version",
			text, API_VERSION_MIN);
	if (number > API_VERSION_NUMBER)
		return err_user(err, ERR_INVALID,
				"client version %s is too new. Maximum supported API version is %s",
				text, API_VERSION);
	return 0;
}

/**
 * router_version() - Take the version prefix off a path
 * @path:	 Path, with or without "/v1.47"
 * @ret_version: Set to 147 for 1.47; without a prefix to the newest
 * @ret_rest:	 Set to the path behind the prefix, within @path
 * @err:	 Filled on failure
 *
 * Return: 0, or <0 if the version is out of range
 */
int router_version(const char *path, unsigned int *ret_version, const char **ret_rest,
		   struct err *err)
{
	char text[ROUTER_VERSION_MAX + 1];
	unsigned int number = API_VERSION_NUMBER;
	size_t len;
	int r;

	if (path[0] != '/' || path[1] != 'v' || !isdigit((unsigned char)path[2])) {
		*ret_version = number;
		*ret_rest = path;
		return 0;
	}
	len = strspn(path + 2, "0123456789.");
	if (path[2 + len] != '/') { /* "/v1x/..." is no version, but an unknown page */
		*ret_version = number;
		*ret_rest = path;
		return 0;
	}
	(void)snprintf(text, sizeof(text), "%.*s", (int)MIN(len, (size_t)ROUTER_VERSION_MAX),
		       path + 2);
	number = len > ROUTER_VERSION_MAX ? 0 : router_version_number(text);
	r = router_version_check(text, number, err);
	if (r < 0)
		return r;
	*ret_version = number;
	*ret_rest = path + 2 + len;
	return 0;
}
