/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_tool.c - the layer store by hand, for tests and for looking at what went wrong
 *
 *   arca-layer-tool import STORE [DIFFID] < tar	prints the diff id
 *   arca-layer-tool assemble STORE DISKBYTES [DIFFID...]	prints the descriptor's path
 *   arca-layer-tool list STORE [DIFFID...]	prints the merged tree
 *
 * A line of the list, fields separated by tabs, sorted by path, bytes other than printable ASCII
 * and spaces and the backslash as \xNN: path type(fdlcbp) mode(octal) uid gid size mtime.nsec nlink
 * major:minor xattrs contents size is 0 for directories; xattrs are name=hex,... or "-"; contents
 * is the SHA-256 of a regular file, "->target" of a symlink, or "-".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "image/layer_store.h"
#include "image/rootfs.h"

struct tool_list {
	const char *store;
	const char *const *diff_ids;
	struct buf path;
};

static void tool_list_done(struct tool_list *l)
{
	buf_done(&l->path);
}

static ssize_t tool_read(void *user UNUSED, void *data, size_t len)
{
	ssize_t n = read(STDIN_FILENO, data, len);

	return n < 0 ? -errno : n;
}

static void tool_escape(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c >= 127 || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static int tool_hash(const struct tool_list *l, const struct tree_inode *in,
		     char out[static DIGEST_BUF])
{
	_cleanup_free_ char *path = layer_path(l->store, l->diff_ids[in->layer], "data");
	_cleanup_free_ char *buf = malloc(KIB(256));
	_cleanup_close_ int fd = -EBADF;
	uint64_t off = (uint64_t)in->block * TREE_BLOCK_BYTES, left = in->size;
	struct sha256 sha;

	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -EBADF;
	if (fd < 0 || !buf)
		return -EIO;
	sha256_start(&sha);
	while (left) {
		ssize_t n = pread(fd, buf, MIN(left, KIB(256)), (off_t)off);

		if (n <= 0)
			return -EIO;
		sha256_add(&sha, buf, (size_t)n);
		off += (uint64_t)n;
		left -= (uint64_t)n;
	}
	sha256_finish(&sha, out);
	return 0;
}

static char tool_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	}
	return 'p';
}

static int tool_print(const struct tool_list *l, const struct tree_node *n)
{
	const struct tree_inode *in = n->inode;
	char digest[DIGEST_BUF];

	if (l->path.len)
		tool_escape(l->path.data, l->path.len);
	else
		putchar('/');
	printf("\t%c\t%04o\t%u\t%u\t%llu\t%lld.%09u\t%u\t%u:%u\t", tool_type(in->mode),
	       in->mode & 07777, in->uid, in->gid, (unsigned long long)in->size,
	       (long long)in->mtime_sec, in->mtime_nsec, in->nlink, in->rdev_major, in->rdev_minor);
	for (uint32_t i = 0; i < in->n_xattrs; i++) {
		const struct tree_xattr *x = &in->xattrs[i];

		printf("%s", i ? "," : "");
		tool_escape(x->name, x->name_len);
		putchar('=');
		for (uint32_t k = 0; k < x->value_len; k++)
			printf("%02x", ((const unsigned char *)x->value)[k]);
	}
	printf(in->n_xattrs ? "\t" : "-\t");
	if (S_ISREG(in->mode)) {
		if (tool_hash(l, in, digest) < 0)
			return -EIO;
		printf("%s\n", digest_hex(digest));
	} else if (S_ISLNK(in->mode)) {
		printf("->");
		tool_escape(in->target, in->size);
		putchar('\n');
	} else {
		printf("-\n");
	}
	return 0;
}

/* Links are counted here as the writer would: names of an inode, or 2 + subdirectories. */
static void tool_count(struct tree_node *dir)
{
	dir->inode->nlink = 2;
	for (struct tree_node *n = dir->children; n; n = n->next) {
		if (tree_is_dir(n)) {
			dir->inode->nlink++;
			tool_count(n);
		} else {
			n->inode->nlink++;
		}
	}
}

static int tool_walk(struct tool_list *l, const struct tree_node *dir)
{
	_cleanup_free_ const struct tree_node **sorted = NULL;
	size_t len = l->path.len;
	int r = tool_print(l, dir);

	if (r < 0 || !tree_is_dir(dir))
		return r;
	r = tree_sorted_children(dir, &sorted);
	for (uint32_t i = 0; i < dir->n_children && r == 0; i++) {
		buf_adds(&l->path, "/");
		buf_add(&l->path, sorted[i]->name, sorted[i]->name_len);
		r = l->path.failed ? -ENOMEM : tool_walk(l, sorted[i]);
		l->path.len = len;
	}
	return r;
}

static int tool_list(const char *store, const char *const *diff_ids, size_t n, struct err *err)
{
	_cleanup_(rootfs_merged_done) struct rootfs_merged m = {};
	_cleanup_(tool_list_done) struct tool_list l = {.store = store, .diff_ids = diff_ids};
	int r = rootfs_merge(store, diff_ids, n, &m, err);

	if (r < 0)
		return r;
	tool_count(tree_root(m.tree));
	r = tool_walk(&l, tree_root(m.tree));
	return r < 0 ? err_sys(err, r, "cannot list") : 0;
}

static int tool_import(const char *store, const char *expect, struct err *err)
{
	struct byte_source from = {tool_read, NULL};
	struct layer_info info;
	int r = layer_import(store, &from, expect, &info, err);

	if (r == 0)
		printf("%s\n", info.diff_id);
	return r;
}

static int tool_assemble(const char *store, const char *disk, const char *const *diff_ids, size_t n,
			 struct err *err)
{
	_cleanup_free_ char *vmdk = NULL;
	uint64_t bytes;
	int r = str_u64(disk, UINT64_MAX, &bytes);

	if (r < 0)
		return err_user(err, ERR_INVALID, "not a number: %s", disk);
	r = rootfs_assemble(store, diff_ids, n, bytes, &vmdk, err);
	if (r == 0)
		printf("%s\n", vmdk);
	return r;
}

int main(int argc, char **argv)
{
	const char *const *ids = (const char *const *)argv;
	struct err err = {};
	int r = -EINVAL;

	if (argc >= 3 && argc <= 4 && str_eq(argv[1], "import"))
		r = tool_import(argv[2], argv[3], &err);
	else if (argc >= 4 && str_eq(argv[1], "assemble"))
		r = tool_assemble(argv[2], argv[3], ids + 4, (size_t)argc - 4, &err);
	else if (argc >= 3 && str_eq(argv[1], "list"))
		r = tool_list(argv[2], ids + 3, (size_t)argc - 3, &err);
	else
		(void)err_user(&err, ERR_INVALID,
			       "usage: arca-layer-tool import|assemble|list STORE ...");
	if (r < 0)
		fprintf(stderr, "%s\n", err.msg);
	return r < 0;
}
