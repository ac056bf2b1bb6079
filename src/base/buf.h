/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a growing byte buffer; errors stick, so appends need no check until the end */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

/* Zero-initialised is empty. data is NUL-terminated beyond len once anything was appended. */
struct buf {
	char *data; /* owned */
	size_t len, cap;
	bool failed; /* an allocation failed; contents are incomplete */
};

void buf_done(struct buf *b);
void buf_reset(struct buf *b);
bool buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_consume(struct buf *b, size_t n);
char *buf_steal(struct buf *b);

#define _cleanup_buf_ __attribute__((cleanup(buf_done)))
