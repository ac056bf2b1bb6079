/* SPDX-License-Identifier: Apache-2.0 */
/* layer_data.h - the data file of a layer while it is written */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct layer_data;

int layer_data_new(int fd, struct layer_data **ret_data);
void layer_data_free(struct layer_data *d);
uint64_t layer_data_blocks(const struct layer_data *d);
int layer_data_write(struct layer_data *d, uint64_t offset, const void *data, size_t len);
int layer_data_align(struct layer_data *d, uint64_t file_bytes);
int layer_data_finish(struct layer_data *d);

DEFINE_CLEANUP(struct layer_data *, layer_data_free)
