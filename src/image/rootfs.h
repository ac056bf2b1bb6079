/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.h - layers of the store merged in memory, for whoever wants to look at the result */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "image/tree_file.h"

struct rootfs_merged {
	struct tree *tree;	 /* owned; borrows from files */
	struct tree_file *files; /* owned */
	uint64_t *blocks;	 /* owned: length of each layer's data */
	size_t n_files;
};

int rootfs_merge(const char *store_root, const char *const *diff_ids, size_t n,
		 struct rootfs_merged *ret_merged, struct err *err);
void rootfs_merged_done(struct rootfs_merged *m);
