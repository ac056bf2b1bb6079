/* SPDX-License-Identifier: Apache-2.0 */
/* id.c - random bytes and identifiers */
#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"

/**
 * random_bytes() - Bytes from the kernel's generator
 * @out: Receives @len bytes
 * @len: How many
 *
 * Aborts where the kernel has no generator: nothing here may run with guessable ids.
 */
void random_bytes(void *out, size_t len)
{
	char *p = out;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

/**
 * id_generate() - A new object id
 * @out: Receives 64 hex digits and a NUL
 *
 * Never all digits in the first 12, which Docker avoids because a short id could pass as a number.
 */
void id_generate(char out[static ID_BUF])
{
	unsigned char raw[ID_LEN / 2];

	do {
		random_bytes(raw, sizeof(raw));
		str_hex(raw, sizeof(raw), out);
	} while (strspn(out, "0123456789") >= ID_SHORT_LEN);
}
