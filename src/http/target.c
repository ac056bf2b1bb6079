/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.c - take a request target apart
 *
 * DOC: Theory of operation
 *
 * The target is what stands between method and version in the request line: "/path?query", or
 * "http://host/path?query" from a client that believes it talks to a proxy. It is hostile. One
 * copy is made and decoded in place, so the decoded text never outgrows it. Limits:
 * HTTP_QUERY_PARAMS_MAX; the length is bounded by the connection's header memory.
 */
#include "http/target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static int target_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decode %xx (and + in a query) in place. A decoded NUL would cut C strings: refused. */
static int target_decode(char *s, bool plus_is_space)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '%') {
			int hi = target_hex(s[1]);
			int lo = hi < 0 ? -1 : target_hex(s[2]);

			if (lo < 0 || (hi == 0 && lo == 0))
				return -EINVAL;
			*to++ = (char)(hi << 4 | lo);
			s += 2;
		} else {
			*to++ = plus_is_space && *s == '+' ? ' ' : *s;
		}
	}
	*to = '\0';
	return 0;
}

/* "http://host/path" -> "/path" */
static const char *target_origin_form(const char *raw)
{
	const char *rest = NULL, *slash;

	if (str_starts(raw, "http://"))
		rest = raw + strlen("http://");
	else if (str_starts(raw, "https://"))
		rest = raw + strlen("https://");
	if (!rest)
		return raw;
	slash = strchr(rest, '/');
	return slash ? slash : "/";
}

static int target_parse_query(char *query, struct http_target *target)
{
	size_t n = 1;
	char *next;

	for (const char *c = query; *c; c++)
		n += *c == '&';
	if (n > HTTP_QUERY_PARAMS_MAX)
		return -E2BIG;
	target->params = calloc(n, sizeof(*target->params));
	if (!target->params)
		return -ENOMEM;
	for (char *pair = query; pair; pair = next) {
		char *eq;

		next = strchr(pair, '&');
		if (next)
			*next++ = '\0';
		if (!*pair)
			continue;
		eq = strchr(pair, '=');
		if (eq)
			*eq++ = '\0';
		if (target_decode(pair, true) < 0 || (eq && target_decode(eq, true) < 0))
			return -EINVAL;
		target->params[target->n_params].key = pair;
		target->params[target->n_params].value = eq ? eq : "";
		target->n_params++;
	}
	return 0;
}

/**
 * http_target_parse() - Split and decode a request target
 * @raw:	The target as it came
 * @ret_target: Filled on success; http_target_done()
 *
 * Return: 0, -EINVAL for a bad escape or a path that does not begin with '/', -E2BIG for too many
 * parameters, -ENOMEM
 */
int http_target_parse(const char *raw, struct http_target *ret_target)
{
	_cleanup_(http_target_done) struct http_target target = {0};
	char *query;
	int r;

	raw = target_origin_form(raw);
	target.buf = strdup(raw);
	if (!target.buf)
		return -ENOMEM;
	target.path = target.buf;
	query = strchr(target.buf, '?');
	if (query)
		*query++ = '\0';
	r = target_decode(target.buf, false);
	if (r < 0)
		return r;
	if (target.buf[0] != '/' && !str_eq(target.buf, "*"))
		return -EINVAL;
	if (query) {
		r = target_parse_query(query, &target);
		if (r < 0)
			return r;
	}
	*ret_target = target;
	target = (struct http_target){0};
	return 0;
}

/**
 * http_target_done() - Free what http_target_parse() filled
 * @target: Target; becomes empty
 */
void http_target_done(struct http_target *target)
{
	free(target->buf);
	free(target->params);
	*target = (struct http_target){0};
}

/**
 * http_target_query() - First value of a query parameter
 * @target: Target
 * @key:    Name
 *
 * Return: its value ("" if it has none), or NULL if it is absent
 */
const char *http_target_query(const struct http_target *target, const char *key)
{
	for (size_t i = 0; i < target->n_params; i++)
		if (str_eq(target->params[i].key, key))
			return target->params[i].value;
	return NULL;
}
