/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h - SHA-256 and OCI digest texts ("sha256:<64 hex digits>"), on nettle */
#pragma once

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>

#define DIGEST_PREFIX "sha256:"
#define DIGEST_LEN 71
#define DIGEST_BUF (DIGEST_LEN + 1)

struct sha256 {
	struct sha256_ctx ctx;
};

void sha256_start(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_finish(struct sha256 *s, char out[static DIGEST_BUF]);
void sha256_digest_text(const void *data, size_t len, char out[static DIGEST_BUF]);
bool digest_valid(const char *text);
const char *digest_hex(const char *text);
