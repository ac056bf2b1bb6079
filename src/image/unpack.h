/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.h - a byte source that undoes xz and bzip2, and passes everything else on */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "image/layer.h"

/* What an xz archive's decoder may take. `xz -9` wants 65 MiB, its default 9. As for zstd's windows
 * (inflate.c), an archive made to want more is refused. */
#define UNPACK_XZ_MEMORY_MAX (128ULL << 20)

struct unpack;

int unpack_new(const struct byte_source *from, struct unpack **ret, struct err *err);
void unpack_free(struct unpack *up);
ssize_t unpack_read(void *unpack, void *data, size_t len); /* for a byte_source */
const char *unpack_error(const struct unpack *up); /* what is wrong with the bytes, or NULL */

DEFINE_CLEANUP(struct unpack *, unpack_free)
