/* SPDX-License-Identifier: Apache-2.0 */
/* deflate.h - a stream as gzip into a file, with the digests of both */
#pragma once

#include <stdint.h>

#include "base/sha256.h"
#include "image/layer.h"

struct deflate_result {
	char digest_in[DIGEST_BUF]; /* of what was read */
	char digest[DIGEST_BUF];    /* of the gzip */
	uint64_t bytes;		    /* of the gzip */
};

int deflate_gzip(const struct byte_source *from, int fd, struct deflate_result *ret);
