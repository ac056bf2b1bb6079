/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_get.c - looking at images: one, all, their layers' history
 *
 * Nothing is cached: a list is three queries whatever the number of images, one image is four and
 * its config file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "image/image_store.h"
#include "image/reference.h"
#include "store/store.h"

#define IMAGE_COLUMNS                                                                              \
	"id, created_ns, size_bytes, architecture, os, variant, manifest_digest, manifest_type, "  \
	"manifest_bytes, comment, labels, EXISTS (SELECT 1 FROM manifest_list_entries e JOIN "     \
	"image_tags t ON t.list_digest = e.list_digest WHERE "                                     \
	"e.manifest_digest = images.manifest_digest)"

/**
 * image_free() - Free an image object; the image stays
 * @image: Image; may be NULL
 */
void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->architecture);
	free(image->os);
	free(image->variant);
	free(image->manifest_type);
	free(image->comment);
	image_strv_free(image->repo_tags);
	image_strv_free(image->repo_digests);
	image_strv_free(image->diff_ids);
	json_decref(image->labels);
	json_decref(image->config);
	free(image);
}

static int column_copy(struct store_row *row, int column, char **ret)
{
	const char *text = store_row_text(row, column);

	*ret = strdup(text ? text : "");
	return *ret ? 0 : -ENOMEM;
}

static int image_from_row(struct store_row *row, struct image **ret)
{
	_cleanup_(image_freep) struct image *image = calloc(1, sizeof(*image));
	const char *labels;

	if (!image)
		return -ENOMEM;
	(void)snprintf(image->id, DIGEST_BUF, "%s", store_row_text(row, 0));
	image->created_ns = store_row_int(row, 1);
	image->size_bytes = (uint64_t)store_row_int(row, 2);
	(void)snprintf(image->manifest_digest, DIGEST_BUF, "%s", store_row_text(row, 6));
	image->manifest_bytes = (uint64_t)store_row_int(row, 8);
	if (column_copy(row, 3, &image->architecture) < 0 || column_copy(row, 4, &image->os) < 0 ||
	    column_copy(row, 5, &image->variant) < 0 ||
	    column_copy(row, 7, &image->manifest_type) < 0 ||
	    column_copy(row, 9, &image->comment) < 0)
		return -ENOMEM;
	image->listed = store_row_int(row, 11) != 0;
	labels = store_row_text(row, 10);
	if (labels) {
		image->labels = json_loads(labels, 0, NULL);
		if (!image->labels)
			return -EBADMSG;
	}
	*ret = TAKE_PTR(image);
	return 0;
}

struct list {
	struct image **v;
	size_t n, cap;
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		image_free(list->v[i]);
	free(list->v);
}

static int list_row(void *user, struct store_row *row)
{
	struct list *list = user;
	int r;

	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		struct image **bigger = reallocarray(list->v, cap, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		list->v = bigger;
		list->cap = cap;
	}
	r = image_from_row(row, &list->v[list->n]);
	if (r == 0)
		list->n++;
	return r;
}

/* Hangs names on the images they belong to. */
struct names {
	struct entry {
		struct image *image;
		size_t tags, digests;
		UT_hash_handle hh;
	} * table, *entries;
	bool digests;
};

static void names_done(struct names *names)
{
	HASH_CLEAR(hh, names->table);
	free(names->entries);
}

static int names_init(struct names *names, const struct list *list)
{
	names->entries = calloc(list->n + 1, sizeof(*names->entries));
	if (!names->entries)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		struct entry *e = &names->entries[i];

		e->image = list->v[i];
		HASH_ADD_KEYPTR(hh, names->table, e->image->id, DIGEST_LEN, e);
	}
	return 0;
}

static int names_row(void *user, struct store_row *row)
{
	struct names *names = user;
	_cleanup_free_ char *familiar = reference_shorten(store_row_text(row, 1));
	const char *id = store_row_text(row, 0);
	int64_t tagged_ns = store_row_int(row, 2);
	struct entry *e;

	if (!familiar)
		return -ENOMEM;
	HASH_FIND(hh, names->table, id, DIGEST_LEN, e);
	if (!e)
		return 0;
	if (names->digests)
		return image_strv_add(&e->image->repo_digests, &e->digests, familiar);
	if (tagged_ns > e->image->tagged_ns)
		e->image->tagged_ns = tagged_ns;
	return image_strv_add(&e->image->repo_tags, &e->tags, familiar);
}

/* Those without names get empty arrays. */
static int names_fill(const struct list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct image *image = list->v[i];

		if (!image->repo_tags)
			image->repo_tags = calloc(1, sizeof(char *));
		if (!image->repo_digests)
			image->repo_digests = calloc(1, sizeof(char *));
		if (!image->repo_tags || !image->repo_digests)
			return -ENOMEM;
	}
	return 0;
}

static int list_names(struct image_store *is, const struct list *list, const char *only_id)
{
	_cleanup_(names_done) struct names names = {};
	int r = names_init(&names, list);

	if (r == 0)
		r = store_exec(is->store,
			       only_id ? "SELECT image_id, ref, tagged_ns FROM image_tags "
					 "WHERE image_id = ? ORDER BY ref"
				       : "SELECT image_id, ref, tagged_ns FROM image_tags "
					 "ORDER BY ref",
			       names_row, &names, only_id ? "s" : "", only_id);
	names.digests = true;
	if (r == 0)
		r = store_exec(is->store,
			       only_id ? "SELECT image_id, ref FROM image_digests "
					 "WHERE image_id = ? ORDER BY ref"
				       : "SELECT image_id, ref FROM image_digests ORDER BY ref",
			       names_row, &names, only_id ? "s" : "", only_id);
	return r == 0 ? names_fill(list) : r;
}

/**
 * image_list() - All images, newest first
 * @is:		Store
 * @ret_images: Heap array; free each with image_free(), then the array. config and diff_ids are
 *		NULL in these.
 * @ret_n:	Their number
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_list(struct image_store *is, struct image ***ret_images, size_t *ret_n, struct err *err)
{
	_cleanup_(list_done) struct list list = {};
	int r;

	r = store_exec(is->store,
		       "SELECT " IMAGE_COLUMNS
		       " FROM images ORDER BY created_ns DESC, added_ns DESC, id",
		       list_row, &list, "");
	if (r == 0)
		r = list_names(is, &list, NULL);
	if (r < 0)
		return err_sys(err, r, "cannot list images");
	*ret_images = TAKE_PTR(list.v);
	*ret_n = list.n;
	list.n = 0;
	return 0;
}

static int image_read_config(struct image_store *is, struct image *image)
{
	_cleanup_free_ char *path = image_blob_path(is, image->id), *data = NULL;
	size_t len;
	int r;

	if (!path)
		return -ENOMEM;
	r = fs_read_file(path, OCI_CONFIG_BYTES_MAX, &data, &len);
	if (r < 0)
		return r;
	image->config = json_loadb(data, len, 0, NULL);
	return image->config ? 0 : -EBADMSG;
}

/**
 * image_get() - One image
 * @is:	       Store
 * @ref_or_id: name[:tag][@digest], id, or the beginning of one
 * @ret_image: image_free(); set on success only
 * @err:       ERR_NOT_FOUND "No such image: x", ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int image_get(struct image_store *is, const char *ref_or_id, struct image **ret_image,
	      struct err *err)
{
	_cleanup_(list_done) struct list list = {};
	char id[DIGEST_BUF];
	int r;

	r = image_rows_resolve(is, ref_or_id, id, err);
	if (r < 0)
		return r;
	r = store_exec(is->store, "SELECT " IMAGE_COLUMNS " FROM images WHERE id = ?", list_row,
		       &list, "s", id);
	if (r == 0 && list.n == 0)
		return err_user(err, ERR_NOT_FOUND, "No such image: %s", ref_or_id);
	if (r == 0)
		r = list_names(is, &list, id);
	if (r == 0)
		r = image_rows_texts(is,
				     "SELECT diff_id FROM image_layers WHERE image_id = ? "
				     "ORDER BY position",
				     id, &list.v[0]->diff_ids);
	if (r == 0)
		r = image_read_config(is, list.v[0]);
	if (r < 0)
		return err_sys(err, r, "cannot read image %s", ref_or_id);
	*ret_image = list.v[0];
	list.n = 0;
	return 0;
}

struct sizes {
	int64_t v[LAYERS_PER_IMAGE_MAX];
	size_t n;
};

static int sizes_row(void *user, struct store_row *row)
{
	struct sizes *sizes = user;

	if (sizes->n < LAYERS_PER_IMAGE_MAX)
		sizes->v[sizes->n++] = store_row_int(row, 0);
	return 0;
}

static const char *history_text(const json_t *entry, const char *key)
{
	const char *text = json_string_value(json_object_get(entry, key));

	return text ? text : "";
}

static json_t *history_item(const json_t *entry, int64_t size)
{
	const char *created = history_text(entry, "created");
	int64_t ns = 0;

	if (*created && clock_parse_rfc3339(created, &ns) < 0)
		ns = 0;
	return json_pack("{s:s, s:I, s:s, s:n, s:I, s:s}", "Id", "<missing>", "Created",
			 (json_int_t)(ns / NSEC_PER_SEC), "CreatedBy",
			 history_text(entry, "created_by"), "Tags", "Size", (json_int_t)size,
			 "Comment", history_text(entry, "comment"));
}

static int history_tags(json_t *top, const struct image *image)
{
	json_t *tags;

	if (json_object_set_new(top, "Id", json_string(image->id)) < 0)
		return -ENOMEM;
	if (!image->repo_tags || !image->repo_tags[0])
		return 0;
	tags = json_array();
	for (char **t = image->repo_tags; *t; t++)
		if (json_array_append_new(tags, json_string(*t)) < 0)
			return -ENOMEM;
	return json_object_set_new(top, "Tags", tags) < 0 ? -ENOMEM : 0;
}

/**
 * image_history() - How it was made
 * @is:	   Store
 * @image: From image_get()
 * @ret:   Array as the API has it, newest first; new reference
 * @err:   Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_history(struct image_store *is, const struct image *image, json_t **ret, struct err *err)
{
	const json_t *history = json_object_get(image->config, "history"), *entry;
	_cleanup_(json_decrefp) json_t *out = json_array();
	struct sizes sizes = {};
	size_t i, layer = 0;
	int r;

	r = store_exec(is->store,
		       "SELECT size_bytes FROM image_layers JOIN layers USING (diff_id) "
		       "WHERE image_id = ? ORDER BY position",
		       sizes_row, &sizes, "s", image->id);
	if (r < 0)
		return err_sys(err, r, "cannot read the layers of %.19s", image->id);
	json_array_foreach (history, i, entry) {
		int64_t size = 0;

		if (!json_is_true(json_object_get(entry, "empty_layer")) && layer < sizes.n)
			size = sizes.v[layer++];
		if (json_array_insert_new(out, 0, history_item(entry, size)) < 0)
			return err_oom(err);
	}
	/* layers that the history does not tell of */
	for (; layer < sizes.n; layer++)
		if (json_array_insert_new(out, 0, history_item(NULL, sizes.v[layer])) < 0)
			return err_oom(err);
	if (json_array_size(out) && history_tags(json_array_get(out, 0), image) < 0)
		return err_oom(err);
	*ret = TAKE_PTR(out);
	return 0;
}

static int sum_row(void *user, struct store_row *row)
{
	*(int64_t *)user = store_row_int(row, 0);
	return 0;
}

/**
 * image_store_layers_bytes() - What all layers hold, each counted once
 * @is: Store
 *
 * Return: bytes, uncompressed; 0 if it cannot be told
 */
uint64_t image_store_layers_bytes(struct image_store *is)
{
	int64_t sum = 0;

	if (store_exec(is->store, "SELECT sum(size_bytes) FROM layers", sum_row, &sum, "") < 0)
		return 0;
	return (uint64_t)sum;
}

/**
 * image_rootfs() - The disk for containers of an image
 * @is:		Store
 * @image:	From image_get()
 * @disk_bytes: Its capacity, IMAGE_DISK_BYTES
 * @ret_vmdk:	Heap path of the descriptor
 * @err:	Filled on failure
 *
 * It was made when the image was loaded; here it is found, or made again if somebody removed it.
 *
 * Return: 0 or negative errno
 */
int image_rootfs(struct image_store *is, const struct image *image, uint64_t disk_bytes,
		 char **ret_vmdk, struct err *err)
{
	const char *const *diff_ids = (const char *const *)image->diff_ids;
	struct image_job *job = NULL;
	char chain_id[DIGEST_BUF];
	size_t n = 0;
	int r = image_job_begin(is, false, &job, err);

	for (; r == 0 && diff_ids[n]; n++)
		r = image_job_hold(job, IMAGE_LAYER, diff_ids[n], err);
	if (r == 0) {
		rootfs_chain_id(diff_ids, n, chain_id);
		r = image_job_hold(job, IMAGE_DISK, chain_id, err);
	}
	if (r == 0)
		r = rootfs_assemble(is->root, diff_ids, n, disk_bytes, ret_vmdk, err);
	image_job_end(job, false);
	return r;
}
