/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_file.h - a layer's tree on disk
 *
 * header | inodes | nodes | xattrs | strings, all little endian. Nodes stand in breadth-first
 * order, a directory's children side by side and sorted by name, so that a reader can check in one
 * pass that it is a tree. The digest covers everything else in the file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "image/tree.h"

#define TREE_FILE_MAGIC "ARCATREE"
#define TREE_FILE_VERSION 1
#define TREE_STRINGS_MAX (1u << 30) /* names, targets and xattrs of one layer, bytes */

struct tree_file_header {
	char magic[8];
	uint32_t version;
	uint32_t n_nodes; /* at least the root */
	uint32_t n_inodes;
	uint32_t n_xattrs;
	uint64_t strings_len;
	uint64_t data_blocks; /* length of the data file, TREE_BLOCK_BYTES each */
	uint64_t size_bytes;  /* sum of regular file sizes */
	uint8_t digest[32];   /* SHA-256 of the file with these bytes zero */
};

struct tree_file_inode {
	int64_t mtime_sec;
	uint64_t size;
	uint32_t mtime_nsec;
	uint32_t mode, uid, gid, rdev_major, rdev_minor;
	uint32_t block;
	uint32_t target_off; /* its length is size */
	uint32_t xattr_first, n_xattrs;
};

struct tree_file_node {
	uint32_t name_off;
	uint16_t name_len, flags;
	uint32_t inode; /* from 1; 0: none */
	uint32_t first_child, n_children;
	uint32_t link_off, link_len;
};

struct tree_file_xattr {
	uint32_t name_off, name_len, value_off, value_len;
};

/* A checked file in memory. */
struct tree_file {
	void *map; /* owned: munmap, or NULL when the bytes are the caller's */
	size_t map_len;
	const struct tree_file_header *header;
	const struct tree_file_inode *inodes;
	const struct tree_file_node *nodes;
	const struct tree_file_xattr *xattrs;
	const char *strings;
};

int tree_file_write(struct tree *t, uint64_t data_blocks, int fd, struct tree_file_header *ret);
int tree_file_read_header(const char *path, struct tree_file_header *ret_header);
int tree_file_open(const char *path, struct tree_file *ret_file);
int tree_file_check(const void *data, size_t len, struct tree_file *ret_file);
void tree_file_seal(void *data, size_t len);
void tree_file_done(struct tree_file *f);

/* Apply one layer on top of what is merged already. */
int tree_merge(struct tree *t, const struct tree_file *f, uint32_t layer, struct err *err);
