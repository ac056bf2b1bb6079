/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_rows.c - the SQL that writes and finds images
 *
 * Tables are in store/migrations.c. Names are stored canonical (docker.io/library/x:y) and shown
 * familiar.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "image/image_store.h"
#include "image/reference.h"
#include "store/store.h"

static int text_row(void *user, struct store_row *row)
{
	char **ret = user;
	const char *text = store_row_text(row, 0);

	if (!*ret && text) {
		*ret = strdup(text);
		if (!*ret)
			return -ENOMEM;
	}
	return 0;
}

/**
 * image_rows_text() - One text
 * @is:	      Store
 * @sql:      Query with two '?'
 * @a:	      First value
 * @b:	      Second value
 * @ret_text: First column of the first row, heap; NULL if there is none
 *
 * Return: 0 or negative errno
 */
int image_rows_text(struct image_store *is, const char *sql, const char *a, const char *b,
		    char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	int r = store_exec(is->store, sql, text_row, &text, "ss", a, b);

	if (r < 0)
		return r;
	*ret_text = TAKE_PTR(text);
	return 0;
}

struct texts {
	char **v;
	size_t n;
};

static int texts_row(void *user, struct store_row *row)
{
	struct texts *texts = user;
	const char *text = store_row_text(row, 0);

	return text ? image_strv_add(&texts->v, &texts->n, text) : 0;
}

/**
 * image_rows_texts() - A column of texts
 * @is:	       Store
 * @sql:       Query with one '?' if @a is given, else none
 * @a:	       Value or NULL
 * @ret_texts: Heap array, NULL-terminated, never NULL on success
 *
 * Return: 0 or negative errno
 */
int image_rows_texts(struct image_store *is, const char *sql, const char *a, char ***ret_texts)
{
	struct texts texts = {};
	int r = store_exec(is->store, sql, texts_row, &texts, a ? "s" : "", a);

	if (r == 0 && !texts.v) {
		texts.v = calloc(1, sizeof(char *));
		r = texts.v ? 0 : -ENOMEM;
	}
	if (r < 0) {
		image_strv_free(texts.v);
		return r;
	}
	*ret_texts = texts.v;
	return 0;
}

static int insert_layers(struct image_store *is, const struct image_draft *draft)
{
	int r = 0;

	for (size_t i = 0; i < draft->view.diff_ids_n && r == 0; i++) {
		const struct image_draft_layer *l = &draft->layers[i];

		r = store_exec(is->store, "INSERT OR IGNORE INTO layers VALUES (?, ?, ?)", NULL,
			       NULL, "sii", l->info.diff_id, (int64_t)l->info.size_bytes,
			       (int64_t)l->info.data_bytes);
		if (r == 0)
			r = store_exec(is->store,
				       "INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?)", NULL,
				       NULL, "sisssi", draft->id, (int64_t)i, l->info.diff_id,
				       image_draft_layer_digest(l), l->media_type,
				       (int64_t)image_draft_layer_bytes(l));
	}
	return r;
}

/**
 * image_rows_insert() - The rows of a new image
 * @is:	     Store, in a transaction
 * @draft:   Finished
 * @ret_new: False if the image was there already (then nothing changes)
 *
 * Return: 0 or negative errno
 */
int image_rows_insert(struct image_store *is, const struct image_draft *draft, bool *ret_new)
{
	const struct oci_config *c = &draft->view;
	_cleanup_free_ char *labels = NULL;
	uint64_t size = 0;
	int r;

	for (size_t i = 0; i < c->diff_ids_n; i++)
		size += draft->layers[i].info.size_bytes;
	if (c->labels && json_object_size(c->labels)) {
		labels = json_dumps(c->labels, JSON_COMPACT);
		if (!labels)
			return -ENOMEM;
	}
	r = store_exec(is->store,
		       "INSERT OR IGNORE INTO images (id, manifest_digest, manifest_type, "
		       "manifest_bytes, config_bytes, chain_id, created_ns, added_ns, size_bytes, "
		       "architecture, os, variant, labels, comment, pulled) "
		       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       NULL, NULL, "sssiisiiisssssi", draft->id, draft->manifest_digest,
		       draft->manifest_type, (int64_t)draft->manifest_bytes,
		       (int64_t)ingest_blob_size(draft->config_blob), draft->chain_id,
		       c->created_ns, clock_realtime_ns(), (int64_t)size, c->architecture, c->os,
		       c->variant, labels, c->comment, (int64_t)(draft->repo_digest != NULL));
	if (r < 0)
		return r;
	*ret_new = store_changes(is->store) > 0;
	return *ret_new ? insert_layers(is, draft) : 0;
}

/**
 * image_rows_tag() - Point a name at an image
 * @is:		Store
 * @canonical:	Name with tag
 * @id:		Image that is there
 * @tagged_ns:	When somebody tagged it here; 0 for a name that came with the image
 * @list:	Digest of the manifest list that the name came as; NULL if it was none
 * @ret_old_id: Where it pointed before; "" if it did not exist or pointed there already
 *
 * Return: 0, -EINVAL if the image is gone, or another negative errno
 */
int image_rows_tag(struct image_store *is, const char *canonical, const char *id, int64_t tagged_ns,
		   const char *list, char ret_old_id[static DIGEST_BUF])
{
	_cleanup_free_ char *old = NULL;
	int r;

	r = image_rows_text(is, "SELECT image_id FROM image_tags WHERE ref = ? AND image_id <> ?",
			    canonical, id, &old);
	if (r < 0)
		return r;
	r = store_exec(
		is->store,
		"INSERT INTO image_tags (ref, image_id, tagged_ns, list_digest) "
		"VALUES (?1, ?2, ?3, ?4) ON CONFLICT (ref) DO UPDATE SET tagged_ns = "
		"iif(image_id = ?2, max(tagged_ns, ?3), ?3), image_id = ?2, list_digest = ?4",
		NULL, NULL, "ssis", canonical, id, tagged_ns, list);
	if (r < 0)
		return r;
	(void)snprintf(ret_old_id, DIGEST_BUF, "%s", old ? old : "");
	return 0;
}

/**
 * image_rows_pulled_as() - Remember under which digest a registry has an image
 * @is:	       Store
 * @canonical: name@digest
 * @id:	       Image; where it went meanwhile (a push may take long), nothing is remembered
 *
 * Return: 0 or negative errno
 */
int image_rows_pulled_as(struct image_store *is, const char *canonical, const char *id)
{
	return store_exec(is->store,
			  "INSERT OR REPLACE INTO image_digests SELECT ?1, id FROM images WHERE "
			  "id = ?2",
			  NULL, NULL, "ss", canonical, id);
}

/* name@digest: as pulled (of a list, the platform that was pulled or pushed last), or as the digest
 * of a manifest we hold under that name */
static int resolve_digest(struct image_store *is, const struct reference *ref, char **ret)
{
	_cleanup_free_ char *name = reference_name(ref), *full = NULL;
	int r;

	if (!name)
		return -ENOMEM;
	full = str_format("%s@%s", name, ref->digest);
	if (!full)
		return -ENOMEM;
	r = image_rows_text(is,
			    "SELECT image_id FROM image_digests WHERE ref = ? AND ref > ? "
			    "ORDER BY rowid DESC LIMIT 1",
			    full, "", ret);
	if (r < 0 || *ret)
		return r;
	return image_rows_text(is,
			       "SELECT id FROM images JOIN image_tags ON image_id = id WHERE "
			       "manifest_digest = ? AND substr(ref, 1, length(?2) + 1) = ?2 || ':'",
			       ref->digest, name, ret);
}

static int resolve_name(struct image_store *is, struct reference *ref, char **ret)
{
	_cleanup_free_ char *full = NULL;

	if (ref->digest)
		return resolve_digest(is, ref, ret);
	if (reference_default_tag(ref) < 0)
		return -ENOMEM;
	full = reference_canonical(ref);
	if (!full)
		return -ENOMEM;
	return image_rows_text(is, "SELECT image_id FROM image_tags WHERE ref = ? AND ref > ?",
			       full, "", ret);
}

/* An id or the beginning of one; two that fit are none. */
static int resolve_prefix(struct image_store *is, const char *text, char **ret)
{
	const char *hex = str_starts(text, DIGEST_PREFIX) ? digest_hex(text) : text;
	_cleanup_free_ char *low = NULL, *high = NULL;

	if (!str_is_hex(hex) || strlen(hex) > 64)
		return 0;
	low = str_format(DIGEST_PREFIX "%s", hex);
	high = str_format(DIGEST_PREFIX "%sg", hex);
	if (!low || !high)
		return -ENOMEM;
	return image_rows_text(is,
			       "SELECT min(id) FROM images WHERE id >= ? AND id < ? "
			       "HAVING count(*) = 1",
			       low, high, ret);
}

static int resolve_missing(const char *text, const struct reference *ref, struct err *err)
{
	_cleanup_free_ char *familiar = NULL;

	if (ref)
		familiar = reference_familiar(ref);
	else
		familiar = str_format("%s%s", str_starts(text, DIGEST_PREFIX) ? "" : DIGEST_PREFIX,
				      text);
	if (!familiar)
		return err_oom(err);
	return err_user(err, ERR_NOT_FOUND, "No such image: %s", familiar);
}

/**
 * image_rows_resolve() - The image that a text means
 * @is:	    Store
 * @text:   name[:tag][@digest], an id, or the beginning of one
 * @ret_id: Its id
 * @err:    ERR_NOT_FOUND "No such image: x", ERR_INVALID if it cannot be a name
 *
 * Return: 0 or negative errno
 */
int image_rows_resolve(struct image_store *is, const char *text, char ret_id[static DIGEST_BUF],
		       struct err *err)
{
	bool is_id = digest_valid(text) || (strlen(text) == 64 && str_is_hex(text));
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *id = NULL;
	int r;

	if (!is_id) {
		r = reference_parse(text, &ref, err);
		if (r < 0)
			return r;
		r = resolve_name(is, &ref, &id);
		if (r < 0)
			return err_sys(err, r, "cannot look up image %s", text);
	}
	if (!id) {
		r = resolve_prefix(is, text, &id);
		if (r < 0)
			return err_sys(err, r, "cannot look up image %s", text);
	}
	if (!id || strlen(id) != DIGEST_LEN)
		return resolve_missing(text, is_id ? NULL : &ref, err);
	memcpy(ret_id, id, DIGEST_BUF);
	return 0;
}
