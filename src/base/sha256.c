/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c - SHA-256 and OCI digest texts (OCI image-spec, descriptor.md) */
#include "base/sha256.h"

#include <string.h>

#include "base/str.h"

/**
 * sha256_start() - Begin a digest
 * @s: State
 */
void sha256_start(struct sha256 *s)
{
	sha256_init(&s->ctx);
}

/**
 * sha256_add() - Add bytes
 * @s:	  State
 * @data: Bytes
 * @len:  How many
 */
void sha256_add(struct sha256 *s, const void *data, size_t len)
{
	sha256_update(&s->ctx, len, data);
}

/**
 * sha256_finish() - End a digest; the state starts afresh
 * @s:	 State
 * @out: Receives "sha256:<hex>" and a NUL
 */
void sha256_finish(struct sha256 *s, char out[static DIGEST_BUF])
{
	unsigned char raw[SHA256_DIGEST_SIZE];

	sha256_digest(&s->ctx, sizeof(raw), raw);
	memcpy(out, DIGEST_PREFIX, strlen(DIGEST_PREFIX));
	str_hex(raw, sizeof(raw), out + strlen(DIGEST_PREFIX));
}

/**
 * sha256_digest_text() - Digest of one buffer
 * @data: Bytes
 * @len:  How many
 * @out:  Receives "sha256:<hex>" and a NUL
 */
void sha256_digest_text(const void *data, size_t len, char out[static DIGEST_BUF])
{
	struct sha256 s;

	sha256_start(&s);
	sha256_add(&s, data, len);
	sha256_finish(&s, out);
}

/**
 * digest_valid() - Whether @text is a well-formed SHA-256 digest
 * @text: Hostile string
 *
 * Return: the answer
 */
bool digest_valid(const char *text)
{
	return strlen(text) == DIGEST_LEN && str_starts(text, DIGEST_PREFIX) &&
	       str_is_hex(text + strlen(DIGEST_PREFIX));
}

/**
 * digest_hex() - The hex part of a valid digest
 * @text: Valid digest
 *
 * Return: pointer into @text
 */
const char *digest_hex(const char *text)
{
	return text + strlen(DIGEST_PREFIX);
}
