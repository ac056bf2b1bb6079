/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_import.c - `docker import`: one tar becomes an image of one layer
 *
 * The tar is stored as it comes (plain, gzip, zstd; xz and bzip2 unpacked) and converted while it
 * comes; the config is ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/util.h"
#include "image/image_changes.h"
#include "image/image_store.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/unpack.h"

#define IMPORT_BUFFER (256 * 1024)
#define IMPORT_MESSAGE "Imported from -"

struct import {
	const char *message;
	struct platform platform;
	json_t *image_config; /* owned reference */
	char *canonical;      /* owned; NULL without a name */
};

static void import_done(struct import *im)
{
	json_decref(im->image_config);
	free(im->canonical);
}

/* "linux/arm64/v8", "arm64", NULL for this machine's without a variant */
static int import_platform(struct import *im, const char *platform, struct err *err)
{
	int r;

	platform_of_host(&im->platform);
	im->platform.variant[0] = '\0';
	if (str_empty(platform))
		return 0;
	r = platform_parse(platform, &im->platform, err);
	if (r < 0)
		return r;
	if (!str_eq(im->platform.os, "linux"))
		return err_user(err, ERR_INVALID, "operating system is not supported");
	return 0;
}

static int import_prepare(struct import *im, const char *ref, const char *message,
			  const char *const *changes, size_t n_changes, const char *platform,
			  struct err *err)
{
	_cleanup_reference_ struct reference parsed = {};
	int r;

	im->message = str_empty(message) ? IMPORT_MESSAGE : message;
	r = import_platform(im, platform, err);
	if (r < 0)
		return r;
	if (!str_empty(ref)) {
		r = reference_parse(ref, &parsed, err);
		if (r < 0)
			return r;
		if (parsed.digest)
			return err_user(err, ERR_INVALID, "cannot import digest reference");
		if (reference_default_tag(&parsed) < 0)
			return err_oom(err);
		im->canonical = reference_canonical(&parsed);
		if (!im->canonical)
			return err_oom(err);
	}
	im->image_config = json_object();
	return image_changes_apply(im->image_config, changes, n_changes, err);
}

static int import_read(struct ingest *in, const struct byte_source *source,
		       struct ingest_blob *blob, struct err *err)
{
	_cleanup_free_ char *buffer = malloc(IMPORT_BUFFER);
	_cleanup_(unpack_freep) struct unpack *unpack = NULL;
	ssize_t n;
	int r;

	if (!buffer)
		return err_oom(err);
	r = unpack_new(source, &unpack, err);
	if (r < 0)
		return r;
	while ((n = unpack_read(unpack, buffer, IMPORT_BUFFER)) > 0) {
		r = ingest_blob_add(in, blob, buffer, (size_t)n, err);
		if (r < 0)
			return r;
	}
	if (n < 0 && unpack_error(unpack))
		return err_user(err, ERR_INVALID, "invalid archive: %s", unpack_error(unpack));
	if (n < 0)
		return err_sys(err, (int)n, "the archive stopped halfway");
	return ingest_blob_end(in, blob, err);
}

static char *import_config(const struct import *im, const char *diff_id)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	char now[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(clock_realtime_ns(), now);
	doc = json_pack("{s:s, s:s, s:s, s:O, s:[{s:s, s:s}], s:{s:s, s:[s]}}", "created", now,
			"architecture", im->platform.architecture, "os", "linux", "config",
			im->image_config, "history", "created", now, "comment", im->message,
			"rootfs", "type", "layers", "diff_ids", diff_id);
	if (doc && *im->platform.variant)
		(void)json_object_set_new(doc, "variant", json_string(im->platform.variant));
	return doc ? json_dumps(doc, JSON_COMPACT) : NULL;
}

static int import_run(struct image_job *job, const struct import *im,
		      const struct byte_source *source, char ret_id[static DIGEST_BUF],
		      struct err *err)
{
	struct ingest *in = job->in;
	_cleanup_(image_draft_freep) struct image_draft *draft = NULL;
	struct ingest_blob *layer, *config;
	_cleanup_free_ char *text = NULL;
	struct layer_info info;
	int r;

	r = ingest_blob_begin(in, &layer, err);
	if (r == 0)
		r = import_read(in, source, layer, err);
	if (r == 0)
		r = ingest_blob_layer(in, layer, &info, err);
	if (r < 0)
		return r;
	text = import_config(im, info.diff_id);
	if (!text)
		return err_oom(err);
	r = ingest_blob_begin(in, &config, err);
	if (r == 0)
		r = ingest_blob_add(in, config, text, strlen(text), err);
	if (r == 0)
		r = ingest_blob_end(in, config, err);
	if (r == 0)
		r = image_draft_new(in, config, &draft, err);
	if (r < 0)
		return r;
	draft->layers[0].blob = layer;
	draft->tagged_ns = clock_realtime_ns();
	if (im->canonical && image_draft_add_tag(draft, im->canonical) < 0)
		return err_oom(err);
	r = image_draft_finish(job, draft, err);
	if (r == 0)
		r = image_drafts_commit(job->is, draft, NULL, NULL, err);
	if (r == 0)
		memcpy(ret_id, draft->id, DIGEST_BUF);
	return r;
}

/**
 * image_import() - Make an image of a root filesystem
 * @is:	       Store
 * @source:    A tar, plain or compressed
 * @ref:       Name; NULL or "" for none
 * @message:   For its history; NULL or "" for "Imported from -"
 * @changes:   Dockerfile instructions
 * @n_changes: Their number
 * @platform:  "os/arch[/variant]"; NULL or "" for the host's
 * @ret_id:    Id of the image
 * @err:       ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int image_import(struct image_store *is, const struct byte_source *source, const char *ref,
		 const char *message, const char *const *changes, size_t n_changes,
		 const char *platform, char ret_id[static DIGEST_BUF], struct err *err)
{
	_cleanup_(import_done) struct import im = {};
	struct image_job *job = NULL;
	int r;

	r = import_prepare(&im, ref, message, changes, n_changes, platform, err);
	if (r < 0)
		return r;
	r = image_job_begin(is, true, &job, err);
	if (r < 0)
		return r;
	r = import_run(job, &im, source, ret_id, err);
	image_job_end(job, r < 0);
	return r;
}
