/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - a file system tree without contents: one layer while it is read, or several merged
 *
 * A node is a name in a directory; an inode is what it names (several nodes share one: hard
 * links). Everything lives in the tree's arena and dies with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

#define TREE_BLOCK_BYTES 4096u
#define TREE_SYMLINKS_MAX 40 /* followed in one path, as the kernel's MAXSYMLINKS */
#define TREE_TARGET_MAX 4095 /* a symbolic link's text */
#define TREE_XATTRS_MAX 1024 /* per inode */
#define TREE_XATTR_NAME_MAX 255
#define TREE_XATTR_VALUE_MAX 65535
#define TREE_XATTRS_BYTES_MAX (200u << 10) /* per inode; EROFS takes 256 KiB with its headers */

enum tree_flag {
	TREE_IMPLIED = 1, /* a directory that only its children speak of: a lower layer's is kept */
	TREE_OPAQUE = 2,  /* a directory that hides what lower layers have in it */
	TREE_WHITEOUT = 4, /* no inode: hides the lower layers' node of this name */
	TREE_LINK = 8,	   /* no inode: a hard link to a path in lower layers */
};

struct tree_xattr {
	const char *name; /* with its namespace: "security.capability" */
	const void *value;
	uint32_t name_len, value_len;
};

struct tree_inode {
	uint32_t mode; /* type and permissions */
	uint32_t uid, gid;
	uint32_t rdev_major, rdev_minor;
	uint32_t mtime_nsec;
	int64_t mtime_sec;
	uint64_t size;	    /* regular: bytes; symlink: length of target */
	uint32_t layer;	    /* whose data: index into the layers merged */
	uint32_t block;	    /* regular: where in the layer's data, TREE_BLOCK_BYTES each */
	const char *target; /* symlink, not NUL-terminated when it comes from a file */
	const struct tree_xattr *xattrs; /* sorted by name */
	uint32_t n_xattrs;
	uint32_t nlink; /* counted by encoders */
	uint32_t index; /* scratch of encoders: number from 1, 0: not met yet */
};

struct tree_node {
	struct tree_node *parent;      /* the root's is the root */
	struct tree_node *prev, *next; /* utlist among the parent's children */
	struct tree_node *children;    /* directories only */
	struct tree_node *hash_next;
	struct tree_inode *inode; /* NULL with TREE_WHITEOUT or TREE_LINK */
	const char *link;	  /* TREE_LINK: cleaned path, NUL-terminated */
	const char *name;	  /* not NUL-terminated */
	uint32_t n_children;
	uint16_t name_len;
	uint16_t flags; /* enum tree_flag */
};

struct tree;

int tree_new(struct tree **ret_tree);
void tree_free(struct tree *t);
struct tree_node *tree_root(struct tree *t);
size_t tree_node_count(const struct tree *t);

void *tree_alloc(struct tree *t, size_t size);
const void *tree_copy(struct tree *t, const void *data, size_t len);
struct tree_inode *tree_inode_new(struct tree *t, uint32_t mode);

struct tree_node *tree_find(struct tree *t, struct tree_node *dir, const char *name, size_t len);
struct tree_node *tree_add(struct tree *t, struct tree_node *dir, const char *name, size_t len);
void tree_remove(struct tree *t, struct tree_node *node);
void tree_remove_children(struct tree *t, struct tree_node *dir);
int tree_resolve(struct tree *t, const char *path, bool create, struct tree_node **ret_dir,
		 const char **ret_name, size_t *ret_len);
int tree_sorted_children(const struct tree_node *dir, const struct tree_node ***ret_sorted);
int tree_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len);

static inline bool tree_is_dir(const struct tree_node *node)
{
	return node->inode && S_ISDIR(node->inode->mode);
}

DEFINE_CLEANUP(struct tree *, tree_free)
