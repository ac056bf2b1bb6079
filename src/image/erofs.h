/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs.h - the EROFS metadata of a merged tree (format: Linux,
 * Documentation/filesystems/erofs.rst)
 *
 * A plan decides where everything goes; writing fills an image of that size. File contents are
 * elsewhere: the image speaks of blocks behind its own end, first those of layer 0, then layer 1.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "image/tree.h"

#define EROFS_BLOCK_BYTES 4096u
#define EROFS_SLOT_BYTES 32u /* inodes stand at multiples; the multiple is the inode's number */
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_MAGIC 0xE0F5E1E2u
#define EROFS_UUID_BYTES 16

enum erofs_layout { EROFS_FLAT_PLAIN = 0, EROFS_FLAT_INLINE = 2 };

struct erofs_super {
	uint32_t magic;
	uint32_t checksum; /* CRC-32C of the rest of the first block, not inverted at the end */
	uint32_t feature_compat;
	uint8_t block_bits, ext_slots;
	uint16_t root_nid;
	uint64_t inos;
	uint64_t build_time;
	uint32_t build_time_nsec;
	uint32_t blocks;
	uint32_t meta_block, xattr_block;
	uint8_t uuid[EROFS_UUID_BYTES];
	uint8_t volume[16];
	uint32_t feature_incompat;
	uint8_t reserved[44];
};

struct erofs_inode {
	uint16_t format; /* bit 0: extended, as always here; from bit 1: enum erofs_layout */
	uint16_t xattr_count;
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t block_or_rdev;
	uint32_t ino;
	uint32_t uid, gid;
	uint64_t mtime_sec;
	uint32_t mtime_nsec;
	uint32_t nlink;
	uint8_t reserved2[16];
};

struct erofs_dirent {
	uint64_t nid;
	uint16_t name_off;
	uint8_t type;
	uint8_t reserved;
} __attribute__((packed));

struct erofs_xattr_header {
	uint32_t name_filter;
	uint8_t shared_count;
	uint8_t reserved[7];
};

struct erofs_xattr_entry {
	uint8_t name_len, index;
	uint16_t value_len;
};

_Static_assert(sizeof(struct erofs_super) == 128, "on-disk format");
_Static_assert(sizeof(struct erofs_inode) == 64, "on-disk format");
_Static_assert(sizeof(struct erofs_dirent) == 12, "on-disk format");
_Static_assert(sizeof(struct erofs_xattr_header) == 12, "on-disk format");

/* One inode's place. */
struct erofs_item {
	const struct tree_inode *inode; /* borrowed: the tree's */
	uint64_t pos;			/* bytes from the image's start */
	uint64_t size;
	uint32_t node;		  /* directories: index in plan->order */
	uint32_t xattr_bytes;	  /* with header; 0: none */
	uint32_t tail;		  /* bytes right behind the inode and its xattrs */
	uint32_t block, n_blocks; /* the rest of a directory or symlink; a file's first block */
};

struct erofs_plan {
	const struct tree_node **order; /* owned: breadth first, each directory sorted */
	uint32_t *first_child;		/* owned: index in order */
	struct erofs_item *items;	/* owned: by inode->index - 1 */
	uint32_t n_order, n_items;
	uint32_t meta_blocks; /* the image */
	uint32_t blocks;      /* image and all layers' data */
};

/* A directory's entries in order, "." and ".." among them. */
struct erofs_dir {
	const struct erofs_plan *plan;
	uint32_t node;
	uint32_t dot, dotdot; /* where they sort */
	uint32_t n;
};

struct erofs_dir_entry {
	const char *name;
	uint32_t name_len;
	const struct tree_node *node;
};

int erofs_plan_new(struct tree *t, const uint64_t *layer_blocks, size_t n_layers,
		   struct erofs_plan **ret_plan, struct err *err);
void erofs_plan_free(struct erofs_plan *plan);
void erofs_write(const struct erofs_plan *plan, const uint8_t uuid[static EROFS_UUID_BYTES],
		 void *image);

void erofs_dir_open(const struct erofs_plan *plan, uint32_t node, struct erofs_dir *ret_dir);
void erofs_dir_entry(const struct erofs_dir *dir, uint32_t k, struct erofs_dir_entry *ret_entry);
uint32_t erofs_dir_block(const struct erofs_dir *dir, uint32_t k, uint32_t *ret_used);
int erofs_xattr_index(const struct tree_xattr *x, uint32_t *ret_prefix_len);

DEFINE_CLEANUP(struct erofs_plan *, erofs_plan_free)
