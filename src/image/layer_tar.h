/* SPDX-License-Identifier: Apache-2.0 */
/* layer_tar.h - tar entries become a tree and a data file */
#pragma once

#include "base/err.h"
#include "image/layer_data.h"
#include "image/tar.h"
#include "image/tree.h"

int layer_tar_read(tar_read_fn read, void *user, struct tree *t, struct layer_data *data,
		   struct err *err);
