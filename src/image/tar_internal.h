/* SPDX-License-Identifier: Apache-2.0 */
/* tar_internal.h - what the files of the tar reader share */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "image/tar.h"

struct tar_piece {
	uint64_t offset, len;
};

struct tar_sparse {
	struct tar_piece *pieces; /* owned */
	size_t n, cap;
	uint64_t real_size;
	bool used;
	int major;	     /* pax: GNU.sparse.major, or -1 */
	bool offset_is_next; /* pax 0.0: numbytes comes after its offset */
};

/* What pax and GNU headers say about the next entry. Strings point into their buffers. */
struct tar_extra {
	struct buf pax, gnu_name, gnu_link; /* reused from entry to entry */
	const char *path, *link, *sparse_name;
	uint64_t size;
	int64_t uid, gid, mtime_sec;
	uint32_t mtime_nsec;
	bool has_size, has_uid, has_gid, has_mtime;
	struct tar_xattr *xattrs; /* owned */
	size_t n_xattrs, cap_xattrs;
	struct tar_sparse sparse;
};

struct tar {
	tar_read_fn read;
	void *user;
	const unsigned char *at; /* borrowed: the source's piece */
	size_t left;
	bool source_end, ended;
	const char *error; /* borrowed: a literal; set with -EINVAL */
	struct tar_extra extra;
	uint64_t stored;  /* bytes of the entry's contents still in the stream */
	uint64_t padding; /* behind them */
	size_t piece;	  /* sparse: where we are */
	uint64_t piece_done, file_done;
	unsigned char block[TAR_BLOCK_BYTES];
	char name[256 + 2], link_name[100 + 1];
};

int tar_invalid(struct tar *tar, const char *text);
int tar_block(struct tar *tar, const unsigned char **ret_block);
int tar_take(struct tar *tar, struct buf *out, uint64_t len);

void tar_extra_reset(struct tar_extra *x);
void tar_pax_reset(struct tar_extra *x);
void tar_extra_done(struct tar_extra *x);
int tar_pax_parse(struct tar *tar);

int tar_sparse_add(struct tar *tar, uint64_t offset, uint64_t len);
int tar_sparse_old(struct tar *tar, const unsigned char *header);
int tar_sparse_map_text(struct tar *tar, const char *text);
int tar_sparse_map_data(struct tar *tar);
int tar_sparse_check(struct tar *tar);

int tar_number(const unsigned char *field, size_t len, int64_t *ret_value);
