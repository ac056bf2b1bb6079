/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_draft.c - one image on its way in: checked, published, and last of all written down
 *
 * The order makes a crash harmless: blobs and layers are durable under their final names, then
 * the folders that hold those names are synced, then one transaction makes all images of an archive
 * appear together. Until that commit everything is garbage to the next start.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/str.h"
#include "base/util.h"
#include "image/manifest_list.h"
#include "store/store.h"

/**
 * image_draft_new() - Begin with a config
 * @in:		 Ingest that holds it
 * @config_blob: The config; becomes the image's identity
 * @ret:	 image_draft_free(); set on success only
 * @err:	 ERR_INVALID if it is no image config
 *
 * Return: 0 or negative errno
 */
int image_draft_new(struct ingest *in, struct ingest_blob *config_blob, struct image_draft **ret,
		    struct err *err)
{
	_cleanup_(image_draft_freep) struct image_draft *draft = calloc(1, sizeof(*draft));
	_cleanup_free_ char *data = NULL;
	size_t len;
	int r;

	if (!draft)
		return err_oom(err);
	r = ingest_blob_read(in, config_blob, OCI_CONFIG_BYTES_MAX, &data, &len, err);
	if (r < 0)
		return r;
	r = oci_parse(data, len, "image config", &draft->config, err);
	if (r < 0)
		return r;
	r = oci_config_read(draft->config, &draft->view, err);
	if (r < 0)
		return r;
	if (*draft->view.os && !str_eq(draft->view.os, "linux"))
		return err_user(err, ERR_INVALID, "cannot load %.60s image on linux",
				draft->view.os);
	draft->layers = calloc(MAX(draft->view.diff_ids_n, (size_t)1), sizeof(*draft->layers));
	if (!draft->layers)
		return err_oom(err);
	memcpy(draft->id, ingest_blob_digest(config_blob), DIGEST_BUF);
	draft->config_blob = config_blob;
	draft->manifest_type = OCI_TYPE_MANIFEST;
	rootfs_chain_id(draft->view.diff_ids, draft->view.diff_ids_n, draft->chain_id);
	*ret = TAKE_PTR(draft);
	return 0;
}

/**
 * image_draft_free() - Forget a draft
 * @draft: Draft; may be NULL
 */
void image_draft_free(struct image_draft *draft)
{
	if (!draft)
		return;
	json_decref(draft->config);
	json_decref(draft->list_doc);
	free(draft->layers);
	image_strv_free(draft->tags);
	free(draft->repo_digest);
	free(draft);
}

/**
 * image_draft_add_tag() - A name that shall point at it
 * @draft:     Draft
 * @canonical: Name with tag
 *
 * Return: 0 or -ENOMEM
 */
int image_draft_add_tag(struct image_draft *draft, const char *canonical)
{
	for (size_t i = 0; i < draft->tags_n; i++)
		if (str_eq(draft->tags[i], canonical))
			return 0;
	return image_strv_add(&draft->tags, &draft->tags_n, canonical);
}

static const char *layer_type_of(const struct ingest_blob *blob)
{
	switch (ingest_blob_kind(blob)) {
	case INGEST_GZIP:
		return OCI_TYPE_LAYER "+gzip";
	case INGEST_ZSTD:
		return OCI_TYPE_LAYER "+zstd";
	default:
		return OCI_TYPE_LAYER;
	}
}

/**
 * image_draft_layer_digest() - Of a layer's blob
 * @layer: Layer of a draft
 *
 * Return: digest, borrowed
 */
const char *image_draft_layer_digest(const struct image_draft_layer *layer)
{
	return layer->blob ? ingest_blob_digest(layer->blob) : layer->known_digest;
}

/**
 * image_draft_layer_bytes() - Length of a layer's blob
 * @layer: Layer of a draft
 *
 * Return: bytes
 */
uint64_t image_draft_layer_bytes(const struct image_draft_layer *layer)
{
	return layer->blob ? ingest_blob_size(layer->blob) : layer->known_bytes;
}

/**
 * image_draft_list() - Of the manifest list that its names came as
 * @draft: Draft
 *
 * Return: digest, borrowed; NULL if they came as a single manifest
 */
const char *image_draft_list(const struct image_draft *draft)
{
	return draft->list_blob ? ingest_blob_digest(draft->list_blob) : NULL;
}

/**
 * image_draft_insert_list() - The rows of that list
 * @is:    Store, in a transaction
 * @draft: Its list, if any, is published
 *
 * Return: 0 or negative errno
 */
int image_draft_insert_list(struct image_store *is, const struct image_draft *draft)
{
	if (!draft->list_blob)
		return 0;
	return manifest_list_insert(is, image_draft_list(draft), draft->list_type,
				    ingest_blob_size(draft->list_blob), draft->list_doc, NULL);
}

/* The layer that a blob became, held; it may have gone before that. */
static int draft_own_layer(struct image_job *job, struct image_draft_layer *l, struct err *err)
{
	int r = ingest_blob_layer(job->in, l->blob, &l->info, err);

	if (r == 0)
		r = image_job_hold(job, IMAGE_LAYER, l->info.diff_id, err);
	if (r < 0 || layer_present(job->is->root, l->info.diff_id))
		return r;
	return ingest_blob_layer_again(job->in, l->blob, &l->info, err);
}

static int draft_known_layer(struct image_store *is, struct image_draft *draft, size_t i,
			     struct err *err)
{
	const char *diff_id = draft->view.diff_ids[i];
	int r = layer_info(is->root, diff_id, &draft->layers[i].info);

	return r < 0 ? err_sys(err, r, "cannot read layer %s", diff_id) : 0;
}

static int draft_check_layers(struct image_job *job, struct image_draft *draft, struct err *err)
{
	for (size_t i = 0; i < draft->view.diff_ids_n; i++) {
		struct image_draft_layer *l = &draft->layers[i];
		int r = l->blob ? draft_own_layer(job, l, err)
				: draft_known_layer(job->is, draft, i, err);

		if (r < 0)
			return r;
		if (!str_eq(l->info.diff_id, draft->view.diff_ids[i]))
			return err_user(err, ERR_INVALID,
					"invalid diffID for layer %zu: expected \"%s\", got \"%s\"",
					i, draft->view.diff_ids[i], l->info.diff_id);
		if (!l->media_type)
			l->media_type = layer_type_of(l->blob);
	}
	return 0;
}

static int draft_make_manifest(struct image_job *job, struct image_draft *draft, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	_cleanup_free_ char *text = NULL;
	json_t *layers;
	int r;

	doc = json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:[]}", "schemaVersion", 2, "mediaType",
			OCI_TYPE_MANIFEST, "config", "mediaType", OCI_TYPE_CONFIG, "digest",
			draft->id, "size", (json_int_t)ingest_blob_size(draft->config_blob),
			"layers");
	layers = json_object_get(doc, "layers");
	for (size_t i = 0; i < draft->view.diff_ids_n; i++) {
		const struct image_draft_layer *l = &draft->layers[i];
		json_t *entry = json_pack("{s:s, s:s, s:I}", "mediaType", l->media_type, "digest",
					  image_draft_layer_digest(l), "size",
					  (json_int_t)image_draft_layer_bytes(l));

		if (json_array_append_new(layers, entry) < 0)
			return err_oom(err);
	}
	text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	if (!text)
		return err_oom(err);
	sha256_digest_text(text, strlen(text), draft->manifest_digest);
	r = image_job_hold(job, IMAGE_BLOB, draft->manifest_digest, err);
	if (r == 0)
		r = ingest_document(job->in, text, strlen(text), draft->manifest_digest, err);
	if (r < 0)
		return r;
	draft->manifest_bytes = strlen(text);
	return 0;
}

static int draft_publish_blob(struct image_job *job, struct ingest_blob *blob, struct err *err)
{
	int r = image_job_hold(job, IMAGE_BLOB, ingest_blob_digest(blob), err);

	return r < 0 ? r : ingest_blob_publish(job->in, blob, err);
}

static int draft_publish(struct image_job *job, struct image_draft *draft, struct err *err)
{
	int r = draft_publish_blob(job, draft->config_blob, err);

	for (size_t i = 0; i < draft->view.diff_ids_n && r == 0; i++)
		r = draft->layers[i].blob ? draft_publish_blob(job, draft->layers[i].blob, err) : 0;
	if (r == 0 && draft->list_blob)
		r = draft_publish_blob(job, draft->list_blob, err);
	if (r < 0)
		return r;
	if (!draft->manifest_blob)
		return draft_make_manifest(job, draft, err);
	r = draft_publish_blob(job, draft->manifest_blob, err);
	if (r < 0)
		return r;
	memcpy(draft->manifest_digest, ingest_blob_digest(draft->manifest_blob), DIGEST_BUF);
	draft->manifest_bytes = ingest_blob_size(draft->manifest_blob);
	return 0;
}

/**
 * image_draft_finish() - All but the rows
 * @job:   Job with the ingest of its blobs
 * @draft: Every layer's blob is set, or the job holds blob and layer
 * @err:   ERR_INVALID if a layer is broken or not the one that the config names
 *
 * Return: 0 or negative errno (what is left is garbage for image_job_end())
 */
int image_draft_finish(struct image_job *job, struct image_draft *draft, struct err *err)
{
	_cleanup_free_ char *vmdk = NULL;
	int r;

	r = draft_check_layers(job, draft, err);
	if (r == 0)
		r = draft_publish(job, draft, err);
	if (r == 0)
		r = image_job_hold(job, IMAGE_DISK, draft->chain_id, err);
	if (r < 0)
		return r;
	return rootfs_assemble(job->is->root, draft->view.diff_ids, draft->view.diff_ids_n,
			       IMAGE_DISK_BYTES, &vmdk, err);
}

static int sync_folders(struct image_store *is)
{
	static const char *const folders[] = {"blobs/sha256", "layers", "rootfs"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = str_format("%s/%s", is->root, folders[i]);
		_cleanup_close_ int fd = -EBADF;

		if (!path)
			return -ENOMEM;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			return -errno;
	}
	return 0;
}

/* Told only once the commit stands. */
struct replaced {
	const char *canonical; /* borrowed: from a draft */
	char old_id[DIGEST_BUF];
};

static int drafts_write(struct image_store *is, struct image_draft *drafts,
			struct replaced *replaced, size_t *ret_n)
{
	struct image_draft *draft;
	size_t n = 0;
	bool new_image;
	int r;

	LL_FOREACH (drafts, draft) {
		r = image_rows_insert(is, draft, &new_image);
		if (r < 0)
			return r;
		r = draft->repo_digest ? image_rows_pulled_as(is, draft->repo_digest, draft->id)
				       : 0;
		if (r < 0)
			return r;
		r = image_draft_insert_list(is, draft);
		if (r < 0)
			return r;
		for (size_t i = 0; i < draft->tags_n; i++) {
			r = image_rows_tag(is, draft->tags[i], draft->id, draft->tagged_ns,
					   image_draft_list(draft), replaced[n].old_id);
			if (r < 0)
				return r;
			replaced[n].canonical = draft->tags[i];
			if (*replaced[n].old_id)
				n++;
		}
	}
	*ret_n = n;
	return 0;
}

/**
 * image_drafts_commit() - Make the images appear, all or none
 * @is:	      Store
 * @drafts:   Finished, linked by next
 * @replaced: Told of each tag that pointed at another image before; may be NULL
 * @user:     For @replaced
 * @err:      Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_drafts_commit(struct image_store *is, struct image_draft *drafts,
			image_replaced_fn replaced, void *user, struct err *err)
{
	_cleanup_free_ struct replaced *list = NULL;
	struct image_draft *draft;
	size_t n = 1;
	int r;

	LL_FOREACH (drafts, draft)
		n += draft->tags_n;
	list = calloc(n, sizeof(*list));
	if (!list)
		return err_oom(err);
	r = sync_folders(is);
	if (r == 0)
		r = store_begin(is->store);
	if (r < 0)
		return err_sys(err, r, "cannot write the image down");
	r = drafts_write(is, drafts, list, &n);
	if (r < 0)
		store_rollback(is->store);
	else
		r = store_commit(is->store);
	if (r < 0)
		return err_sys(err, r, "cannot write the image down");
	for (size_t i = 0; replaced && i < n; i++)
		replaced(user, list[i].canonical, list[i].old_id);
	manifest_list_tidy(is); /* names may have been other lists' */
	r = image_index_write(is);
	return r < 0 ? err_sys(err, r, "cannot write the index of images") : 0;
}
