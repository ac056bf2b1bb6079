/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - read a tar stream: ustar, pax and GNU, names as bytes
 *
 * tar_next() gives one entry, tar_data() the pieces of its contents (what is not taken is skipped).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

#define TAR_BLOCK_BYTES 512u
#define TAR_SPECIAL_BYTES_MAX (1u << 20) /* one pax header or GNU long name */
#define TAR_XATTRS_MAX 1024
#define TAR_SPARSE_MAX (1u << 20) /* pieces of one sparse file */

/* Pieces of an uncompressed tar: *ret_data stays valid until the next call. 0: end, <0: failure. */
typedef ssize_t (*tar_read_fn)(void *user, const void **ret_data);

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK = '4',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

struct tar_xattr {
	const char *name; /* NUL-terminated */
	const void *value;
	size_t len;
};

/* Everything in it is valid until the next tar_next(). */
struct tar_entry {
	enum tar_type type;
	const char *path, *link;
	uint64_t size; /* of a file, holes included */
	uint32_t mode; /* permissions */
	int64_t uid, gid;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	int64_t dev_major, dev_minor;
	const struct tar_xattr *xattrs; /* in the archive's order; a name may come twice */
	size_t n_xattrs;
};

struct tar;

int tar_new(tar_read_fn read, void *user, struct tar **ret_tar);
void tar_free(struct tar *tar);
int tar_next(struct tar *tar, struct tar_entry *ret_entry);
ssize_t tar_data(struct tar *tar, const void **ret_data, uint64_t *ret_offset);
const char *tar_error(const struct tar *tar);

DEFINE_CLEANUP(struct tar *, tar_free)
