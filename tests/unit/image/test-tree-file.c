/* SPDX-License-Identifier: Apache-2.0 */
/* test-tree-file.c - a tree file comes back as it was written, and a damaged one does not */
#include "image/tree_file.h"

#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "image/layer.h"
#include "image/layer_store.h"
#include "layers.h"

struct sample {
	char *data;
	size_t len;
};

static void sample_done(struct sample *s)
{
	free(s->data);
}

/* A tree with one of everything: root, d, d/f, d/link, dev, l, .wh.gone; written and read back. */
static int sample_make(struct sample *out)
{
	_cleanup_scratch_ struct scratch s;
	_cleanup_buf_ struct buf b = {};
	_cleanup_free_ char *path = NULL;
	struct layer_info info;
	struct err err = {};

	scratch_init(&s);
	TAR_FILE_ENTRY(&b, ".wh.gone", "");
	TAR(&b, .name = "d/f", .data = "hello",
	    .pax = "SCHILY.xattr.user.b=1\nSCHILY.xattr.user.a=1\nSCHILY.xattr.user.b=2\nSCHILY."
		   "xattr.trusted.overlay.opaque=y\n");
	TAR(&b, .name = "d/lower", .type = '1', .link = "else/where");
	TAR(&b, .name = "dev", .type = '3', .dev_major = 4, .dev_minor = 5);
	TAR(&b, .name = "l", .type = '2', .link = "target");
	if (import_tar(s.path, &b, &info, &err) < 0)
		return -1;
	path = layer_path(s.path, info.diff_id, "tree");
	return fs_read_file(path, 100000, &out->data, &out->len);
}

/* The sections, writable. */
struct parts {
	struct tree_file_header *h;
	struct tree_file_inode *in;
	struct tree_file_node *n;
	struct tree_file_xattr *x;
	char *s;
};

static struct parts parts_of(struct sample *s)
{
	struct parts p = {.h = (void *)s->data};

	p.in = (void *)(p.h + 1);
	p.n = (void *)(p.in + p.h->n_inodes);
	p.x = (void *)(p.n + p.h->n_nodes);
	p.s = (void *)(p.x + p.h->n_xattrs);
	return p;
}

#define SAMPLE(s, p)                                                                               \
	__attribute__((cleanup(sample_done))) struct sample s = {};                                \
	struct parts p;                                                                            \
	ASSERT_OK(sample_make(&s));                                                                \
	p = parts_of(&s)

/* Nodes in breadth-first order: 0 root, 1 d, 2 dev, 3 gone, 4 l, 5 d/f, 6 d/lower */
TEST(file_comes_back_as_written)
{
	SAMPLE(s, p);
	struct tree_file f;

	ASSERT_OK(tree_file_check(s.data, s.len, &f));
	ASSERT_EQ(p.h->n_nodes, 7);
	ASSERT_EQ(p.h->n_inodes, 5);
	ASSERT_EQ(p.h->size_bytes, 11); /* hello and target */
	ASSERT_EQ(p.h->data_blocks, 1);
	ASSERT_EQ(p.n[1].flags, TREE_IMPLIED);
	ASSERT_EQ(p.n[3].flags, TREE_WHITEOUT);
	ASSERT_EQ(p.n[6].flags, TREE_LINK);
	ASSERT(memcmp(f.strings + p.n[6].link_off, "else/where", p.n[6].link_len) == 0);
	ASSERT_EQ(f.inodes[p.n[5].inode - 1].n_xattrs, 2); /* sorted, the last of a name */
	ASSERT(memcmp(f.strings + f.xattrs[0].name_off, "user.a", 6) == 0);
	ASSERT_EQ(f.strings[f.xattrs[1].value_off], '2');
	ASSERT_EQ(f.inodes[p.n[2].inode - 1].rdev_minor, 5);
}

TEST(every_flipped_byte_is_noticed)
{
	SAMPLE(s, p);
	struct tree_file f;

	(void)p;
	for (size_t i = 0; i < s.len; i++) {
		s.data[i] ^= 0x10;
		ASSERT_ERROR(tree_file_check(s.data, s.len, &f), EBADMSG);
		s.data[i] ^= 0x10;
	}
	for (size_t len = 0; len < s.len; len++)
		ASSERT_ERROR(tree_file_check(s.data, len, &f), EBADMSG);
}

/* Even with a digest that is right. */
#define ASSERT_BAD(change)                                                                         \
	do {                                                                                       \
		SAMPLE(_s, p);                                                                     \
		struct tree_file _f;                                                               \
		change;                                                                            \
		tree_file_seal(_s.data, _s.len);                                                   \
		if (tree_file_check(_s.data, _s.len, &_f) != -EBADMSG)                             \
			TEST_FAIL("accepted: %s", #change);                                        \
	} while (0)

TEST(bad_counts_are_refused)
{
	ASSERT_BAD(p.h->version++);
	ASSERT_BAD(p.h->n_nodes--);
	ASSERT_BAD(p.h->n_nodes = 0);
	ASSERT_BAD(p.h->n_nodes = UINT32_MAX);
	ASSERT_BAD(p.h->n_inodes = UINT32_MAX);
	ASSERT_BAD(p.h->n_xattrs++);
	ASSERT_BAD(p.h->strings_len = UINT64_MAX);
	ASSERT_BAD(p.h->data_blocks = 0); /* d/f lies outside */
	ASSERT_BAD(p.h->data_blocks = 1ULL << 32);
}

TEST(bad_nodes_are_refused)
{
	ASSERT_BAD(p.n[0].name_len = 1);
	ASSERT_BAD(p.n[0].flags = TREE_WHITEOUT);
	ASSERT_BAD(p.n[0].inode = p.n[4].inode);
	ASSERT_BAD(p.n[1].inode = p.n[0].inode); /* a directory twice */
	ASSERT_BAD(p.n[1].name_len = 0);
	ASSERT_BAD(p.n[1].name_off = UINT32_MAX);
	ASSERT_BAD(p.n[1].flags = 0x80);
	ASSERT_BAD(p.n[1].first_child = 0); /* a loop */
	ASSERT_BAD(p.n[1].first_child = 1);
	ASSERT_BAD(p.n[1].n_children++);
	ASSERT_BAD(p.n[1].n_children--);
	ASSERT_BAD(p.n[0].n_children = UINT32_MAX);
	ASSERT_BAD(p.n[2].n_children = 1);
	ASSERT_BAD(p.n[2].inode = 0);
	ASSERT_BAD(p.n[2].inode = 100);
	ASSERT_BAD(p.n[2].flags = TREE_OPAQUE);
	ASSERT_BAD(p.n[3].flags = 0);
	ASSERT_BAD(p.n[6].link_len = 0);
	ASSERT_BAD(p.n[6].link_off = 100000);
}

TEST(bad_names_are_refused)
{
	ASSERT_BAD(p.s[p.n[1].name_off] = '/');
	ASSERT_BAD(p.s[p.n[1].name_off] = '.');
	ASSERT_BAD(p.s[p.n[1].name_off] = 0);
	ASSERT_BAD(p.s[p.n[1].name_off] = 'z');				    /* out of order */
	ASSERT_BAD(p.n[6].name_off = p.n[5].name_off; p.n[6].name_len = 1); /* twice */
	ASSERT_BAD(memcpy(p.s + p.n[2].name_off, "../", 3); p.n[2].name_len = 2);
	ASSERT_BAD(p.s[p.n[6].link_off] = 0);
}

TEST(bad_inodes_are_refused)
{
#define INODE(i) p.in[p.n[i].inode - 1]
	ASSERT_BAD(INODE(5).mode = S_IFSOCK);
	ASSERT_BAD(INODE(5).mode |= 1u << 20);
	ASSERT_BAD(INODE(5).block = 2);
	ASSERT_BAD(INODE(5).size = 4097);
	ASSERT_BAD(INODE(5).size = UINT64_MAX);
	ASSERT_BAD(INODE(5).mtime_sec = -1);
	ASSERT_BAD(INODE(5).mtime_nsec = 1000000000);
	ASSERT_BAD(INODE(5).xattr_first = 1);
	ASSERT_BAD(INODE(5).n_xattrs = UINT32_MAX);
	ASSERT_BAD(INODE(2).rdev_major = 4096);
	ASSERT_BAD(INODE(2).rdev_minor = 1u << 20);
	ASSERT_BAD(INODE(4).size = 0);
	ASSERT_BAD(INODE(4).size = 5000);
	ASSERT_BAD(INODE(4).target_off = UINT32_MAX);
	ASSERT_BAD(INODE(1).size = 1);
}

TEST(bad_xattrs_are_refused)
{
	ASSERT_BAD(p.x[0].name_len = 0);
	ASSERT_BAD(p.x[0].name_len = 256);
	ASSERT_BAD(p.x[0].name_off = UINT32_MAX);
	ASSERT_BAD(p.x[0].value_len = 65536);
	ASSERT_BAD(p.x[0].value_off = UINT32_MAX);
	ASSERT_BAD(p.x[1].name_off = p.x[0].name_off); /* twice */
	ASSERT_BAD(p.s[p.x[0].name_off + 5] = 'z');    /* out of order */
}

TEST(missing_file_is_told_apart)
{
	struct tree_file f;
	struct tree_file_header h;

	ASSERT_ERROR(tree_file_open("/nonexistent/tree", &f), ENOENT);
	ASSERT_ERROR(tree_file_open("/dev/null", &f), EBADMSG);
	ASSERT_ERROR(tree_file_read_header("/dev/null", &h), EBADMSG);
}

TEST_MAIN()
