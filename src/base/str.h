/* SPDX-License-Identifier: Apache-2.0 */
/* str.h - small string helpers */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_empty(const char *s)
{
	return !s || !*s;
}

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
char *str_format(const char *fmt, ...) PRINTF(1, 2);
bool str_bool(const char *s);
int str_u64(const char *s, uint64_t max, uint64_t *ret_value);
int str_i64(const char *s, int64_t *ret_value);
int str_size_bytes(const char *s, int64_t *ret_bytes);
void str_hex(const void *bytes, size_t len, char *out);
int str_unhex(const char *hex, void *out, size_t len);
bool str_is_hex(const char *s);
