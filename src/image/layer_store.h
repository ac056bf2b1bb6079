/* SPDX-License-Identifier: Apache-2.0 */
/* layer_store.h - folders of the store that appear complete or not at all */
#pragma once

#include <stdint.h>

#include "image/layer.h"

/* A folder being made; removed by store_tmp_done() unless it was published. */
struct store_tmp {
	char *path; /* owned */
};

int store_tmp_make(const char *store_root, const char *kind, struct store_tmp *ret_tmp);
int store_tmp_publish(struct store_tmp *tmp, const char *path);
void store_tmp_done(struct store_tmp *tmp);

char *layer_path(const char *store_root, const char *diff_id, const char *file);
int layer_folder_info(const char *folder, const char *diff_id, struct layer_info *ret_info);
