/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh_links.c - who of those kept apart may reach whom, and by which ports
 *
 * A link has a direction: its parent may connect to ports of its child, and nothing else passes
 * between the two but answers. It is here while the parent runs. The child may come and go
 * meanwhile: whoever tells one member of another (net/mesh.h) looks here then.
 *
 * Locking: the owner's.
 */
#include "net/mesh_links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static struct mesh_link_ends link_ends(const char *parent, const char *child)
{
	struct mesh_link_ends ends = {}; /* all of its bytes are the key */

	(void)snprintf(ends.parent, sizeof(ends.parent), "%s", parent);
	(void)snprintf(ends.child, sizeof(ends.child), "%s", child);
	return ends;
}

static void link_remove(struct mesh_links *links, struct mesh_link *link)
{
	HASH_DEL(links->table, link);
	free(link->ports);
	free(link);
}

/**
 * mesh_links_add() - One more link
 * @links:  Table
 * @parent: Container that connects
 * @child:  Container that is connected to
 * @ports:  MESH_LINK_PORT; copied
 * @n:	    How many; one without ports links nobody
 *
 * One with the same ends stays as it is: a container has its ports whatever it is called.
 *
 * Return: 0 or -ENOMEM
 */
int mesh_links_add(struct mesh_links *links, const char *parent, const char *child,
		   const uint32_t *ports, size_t n)
{
	struct mesh_link *link;

	if (n == 0 || mesh_links_find(links, parent, child))
		return 0;
	link = calloc(1, sizeof(*link));
	if (link)
		link->ports = calloc(n, sizeof(*ports));
	if (!link || !link->ports) {
		free(link);
		return -ENOMEM;
	}
	link->ends = link_ends(parent, child);
	memcpy(link->ports, ports, n * sizeof(*ports));
	link->n = n;
	HASH_ADD(hh, links->table, ends, sizeof(link->ends), link);
	return 0;
}

/**
 * mesh_links_find() - What one container may reach of another
 * @links:  Table
 * @parent: Container that connects
 * @child:  Container that is connected to
 *
 * Return: borrowed; NULL: nothing
 */
const struct mesh_link *mesh_links_find(const struct mesh_links *links, const char *parent,
					const char *child)
{
	const struct mesh_link_ends ends = link_ends(parent, child);
	struct mesh_link *link;

	HASH_FIND(hh, links->table, &ends, sizeof(ends), link);
	return link;
}

/**
 * mesh_links_replace() - All links of a parent are others
 * @links:   Table
 * @parent:  Container that connects
 * @wanted:  What it has from now on, all with this parent; empty afterwards
 * @changed: Called for each pair that comes or goes, when the table says so
 * @user:    For @changed
 */
void mesh_links_replace(struct mesh_links *links, const char *parent, struct mesh_links *wanted,
			mesh_link_fn changed, void *user)
{
	struct mesh_link *link, *next;

	HASH_ITER (hh, links->table, link, next) {
		struct mesh_link_ends ends = link->ends;

		if (!str_eq(ends.parent, parent) ||
		    mesh_links_find(wanted, ends.parent, ends.child))
			continue;
		link_remove(links, link);
		changed(user, &ends);
	}
	HASH_ITER (hh, wanted->table, link, next) {
		if (mesh_links_find(links, link->ends.parent, link->ends.child)) {
			link_remove(wanted, link);
			continue;
		}
		HASH_DEL(wanted->table, link);
		HASH_ADD(hh, links->table, ends, sizeof(link->ends), link);
		changed(user, &link->ends);
	}
}

/**
 * mesh_links_done() - Free what a table has
 * @links: Table; empty afterwards
 */
void mesh_links_done(struct mesh_links *links)
{
	struct mesh_link *link, *next;

	HASH_ITER (hh, links->table, link, next)
		link_remove(links, link);
}
