/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull_kept.c - layers of pulls that did not end, kept for the next one
 *
 * A pull that breaks, is given up or dies with the daemon loses what was not complete, and nothing
 * else: each layer whose two digests were right is written down here at once, which keeps it as an
 * image would. It goes when an image names it, when images are pruned, or PULL_KEPT_NS later.
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

/* What a prune takes: layers that no pull under way uses. */
struct kept_prune {
	struct image_store *is;
	char **blobs, **diff_ids;
	size_t blobs_n, diff_ids_n;
	uint64_t bytes; /* of layers that no image has */
};

static void prune_done(struct kept_prune *kp)
{
	image_strv_free(kp->blobs);
	image_strv_free(kp->diff_ids);
}

static int prune_row(void *user, struct store_row *row)
{
	struct kept_prune *kp = user;
	const char *blob = store_row_text(row, 0), *diff_id = store_row_text(row, 1);
	struct layer_info info;
	int r;

	if (image_file_held(kp->is, IMAGE_BLOB, blob) ||
	    image_file_held(kp->is, IMAGE_LAYER, diff_id))
		return 0;
	if (!store_row_int(row, 2) && layer_info(kp->is->root, diff_id, &info) == 0)
		kp->bytes += info.size_bytes;
	r = image_strv_add(&kp->blobs, &kp->blobs_n, blob);
	return r < 0 ? r : image_strv_add(&kp->diff_ids, &kp->diff_ids_n, diff_id);
}

static int prune_rows(struct image_store *is, struct kept_prune *kp)
{
	int r = store_begin(is->store);

	if (r < 0)
		return r;
	r = store_exec(is->store,
		       "SELECT blob_digest, diff_id, diff_id IN (SELECT diff_id FROM layers) "
		       "FROM pulled_layers",
		       prune_row, kp, "");
	for (size_t i = 0; r == 0 && i < kp->blobs_n; i++)
		r = store_exec(is->store, "DELETE FROM pulled_layers WHERE blob_digest = ?", NULL,
			       NULL, "s", kp->blobs[i]);
	if (r < 0) {
		store_rollback(is->store);
		return r;
	}
	r = store_commit(is->store);
	return r < 0 || !kp->blobs_n ? r : store_sync(is->store);
}

/**
 * image_prune_kept() - Remove layers of pulls that did not end, unless a pull uses them
 * @is:		 Store
 * @ret_deleted: Their diff ids: NULL-terminated, heap; may be NULL for none
 * @ret_bytes:	 Their size
 * @err:	 Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_prune_kept(struct image_store *is, char ***ret_deleted, uint64_t *ret_bytes,
		     struct err *err)
{
	_cleanup_(prune_done) struct kept_prune kp = {.is = is};
	int r;

	(void)pthread_mutex_lock(&is->lock);
	r = prune_rows(is, &kp);
	for (size_t i = 0; r == 0 && i < kp.blobs_n; i++) {
		image_file_free(is, IMAGE_LAYER, kp.diff_ids[i]);
		image_file_free(is, IMAGE_BLOB, kp.blobs[i]);
	}
	(void)pthread_mutex_unlock(&is->lock);
	if (r < 0)
		return err_sys(err, r, "cannot remove the layers of broken pulls");
	*ret_deleted = TAKE_PTR(kp.diff_ids);
	*ret_bytes = kp.bytes;
	return 0;
}
