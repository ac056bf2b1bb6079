/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-tree.c - any bytes as a tree file with the right digest: check, merge twice, write EROFS */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/erofs.h"
#include "image/tree_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = malloc(size + 1), *image = NULL;
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_(erofs_plan_freep) struct erofs_plan *plan = NULL;
	struct tree_file f;
	uint8_t uuid[EROFS_UUID_BYTES] = {};
	uint64_t blocks[2];

	if (!copy || size < sizeof(struct tree_file_header))
		return 0;
	memcpy(copy, data, size);
	tree_file_seal(copy, size);
	if (tree_file_check(copy, size, &f) < 0 || tree_new(&t) < 0)
		return 0;
	if (tree_merge(t, &f, 0, NULL) < 0 || tree_merge(t, &f, 1, NULL) < 0)
		return 0;
	blocks[0] = blocks[1] = f.header->data_blocks;
	if (erofs_plan_new(t, blocks, 2, &plan, NULL) < 0 || plan->meta_blocks > 4096)
		return 0;
	image = calloc(plan->meta_blocks, EROFS_BLOCK_BYTES);
	if (image)
		erofs_write(plan, uuid, image);
	return 0;
}
