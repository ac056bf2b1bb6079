/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-detach-keys.c - any text as detach keys, any bytes as input
 *
 * The input up to the first occurrence of the sequence must come out, less what is still held.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/stdio_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_buf_ struct buf text = {0}, out = {0};
	const uint8_t *zero = memchr(data, 0, len), *input, *found;
	struct stdio_keys keys;
	size_t input_len;
	bool detached;

	if (!zero)
		return 0;
	buf_add(&text, data, (size_t)(zero - data));
	if (text.failed || stdio_keys_parse(text.data, &keys) < 0)
		return 0;
	input = zero + 1;
	input_len = len - (size_t)(input - data);
	buf_adds(&out, "");
	detached = stdio_keys_filter(&keys, input, input_len / 2, &out) ||
		   stdio_keys_filter(&keys, input + input_len / 2, input_len - input_len / 2, &out);
	found = keys.n ? memmem(input, input_len, keys.keys, keys.n) : NULL;
	if (detached != (found != NULL))
		abort();
	if (found && out.len != (size_t)(found - input))
		abort();
	if (!found && out.len + keys.matched != input_len)
		abort();
	if (memcmp(out.data, input, out.len) != 0)
		abort();
	return 0;
}
