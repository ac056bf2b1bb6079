/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-inflate.c - any bytes as a gzip, zstd or plain stream, in pieces of any size */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_BYTES_MAX (8u << 20)

struct feed {
	const uint8_t *data;
	size_t left, step;
};

static ssize_t feed_read(void *user, void *out, size_t len)
{
	struct feed *f = user;
	size_t n = MIN(MIN(f->left, len), f->step);

	if (n)
		memcpy(out, f->data, n);
	f->data += n;
	f->left -= n;
	return (ssize_t)n;
}

/* The first two bytes choose how input and output are cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[65536];
	struct feed feed;
	struct byte_source from = {feed_read, &feed};
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	size_t out_step, total = 0;
	ssize_t n;

	if (size < 2)
		return 0;
	feed = (struct feed){data + 2, size - 2, data[0] ? data[0] : 65536};
	out_step = data[1] ? data[1] : sizeof(out);
	if (inflate_new(&from, &in) < 0)
		return 0;
	while ((n = inflate_read(in, out, out_step)) > 0 && total < OUT_BYTES_MAX)
		total += (size_t)n;
	if (n < 0 && n != -ENOMEM && !inflate_error(in))
		abort();
	return 0;
}
