/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h - a byte source that undoes gzip or zstd, or passes plain bytes on */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "image/layer.h"

/* No stream may inflate to more: 1 TiB. The ratio is free, a full disk is an error of its own. */
#define INFLATE_BYTES_MAX (1ULL << 40)

enum inflate_kind { INFLATE_PLAIN, INFLATE_GZIP, INFLATE_ZSTD };

struct inflate;

int inflate_new(const struct byte_source *from, struct inflate **ret_inflate);
void inflate_free(struct inflate *in);
ssize_t inflate_read(void *inflate, void *data, size_t len);
const char *inflate_error(const struct inflate *in);
enum inflate_kind inflate_kind(const struct inflate *in);

DEFINE_CLEANUP(struct inflate *, inflate_free)
