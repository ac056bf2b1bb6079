/* SPDX-License-Identifier: Apache-2.0 */
/* stdio_keys.h - the key sequence that detaches a client from a terminal */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define STDIO_KEYS_MAX 32
#define STDIO_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct stdio_keys {
	unsigned char keys[STDIO_KEYS_MAX];
	unsigned char back[STDIO_KEYS_MAX]; /* where to go on after a mismatch */
	size_t n;			    /* 0: nothing detaches */
	size_t matched;
};

int stdio_keys_parse(const char *text, struct stdio_keys *ret_keys);
bool stdio_keys_filter(struct stdio_keys *keys, const void *data, size_t len, struct buf *out);
