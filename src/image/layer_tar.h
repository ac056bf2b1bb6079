/* SPDX-License-Identifier: Apache-2.0 */
/* layer_tar.h - tar entries become a tree and a data file */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "image/layer_data.h"
#include "image/tree.h"

/* Pieces of an uncompressed tar: *ret_data stays valid until the next call. 0: end, <0: failure. */
typedef ssize_t (*layer_tar_read_fn)(void *user, const void **ret_data);

int layer_tar_read(layer_tar_read_fn read, void *user, struct tree *t, struct layer_data *data,
		   struct err *err);
