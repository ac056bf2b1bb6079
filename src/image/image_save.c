/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_save.c - `docker save`: blobs, manifest.json and index.json as one tar
 *
 * The tar is an OCI layout and docker's form at once, as dockerd writes it since 25. Blobs are
 * copied as they are, so loading it again gives the same digests. While it runs it holds the blobs
 * of its images: an image that is removed meanwhile is saved all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/util.h"
#include "image/archive.h"
#include "image/image_save.h"
#include "image/reference.h"

#define SAVE_BUFFER (256 * 1024)
#define SAVE_LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

/* An image whose blobs are held: its rows may go meanwhile. */
struct save_source {
	struct image *image; /* owned */
	char **blobs;	     /* owned: of its layers, lowest first */
};

struct save {
	struct image_store *is; /* borrowed */
	struct image_job *job;
	const struct archive_api *archive;
	struct archive *tar;	       /* owned */
	char *buffer;		       /* owned */
	const struct image_save *args; /* borrowed */
	int write_errno;
	struct save_choice choice;
	struct save_source *sources; /* owned */
	size_t sources_n;
	json_t *written;	  /* owned reference: blobs that are in the tar */
	json_t *manifest, *index; /* owned references: manifest.json, entries of index.json */
	json_t *repositories;	  /* owned reference: name -> tag -> blob of the topmost layer */
};

static void save_done(struct save *sv)
{
	if (!sv->write_errno)
		sv->write_errno = -ECANCELED; /* closed before, or given up */
	if (sv->tar)
		(void)sv->archive->write_free(sv->tar); /* writes to nowhere */
	save_choice_done(&sv->choice);
	for (size_t i = 0; i < sv->sources_n; i++) {
		image_free(sv->sources[i].image);
		image_strv_free(sv->sources[i].blobs);
	}
	free(sv->sources);
	free(sv->buffer);
	json_decref(sv->written);
	json_decref(sv->manifest);
	json_decref(sv->index);
	json_decref(sv->repositories);
}

static la_ssize_t save_out(struct archive *tar UNUSED, void *user, const void *data, size_t len)
{
	struct save *sv = user;

	/* libarchive leaks a writer that was told of an error, so it is not told: save_data() and
	 * save_header() look, and what comes after it (the end of the tar above all) goes nowhere
	 */
	if (!sv->write_errno)
		sv->write_errno = sv->args->write(sv->args->user, data, len);
	return (la_ssize_t)len;
}

static int save_failed(struct save *sv, struct err *err)
{
	const char *text = sv->archive->error_string(sv->tar);

	if (sv->write_errno)
		return err_sys(err, sv->write_errno, "cannot write the archive");
	return err_user(err, ERR_INTERNAL, "cannot write the archive: %s", text ? text : "");
}

static int save_header(struct save *sv, const char *name, uint64_t size, struct err *err)
{
	struct archive_entry *entry = sv->archive->entry_new();
	int r;

	if (!entry)
		return err_oom(err);
	sv->archive->entry_set_pathname(entry, name);
	sv->archive->entry_set_filetype(entry, AE_IFREG);
	sv->archive->entry_set_perm(entry, 0644);
	sv->archive->entry_set_size(entry, (la_int64_t)size);
	sv->archive->entry_set_mtime(entry, 0, 0);
	r = sv->archive->write_header(sv->tar, entry);
	sv->archive->entry_free(entry);
	return r == ARCHIVE_OK && !sv->write_errno ? 0 : save_failed(sv, err);
}

static int save_data(struct save *sv, const void *data, size_t len, struct err *err)
{
	if (sv->archive->write_data(sv->tar, data, len) != (la_ssize_t)len || sv->write_errno)
		return save_failed(sv, err);
	return 0;
}

static int save_text(struct save *sv, const char *name, const char *text, struct err *err)
{
	int r = save_header(sv, name, strlen(text), err);

	return r < 0 ? r : save_data(sv, text, strlen(text), err);
}

static int save_json(struct save *sv, const char *name, const json_t *doc, struct err *err)
{
	_cleanup_free_ char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	return text ? save_text(sv, name, text, err) : err_oom(err);
}

static int save_blob(struct save *sv, const char *digest, struct err *err)
{
	_cleanup_free_ char *path = image_blob_path(sv->is, digest);
	_cleanup_free_ char *name = str_format("blobs/sha256/%s", digest_hex(digest));
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	ssize_t n;
	int r;

	if (json_object_get(sv->written, digest))
		return 0;
	if (!path || !name || json_object_set_new(sv->written, digest, json_true()) < 0)
		return err_oom(err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "cannot read %s", path);
	r = save_header(sv, name, (uint64_t)st.st_size, err);
	while (r == 0 && (n = fs_read_full(fd, sv->buffer, SAVE_BUFFER)) != 0) {
		if (n < 0)
			return err_sys(err, (int)n, "cannot read %s", path);
		r = save_data(sv, sv->buffer, (size_t)n, err);
	}
	return r;
}

/* Its document is in memory, so it does not matter whether the list goes meanwhile. */
static int save_list(struct save *sv, const struct manifest_list *list, struct err *err)
{
	_cleanup_free_ char *name = str_format("blobs/sha256/%s", digest_hex(list->digest));
	int r;

	if (json_object_get(sv->written, list->digest))
		return 0;
	if (!name || json_object_set_new(sv->written, list->digest, json_true()) < 0)
		return err_oom(err);
	r = save_header(sv, name, list->len, err);
	return r < 0 ? r : save_data(sv, list->text, list->len, err);
}

static int save_docker_entry(struct save *sv, const struct save_image *si, char **blobs)
{
	json_t *entry, *tags, *layers;

	entry = json_pack("{s:o, s:[], s:[]}", "Config",
			  json_sprintf("blobs/sha256/%s", digest_hex(si->id)), "RepoTags",
			  "Layers");
	tags = json_object_get(entry, "RepoTags");
	layers = json_object_get(entry, "Layers");
	for (size_t i = 0; i < si->tags_n; i++) {
		_cleanup_free_ char *familiar = reference_shorten(si->tags[i].canonical);

		if (!familiar || json_array_append_new(tags, json_string(familiar)) < 0) {
			json_decref(entry);
			return -ENOMEM;
		}
	}
	for (; *blobs; blobs++)
		(void)json_array_append_new(layers,
					    json_sprintf("blobs/sha256/%s", digest_hex(*blobs)));
	return json_array_append_new(sv->manifest, entry) < 0 ? -ENOMEM : 0;
}

static int save_index_entry(struct save *sv, json_t *entry, const char *canonical)
{
	if (entry && canonical)
		(void)json_object_set_new(entry, "annotations",
					  json_pack("{s:s, s:s}", "io.containerd.image.name",
						    canonical, "org.opencontainers.image.ref.name",
						    strrchr(canonical, ':') + 1));
	return json_array_append_new(sv->index, entry) < 0 ? -ENOMEM : 0;
}

static json_t *save_manifest_desc(const struct image *image)
{
	return json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType", image->manifest_type,
			 "digest", image->manifest_digest, "size",
			 (json_int_t)image->manifest_bytes, "platform", "architecture",
			 image->architecture, "os", *image->os ? image->os : "linux");
}

static int save_tag_entry(struct save *sv, const struct image *image, const struct save_tag *tag)
{
	json_t *desc = tag->list ? json_pack("{s:s, s:s, s:I}", "mediaType", tag->list->media_type,
					     "digest", tag->list->digest, "size",
					     (json_int_t)tag->list->len)
				 : save_manifest_desc(image);

	return save_index_entry(sv, desc, tag->canonical);
}

/* What clients before manifest.json read: {"busybox": {"latest": "<hex>"}} */
static int save_repository(struct save *sv, const char *canonical, char **blobs)
{
	_cleanup_free_ char *familiar = reference_shorten(canonical);
	char *colon = familiar ? strrchr(familiar, ':') : NULL;
	const char *top = "";
	json_t *tags;

	if (!colon)
		return -ENOMEM;
	*colon = '\0';
	for (; *blobs; blobs++)
		top = digest_hex(*blobs);
	tags = json_object_get(sv->repositories, familiar);
	if (!tags) {
		tags = json_object();
		if (json_object_set_new(sv->repositories, familiar, tags) < 0)
			return -ENOMEM;
	}
	return json_object_set_new(tags, colon + 1, json_string(top)) < 0 ? -ENOMEM : 0;
}

/* Layers, config and manifest of one image */
static int save_image_blobs(struct save *sv, const struct image *image, char **blobs,
			    struct err *err)
{
	int r = 0;

	for (char **b = blobs; r == 0 && *b; b++)
		r = save_blob(sv, *b, err);
	if (r == 0)
		r = save_blob(sv, image->id, err);
	return r < 0 ? r : save_blob(sv, image->manifest_digest, err);
}

static const struct save_source *save_source(const struct save *sv, const char *id)
{
	size_t i = 0;

	while (i < sv->sources_n && !str_eq(sv->sources[i].image->id, id))
		i++;
	return i < sv->sources_n ? &sv->sources[i] : NULL;
}

/* Hold an image, and get what is to be known of it. */
static int save_hold(struct save *sv, const char *id, struct err *err)
{
	struct save_source *source;
	size_t n = 0;
	int r;

	if (save_source(sv, id))
		return 0;
	source = reallocarray(sv->sources, sv->sources_n + 1, sizeof(*source));
	if (!source)
		return err_oom(err);
	sv->sources = source;
	source += sv->sources_n;
	*source = (struct save_source){};
	r = image_job_hold_image(sv->job, id, err);
	if (r == 0)
		r = image_get(sv->is, id, &source->image, err);
	if (r < 0)
		return r;
	sv->sources_n++;
	r = image_rows_texts(
		sv->is, "SELECT blob_digest FROM image_layers WHERE image_id = ? ORDER BY position",
		id, &source->blobs);
	if (r < 0)
		return err_sys(err, r, "cannot read the layers of %.19s", id);
	while (source->blobs[n] && source->image->diff_ids[n])
		n++;
	if (source->blobs[n] || source->image->diff_ids[n]) /* it went between the two */
		return err_user(err, ERR_NOT_FOUND, "No such image: %s", id);
	return 0;
}

static int save_hold_all(struct save *sv, const struct save_image *si, struct err *err)
{
	int r = save_hold(sv, si->id, err);

	for (size_t i = 0; r == 0 && i < si->others_n; i++)
		r = save_hold(sv, si->others[i], err);
	return r;
}

static int save_image(struct save *sv, const struct save_image *si, struct err *err)
{
	const struct save_source *source = save_source(sv, si->id);
	const struct image *image = source->image;
	char **blobs = source->blobs;
	int r = save_image_blobs(sv, image, blobs, err);

	for (size_t i = 0; r == 0 && i < si->others_n; i++) {
		const struct save_source *other = save_source(sv, si->others[i]);

		r = save_image_blobs(sv, other->image, other->blobs, err);
	}
	for (size_t i = 0; r == 0 && i < si->tags_n; i++)
		if (si->tags[i].list)
			r = save_list(sv, si->tags[i].list, err);
	if (r < 0)
		return r;
	r = save_docker_entry(sv, si, blobs);
	for (size_t i = 0; i < si->tags_n && r == 0; i++) {
		r = save_tag_entry(sv, image, &si->tags[i]);
		if (r == 0)
			r = save_repository(sv, si->tags[i].canonical, blobs);
	}
	if (r == 0 && si->tags_n == 0)
		r = save_index_entry(sv, save_manifest_desc(image), NULL);
	return r < 0 ? err_oom(err) : 0;
}

static int save_open(struct save *sv, struct err *err)
{
	int r = save_choose(sv->is, sv->args, &sv->choice, err);

	for (size_t i = 0; r == 0 && i < sv->choice.n; i++)
		r = save_hold_all(sv, &sv->choice.images[i], err);
	if (r < 0)
		return r;
	sv->buffer = malloc(SAVE_BUFFER);
	sv->written = json_object();
	sv->manifest = json_array();
	sv->index = json_array();
	sv->repositories = json_object();
	if (!sv->buffer || !sv->written || !sv->manifest || !sv->index || !sv->repositories)
		return err_oom(err);
	r = archive_load(&sv->archive, err);
	if (r < 0)
		return r;
	sv->tar = sv->archive->write_new();
	if (!sv->tar || sv->archive->write_set_format_pax_restricted(sv->tar) != ARCHIVE_OK)
		return err_oom(err);
	(void)sv->archive->write_set_bytes_in_last_block(sv->tar,
							 1); /* no padding behind the end */
	if (sv->archive->write_open(sv->tar, sv, NULL, save_out, NULL) != ARCHIVE_OK)
		return save_failed(sv, err);
	return 0;
}

static int save_run(struct save *sv, struct err *err)
{
	_cleanup_(json_decrefp) json_t *index = NULL;
	int r = 0;

	for (size_t i = 0; i < sv->choice.n && r == 0; i++)
		r = save_image(sv, &sv->choice.images[i], err);
	if (r < 0)
		return r;
	index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
			  "manifests", sv->index);
	r = save_json(sv, "index.json", index, err);
	if (r == 0)
		r = save_json(sv, "manifest.json", sv->manifest, err);
	if (r == 0)
		r = save_text(sv, "oci-layout", SAVE_LAYOUT, err);
	if (r == 0 && json_object_size(sv->repositories))
		r = save_json(sv, "repositories", sv->repositories, err);
	if (r < 0)
		return r;
	if (sv->archive->write_close(sv->tar) != ARCHIVE_OK || sv->write_errno)
		return save_failed(sv, err);
	return 0;
}

/**
 * image_save() - Write images as an archive
 * @is:	  Store
 * @args: Which, and where to
 * @err:  ERR_NOT_FOUND (before anything is written)
 *
 * Return: 0 or negative errno
 */
int image_save(struct image_store *is, const struct image_save *args, struct err *err)
{
	struct save sv = {.is = is, .args = args};
	int r = image_job_begin(is, false, &sv.job, err);

	if (r < 0)
		return r;
	r = save_open(&sv, err);
	if (r == 0)
		r = save_run(&sv, err);
	save_done(&sv);
	image_job_end(sv.job, false);
	return r;
}
