/* SPDX-License-Identifier: Apache-2.0 */
/* image_check.h - prove the image store consistent, or name what is not; with the daemon down */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct store;

enum image_check_mode {
	IMAGE_CHECK_QUICK, /* names, sizes, documents */
	IMAGE_CHECK_FULL,  /* reads and digests every byte as well */
	IMAGE_CHECK_REPAIR /* as full, then forgets what is broken and sweeps what is left over */
};

struct image_check_result {
	unsigned int problems; /* found; with repair: that are left */
	unsigned int images, layers, blobs;
	uint64_t bytes; /* of the blobs */
};

/* root: <data-root>/images, whose daemon is not running. say: told a line for each problem. */
int image_check(const char *root, struct store *store, enum image_check_mode mode,
		void (*say)(void *user, const char *line), void *user,
		struct image_check_result *ret, struct err *err);
