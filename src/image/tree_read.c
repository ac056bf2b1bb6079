/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_read.c - a layer's tree from disk, checked before anything believes it
 *
 * DOC: Theory of operation
 *
 * The file is mapped and checked once, whole: after tree_file_check() every offset is inside,
 * every name is a name, every file's blocks are inside the data, and the nodes form one tree. So
 * readers index it without further checks. The files are ours, but disks fail and an upgrade may
 * meet another version: a bad file is -EBADMSG, never a crash.
 */
#include "image/tree_file.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "image/layer.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tree files are read in place: little endian only"
#endif

/**
 * tree_file_done() - Let go of a file
 * @f: File, or all zero
 */
void tree_file_done(struct tree_file *f)
{
	if (f->map)
		(void)munmap(f->map, f->map_len); /* our own mapping: cannot fail */
	f->map = NULL;
}

static bool tree_header_ok(const struct tree_file_header *h)
{
	return memcmp(h->magic, TREE_FILE_MAGIC, sizeof(h->magic)) == 0 &&
	       h->version == TREE_FILE_VERSION && h->n_nodes >= 1 &&
	       h->n_nodes <= LAYER_ENTRIES_MAX + 1 && h->n_inodes <= h->n_nodes &&
	       h->strings_len <= TREE_STRINGS_MAX && h->data_blocks <= UINT32_MAX;
}

static bool tree_string_ok(const struct tree_file *f, uint32_t off, uint64_t len, uint64_t min,
			   uint64_t max)
{
	return len >= min && len <= max && off <= f->header->strings_len &&
	       len <= f->header->strings_len - off;
}

static bool tree_text_ok(const struct tree_file *f, uint32_t off, uint64_t len, uint64_t max)
{
	return tree_string_ok(f, off, len, 1, max) && !memchr(f->strings + off, 0, len);
}

static bool tree_name_ok(const struct tree_file *f, const struct tree_file_node *n)
{
	const char *name = f->strings + n->name_off;

	if (!tree_text_ok(f, n->name_off, n->name_len, LAYER_NAME_MAX))
		return false;
	return !memchr(name, '/', n->name_len) &&
	       !(n->name_len <= 2 && memcmp(name, "..", n->name_len) == 0);
}

static bool tree_xattrs_ok(const struct tree_file *f, const struct tree_file_inode *in)
{
	uint64_t bytes = 0;

	if (in->n_xattrs > TREE_XATTRS_MAX || in->xattr_first > f->header->n_xattrs ||
	    in->n_xattrs > f->header->n_xattrs - in->xattr_first)
		return false;
	for (uint32_t i = 0; i < in->n_xattrs; i++) {
		const struct tree_file_xattr *x = &f->xattrs[in->xattr_first + i];

		if (!tree_text_ok(f, x->name_off, x->name_len, TREE_XATTR_NAME_MAX) ||
		    !tree_string_ok(f, x->value_off, x->value_len, 0, TREE_XATTR_VALUE_MAX))
			return false;
		if (i && tree_name_cmp(f->strings + x[-1].name_off, x[-1].name_len,
				       f->strings + x->name_off, x->name_len) >= 0)
			return false;
		bytes += x->name_len + x->value_len;
	}
	return bytes <= TREE_XATTRS_BYTES_MAX;
}

static bool tree_inode_ok(const struct tree_file *f, const struct tree_file_inode *in)
{
	if ((in->mode & ~(S_IFMT | 07777u)) || in->mtime_sec < 0 || in->mtime_nsec > 999999999 ||
	    !tree_xattrs_ok(f, in))
		return false;
	switch (in->mode & S_IFMT) {
	case S_IFREG:
		return in->block <= f->header->data_blocks &&
		       in->size <= (f->header->data_blocks - in->block) * TREE_BLOCK_BYTES;
	case S_IFLNK:
		return tree_text_ok(f, in->target_off, in->size, TREE_TARGET_MAX);
	case S_IFCHR:
	case S_IFBLK:
		return in->rdev_major < 1u << 12 && in->rdev_minor < 1u << 20 && in->size == 0;
	case S_IFDIR:
	case S_IFIFO:
		return in->size == 0;
	}
	return false;
}

/* What a node may be; children and order are the caller's. */
static bool tree_node_ok(const struct tree_file *f, uint32_t i, bool *is_dir)
{
	const struct tree_file_node *n = &f->nodes[i];

	*is_dir = false;
	if (i ? !tree_name_ok(f, n) : n->name_len != 0)
		return false;
	if (n->inode > f->header->n_inodes)
		return false;
	if (n->inode == 0)
		return i && (n->flags == TREE_WHITEOUT ||
			     (n->flags == TREE_LINK &&
			      tree_text_ok(f, n->link_off, n->link_len, LAYER_PATH_MAX)));
	*is_dir = S_ISDIR(f->inodes[n->inode - 1].mode);
	return *is_dir ? !(n->flags & ~(TREE_IMPLIED | TREE_OPAQUE)) : i && n->flags == 0;
}

static bool tree_nodes_ok(const struct tree_file *f)
{
	_cleanup_free_ uint8_t *dir_seen = calloc(f->header->n_inodes + 1u, 1);
	uint32_t next = 1, n_nodes = f->header->n_nodes;

	if (!dir_seen)
		return false;
	for (uint32_t i = 0; i < n_nodes; i++) {
		const struct tree_file_node *n = &f->nodes[i];
		bool is_dir;

		if (!tree_node_ok(f, i, &is_dir))
			return false;
		if (!is_dir) {
			if (n->n_children)
				return false;
			continue;
		}
		if (dir_seen[n->inode]++ || n->first_child != next || next <= i ||
		    n->n_children > n_nodes - next)
			return false;
		next += n->n_children;
	}
	return next == n_nodes;
}

/* Names of one directory strictly ascend; runs after tree_nodes_ok(). */
static bool tree_order_ok(const struct tree_file *f)
{
	for (uint32_t i = 0; i < f->header->n_nodes; i++) {
		const struct tree_file_node *c = &f->nodes[f->nodes[i].first_child];

		for (uint32_t k = 1; k < f->nodes[i].n_children; k++)
			if (tree_name_cmp(f->strings + c[k - 1].name_off, c[k - 1].name_len,
					  f->strings + c[k].name_off, c[k].name_len) >= 0)
				return false;
	}
	return true;
}

static bool tree_digest_ok(const struct tree_file_header *h, size_t len)
{
	struct tree_file_header zeroed = *h;
	uint8_t digest[sizeof(h->digest)];
	struct sha256_ctx sha;

	memset(zeroed.digest, 0, sizeof(zeroed.digest));
	sha256_init(&sha);
	sha256_update(&sha, sizeof(zeroed), (const uint8_t *)&zeroed);
	sha256_update(&sha, len - sizeof(*h), (const uint8_t *)(h + 1));
	sha256_digest(&sha, sizeof(digest), digest);
	return memcmp(digest, h->digest, sizeof(digest)) == 0;
}

/**
 * tree_file_check() - Check a whole tree file
 * @data:     The file, 8-byte aligned; must outlive @ret_file
 * @len:      Its length
 * @ret_file: Pointers into @data
 *
 * Return: 0 or -EBADMSG
 */
int tree_file_check(const void *data, size_t len, struct tree_file *ret_file)
{
	struct tree_file f = {.header = data};
	const struct tree_file_header *h = data;
	uint64_t want;

	if (len < sizeof(*h) || !tree_header_ok(h))
		return -EBADMSG;
	want = sizeof(*h) + (uint64_t)h->n_inodes * sizeof(*f.inodes) +
	       (uint64_t)h->n_nodes * sizeof(*f.nodes) + (uint64_t)h->n_xattrs * sizeof(*f.xattrs) +
	       h->strings_len;
	if (want != len || !tree_digest_ok(h, len))
		return -EBADMSG;
	f.inodes = (const void *)(h + 1);
	f.nodes = (const void *)(f.inodes + h->n_inodes);
	f.xattrs = (const void *)(f.nodes + h->n_nodes);
	f.strings = (const void *)(f.xattrs + h->n_xattrs);
	for (uint32_t i = 0; i < h->n_inodes; i++)
		if (!tree_inode_ok(&f, &f.inodes[i]))
			return -EBADMSG;
	if (!tree_nodes_ok(&f) || !tree_order_ok(&f))
		return -EBADMSG;
	*ret_file = f;
	return 0;
}

/**
 * tree_file_open() - Map a tree file and check it
 * @path:     File
 * @ret_file: tree_file_done() it
 *
 * Return: 0, -EBADMSG for a bad file, or the errno of opening it
 */
int tree_file_open(const char *path, struct tree_file *ret_file)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(struct tree_file_header))
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r = tree_file_check(map, (size_t)st.st_size, ret_file);
	if (r < 0) {
		(void)munmap(map, (size_t)st.st_size); /* our own mapping: cannot fail */
		return r;
	}
	ret_file->map = map;
	ret_file->map_len = (size_t)st.st_size;
	return 0;
}

/**
 * tree_file_read_header() - The counts of a tree file, without checking the rest
 * @path:	File
 * @ret_header: Its header
 *
 * Return: 0, -EBADMSG, or the errno of opening it
 */
int tree_file_read_header(const char *path, struct tree_file_header *ret_header)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct tree_file_header h;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = fs_read_full(fd, &h, sizeof(h));
	if (n < 0)
		return (int)n;
	if (n < (ssize_t)sizeof(h) || !tree_header_ok(&h))
		return -EBADMSG;
	*ret_header = h;
	return 0;
}
