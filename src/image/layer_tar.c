/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_tar.c - tar entries become a tree and a data file (OCI image-spec, layer.md)
 *
 * DOC: Theory of operation
 *
 * tar.c undoes the tar dialects; what an entry means is decided here: leading slashes and "." go
 * away, ".." is refused, ".wh." names become marks, missing parents are implied, the last entry of
 * a name wins. Paths are looked up in the tree only, so nothing in an archive can reach a file of
 * the host.
 *
 * Two habits of overlay2 are kept because images rely on them: aufs' own ".wh..wh." entries are
 * skipped, and a character device 0,0 is a whiteout. trusted.overlay.* xattrs are dropped, for they
 * would speak to the guest's overlay.
 *
 * Hostile: every byte. Limits: LAYER_ENTRIES_MAX, LAYER_PATH_MAX, LAYER_NAME_MAX, TREE_*_MAX.
 */
#include "image/layer_tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/layer.h"
#include "image/tree_file.h"

#define LAYER_WHITEOUT ".wh."
#define LAYER_WHITEOUT_META ".wh..wh."
#define LAYER_OPAQUE ".wh..wh..opq"
#define LAYER_ID_MAX UINT32_MAX /* -1 means "no id" to chown */

struct layer_tar {
	struct tar *tar;	 /* owned */
	struct tree *t;		 /* borrowed: the caller's */
	struct layer_data *data; /* borrowed: the caller's */
	struct err *err;	 /* borrowed: the caller's */
	uint32_t entries;
	uint64_t strings; /* bytes of names, targets, xattrs so far */
};

/* One entry, its path cleaned. */
struct layer_entry {
	const struct tar_entry *e; /* borrowed: the tar reader's */
	const char *path;	   /* owned by the frame: cleaned, "" is the root */
	struct tree_node *dir;
	const char *name; /* last component, in path */
	size_t name_len;
};

static void layer_tar_done(struct layer_tar *lt)
{
	tar_free(lt->tar);
}

static int layer_tar_invalid(struct layer_tar *lt, const char *what, const char *path)
{
	return err_user(lt->err, ERR_INVALID, "invalid layer: \"%.512s\": %s", path, what);
}

/* What the reader did not like; a failure of the source is its owner's story. */
static int layer_tar_failed(struct layer_tar *lt, int r)
{
	if (tar_error(lt->tar))
		return err_user(lt->err, ERR_INVALID, "invalid layer: %s", tar_error(lt->tar));
	return r == -ENOMEM ? err_oom(lt->err) : r;
}

/* "/a//./b/" -> "a/b". Refuses "..": no tar writer needs it, and whoever uses it means harm. */
static int layer_path_clean(struct layer_tar *lt, const char *raw, char **ret_path)
{
	_cleanup_free_ char *path = NULL;
	size_t out = 0;

	if (strlen(raw) > LAYER_PATH_MAX)
		return layer_tar_invalid(lt, "path is too long", raw);
	path = malloc(strlen(raw) + 1);
	if (!path)
		return err_oom(lt->err);
	for (const char *p = raw; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.')
			return layer_tar_invalid(
				lt, "is outside of the image: path contains \"..\"", raw);
		if (len > LAYER_NAME_MAX)
			return layer_tar_invalid(lt, "file name too long", raw);
		if (len && !(len == 1 && p[0] == '.')) {
			if (out)
				path[out++] = '/';
			memcpy(path + out, p, len);
			out += len;
		}
		p += len + strspn(p + len, "/");
	}
	path[out] = '\0';
	*ret_path = TAKE_PTR(path);
	return 0;
}

static int layer_tar_resolve(struct layer_tar *lt, const char *path, bool create,
			     struct layer_entry *le)
{
	int r = tree_resolve(lt->t, path, create, &le->dir, &le->name, &le->name_len);

	if (r == -ENOMEM)
		return err_oom(lt->err);
	if (r < 0 && create)
		return layer_tar_invalid(lt, strerror(-r), path);
	return r;
}

/* The node @le names, as something that is in this layer: its inode is the caller's to set. */
static struct tree_node *layer_node_replace(struct layer_tar *lt, struct layer_entry *le,
					    bool is_dir)
{
	struct tree_node *node = tree_find(lt->t, le->dir, le->name, le->name_len);
	const char *name;
	uint16_t keep = 0;

	if (node && is_dir && tree_is_dir(node)) {
		node->flags &= (uint16_t)~TREE_IMPLIED;
		return node;
	}
	if (node) {
		if (is_dir && (node->flags & TREE_WHITEOUT))
			keep = TREE_OPAQUE;
		tree_remove(lt->t, node);
	}
	name = tree_copy(lt->t, le->name, le->name_len);
	node = name ? tree_add(lt->t, le->dir, name, le->name_len) : NULL;
	if (node)
		node->flags = keep;
	return node;
}

/* ".wh.x": x of lower layers is gone. What this layer itself has there stays. */
static int layer_add_whiteout(struct layer_tar *lt, struct layer_entry *le)
{
	struct tree_node *node = tree_find(lt->t, le->dir, le->name, le->name_len);

	if (node) {
		if (tree_is_dir(node))
			node->flags |= TREE_OPAQUE;
		if (node->inode || (node->flags & TREE_WHITEOUT))
			return 0;
	}
	node = layer_node_replace(lt, le, false);
	if (!node)
		return err_oom(lt->err);
	node->flags = TREE_WHITEOUT;
	return 0;
}

static int layer_add_mark(struct layer_tar *lt, struct layer_entry *le)
{
	const size_t prefix = strlen(LAYER_WHITEOUT), meta = strlen(LAYER_WHITEOUT_META);

	if (le->name_len == strlen(LAYER_OPAQUE) &&
	    memcmp(le->name, LAYER_OPAQUE, le->name_len) == 0) {
		le->dir->flags |= TREE_OPAQUE;
		return 0;
	}
	if (le->name_len >= meta && memcmp(le->name, LAYER_WHITEOUT_META, meta) == 0)
		return 0;
	le->name += prefix;
	le->name_len -= prefix;
	if (le->name_len == 0 || (le->name_len <= 2 && memcmp(le->name, "..", le->name_len) == 0))
		return layer_tar_invalid(lt, "invalid whiteout", le->path);
	return layer_add_whiteout(lt, le);
}

static int layer_xattr_cmp(const void *a, const void *b, void *user)
{
	const struct tree_xattr *x = user;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	int d = strcmp(x[i].name, x[k].name);

	return d ? d : (i > k) - (i < k);
}

/* Sorted by name and, of one name, only the last. */
static int layer_xattrs_sort(struct layer_tar *lt, const struct tree_xattr *x, uint32_t n,
			     struct tree_inode *inode)
{
	struct tree_xattr *sorted = tree_alloc(lt->t, n * sizeof(*sorted));
	_cleanup_free_ uint32_t *order = calloc(n, sizeof(*order));
	uint32_t out = 0;

	if (!sorted || !order)
		return err_oom(lt->err);
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), layer_xattr_cmp, (void *)(uintptr_t)x);
	for (uint32_t i = 0; i < n; i++) {
		if (out && str_eq(sorted[out - 1].name, x[order[i]].name))
			out--;
		sorted[out++] = x[order[i]];
	}
	inode->xattrs = sorted;
	inode->n_xattrs = out;
	return 0;
}

static int layer_entry_xattrs(struct layer_tar *lt, struct layer_entry *le,
			      struct tree_inode *inode)
{
	_cleanup_free_ struct tree_xattr *x = NULL;
	uint32_t used = 0;
	size_t bytes = 0;

	if (!le->e->n_xattrs)
		return 0;
	x = calloc(le->e->n_xattrs, sizeof(*x));
	if (!x)
		return err_oom(lt->err);
	for (size_t i = 0; i < le->e->n_xattrs; i++) {
		const struct tar_xattr *from = &le->e->xattrs[i];
		size_t name_len = strlen(from->name);

		if (name_len == 0 || name_len > TREE_XATTR_NAME_MAX ||
		    from->len > TREE_XATTR_VALUE_MAX)
			return layer_tar_invalid(lt, "extended attribute is too large", le->path);
		if (str_starts(from->name, "trusted.overlay."))
			continue;
		x[used].name = tree_copy(lt->t, from->name, name_len);
		x[used].value = tree_copy(lt->t, from->value, from->len);
		x[used].name_len = (uint32_t)name_len;
		x[used].value_len = (uint32_t)from->len;
		if (!x[used].name || !x[used].value)
			return err_oom(lt->err);
		used++;
		bytes += name_len + from->len;
	}
	if (bytes > TREE_XATTRS_BYTES_MAX)
		return layer_tar_invalid(lt, "extended attributes are too large", le->path);
	lt->strings += bytes;
	return used ? layer_xattrs_sort(lt, x, used, inode) : 0;
}

static int layer_entry_target(struct layer_tar *lt, struct layer_entry *le,
			      struct tree_inode *inode)
{
	const char *target = le->e->link;
	size_t len = strlen(target);

	if (len == 0 || len > TREE_TARGET_MAX)
		return layer_tar_invalid(lt, "invalid symbolic link", le->path);
	inode->target = tree_copy(lt->t, target, len);
	if (!inode->target)
		return err_oom(lt->err);
	inode->size = len;
	lt->strings += len;
	return 0;
}

static int layer_entry_rdev(struct layer_tar *lt, struct layer_entry *le, struct tree_inode *inode)
{
	uint64_t rdev_major = (uint64_t)le->e->dev_major;
	uint64_t rdev_minor = (uint64_t)le->e->dev_minor;

	if (rdev_major >= 1u << 12 || rdev_minor >= 1u << 20)
		return layer_tar_invalid(lt, "invalid device number", le->path);
	inode->rdev_major = (uint32_t)rdev_major;
	inode->rdev_minor = (uint32_t)rdev_minor;
	return 0;
}

/* Everything of an inode but a regular file's place. */
static int layer_entry_inode(struct layer_tar *lt, struct layer_entry *le, mode_t type,
			     struct tree_inode **ret_inode)
{
	int64_t uid = le->e->uid, gid = le->e->gid;
	struct tree_inode *inode = tree_inode_new(lt->t, type | le->e->mode);
	int r = 0;

	if (!inode)
		return err_oom(lt->err);
	if (uid < 0 || uid >= LAYER_ID_MAX || gid < 0 || gid >= LAYER_ID_MAX)
		return layer_tar_invalid(lt, "invalid owner", le->path);
	inode->uid = (uint32_t)uid;
	inode->gid = (uint32_t)gid;
	if (le->e->mtime_sec >= 0) { /* times before 1970 become 1970, as Docker has it */
		inode->mtime_sec = le->e->mtime_sec;
		inode->mtime_nsec = le->e->mtime_nsec;
	}
	if (type == S_IFLNK)
		r = layer_entry_target(lt, le, inode);
	else if (type == S_IFCHR || type == S_IFBLK)
		r = layer_entry_rdev(lt, le, inode);
	if (r == 0)
		r = layer_entry_xattrs(lt, le, inode);
	if (r == 0)
		*ret_inode = inode;
	return r;
}

static int layer_write_failed(struct layer_tar *lt, struct layer_entry *le, int r)
{
	if (r == -EFBIG)
		return layer_tar_invalid(lt, "file is too large", le->path);
	return err_sys(lt->err, r, "cannot write the contents of layer file \"%.256s\"", le->path);
}

static int layer_entry_contents(struct layer_tar *lt, struct layer_entry *le,
				struct tree_inode *inode)
{
	uint64_t block = layer_data_blocks(lt->data), offset;
	const void *piece;
	ssize_t n;
	int r;

	inode->size = le->e->size;
	inode->block = inode->size ? (uint32_t)block : 0;
	while ((n = tar_data(lt->tar, &piece, &offset)) > 0) {
		r = layer_data_write(lt->data, offset, piece, (size_t)n);
		if (r < 0)
			return layer_write_failed(lt, le, r);
	}
	if (n < 0)
		return layer_tar_failed(lt, (int)n);
	r = layer_data_align(lt->data, inode->size);
	return r < 0 ? layer_write_failed(lt, le, r) : 0;
}

static int layer_add_link(struct layer_tar *lt, struct layer_entry *le, const char *raw)
{
	_cleanup_free_ char *target = NULL;
	struct layer_entry to = {};
	struct tree_node *found = NULL, *node;
	int r;

	r = layer_path_clean(lt, raw, &target);
	if (r < 0)
		return r;
	r = layer_tar_resolve(lt, target, false, &to);
	if (r == -ENOMEM)
		return r;
	if (r == 0)
		found = tree_find(lt->t, to.dir, to.name, to.name_len);
	if (!*target || (found && tree_is_dir(found)))
		return layer_tar_invalid(lt, "hard link to a directory", le->path);
	if (found && (found->flags & TREE_WHITEOUT))
		found = NULL; /* it was there before this layer: lower layers have it, or nobody */
	if (found && found == tree_find(lt->t, le->dir, le->name, le->name_len))
		return 0; /* to itself */
	node = layer_node_replace(lt, le, false);
	if (!node)
		return err_oom(lt->err);
	if (found && found->inode) {
		node->inode = found->inode;
		return 0;
	}
	node->flags = TREE_LINK;
	node->link = found ? found->link : tree_copy(lt->t, target, strlen(target));
	lt->strings += strlen(target);
	return node->link ? 0 : err_oom(lt->err);
}

static int layer_add_inode(struct layer_tar *lt, struct layer_entry *le, mode_t type)
{
	struct tree_inode *inode;
	struct tree_node *node;
	int r = layer_entry_inode(lt, le, type, &inode);

	if (r < 0)
		return r;
	if (type == S_IFCHR && inode->rdev_major == 0 && inode->rdev_minor == 0)
		return layer_add_whiteout(lt, le);
	if (type == S_IFREG) {
		r = layer_entry_contents(lt, le, inode);
		if (r < 0)
			return r;
	}
	node = layer_node_replace(lt, le, type == S_IFDIR);
	if (!node)
		return err_oom(lt->err);
	node->inode = inode;
	return 0;
}

static int layer_add_root(struct layer_tar *lt, struct layer_entry *le)
{
	struct tree_node *root = tree_root(lt->t);

	if (le->e->type != TAR_DIR)
		return layer_tar_invalid(lt, "the root is not a directory", "/");
	root->flags &= (uint16_t)~TREE_IMPLIED;
	return layer_entry_inode(lt, le, S_IFDIR, &root->inode);
}

static mode_t layer_entry_type(enum tar_type type)
{
	switch (type) {
	case TAR_SYMLINK:
		return S_IFLNK;
	case TAR_CHAR:
		return S_IFCHR;
	case TAR_BLOCK:
		return S_IFBLK;
	case TAR_DIR:
		return S_IFDIR;
	case TAR_FIFO:
		return S_IFIFO;
	default:
		return S_IFREG;
	}
}

static int layer_add(struct layer_tar *lt, const struct tar_entry *e)
{
	_cleanup_free_ char *path = NULL;
	struct layer_entry le = {.e = e};
	int r;

	if (!*e->path)
		return layer_tar_invalid(lt, "invalid file name", "");
	r = layer_path_clean(lt, e->path, &path);
	if (r < 0)
		return r;
	le.path = path;
	lt->strings += strlen(path);
	if (!*path)
		return layer_add_root(lt, &le);
	r = layer_tar_resolve(lt, path, true, &le);
	if (r < 0)
		return r;
	if (++lt->entries > LAYER_ENTRIES_MAX || tree_node_count(lt->t) > LAYER_ENTRIES_MAX)
		return layer_tar_invalid(lt, "too many entries", path);
	if (lt->strings > TREE_STRINGS_MAX)
		return layer_tar_invalid(lt, "too many names and attributes", path);
	if (le.name_len >= strlen(LAYER_WHITEOUT) &&
	    memcmp(le.name, LAYER_WHITEOUT, strlen(LAYER_WHITEOUT)) == 0)
		return layer_add_mark(lt, &le);
	if (e->type == TAR_LINK)
		return layer_add_link(lt, &le, e->link);
	return layer_add_inode(lt, &le, layer_entry_type(e->type));
}

/**
 * layer_tar_read() - Read a tar up to its end mark
 * @read: Source of the tar; a failure of it is passed up without a word in @err
 * @user: Its argument
 * @t:	  New tree, receives the entries
 * @data: New data file, receives the contents; finished by the caller
 * @err:  Filled on failure
 *
 * Return: 0, -EINVAL for a defect in the archive, or negative errno
 */
int layer_tar_read(tar_read_fn read, void *user, struct tree *t, struct layer_data *data,
		   struct err *err)
{
	_cleanup_(layer_tar_done) struct layer_tar lt = {.t = t, .data = data, .err = err};
	struct tar_entry e;
	int r;

	if (tar_new(read, user, &lt.tar) < 0)
		return err_oom(err);
	while ((r = tar_next(lt.tar, &e)) > 0) {
		r = layer_add(&lt, &e);
		if (r < 0)
			return r;
	}
	return r < 0 ? layer_tar_failed(&lt, r) : 0;
}
