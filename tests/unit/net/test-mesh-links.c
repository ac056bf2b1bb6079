/* SPDX-License-Identifier: Apache-2.0 */
/* test-mesh-links.c - who is linked to whom, and who hears when that changes */
#include "net/mesh_links.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "test.h"

static const uint32_t http[] = {MESH_LINK_PORT(6, 80)},
		      dns[] = {MESH_LINK_PORT(17, 53), MESH_LINK_PORT(6, 53)};
static char heard[256];

static void hear(void *user, const struct mesh_link_ends *ends)
{
	struct mesh_links *links = user;
	size_t at = strlen(heard);

	(void)snprintf(heard + at, sizeof(heard) - at, "%s%s%s ",
		       mesh_links_find(links, ends->parent, ends->child) ? "+" : "-", ends->parent,
		       ends->child);
}

static const char *replace(struct mesh_links *links, const char *parent, struct mesh_links *wanted)
{
	heard[0] = '\0';
	mesh_links_replace(links, parent, wanted, hear, links);
	return wanted->table ? "left over" : heard;
}

TEST(a_link_has_a_direction_and_ports)
{
	struct mesh_links links = {};
	const struct mesh_link *link;

	ASSERT_OK(mesh_links_add(&links, "p", "c", dns, 2));
	ASSERT_OK(mesh_links_add(&links, "p", "c", http, 1)); /* another alias of the same */
	ASSERT_OK(mesh_links_add(&links, "p", "none", NULL, 0));
	link = mesh_links_find(&links, "p", "c");
	ASSERT(link && link->n == 2 && link->ports[1] == MESH_LINK_PORT(6, 53));
	ASSERT(!mesh_links_find(&links, "c", "p"));
	ASSERT(!mesh_links_find(&links, "p", "none"));
	ASSERT(!mesh_links_find(&links, "pc", ""));
	mesh_links_done(&links);
	ASSERT(!links.table);
}

/* Goal: those that stay hear nothing, and others' links are not touched. */
TEST(pairs_that_change_are_named)
{
	struct mesh_links links = {}, wanted = {};

	ASSERT_OK(mesh_links_add(&wanted, "p", "c", http, 1));
	ASSERT_OK(mesh_links_add(&wanted, "p", "d", dns, 2));
	ASSERT_STREQ(replace(&links, "p", &wanted), "+pc +pd ");
	ASSERT_OK(mesh_links_add(&wanted, "q", "c", http, 1));
	ASSERT_STREQ(replace(&links, "q", &wanted), "+qc ");
	ASSERT_OK(mesh_links_add(&wanted, "p", "d", dns, 2));
	ASSERT_OK(mesh_links_add(&wanted, "p", "e", http, 1));
	ASSERT_STREQ(replace(&links, "p", &wanted), "-pc +pe ");
	ASSERT(!mesh_links_find(&links, "p", "c") && mesh_links_find(&links, "q", "c"));
	ASSERT_STREQ(replace(&links, "p", &wanted), "-pd -pe ");
	ASSERT_STREQ(replace(&links, "p", &wanted), "");
	ASSERT_STREQ(replace(&links, "q", &wanted), "-qc ");
	ASSERT(!links.table);
}

TEST_MAIN()
