/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-tar.c - any bytes as a layer: tar -> tree and data -> tree file -> merge -> EROFS */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "image/erofs.h"
#include "image/layer_tar.h"
#include "image/tree_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
	const uint8_t *data;
	size_t left, step;
};

static ssize_t feed_read(void *user, const void **ret_data)
{
	struct feed *f = user;
	size_t n = MIN(f->left, f->step);

	*ret_data = f->data;
	f->data += n;
	f->left -= n;
	return (ssize_t)n;
}

/* What the import made must be accepted by the reader of tree files, and become an image. */
static void fuzz_assemble(struct tree *t, uint64_t blocks)
{
	_cleanup_close_ int fd = memfd_create("tree", MFD_CLOEXEC);
	_cleanup_(tree_freep) struct tree *merged = NULL;
	_cleanup_(erofs_plan_freep) struct erofs_plan *plan = NULL;
	_cleanup_(tree_file_done) struct tree_file f = {};
	_cleanup_free_ char *image = NULL;
	struct tree_file_header h;
	uint8_t uuid[EROFS_UUID_BYTES] = {};
	char path[64];

	if (tree_file_write(t, blocks, fd, &h) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (tree_file_open(path, &f) < 0 || tree_new(&merged) < 0)
		abort();
	if (tree_merge(merged, &f, 0, NULL) < 0 || tree_merge(merged, &f, 0, NULL) < 0)
		return;
	if (erofs_plan_new(merged, &blocks, 1, &plan, NULL) < 0 || plan->meta_blocks > 4096)
		return;
	image = calloc(plan->meta_blocks, EROFS_BLOCK_BYTES);
	if (image)
		erofs_write(plan, uuid, image);
}

/* Right checksums in whatever looks like a header, so that mutations get behind them. */
static void fuzz_fix_checksums(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 512 <= size; at += 512) {
		unsigned int sum = 0;
		char text[8];

		if (memcmp(data + at + 257, "ustar", 5) != 0)
			continue;
		memset(data + at + 148, ' ', 8);
		for (int i = 0; i < 512; i++)
			sum += data[at + (size_t)i];
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(data + at + 148, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = malloc(size + 1);
	struct feed feed = {copy, size, size % 7 ? 1000000 : 333};
	_cleanup_close_ int fd = memfd_create("data", MFD_CLOEXEC);
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_(layer_data_freep) struct layer_data *out = NULL;
	struct err err = {};

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	fuzz_fix_checksums(copy, size);
	if (tree_new(&t) < 0 || layer_data_new(fd, &out) < 0)
		return 0;
	if (layer_tar_read(feed_read, &feed, t, out, &err) < 0) {
		if (err.kind == ERR_NONE)
			abort();
		return 0;
	}
	fuzz_assemble(t, layer_data_blocks(out));
	return 0;
}
