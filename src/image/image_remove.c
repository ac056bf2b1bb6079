/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_remove.c - names and images come and go: tag, untag, delete
 *
 * A delete is one transaction over the rows, made durable, and then the files that no row names any
 * more, except those that something under way needs (image_job.c). Between the two a crash leaves
 * garbage, which the next start sweeps; the other way round it would leave an image without its
 * files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "image/manifest_list.h"
#include "image/reference.h"
#include "store/store.h"

/* In a transaction: the image and the list of one and the same moment */
static int tag_rows(struct image_store *is, const char *ref_or_id, const char *canonical,
		    struct err *err)
{
	_cleanup_free_ char *list = NULL;
	char id[DIGEST_BUF], old[DIGEST_BUF];
	int r = image_rows_resolve(is, ref_or_id, id, err);

	if (r == 0)
		r = manifest_list_find(is, ref_or_id, &list, err);
	if (r < 0)
		return r;
	r = image_rows_tag(is, canonical, id, clock_realtime_ns(), list, old);
	return r < 0 ? err_sys(err, r, "cannot tag %s", ref_or_id) : 0;
}

/**
 * image_tag() - Give an image one more name
 * @is:	       Store
 * @ref_or_id: Image
 * @repo:      Repository
 * @tag:       Tag; NULL or "" is that of @repo, or latest
 * @ret_ref:   The new name, familiar; heap; may be NULL
 * @err:       ERR_NOT_FOUND, ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int image_tag(struct image_store *is, const char *ref_or_id, const char *repo, const char *tag,
	      char **ret_ref, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *canonical = NULL, *familiar = NULL;
	int r;

	r = reference_parse(repo, &ref, err);
	if (r < 0)
		return r;
	if (ref.digest)
		return err_user(err, ERR_INVALID,
				"refusing to create a tag with a digest reference");
	if (!str_empty(tag)) {
		r = reference_set_tag(&ref, tag, err);
		if (r < 0)
			return r;
	}
	if (reference_default_tag(&ref) < 0)
		return err_oom(err);
	canonical = reference_canonical(&ref);
	familiar = reference_familiar(&ref);
	if (!canonical || !familiar)
		return err_oom(err);
	r = store_begin(is->store);
	if (r < 0)
		return err_sys(err, r, "cannot tag %s", familiar);
	r = tag_rows(is, ref_or_id, canonical, err);
	if (r < 0) {
		store_rollback(is->store);
		return r;
	}
	r = store_commit(is->store);
	if (r == 0) {
		manifest_list_tidy(is); /* the name may have been another list's */
		r = image_index_write(is);
	}
	if (r < 0)
		return err_sys(err, r, "cannot tag %s", familiar);
	if (ret_ref)
		*ret_ref = TAKE_PTR(familiar);
	return 0;
}

/**
 * image_untag() - Take one name away
 * @is:		  Store
 * @familiar_ref: Name; "latest" if it has no tag
 * @id:		  Image that it is taken from; the others of a list keep the list's digest
 * @err:	  ERR_NOT_FOUND, ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int image_untag(struct image_store *is, const char *familiar_ref, const char *id, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *canonical = NULL;
	int64_t n;
	int r;

	r = reference_parse(familiar_ref, &ref, err);
	if (r < 0)
		return r;
	if (reference_default_tag(&ref) < 0)
		return err_oom(err);
	canonical = reference_canonical(&ref);
	if (!canonical)
		return err_oom(err);
	r = store_begin(is->store);
	if (r < 0)
		return err_sys(err, r, "cannot untag %s", familiar_ref);
	r = store_exec(is->store,
		       ref.digest ? "DELETE FROM image_digests WHERE ref = ? AND image_id = ?"
				  : "DELETE FROM image_tags WHERE ref = ? AND image_id = ?",
		       NULL, NULL, "ss", canonical, id);
	n = store_changes(is->store);
	if (r < 0)
		store_rollback(is->store);
	else
		r = store_commit(is->store);
	if (r == 0 && n == 0)
		return err_user(err, ERR_NOT_FOUND, "No such image: %s", familiar_ref);
	if (r == 0)
		manifest_list_tidy(is);
	if (r == 0)
		r = image_index_write(is);
	return r < 0 ? err_sys(err, r, "cannot untag %s", familiar_ref) : 0;
}

/* What a delete takes along. */
struct removal {
	char **diff_ids; /* of the image, lowest first */
	char **free_layers, **free_blobs, **free_chains, **free_lists;
	char **deleted; /* lines for the client */
	size_t deleted_n;
	int64_t bytes; /* of free_layers */
};

static void removal_done(struct removal *rm)
{
	image_strv_free(rm->diff_ids);
	image_strv_free(rm->free_layers);
	image_strv_free(rm->free_blobs);
	image_strv_free(rm->free_chains);
	image_strv_free(rm->free_lists);
	image_strv_free(rm->deleted);
}

static int number_row(void *user, struct store_row *row)
{
	*(int64_t *)user = store_row_int(row, 0);
	return 0;
}

/* What only this image uses, asked before its rows go. */
static int removal_collect(struct image_store *is, const char *id, struct removal *rm)
{
	int r;

	r = image_rows_texts(
		is, "SELECT diff_id FROM image_layers WHERE image_id = ? ORDER BY position", id,
		&rm->diff_ids);
	if (r == 0)
		r = image_rows_texts(
			is,
			"SELECT DISTINCT diff_id FROM image_layers WHERE image_id = ?1 "
			"AND diff_id NOT IN (SELECT diff_id FROM image_layers "
			"WHERE image_id <> ?1)",
			id, &rm->free_layers);
	if (r == 0)
		r = store_exec(is->store,
			       "SELECT sum(size_bytes) FROM layers WHERE diff_id IN "
			       "(SELECT diff_id FROM image_layers WHERE image_id = ?1) AND diff_id "
			       "NOT IN (SELECT diff_id FROM image_layers WHERE image_id <> ?1)",
			       number_row, &rm->bytes, "s", id);
	if (r == 0)
		r = image_rows_texts(
			is,
			"SELECT blob_digest FROM image_layers WHERE image_id = ?1 "
			"UNION SELECT manifest_digest FROM images WHERE id = ?1 "
			"UNION SELECT ?1 "
			"EXCEPT SELECT blob_digest FROM image_layers WHERE image_id <> ?1 "
			"EXCEPT SELECT manifest_digest FROM images WHERE id <> ?1 "
			"EXCEPT SELECT id FROM images WHERE id <> ?1",
			id, &rm->free_blobs);
	if (r == 0)
		r = image_rows_texts(
			is,
			"SELECT chain_id FROM images WHERE id = ?1 AND chain_id NOT IN "
			"(SELECT chain_id FROM images WHERE id <> ?1)",
			id, &rm->free_chains);
	return r;
}

/* How many of the image's layers, counted from the lowest, another image is built on as well: the
 * position where the two differ, or where the other one ends. */
static int removal_kept(struct image_store *is, const char *id, int64_t *ret_n)
{
	*ret_n = 0;
	return store_exec(
		is->store,
		"SELECT max(n) FROM (SELECT coalesce(min(iif(mine.diff_id IS other.diff_id, NULL, "
		"other.position)), count(*)) AS n FROM image_layers AS other "
		"LEFT JOIN image_layers AS mine ON mine.image_id = ?1 "
		"AND mine.position = other.position "
		"WHERE other.image_id <> ?1 GROUP BY other.image_id)",
		number_row, ret_n, "s", id);
}

/* Docker lists the image, then the chain ids that went with it, topmost first. The files of such a
 * layer may stay: another image has it on top of something else. */
static int removal_lines(const char *id, int64_t kept, struct removal *rm)
{
	size_t n = 0;
	int r = image_strv_add(&rm->deleted, &rm->deleted_n, id);

	while (rm->diff_ids[n])
		n++;
	for (; n > (size_t)kept && r == 0; n--) {
		char chain[DIGEST_BUF];

		rootfs_chain_id((const char *const *)rm->diff_ids, n, chain);
		r = image_strv_add(&rm->deleted, &rm->deleted_n, chain);
	}
	return r;
}

static int removal_rows(struct image_store *is, const char *id, struct removal *rm)
{
	int r = store_begin(is->store);
	int64_t kept;

	if (r < 0)
		return r;
	r = removal_collect(is, id, rm);
	if (r == 0)
		r = removal_kept(is, id, &kept);
	if (r == 0)
		r = store_exec(is->store, "DELETE FROM images WHERE id = ?", NULL, NULL, "s", id);
	for (char **l = rm->free_layers; r == 0 && *l; l++)
		r = store_exec(is->store, "DELETE FROM layers WHERE diff_id = ?", NULL, NULL, "s",
			       *l);
	if (r == 0)
		r = manifest_list_drop_unnamed(is, &rm->free_lists);
	if (r == 0)
		r = removal_lines(id, kept, rm);
	if (r < 0) {
		store_rollback(is->store);
		return r;
	}
	r = store_commit(is->store);
	return r < 0 ? r : store_sync(is->store);
}

static void removal_blobs(struct image_store *is, char **digests)
{
	for (char **b = digests; *b; b++)
		image_file_free(is, IMAGE_BLOB, *b);
}

static void removal_files(struct image_store *is, struct removal *rm)
{
	for (char **c = rm->free_chains; *c; c++)
		image_file_free(is, IMAGE_DISK, *c);
	for (char **l = rm->free_layers; *l; l++)
		image_file_free(is, IMAGE_LAYER, *l);
	removal_blobs(is, rm->free_blobs);
	removal_blobs(is, rm->free_lists);
}

/**
 * image_delete() - Remove an image, its names, and the files that nothing else uses
 * @is:		 Store
 * @id:		 Full id; no container uses it
 * @ret_deleted: What went, "sha256:..." lines for the client: NULL-terminated, heap
 * @ret_bytes:	 Size of the layers that went; may be NULL
 * @err:	 ERR_NOT_FOUND
 *
 * Return: 0 or negative errno
 */
int image_delete(struct image_store *is, const char *id, char ***ret_deleted, uint64_t *ret_bytes,
		 struct err *err)
{
	_cleanup_(removal_done) struct removal rm = {};
	char found[DIGEST_BUF];
	int r;

	r = image_rows_resolve(is, id, found, err);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&is->lock);
	r = removal_rows(is, found, &rm);
	if (r == 0)
		removal_files(is, &rm);
	(void)pthread_mutex_unlock(&is->lock);
	if (r == 0)
		r = image_index_write(is);
	if (r < 0)
		return err_sys(err, r, "cannot delete %.19s", id);
	*ret_deleted = TAKE_PTR(rm.deleted);
	if (ret_bytes)
		*ret_bytes = (uint64_t)rm.bytes;
	return 0;
}
