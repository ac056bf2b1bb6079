/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_links.h - who of those kept apart may reach whom, and by which ports */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/id.h"

#define MESH_LINK_PORT(protocol, port) ((uint32_t)(protocol) << 16 | (port))

/* Containers. The parent connects to the child. */
struct mesh_link_ends {
	char parent[ID_BUF], child[ID_BUF];
};

struct mesh_link {
	struct mesh_link_ends ends;
	uint32_t *ports; /* owned; of the child's; MESH_LINK_PORT */
	size_t n;
	UT_hash_handle hh;
};

struct mesh_links {
	struct mesh_link *table; /* owned; by its ends */
};

/* A pair that is linked now and was not, or the other way round. */
typedef void (*mesh_link_fn)(void *user, const struct mesh_link_ends *ends);

int mesh_links_add(struct mesh_links *links, const char *parent, const char *child,
		   const uint32_t *ports, size_t n);
const struct mesh_link *mesh_links_find(const struct mesh_links *links, const char *parent,
					const char *child);
void mesh_links_replace(struct mesh_links *links, const char *parent, struct mesh_links *wanted,
			mesh_link_fn changed, void *user);
void mesh_links_done(struct mesh_links *links);
