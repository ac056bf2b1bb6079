/* SPDX-License-Identifier: Apache-2.0 */
/* image_share.c - what images have in common */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "image/image_store.h"
#include "store/store.h"

struct share {
	struct share_entry {
		const char *id; /* borrowed */
		int64_t *bytes; /* borrowed */
		UT_hash_handle hh;
	} * table, *entries;
};

static void share_done(struct share *share)
{
	HASH_CLEAR(hh, share->table);
	free(share->entries);
}

static int share_row(void *user, struct store_row *row)
{
	struct share *share = user;
	const char *id = store_row_text(row, 0);
	struct share_entry *e;

	HASH_FIND(hh, share->table, id, DIGEST_LEN, e);
	if (e)
		*e->bytes = store_row_int(row, 1);
	return 0;
}

/**
 * image_shared_bytes() - What images share with others
 * @is:	       Store
 * @images:    Images, each once
 * @n:	       Their number
 * @ret_bytes: For each the bytes of its layers that another image has, too
 * @err:       Filled on failure
 *
 * A layer is here once whatever lies below it in an image, so it is shared by its diff id.
 *
 * Return: 0 or negative errno
 */
int image_shared_bytes(struct image_store *is, struct image *const *images, size_t n,
		       int64_t *ret_bytes, struct err *err)
{
	_cleanup_(share_done) struct share share = {.entries =
							    calloc(n + 1, sizeof(*share.entries))};
	int r;

	if (!share.entries)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		struct share_entry *e = &share.entries[i];

		*e = (struct share_entry){.id = images[i]->id, .bytes = &ret_bytes[i]};
		ret_bytes[i] = 0;
		HASH_ADD_KEYPTR(hh, share.table, e->id, DIGEST_LEN, e);
	}
	r = store_exec(
		is->store,
		"SELECT image_id, sum(size_bytes) FROM image_layers JOIN layers USING (diff_id) "
		"WHERE diff_id IN (SELECT diff_id FROM image_layers GROUP BY diff_id "
		"HAVING count(DISTINCT image_id) > 1) GROUP BY image_id",
		share_row, &share, "");
	return r < 0 ? err_sys(err, r, "cannot tell what images share") : 0;
}
