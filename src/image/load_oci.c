/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_oci.c - the OCI archive form: index.json, indexes below it, manifests, all by digest
 *
 * Each entry of index.json is an image or a list of images for several platforms. All of them that
 * are there and wanted are taken (an archive may bring fewer than it lists, and what is not for
 * Linux cannot be taken); the names go to the one that fits this host best. Attestations and other
 * artifacts are passed over. Every blob is looked up by its digest, hashes to it, and has the size
 * that was promised. An entry may be listed often, in lists of lists: how much is read in all is
 * bounded (load_json()).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "base/util.h"
#include "image/image_load.h"
#include "image/manifest_list.h"

#define INDEX_DEPTH_MAX 4
#define NAME_CONTAINERD "io.containerd.image.name"
#define NAME_OCI "org.opencontainers.image.ref.name"

/* Named outcomes of one entry. */
enum { OCI_LOADED = 0, OCI_ABSENT = 1, OCI_FOREIGN = 2 };

static int oci_blob(struct load *ld, const struct oci_desc *desc, struct ingest_blob **ret,
		    struct err *err)
{
	struct ingest_blob *blob;
	int r = image_archive_blob(ld->archive, desc->digest, &blob, err);

	if (r < 0)
		return r;
	if (blob && ingest_blob_size(blob) != desc->size)
		return err_user(err, ERR_INVALID,
				"invalid archive: %s has %llu bytes, its descriptor says %llu",
				desc->digest, (unsigned long long)ingest_blob_size(blob),
				(unsigned long long)desc->size);
	*ret = blob;
	return 0;
}

static int oci_blob_needed(struct load *ld, const struct oci_desc *desc, const char *what,
			   struct ingest_blob **ret, struct err *err)
{
	int r = oci_blob(ld, desc, ret, err);

	if (r == 0 && !*ret)
		return err_user(err, ERR_INVALID, "invalid archive: %s %s is missing", what,
				desc->digest);
	return r;
}

static int oci_layers(struct load *ld, const struct oci_manifest *m, struct image_draft *draft,
		      struct err *err)
{
	if (m->layers_n != draft->view.diff_ids_n)
		return err_user(err, ERR_INVALID,
				"invalid manifest, layers length mismatch: expected %zu, got %zu",
				m->layers_n, draft->view.diff_ids_n);
	for (size_t i = 0; i < m->layers_n; i++) {
		int r;

		draft->layers[i].media_type = oci_layer_type(m->layers[i].media_type);
		if (!draft->layers[i].media_type)
			return err_user(err, ERR_INVALID, "unsupported layer media type \"%.100s\"",
					m->layers[i].media_type);
		r = oci_blob_needed(ld, &m->layers[i], "layer", &draft->layers[i].blob, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *oci_manifest_type(const struct oci_desc *desc, const json_t *doc)
{
	const char *type = json_string_value(json_object_get(doc, "mediaType"));

	if (!type)
		type = desc->media_type;
	return str_eq(type, DOCKER_TYPE_MANIFEST) ? DOCKER_TYPE_MANIFEST : OCI_TYPE_MANIFEST;
}

static bool oci_is_image(const struct oci_manifest *m)
{
	const char *type = m->config.media_type;

	return str_eq(type, OCI_TYPE_CONFIG) || str_eq(type, DOCKER_TYPE_CONFIG) || !*type;
}

/* Whether all is there that a manifest names, in types that we read */
static bool oci_is_whole(struct load *ld, const struct oci_manifest *m)
{
	struct ingest_blob *blob = NULL;
	struct err ignored;

	if (oci_blob(ld, &m->config, &blob, &ignored) == 0 && !blob)
		return false;
	for (size_t i = 0; i < m->layers_n; i++)
		if (!oci_layer_type(m->layers[i].media_type) ||
		    (oci_blob(ld, &m->layers[i], &blob, &ignored) == 0 && !blob))
			return false;
	return true;
}

/* A manifest's image, without names; OCI_FOREIGN if it is no image (an attestation, a chart, ...);
 * OCI_ABSENT if a list has it that nobody asked for, and not all of it is there */
static int oci_image(struct load *ld, const struct oci_desc *desc, struct ingest_blob *blob,
		     int depth, struct image_draft **ret, struct err *err)
{
	_cleanup_(image_draft_freep) struct image_draft *draft = NULL;
	_cleanup_(json_decrefp) json_t *doc = NULL;
	struct oci_manifest m;
	struct ingest_blob *config;
	int r;

	r = load_json(ld, blob, OCI_MANIFEST_BYTES_MAX, "manifest", &doc, err);
	if (r == 0)
		r = oci_manifest_read(doc, &m, err);
	if (r < 0)
		return r;
	if (!oci_is_image(&m))
		return OCI_FOREIGN;
	if (depth > 0 && !ld->args->platforms_n && !oci_is_whole(ld, &m))
		return OCI_ABSENT;
	r = oci_blob_needed(ld, &m.config, "config", &config, err);
	if (r == 0)
		r = load_count(ld, config, err);
	if (r == 0)
		r = image_draft_new(ld->in, config, &draft, err);
	if (r == 0)
		r = oci_layers(ld, &m, draft, err);
	if (r < 0)
		return r;
	draft->manifest_blob = blob;
	draft->manifest_type = oci_manifest_type(desc, doc);
	*ret = TAKE_PTR(draft);
	return OCI_LOADED;
}

static int oci_entry(struct load *ld, const struct oci_desc *desc, int depth,
		     struct image_draft **ret, struct err *err);

/* How well an entry fits what was asked for, or this host; 0: it is not wanted. */
static int oci_score(const struct load *ld, const struct oci_desc *desc)
{
	const char *os = json_string_value(json_object_get(desc->platform, "os"));
	int best = 0;

	if (!manifest_list_is_image(desc))
		return 0;
	if (!ld->args->platforms_n) /* all are wanted that can be taken, this host's first */
		return str_empty(os) || str_eq(os, "linux")
			       ? 1 + oci_platform_score(desc->platform, NULL)
			       : 0;
	for (size_t i = 0; i < ld->args->platforms_n; i++)
		best = MAX(best, oci_platform_score(desc->platform, ld->args->platforms[i]));
	return best;
}

/* The images of a list that are there and wanted. The best one is returned, the others join the
 * load at once: they have no names of their own. */
static int oci_list_images(struct load *ld, const struct oci_desc *descs, size_t n, int depth,
			   struct image_draft **ret, struct err *err)
{
	struct image_draft *best = NULL;
	int r = 0, best_score = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		int score = oci_score(ld, &descs[i]);
		struct image_draft *draft = NULL;

		r = score ? oci_entry(ld, &descs[i], depth + 1, &draft, err) : OCI_ABSENT;
		if (r == OCI_ABSENT ||
		    r == OCI_FOREIGN) { /* a list may promise more than is here */
			r = 0;
			continue;
		}
		if (r == 0 && score > best_score) {
			struct image_draft *worse = best;

			best = draft;
			best_score = score;
			draft = worse;
		}
		if (r == 0 && draft && load_add_draft(ld, draft) < 0)
			r = err_oom(err);
	}
	if (r < 0) {
		image_draft_free(best);
		return r;
	}
	*ret = best;
	return best ? OCI_LOADED : OCI_ABSENT;
}

/* What a registry would be told; it compares that with what the document says of itself. */
static const char *oci_list_type(const struct oci_desc *desc, const json_t *doc)
{
	const char *type = json_string_value(json_object_get(doc, "mediaType"));

	return str_eq(type ?: desc->media_type, DOCKER_TYPE_LIST) ? DOCKER_TYPE_LIST
								  : OCI_TYPE_INDEX;
}

static int oci_list(struct load *ld, const struct oci_desc *desc, struct ingest_blob *blob,
		    int depth, struct image_draft **ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	_cleanup_free_ struct oci_desc *descs = NULL;
	size_t n;
	int r;

	r = load_json(ld, blob, OCI_MANIFEST_BYTES_MAX, "index", &doc, err);
	if (r == 0)
		r = oci_index_read(doc, &descs, &n, err);
	if (r == 0)
		r = oci_list_images(ld, descs, n, depth, ret, err);
	if (r == OCI_LOADED && depth == 0) { /* what the names stand for */
		(*ret)->list_blob = blob;
		(*ret)->list_doc = TAKE_PTR(doc);
		(*ret)->list_type = oci_list_type(desc, (*ret)->list_doc);
	}
	return r;
}

static int oci_entry(struct load *ld, const struct oci_desc *desc, int depth,
		     struct image_draft **ret, struct err *err)
{
	struct ingest_blob *blob;
	int r;

	if (depth > INDEX_DEPTH_MAX)
		return err_user(err, ERR_INVALID, "invalid archive: indexes are nested too deep");
	r = oci_blob(ld, desc, &blob, err);
	if (r < 0)
		return r;
	if (!blob)
		return OCI_ABSENT;
	if (oci_type_is_index(desc->media_type))
		return oci_list(ld, desc, blob, depth, ret, err);
	if (!oci_type_is_manifest(desc->media_type))
		return OCI_FOREIGN;
	return oci_image(ld, desc, blob, depth, ret, err);
}

/* containerd writes whole names; others write a whole name or only a tag into ref.name */
static int oci_name(const struct oci_desc *desc, struct image_draft *draft, struct err *err)
{
	const char *full = json_string_value(json_object_get(desc->annotations, NAME_CONTAINERD));
	const char *ref = json_string_value(json_object_get(desc->annotations, NAME_OCI));

	if (full)
		return load_add_name(draft, full, err);
	if (ref && strchr(ref, ':'))
		return load_add_name(draft, ref, err);
	return 0;
}

/**
 * load_oci() - The images that index.json lists
 * @ld:	   Load; receives the drafts
 * @index: index.json
 * @err:   ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int load_oci(struct load *ld, const struct ingest_blob *index, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	_cleanup_free_ struct oci_desc *descs = NULL;
	size_t n;
	int r, loaded = 0;

	r = load_json(ld, index, OCI_MANIFEST_BYTES_MAX, "index.json", &doc, err);
	if (r == 0)
		r = oci_index_read(doc, &descs, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		_cleanup_(image_draft_freep) struct image_draft *draft = NULL;

		if (!manifest_list_is_image(&descs[i]))
			continue;
		r = oci_entry(ld, &descs[i], 0, &draft, err);
		if (r < 0)
			return r;
		if (r == OCI_ABSENT || r == OCI_FOREIGN)
			continue;
		r = oci_name(&descs[i], draft, err);
		if (r < 0)
			return r;
		if (load_add_draft(ld, TAKE_PTR(draft)) < 0)
			return err_oom(err);
		loaded++;
	}
	if (!loaded)
		return err_user(err, ERR_INVALID,
				"invalid archive: no image for this platform in index.json");
	return 0;
}

/**
 * load_oci_has_lists() - Whether index.json says more than manifest.json can
 * @ld:    Load
 * @index: index.json
 *
 * Return: whether one of its entries is a list of several platforms
 */
bool load_oci_has_lists(struct load *ld, const struct ingest_blob *index)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	_cleanup_free_ struct oci_desc *descs = NULL;
	struct err ignored = {}; /* a broken one is told of by who needs it */
	size_t n;

	if (load_json(ld, index, OCI_MANIFEST_BYTES_MAX, "index.json", &doc, &ignored) < 0 ||
	    oci_index_read(doc, &descs, &n, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (oci_type_is_index(descs[i].media_type))
			return true;
	return false;
}

static bool oci_says_the_same(const struct image_draft *a, const struct image_draft *b)
{
	if (!str_eq(a->id, b->id) || a->view.diff_ids_n != b->view.diff_ids_n)
		return false;
	for (size_t i = 0; i < a->view.diff_ids_n; i++)
		if (!str_eq(ingest_blob_digest(a->layers[i].blob),
			    ingest_blob_digest(b->layers[i].blob)))
			return false;
	return true;
}

/* Every image of index.json that can be read, once; a broken one is simply not there. */
static void oci_read_others(struct load *ld, const struct ingest_blob *index)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	_cleanup_free_ struct oci_desc *descs = NULL;
	struct err ignored = {}; /* without them the images are as good */
	size_t n;

	ld->others_read = true;
	if (load_json(ld, index, OCI_MANIFEST_BYTES_MAX, "index.json", &doc, &ignored) < 0 ||
	    oci_index_read(doc, &descs, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct image_draft *other = NULL;

		if (oci_entry(ld, &descs[i], 0, &other, &ignored) == OCI_LOADED)
			LL_PREPEND(ld->others, other);
	}
}

/**
 * load_oci_adopt() - Take over the OCI manifest of an image that manifest.json named
 * @ld:	   Load
 * @index: index.json
 * @draft: Image; gets manifest and media types if one fits, else stays as it is
 */
void load_oci_adopt(struct load *ld, const struct ingest_blob *index, struct image_draft *draft)
{
	struct image_draft *other;

	if (!ld->others_read)
		oci_read_others(ld, index);
	LL_FOREACH (ld->others, other) {
		if (!oci_says_the_same(draft, other))
			continue;
		draft->manifest_blob = other->manifest_blob;
		draft->manifest_type = other->manifest_type;
		for (size_t l = 0; l < draft->view.diff_ids_n; l++)
			draft->layers[l].media_type = other->layers[l].media_type;
		return;
	}
}
