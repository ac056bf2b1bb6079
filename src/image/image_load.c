/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_load.c - `docker load`: what an archive says about the blobs it brought
 *
 * DOC: Theory of operation
 *
 * image_archive.c has read everything; layers are being converted. Two forms are understood:
 * docker's manifest.json (config, names and layers by path) and an OCI layout (index.json, by
 * digest). Archives of today have both: manifest.json decides which images and names there are, and
 * a manifest in the OCI part that says the same about an image is kept as that image's manifest, so
 * that saving it gives the same bytes.
 *
 * All images of an archive appear, or none. Errors are Docker's where Docker has words for them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "base/util.h"
#include "image/image_archive.h"
#include "image/image_load.h"
#include "image/image_store.h"
#include "image/reference.h"

#define PROGRESS_BAR 50
#define LOAD_DOCUMENTS_MAX MIB(256)    /* manifests, configs and lists, as often as they are read */
#define LOAD_DOCUMENT_COST (16 * 1024) /* what a small one counts */

static int load_tell(const struct load *ld, json_t *line)
{
	int r = 0;

	if (line && ld->args->progress)
		r = ld->args->progress(ld->args->user, line);
	json_decref(line);
	return r;
}

static int PRINTF(2, 3) load_say(const struct load *ld, const char *fmt, ...)
{
	va_list ap;
	char line[1024];

	if (!ld->args->progress)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap); /* longer than any name: never cut */
	va_end(ap);
	return load_tell(ld, json_pack("{s:s}", "stream", line));
}

/* What a finished bar looks like; clients draw it from the numbers, old ones from the text. */
static int load_say_layer(const struct load *ld, const struct image_draft_layer *layer)
{
	json_int_t bytes = (json_int_t)ingest_blob_size(layer->blob);
	char bar[PROGRESS_BAR + 1], text[128];

	memset(bar, '=', PROGRESS_BAR - 1);
	bar[PROGRESS_BAR - 1] = '>';
	bar[PROGRESS_BAR] = '\0';
	(void)snprintf(text, sizeof(text), "[%s]  %.4gMB/%.4gMB", bar, (double)bytes / 1e6,
		       (double)bytes / 1e6);
	return load_tell(ld,
			 json_pack("{s:s, s:{s:I, s:I}, s:s, s:s%}", "status", "Loading layer",
				   "progressDetail", "current", bytes, "total", bytes, "progress",
				   text, "id", digest_hex(layer->info.diff_id), 12));
}

/**
 * load_count() - A document of the archive is about to be read
 * @ld:	  Load
 * @blob: Its blob
 * @err:  ERR_INVALID
 *
 * A small archive can have lists of lists that name the same image any number of times.
 *
 * Return: 0, or -EINVAL if all that was read so far is more than an archive can be about
 */
int load_count(struct load *ld, const struct ingest_blob *blob, struct err *err)
{
	ld->documents += MAX(ingest_blob_size(blob), (uint64_t)LOAD_DOCUMENT_COST);
	return ld->documents <= LOAD_DOCUMENTS_MAX
		       ? 0
		       : err_user(err, ERR_INVALID, "invalid archive: it lists too many images");
}

/**
 * load_json() - A document of the archive
 * @ld:	  Load, which counts it
 * @blob: Its blob
 * @max:  Largest size, bytes
 * @what: Names it in errors
 * @ret:  New reference
 * @err:  ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int load_json(struct load *ld, const struct ingest_blob *blob, size_t max, const char *what,
	      json_t **ret, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	size_t len;
	int r = load_count(ld, blob, err);

	if (r == 0)
		r = ingest_blob_read(ld->in, blob, max, &data, &len, err);
	return r < 0 ? r : oci_parse(data, len, what, ret, err);
}

/**
 * load_add_name() - A name from the archive for an image
 * @draft: Image
 * @name:  As written; hostile
 * @err:   ERR_INVALID if it is no name with a tag
 *
 * Return: 0 or negative errno
 */
int load_add_name(struct image_draft *draft, const char *name, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *canonical = NULL;
	int r = reference_parse(name, &ref, err);

	if (r < 0)
		return r;
	if (!ref.tag)
		return err_user(err, ERR_INVALID, "invalid tag \"%.300s\"", name);
	free(TAKE_PTR(ref.digest));
	canonical = reference_canonical(&ref);
	if (!canonical || image_draft_add_tag(draft, canonical) < 0)
		return err_oom(err);
	return 0;
}

/**
 * load_add_draft() - One more image of this archive; the same image twice becomes one
 * @ld:	   Load
 * @draft: Image; owned by @ld afterwards
 *
 * Names that came as another list than the image's first ones keep a draft of their own.
 *
 * Return: 0 or -ENOMEM
 */
int load_add_draft(struct load *ld, struct image_draft *draft)
{
	struct image_draft *other;

	LL_FOREACH (ld->drafts, other) {
		if (!str_eq(other->id, draft->id))
			continue;
		draft->again = true;
		if (draft->tags_n && draft->list_blob != other->list_blob)
			continue;
		for (size_t i = 0; i < draft->tags_n; i++)
			if (image_draft_add_tag(other, draft->tags[i]) < 0)
				return -ENOMEM;
		image_draft_free(draft);
		return 0;
	}
	LL_APPEND(ld->drafts, draft);
	return 0;
}

static void load_replaced(void *user, const char *canonical, const char *old_id)
{
	struct load *ld = user;
	_cleanup_free_ char *familiar = reference_shorten(canonical);

	/* a client that left has its image all the same */
	(void)load_say(ld,
		       "The image %s already exists, renaming the old one with ID %s to empty "
		       "string\n",
		       familiar ? familiar : canonical, old_id);
}

static void load_announce(struct load *ld)
{
	struct image_draft *draft;
	bool named = false;

	LL_FOREACH (ld->drafts, draft) {
		for (size_t i = 0; !ld->args->quiet && !draft->again && i < draft->view.diff_ids_n;
		     i++)
			(void)load_say_layer(ld, &draft->layers[i]);
		for (size_t i = 0; i < draft->tags_n; i++) {
			_cleanup_free_ char *familiar = reference_shorten(draft->tags[i]);

			named = true;
			(void)load_say(ld, "Loaded image: %s\n",
				       familiar ? familiar : draft->tags[i]);
		}
		if (ld->args->loaded && !draft->again)
			ld->args->loaded(ld->args->user, draft->id);
	}
	LL_FOREACH (ld->drafts, draft)
		if (!named && !draft->again)
			(void)load_say(ld, "Loaded image ID: %s\n", draft->id);
}

static int load_images(struct load *ld, struct err *err)
{
	struct ingest_blob *manifest = image_archive_find(ld->archive, "manifest.json");
	struct ingest_blob *index = image_archive_find(ld->archive, "index.json");
	struct image_draft *draft;
	int r;

	if (manifest && !(index && load_oci_has_lists(ld, index)))
		r = load_docker(ld, manifest, index, err);
	else if (index)
		r = load_oci(ld, index, err);
	else
		r = err_user(err, ERR_INVALID,
			     "invalid archive: it has neither manifest.json nor index.json");
	if (r < 0)
		return r;
	LL_FOREACH (ld->drafts, draft) {
		r = image_draft_finish(ld->job, draft, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void load_done(struct load *ld)
{
	struct image_draft *draft, *next;

	LL_FOREACH_SAFE (ld->drafts, draft, next)
		image_draft_free(draft);
	LL_FOREACH_SAFE (ld->others, draft, next)
		image_draft_free(draft);
	image_archive_free(ld->archive);
}

static int load_run(struct load *ld, const struct byte_source *source, struct err *err)
{
	int r = image_archive_read(ld->in, source, &ld->archive, err);

	if (r == 0)
		r = load_images(ld, err);
	if (r == 0)
		r = image_drafts_commit(ld->is, ld->drafts, load_replaced, ld, err);
	if (r == 0)
		load_announce(ld);
	return r;
}

/**
 * image_load() - Take in the images of an archive
 * @is:	    Store
 * @source: The archive: docker's or OCI's, plain or compressed
 * @load:   What to tell whom
 * @err:    ERR_INVALID for every defect of the archive
 *
 * Return: 0 or negative errno; then no image of it is there
 */
int image_load(struct image_store *is, const struct byte_source *source,
	       const struct image_load *load, struct err *err)
{
	struct load ld = {.is = is, .args = load};
	int r;

	r = image_job_begin(is, true, &ld.job, err);
	if (r < 0)
		return r;
	ld.in = ld.job->in;
	r = load_run(&ld, source, err);
	load_done(&ld);
	/* an archive may bring layers that none of its images names, or an image we have */
	image_job_end(ld.job, true);
	return r;
}
