/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.h - a layer becomes data + tree; trees become one EROFS disk (DESIGN: images)
 *
 * On disk, below the store's root:
 *   layers/<diff id hex>/data	file contents, each file 4 KiB aligned, appended
 *   layers/<diff id hex>/tree	the sorted inode table (format in tree_file.h)
 *   rootfs/<chain id hex>/meta.erofs, disk.vmdk
 * A layer or rootfs folder appears by rename when it is complete, never before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/sha256.h"

/* Where bytes come from: returns bytes read, 0 at the end, <0 errno. */
struct byte_source {
	ssize_t (*read)(void *user, void *data, size_t len);
	void *user;
};

struct layer_info {
	char diff_id[DIGEST_BUF];
	uint64_t size_bytes; /* uncompressed: regular files and the targets of symlinks, as Docker
				counts an image's Size */
	uint64_t data_bytes; /* on disk */
	uint64_t entries;
};

#define LAYER_ENTRIES_MAX (4u << 20)
#define LAYER_PATH_MAX 4096
#define LAYER_NAME_MAX 255
#define LAYERS_PER_IMAGE_MAX 127

/*
 * Read one layer (plain, gzip, zstd, found by magic) and publish layers/<diff id>. Verifies the
 * digest of the uncompressed tar against expect_diff_id unless NULL. A layer that is already there
 * is only verified, not replaced. Every defect in the bytes is ERR_INVALID with a clear text;
 * nothing stays behind.
 */
int layer_import(const char *store_root, const struct byte_source *source,
		 const char *expect_diff_id, struct layer_info *ret_info, struct err *err);
bool layer_present(const char *store_root, const char *diff_id);
int layer_info(const char *store_root, const char *diff_id, struct layer_info *ret_info);
int layer_remove(const char *store_root, const char *diff_id);

/* chain id of diff_ids[0..n) (OCI image-spec, config.md: ChainID) */
void rootfs_chain_id(const char *const *diff_ids, size_t n, char out[static DIGEST_BUF]);
/* Merge the trees and write rootfs/<chain id>/ if it is not there. ret_vmdk: heap path. disk_bytes:
 * padded capacity. n may be 0 (an empty root, FROM scratch). Concurrent calls for one chain id are
 * fine. */
int rootfs_assemble(const char *store_root, const char *const *diff_ids, size_t n,
		    uint64_t disk_bytes, char **ret_vmdk, struct err *err);
int rootfs_remove(const char *store_root, const char *chain_id);
