/* SPDX-License-Identifier: Apache-2.0 */
/* tree_write.c - a layer's tree onto disk (format: tree_file.h) */
#include "image/tree_file.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/fs.h"

struct tree_writer {
	const struct tree_node **order; /* owned: breadth first */
	struct tree_file_node *nodes;	/* owned */
	struct buf inodes, xattrs, strings;
	uint32_t n_order, n_inodes, n_xattrs;
	uint64_t size_bytes;
};

static void tree_writer_done(struct tree_writer *w)
{
	free(w->order);
	free(w->nodes);
	buf_done(&w->inodes);
	buf_done(&w->xattrs);
	buf_done(&w->strings);
}

static uint32_t tree_writer_string(struct tree_writer *w, const void *data, size_t len)
{
	uint32_t off = (uint32_t)w->strings.len;

	buf_add(&w->strings, data, len);
	if (w->strings.len > TREE_STRINGS_MAX)
		w->strings.failed = true; /* the import's own limit comes first */
	return off;
}

static uint32_t tree_writer_inode(struct tree_writer *w, struct tree_inode *inode)
{
	struct tree_file_inode out = {
		.mtime_sec = inode->mtime_sec,
		.mtime_nsec = inode->mtime_nsec,
		.size = inode->size,
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.rdev_major = inode->rdev_major,
		.rdev_minor = inode->rdev_minor,
		.block = inode->block,
		.xattr_first = w->n_xattrs,
		.n_xattrs = inode->n_xattrs,
	};

	if (inode->index)
		return inode->index;
	if (S_ISLNK(inode->mode))
		out.target_off = tree_writer_string(w, inode->target, inode->size);
	if (S_ISREG(inode->mode) || S_ISLNK(inode->mode))
		w->size_bytes += inode->size; /* what dockerd's walk over the files gives */
	for (uint32_t i = 0; i < inode->n_xattrs; i++) {
		const struct tree_xattr *x = &inode->xattrs[i];
		struct tree_file_xattr fx = {
			.name_off = tree_writer_string(w, x->name, x->name_len),
			.name_len = x->name_len,
			.value_off = tree_writer_string(w, x->value, x->value_len),
			.value_len = x->value_len,
		};

		buf_add(&w->xattrs, &fx, sizeof(fx));
	}
	w->n_xattrs += inode->n_xattrs;
	buf_add(&w->inodes, &out, sizeof(out));
	inode->index = ++w->n_inodes;
	return inode->index;
}

static int tree_writer_node(struct tree_writer *w, uint32_t i)
{
	const struct tree_node *n = w->order[i];
	_cleanup_free_ const struct tree_node **sorted = NULL;
	struct tree_file_node *out = &w->nodes[i];
	int r;

	out->name_off = tree_writer_string(w, n->name, n->name_len);
	out->name_len = n->name_len;
	out->flags = n->flags;
	if (n->flags & TREE_LINK) {
		out->link_len = (uint32_t)strlen(n->link);
		out->link_off = tree_writer_string(w, n->link, out->link_len);
	}
	if (n->inode)
		out->inode = tree_writer_inode(w, n->inode);
	if (!tree_is_dir(n))
		return 0;
	r = tree_sorted_children(n, &sorted);
	if (r < 0)
		return r;
	out->first_child = w->n_order;
	out->n_children = n->n_children;
	if (n->n_children)
		memcpy(&w->order[w->n_order], sorted, n->n_children * sizeof(*sorted));
	w->n_order += n->n_children;
	return 0;
}

/**
 * tree_file_seal() - Set the digest of a whole tree file in memory
 * @data: The file
 * @len:  Its length, at least a header
 */
void tree_file_seal(void *data, size_t len)
{
	struct tree_file_header *h = data;
	struct sha256_ctx sha;

	memset(h->digest, 0, sizeof(h->digest));
	sha256_init(&sha);
	sha256_update(&sha, len, data);
	sha256_digest(&sha, sizeof(h->digest), h->digest);
}

static int tree_writer_output(const struct tree_writer *w, struct tree_file_header *h, int fd)
{
	const struct {
		const void *data;
		size_t len;
	} parts[] = {
		{w->inodes.data, w->inodes.len},
		{w->nodes, w->n_order * sizeof(*w->nodes)},
		{w->xattrs.data, w->xattrs.len},
		{w->strings.data, w->strings.len},
	};
	struct sha256_ctx sha;
	int r;

	sha256_init(&sha);
	sha256_update(&sha, sizeof(*h), (const uint8_t *)h);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].len)
			sha256_update(&sha, parts[i].len, parts[i].data);
	sha256_digest(&sha, sizeof(h->digest), h->digest);
	r = fs_write_all(fd, h, sizeof(*h));
	for (size_t i = 0; i < ARRAY_SIZE(parts) && r == 0; i++)
		if (parts[i].len)
			r = fs_write_all(fd, parts[i].data, parts[i].len);
	return r;
}

/**
 * tree_file_write() - Write a tree
 * @t:		 Tree of one layer; inodes' index fields must be 0 and are used up
 * @data_blocks: Length of the layer's data, blocks
 * @fd:		 File, empty
 * @ret:	 The header written
 *
 * Return: 0, -ENOMEM, or the errno of a write
 */
int tree_file_write(struct tree *t, uint64_t data_blocks, int fd, struct tree_file_header *ret)
{
	_cleanup_(tree_writer_done) struct tree_writer w = {};
	struct tree_file_header h = {.version = TREE_FILE_VERSION, .data_blocks = data_blocks};
	int r;

	w.order = calloc(tree_node_count(t), sizeof(*w.order));
	w.nodes = calloc(tree_node_count(t), sizeof(*w.nodes));
	if (!w.order || !w.nodes)
		return -ENOMEM;
	w.order[w.n_order++] = tree_root(t);
	for (uint32_t i = 0; i < w.n_order; i++) {
		r = tree_writer_node(&w, i);
		if (r < 0)
			return r;
	}
	if (w.inodes.failed || w.xattrs.failed || w.strings.failed)
		return -ENOMEM;
	memcpy(h.magic, TREE_FILE_MAGIC, sizeof(h.magic));
	h.n_nodes = w.n_order;
	h.n_inodes = w.n_inodes;
	h.n_xattrs = w.n_xattrs;
	h.strings_len = w.strings.len;
	h.size_bytes = w.size_bytes;
	r = tree_writer_output(&w, &h, fd);
	if (r == 0)
		*ret = h;
	return r;
}
