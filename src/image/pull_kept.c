/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull_kept.c - layers of pulls that did not end, kept for the next one
 *
 * A pull that breaks, is given up or dies with the daemon loses what was not complete, and nothing
 * else: each layer whose two digests were right is written down here at once, which keeps it as an
 * image would. It goes when an image names it, or PULL_KEPT_NS later.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "image/image_store.h"
#include "store/store.h"

#define PULL_KEPT_NS (24 * 3600 * NSEC_PER_SEC)

/**
 * pull_kept_add() - A layer is complete
 * @is:		 Store; a job holds both
 * @blob_digest: Its blob, published
 * @diff_id:	 The layer, published
 *
 * Return: 0 or negative errno
 */
int pull_kept_add(struct image_store *is, const char *blob_digest, const char *diff_id)
{
	return store_exec(is->store, "INSERT OR REPLACE INTO pulled_layers VALUES (?, ?, ?)", NULL,
			  NULL, "ssi", blob_digest, diff_id, clock_realtime_ns());
}

/**
 * pull_kept_forget() - Images name some of them by now
 * @is: Store
 *
 * Return: 0 or negative errno
 */
int pull_kept_forget(struct image_store *is)
{
	return store_exec(is->store,
			  "DELETE FROM pulled_layers WHERE blob_digest IN "
			  "(SELECT blob_digest FROM image_layers)",
			  NULL, NULL, "");
}

/**
 * pull_kept_whole() - Whether a layer and its blob are there
 * @is:		 Store; a job holds both, so that they stay
 * @blob_digest: Blob
 * @blob_bytes:	 Its length
 * @diff_id:	 Layer
 *
 * What is there has been digested before it got its name.
 *
 * Return: the answer
 */
bool pull_kept_whole(struct image_store *is, const char *blob_digest, uint64_t blob_bytes,
		     const char *diff_id)
{
	_cleanup_free_ char *path = image_blob_path(is, blob_digest);
	struct stat st;

	return path && stat(path, &st) == 0 && (uint64_t)st.st_size == blob_bytes &&
	       layer_present(is->root, diff_id);
}

struct kept_check {
	struct image_store *is;
	char **gone;
	size_t n;
};

static int kept_row(void *user, struct store_row *row)
{
	struct kept_check *check = user;
	const char *digest = store_row_text(row, 0), *diff_id = store_row_text(row, 1);
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (!digest_valid(digest) || !digest_valid(diff_id))
		return image_strv_add(&check->gone, &check->n, digest);
	path = image_blob_path(check->is, digest);
	if (!path)
		return -ENOMEM;
	if (store_row_int(row, 2) > clock_realtime_ns() - PULL_KEPT_NS && stat(path, &st) == 0 &&
	    layer_present(check->is->root, diff_id))
		return 0;
	return image_strv_add(&check->gone, &check->n, digest);
}

/**
 * pull_kept_check() - Forget what is too old, or not whole after a crash of the host
 * @is: Store that is being opened
 *
 * Return: 0 or negative errno
 */
int pull_kept_check(struct image_store *is)
{
	struct kept_check check = {.is = is};
	int r = store_exec(is->store, "SELECT blob_digest, diff_id, kept_ns FROM pulled_layers",
			   kept_row, &check, "");

	for (size_t i = 0; r == 0 && i < check.n; i++)
		r = store_exec(is->store, "DELETE FROM pulled_layers WHERE blob_digest = ?", NULL,
			       NULL, "s", check.gone[i]);
	image_strv_free(check.gone);
	return r;
}
