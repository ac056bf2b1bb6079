/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - small edits of a text file that others edit as well */
#pragma once

#include <stddef.h>

struct buf;

void lines_edit(const char *text, size_t len, const char *removed, const char *added,
		struct buf *out);
