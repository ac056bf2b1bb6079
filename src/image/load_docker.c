/* SPDX-License-Identifier: Apache-2.0 */
/* load_docker.c - docker's archive form: manifest.json with config, names and layers by path */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/util.h"
#include "image/image_load.h"
#include "image/platform.h"

#define LOAD_IMAGES_MAX 1024

static int docker_layers(struct load *ld, const json_t *layers, struct image_draft *draft,
			 struct err *err)
{
	size_t want = draft->view.diff_ids_n;

	if (json_array_size(layers) != want)
		return err_user(err, ERR_INVALID,
				"invalid manifest, layers length mismatch: expected %zu, got %zu",
				json_array_size(layers), want);
	for (size_t i = 0; i < want; i++) {
		const char *path = json_string_value(json_array_get(layers, i));
		struct ingest_blob *blob;

		if (!path)
			return err_user(err, ERR_INVALID, "invalid manifest: layer %zu is no path",
					i);
		blob = image_archive_find(ld->archive, path);
		if (!blob)
			return err_user(err, ERR_INVALID,
					"invalid archive: layer %.300s is missing", path);
		draft->layers[i].blob = blob;
	}
	return 0;
}

static int docker_names(const json_t *names, struct image_draft *draft, struct err *err)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		int r;

		if (!name)
			return err_user(err, ERR_INVALID, "invalid manifest: RepoTags");
		r = load_add_name(draft, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "blobs/sha256/<hex>" promises what the bytes hash to. */
static int docker_check_path(const char *path, const struct ingest_blob *blob, struct err *err)
{
	const char *hex = str_starts(path, "blobs/sha256/") ? path + strlen("blobs/sha256/") : NULL;

	if (hex && !str_eq(hex, digest_hex(ingest_blob_digest(blob))))
		return err_user(err, ERR_INVALID, "invalid archive: %.200s has the digest %s", path,
				ingest_blob_digest(blob));
	return 0;
}

/* Whether it is for a platform that was asked for */
static bool docker_wanted(const struct load *ld, const struct image_draft *draft)
{
	struct platform wanted, have = {};

	(void)snprintf(have.os, sizeof(have.os), "%s", draft->view.os);
	(void)snprintf(have.architecture, sizeof(have.architecture), "%s",
		       draft->view.architecture);
	(void)snprintf(have.variant, sizeof(have.variant), "%s", draft->view.variant);
	for (size_t i = 0; i < ld->args->platforms_n; i++) /* made by platform_format() */
		if (platform_parse(ld->args->platforms[i], &wanted, NULL) == 0 &&
		    platform_fits(&wanted, &have))
			return true;
	return ld->args->platforms_n == 0;
}

static int docker_image(struct load *ld, const json_t *entry, const struct ingest_blob *index,
			struct err *err)
{
	_cleanup_(image_draft_freep) struct image_draft *draft = NULL;
	const char *config = json_string_value(json_object_get(entry, "Config"));
	struct ingest_blob *blob;
	int r;

	if (!config)
		return err_user(err, ERR_INVALID, "invalid manifest: an image without Config");
	blob = image_archive_find(ld->archive, config);
	if (!blob)
		return err_user(err, ERR_INVALID, "invalid archive: config %.300s is missing",
				config);
	r = docker_check_path(config, blob, err);
	if (r < 0)
		return r;
	r = image_draft_new(ld->in, blob, &draft, err);
	if (r < 0)
		return r;
	if (!docker_wanted(ld, draft))
		return 0;
	r = docker_layers(ld, json_object_get(entry, "Layers"), draft, err);
	if (r < 0)
		return r;
	r = docker_names(json_object_get(entry, "RepoTags"), draft, err);
	if (r < 0)
		return r;
	if (index)
		load_oci_adopt(ld, index, draft);
	return load_add_draft(ld, TAKE_PTR(draft)) < 0 ? err_oom(err) : 0;
}

/**
 * load_docker() - The images that manifest.json names
 * @ld:	      Load; receives the drafts
 * @manifest: manifest.json
 * @index:    index.json beside it, or NULL
 * @err:      ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int load_docker(struct load *ld, const struct ingest_blob *manifest,
		const struct ingest_blob *index, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	int r = load_json(ld, manifest, OCI_MANIFEST_BYTES_MAX, "manifest.json", &doc, err);

	if (r < 0)
		return r;
	if (!json_is_array(doc) || json_array_size(doc) == 0 ||
	    json_array_size(doc) > LOAD_IMAGES_MAX)
		return err_user(err, ERR_INVALID,
				"invalid manifest.json: an array of 1 to %d images is expected",
				LOAD_IMAGES_MAX);
	for (size_t i = 0; i < json_array_size(doc); i++) {
		r = docker_image(ld, json_array_get(doc, i), index, err);
		if (r < 0)
			return r;
	}
	if (!ld->drafts)
		return err_user(err, ERR_INVALID,
				"invalid archive: no image for this platform in manifest.json");
	return 0;
}
