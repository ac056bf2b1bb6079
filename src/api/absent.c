/* SPDX-License-Identifier: Apache-2.0 */
/*
 * absent.c - what is asked for one by one, and can not be there
 *
 * `docker inspect NAME` asks for a container, an image, a network, and so on to the end of Docker's
 * objects, and says "No such object" when all of them say so. A 501 in between is an error that
 * hides it. Of objects that Arca cannot have yet, none has that name.
 */
#include "api/absent.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "base/str.h"

static const struct absent {
	const char *pattern;
	enum err_kind kind;
	const char *before, *after; /* around the name; after NULL: the name is not told */
} absent_table[] = {
	{"/volumes/{name:.*}", ERR_NOT_FOUND, "get ", ": no such volume"},
	{"/plugins/{name:.*}/json", ERR_NOT_FOUND, "plugin \"", "\" not found"},
#define ABSENT_SWARM                                                                               \
	ERR_UNAVAILABLE,                                                                           \
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "   \
		"join\" to connect this node to swarm and try again.",                             \
		NULL
	{"/services/{id}", ABSENT_SWARM},
	{"/tasks/{id}", ABSENT_SWARM},
	{"/nodes/{id}", ABSENT_SWARM},
	{"/secrets/{id}", ABSENT_SWARM},
	{"/configs/{id}", ABSENT_SWARM},
};

/**
 * absent_refuse() - Docker's words for an object that cannot exist
 * @route: Row without a handler
 * @name:  Its variable, or NULL
 * @err:   Filled if the answer is other than 0
 *
 * Return: 0 if this row is not about one object that is looked at, or <0
 */
int absent_refuse(const struct api_route *route, const char *name, struct err *err)
{
	if (!str_eq(route->method, "GET") || !name)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(absent_table); i++) {
		const struct absent *a = &absent_table[i];

		if (!str_eq(a->pattern, route->pattern))
			continue;
		return err_user(err, a->kind, "%s%.256s%s", a->before, a->after ? name : "",
				a->after ? a->after : "");
	}
	return 0;
}
