/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh_link.c - links between members that are kept apart: who is told when they change
 *
 * A member that joins, or is told of another one, gets what the table says then (mesh_peer_fill()).
 * What is here is for two that are there already.
 */
#include "core/attachments_impl.h"

#include "base/str.h"

static void link_changed(void *user, const struct mesh_link_ends *ends)
{
	struct meshes *meshes = user;
	struct attachment *a, *parent = NULL, *child = NULL;

	DL_FOREACH (meshes->list, a) {
		if (!a->peer.by_link)
			continue;
		if (str_eq(a->container_id, ends->parent))
			parent = a;
		else if (str_eq(a->container_id, ends->child))
			child = a;
	}
	if (!parent || !child)
		return; /* there is one default bridge: both are on that */
	mesh_tell(child->member, parent->member);
	mesh_tell(parent->member, child->member);
}

/**
 * meshes_set_links() - Whom a container may reach where members are kept apart
 * @meshes:	  Manager
 * @container_id: Container that runs, or is about to
 * @wanted:	  All its links from now on; empty afterwards
 *
 * Those of a container that ends go with its attachments.
 */
void meshes_set_links(struct meshes *meshes, const char *container_id, struct mesh_links *wanted)
{
	RANK_LOCK_SCOPE(guard, &meshes->lock);

	if (meshes->links.table || wanted->table)
		mesh_links_replace(&meshes->links, container_id, wanted, link_changed, meshes);
}
