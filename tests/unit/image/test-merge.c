/* SPDX-License-Identifier: Apache-2.0 */
/* test-merge.c - layers on top of each other: whiteouts, opaque directories, links, replacements */
#include "image/layer.h"

#include "../test.h"

#include "base/cleanup.h"
#include "layers.h"

struct stack {
	struct scratch scratch;
	struct buf tar[4];
	struct err err;
};

static void stack_init(struct stack *s)
{
	memset(s, 0, sizeof(*s));
	scratch_init(&s->scratch);
}

static void stack_done(struct stack *s)
{
	scratch_done(&s->scratch);
	for (int i = 0; i < 4; i++)
		buf_done(&s->tar[i]);
}

#define STACK(s)                                                                                   \
	__attribute__((cleanup(stack_done))) struct stack s;                                       \
	stack_init(&s)

#define ASSERT_SHOWS(s, n, want)                                                                   \
	do {                                                                                       \
		_cleanup_free_ char *got = show_layers((s).scratch.path, (s).tar, n, &(s).err);    \
		if (!got)                                                                          \
			TEST_FAIL("%s", (s).err.msg);                                              \
		ASSERT_STREQ(got, want);                                                           \
	} while (0)

#define ASSERT_REFUSES(s, n, text)                                                                 \
	do {                                                                                       \
		_cleanup_free_ char *got = show_layers((s).scratch.path, (s).tar, n, &(s).err);    \
		ASSERT(!got);                                                                      \
		ASSERT_EQ((s).err.kind, ERR_INVALID);                                              \
		if (!strstr((s).err.msg, text))                                                    \
			TEST_FAIL("\"%s\" lacks \"%s\"", (s).err.msg, text);                       \
	} while (0)

TEST(upper_file_replaces_lower_file)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "one");
	TAR_FILE_ENTRY(&s.tar[1], "a", "two");
	ASSERT_SHOWS(s, 2, "f a 644 two\n");
}

TEST(whiteout_hides_files_and_directories_of_lower_layers)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "d/x/y", "1");
	TAR_FILE_ENTRY(&s.tar[0], "d/keep", "2");
	TAR_FILE_ENTRY(&s.tar[0], "f", "3");
	TAR_FILE_ENTRY(&s.tar[1], "d/.wh.x", "");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.f", "");
	ASSERT_SHOWS(s, 2, "d d 755\nf d/keep 644 2\n");
}

TEST(whiteout_of_nothing_is_nothing)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], ".wh.none", "");
	TAR_FILE_ENTRY(&s.tar[0], "d/.wh.none", "");
	ASSERT_SHOWS(s, 1, "d d 755\n");
}

TEST(whiteout_never_hides_its_own_layer)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "old");
	TAR_FILE_ENTRY(&s.tar[0], "b", "old");
	TAR_FILE_ENTRY(&s.tar[1], "a", "new");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.a", "");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.b", "");
	TAR_FILE_ENTRY(&s.tar[1], "b", "new");
	ASSERT_SHOWS(s, 2, "f a 644 new\nf b 644 new\n");
}

/* Whether the whiteout or the directory comes first in the tar. */
TEST(whiteout_and_directory_make_an_opaque_directory)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "d/old", "1");
	TAR_FILE_ENTRY(&s.tar[0], "e/old", "1");
	TAR_FILE_ENTRY(&s.tar[0], "g/old", "1");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.d", "");
	TAR_DIR_ENTRY(&s.tar[1], "d/");
	TAR_FILE_ENTRY(&s.tar[1], "d/new", "2");
	TAR_FILE_ENTRY(&s.tar[1], "e/new", "2");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.e", "");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.g", "");
	TAR_FILE_ENTRY(&s.tar[1], "g/new", "2"); /* only implied */
	ASSERT_SHOWS(s, 2,
		     "d d 755\nf d/new 644 2\nd e 755\nf e/new 644 2\nd g 755\nf g/new 644 2\n");
}

TEST(opaque_mark_hides_lower_children_only)
{
	STACK(s);

	TAR(&s.tar[0], .name = "d", .type = '5', .mode = 0700);
	TAR_FILE_ENTRY(&s.tar[0], "d/old", "1");
	TAR_FILE_ENTRY(&s.tar[1], "d/new", "2");
	TAR_FILE_ENTRY(&s.tar[1], "d/.wh..wh..opq", "");
	ASSERT_SHOWS(s, 2, "d d 700\nf d/new 644 2\n");
}

TEST(opaque_root_hides_everything_below)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	TAR_FILE_ENTRY(&s.tar[1], "b", "1");
	TAR_FILE_ENTRY(&s.tar[2], ".wh..wh..opq", "");
	TAR_FILE_ENTRY(&s.tar[2], "c", "1");
	ASSERT_SHOWS(s, 3, "f c 644 1\n");
}

TEST(whiteouts_reach_through_many_layers)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	TAR_FILE_ENTRY(&s.tar[1], ".wh.a", "");
	TAR_FILE_ENTRY(&s.tar[2], "a/b", "3");
	TAR_FILE_ENTRY(&s.tar[3], "c", "4");
	ASSERT_SHOWS(s, 4, "d a 755\nf a/b 644 3\nf c 644 4\n");
}

TEST(character_device_0_0_is_a_whiteout)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	TAR(&s.tar[1], .name = "a", .type = '3');
	TAR(&s.tar[1], .name = "null", .type = '3', .dev_major = 1, .dev_minor = 3);
	ASSERT_SHOWS(s, 2, "c null 1:3\n");
}

TEST(aufs_metadata_is_skipped)
{
	STACK(s);

	TAR_DIR_ENTRY(&s.tar[0], ".wh..wh.plnk");
	TAR_FILE_ENTRY(&s.tar[0], ".wh..wh.aufs", "");
	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	ASSERT_SHOWS(s, 1, "f a 644 1\n");
}

TEST(directory_and_file_replace_each_other)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "d/x", "1");
	TAR_FILE_ENTRY(&s.tar[0], "f", "1");
	TAR_FILE_ENTRY(&s.tar[1], "d", "file");
	TAR_DIR_ENTRY(&s.tar[1], "f");
	TAR_FILE_ENTRY(&s.tar[2], "d/y", "2");
	TAR(&s.tar[2], .name = "f", .type = '2', .link = "/t");
	ASSERT_SHOWS(s, 3, "d d 755\nf d/y 644 2\nl f -> /t\n");
}

TEST(directory_takes_new_metadata_and_keeps_children)
{
	STACK(s);

	TAR(&s.tar[0], .name = "d", .type = '5', .mode = 0700);
	TAR_FILE_ENTRY(&s.tar[0], "d/a", "1");
	TAR(&s.tar[1], .name = "d", .type = '5', .mode = 01777);
	ASSERT_SHOWS(s, 2, "d d 1777\nf d/a 644 1\n");
}

TEST(implied_directory_keeps_lower_metadata)
{
	STACK(s);

	TAR(&s.tar[0], .name = "d", .type = '5', .mode = 0711);
	TAR_FILE_ENTRY(&s.tar[1], "d/e/a", "1");
	ASSERT_SHOWS(s, 2, "d d 711\nd d/e 755\nf d/e/a 644 1\n");
}

TEST(hard_links_share_an_inode)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	TAR(&s.tar[0], .name = "b", .type = '1', .link = "a");
	TAR(&s.tar[0], .name = "d/c", .type = '1', .link = "./b");
	ASSERT_SHOWS(s, 1, "f a 644 1\nf b 644 1 #1\nd d 755\nf d/c 644 1 #1\n");
}

TEST(hard_link_keeps_the_old_inode_when_its_target_is_replaced)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "old");
	TAR(&s.tar[0], .name = "b", .type = '1', .link = "a");
	TAR_FILE_ENTRY(&s.tar[0], "a", "new");
	ASSERT_SHOWS(s, 1, "f a 644 new\nf b 644 old\n");
}

TEST(hard_link_reaches_lower_layers)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "usr/a", "1");
	TAR(&s.tar[0], .name = "lib", .type = '2', .link = "usr");
	TAR(&s.tar[1], .name = "b", .type = '1', .link = "/usr/a");
	TAR(&s.tar[1], .name = "c", .type = '1', .link = "b");
	TAR(&s.tar[1], .name = "e", .type = '1', .link = "lib/a");
	TAR_FILE_ENTRY(&s.tar[1], "usr/.wh.a", ""); /* gone only after the links were made */
	ASSERT_SHOWS(s, 2, "f b 644 1\nf c 644 1 #1\nf e 644 1 #1\nl lib -> usr\nd usr 755\n");
}

TEST(hard_link_to_itself_changes_nothing)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	TAR(&s.tar[0], .name = "a", .type = '1', .link = "a");
	TAR(&s.tar[1], .name = "a", .type = '1', .link = "a");
	ASSERT_SHOWS(s, 2, "f a 644 1\n");
}

TEST(hard_link_to_nothing_is_refused)
{
	STACK(s);

	TAR(&s.tar[0], .name = "b", .type = '1', .link = "/etc/shadow");
	ASSERT_REFUSES(s, 1, "hard link \"b\" to \"etc/shadow\": no such file");
}

TEST(hard_link_to_a_lower_directory_is_refused)
{
	STACK(s);

	TAR_DIR_ENTRY(&s.tar[0], "d");
	TAR(&s.tar[1], .name = "b", .type = '1', .link = "d");
	ASSERT_REFUSES(s, 2, "is a directory");
}

TEST(last_entry_of_a_name_wins)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "a", "1");
	TAR_FILE_ENTRY(&s.tar[0], "a", "2");
	TAR_FILE_ENTRY(&s.tar[0], "d/x", "1");
	TAR_FILE_ENTRY(&s.tar[0], "d", "file");
	TAR_FILE_ENTRY(&s.tar[0], "f", "file");
	TAR_DIR_ENTRY(&s.tar[0], "f");
	TAR_FILE_ENTRY(&s.tar[0], "f/y", "3");
	TAR_DIR_ENTRY(&s.tar[0], "g");
	TAR_FILE_ENTRY(&s.tar[0], "g/z", "4");
	TAR(&s.tar[0], .name = "g", .type = '5', .mode = 0700);
	ASSERT_SHOWS(s, 1, "f a 644 2\nf d 644 file\nd f 755\nf f/y 644 3\nd g 700\nf g/z 644 4\n");
}

TEST(paths_are_cleaned)
{
	STACK(s);

	TAR_DIR_ENTRY(&s.tar[0], "./");
	TAR_FILE_ENTRY(&s.tar[0], "/abs", "1");
	TAR_FILE_ENTRY(&s.tar[0], ".//d/./x", "2");
	TAR_DIR_ENTRY(&s.tar[0], "e/");
	TAR_FILE_ENTRY(&s.tar[0], "..x", "3");
	ASSERT_SHOWS(s, 1, "f ..x 644 3\nf abs 644 1\nd d 755\nf d/x 644 2\nd e 755\n");
}

/* Paths through a symlink of the same layer go where it points, as in a chroot; never above. */
TEST(symlinked_parents_are_followed_inside_the_layer)
{
	STACK(s);

	TAR_DIR_ENTRY(&s.tar[0], "usr/lib");
	TAR(&s.tar[0], .name = "lib", .type = '2', .link = "usr/lib");
	TAR(&s.tar[0], .name = "usr/up", .type = '2', .link = "../../../../etc");
	TAR(&s.tar[0], .name = "abs", .type = '2', .link = "/usr");
	TAR_FILE_ENTRY(&s.tar[0], "lib/a", "1");
	TAR_FILE_ENTRY(&s.tar[0], "usr/up/passwd", "2");
	TAR_FILE_ENTRY(&s.tar[0], "abs/lib/b", "3");
	ASSERT_SHOWS(s, 1,
		     "l abs -> /usr\nd etc 755\nf etc/passwd 644 2\nl lib -> usr/lib\nd usr 755\n"
		     "d usr/lib 755\nf usr/lib/a 644 1\nf usr/lib/b 644 3\n"
		     "l usr/up -> ../../../../etc\n");
}

TEST(symlink_loops_are_refused)
{
	STACK(s);

	TAR(&s.tar[0], .name = "a", .type = '2', .link = "b");
	TAR(&s.tar[0], .name = "b", .type = '2', .link = "a");
	TAR_FILE_ENTRY(&s.tar[0], "a/x", "1");
	ASSERT_REFUSES(s, 1, "symbolic links");
}

/* As overlay2 has it: a lower layer's symlink does not redirect what an upper layer brings. */
TEST(directory_replaces_a_lower_symlink)
{
	STACK(s);

	TAR_FILE_ENTRY(&s.tar[0], "usr/lib/a", "1");
	TAR(&s.tar[0], .name = "lib", .type = '2', .link = "usr/lib");
	TAR_FILE_ENTRY(&s.tar[1], "lib/b", "2");
	ASSERT_SHOWS(s, 2,
		     "d lib 755\nf lib/b 644 2\nd usr 755\nd usr/lib 755\nf usr/lib/a 644 1\n");
}

TEST(no_layers_are_an_empty_root)
{
	STACK(s);

	ASSERT_SHOWS(s, 0, "");
}

TEST(empty_archives_are_empty_layers)
{
	STACK(s);
	struct layer_info info;
	struct buf nothing = {};

	ASSERT_SHOWS(s, 1, ""); /* two zero blocks */
	ASSERT_OK(import_tar(s.scratch.path, &nothing, &info, &s.err));
	ASSERT_EQ(info.entries, 0);
	ASSERT_EQ(info.data_bytes, 0);
}

TEST_MAIN()
