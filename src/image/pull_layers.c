/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull_layers.c - the layers of an image that is being pulled
 *
 * DOC: Theory of operation
 *
 *	exists
 *	fetching -> fetched (size and digest right) -> converted (diff id right) -> kept
 *
 * All layers are fetched on the caller's thread and handed to the ingest as their bytes arrive; its
 * workers inflate, digest and convert them meanwhile. A layer that is converted is published and
 * written down at once (pull_kept.c), whatever becomes of the others. The same blob twice in a
 * manifest is fetched once.
 *
 * Progress follows dockerd's texts. Lines are told when something changed, at most ten times a
 * second a layer. The last "Pull complete" is told when the image can be run.
 *
 * Hostile: every byte; compared here are size, digest and diff id.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/cancel.h"
#include "image/image_pull.h"

#define PULL_WAIT_MS 100
#define PULL_ID_LEN 12

struct pull_layer {
	struct pull *pull;
	size_t index;		  /* of the first layer with this blob */
	char id[PULL_ID_LEN + 1]; /* as it is shown */
	struct ingest_blob *blob; /* borrowed; NULL: exists */
	bool ended, kept;
	uint64_t told; /* last number that was told */
	bool told_extracting;
};

struct pull_fetch {
	struct pull *pull;
	struct pull_layer layers[LAYERS_PER_IMAGE_MAX];
	struct registry_blob blobs[LAYERS_PER_IMAGE_MAX];
	struct pull_layer *of[LAYERS_PER_IMAGE_MAX]; /* the layer of each blob */
	size_t n_blobs, n_kept;
	struct pull_layer *last; /* of which "Pull complete" was not told */
};

static int layer_data(void *user, const void *data, size_t len, struct err *err)
{
	struct pull_layer *l = user;

	return ingest_blob_add(l->pull->in, l->blob, data, len, err);
}

static int layer_done(void *user, struct err *err)
{
	struct pull_layer *l = user;
	const struct oci_desc *desc = &l->pull->manifest.layers[l->index];
	int r;

	r = image_say_progress(&l->pull->say, l->id, "Downloading", desc->size, desc->size);
	if (r == 0)
		r = image_say(&l->pull->say, l->id, "Verifying Checksum");
	if (r == 0)
		r = ingest_blob_end(l->pull->in, l->blob, err);
	if (r < 0)
		return r;
	l->ended = true;
	if (!str_eq(ingest_blob_digest(l->blob), desc->digest))
		return err_user(err, ERR_INVALID,
				"filesystem layer verification failed for digest %s", desc->digest);
	return image_say(&l->pull->say, l->id, "Download complete");
}

/* Publish a layer whose conversion has ended; its diff id must be the config's. */
static int layer_keep(struct pull_layer *l, struct err *err)
{
	struct pull *pull = l->pull;
	const char *want = pull->draft->view.diff_ids[l->index];
	struct layer_info info;
	int r;

	r = ingest_blob_layer(pull->in, l->blob, &info, err);
	if (r < 0)
		return r;
	if (!str_eq(info.diff_id, want))
		return err_user(err, ERR_INVALID,
				"layers from manifest don't match image configuration: %s holds "
				"%s, not %s",
				ingest_blob_digest(l->blob), info.diff_id, want);
	r = ingest_blob_publish(pull->in, l->blob, err);
	if (r < 0)
		return r;
	r = pull_kept_add(pull->is, ingest_blob_digest(l->blob), info.diff_id);
	if (r < 0)
		return err_sys(err, r, "cannot write layer %s down", info.diff_id);
	l->kept = true;
	return 0;
}

static int layer_tell(struct pull_fetch *f, struct pull_layer *l, const struct registry_blob *blob,
		      struct err *err)
{
	uint64_t converted;
	int r = 0;

	if (!l->ended) {
		if (blob->received == l->told)
			return 0;
		l->told = blob->received;
		return image_say_progress(&f->pull->say, l->id, "Downloading", blob->received,
					  blob->size);
	}
	if (l->kept)
		return 0;
	if (ingest_blob_progress(f->pull->in, l->blob, &converted)) {
		r = image_say_progress(&f->pull->say, l->id, "Extracting", blob->size, blob->size);
		if (r == 0)
			r = layer_keep(l, err);
		if (r < 0)
			return r;
		if (++f->n_kept < f->n_blobs)
			return image_say(&f->pull->say, l->id, "Pull complete");
		f->last = l;
		return 0;
	}
	if (converted == 0 || (converted == l->told && l->told_extracting))
		return 0;
	l->told = converted;
	l->told_extracting = true;
	return image_say_progress(&f->pull->say, l->id, "Extracting", converted, blob->size);
}

static int fetch_tick(void *user, struct err *err)
{
	struct pull_fetch *f = user;
	int r = 0;

	for (size_t i = 0; i < f->n_blobs && r == 0; i++)
		r = layer_tell(f, f->of[i], &f->blobs[i], err);
	return r;
}

static struct pull_layer *fetch_find(struct pull_fetch *f, const char *digest)
{
	for (size_t i = 0; i < f->n_blobs; i++)
		if (str_eq(f->blobs[i].digest, digest))
			return f->of[i];
	return NULL;
}

static int fetch_plan_layer(struct pull_fetch *f, size_t i, struct err *err)
{
	struct pull *pull = f->pull;
	const struct oci_desc *desc = &pull->manifest.layers[i];
	struct image_draft_layer *draft = &pull->draft->layers[i];
	struct pull_layer *l = fetch_find(f, desc->digest);
	int r;

	if (l) {
		draft->blob = l->blob;
		return 0;
	}
	l = &f->layers[i];
	*l = (struct pull_layer){.pull = pull, .index = i};
	(void)snprintf(l->id, sizeof(l->id), "%s", digest_hex(desc->digest)); /* cut to show */
	if (pull_kept_whole(pull->is, desc->digest, desc->size, pull->draft->view.diff_ids[i])) {
		memcpy(draft->known_digest, desc->digest, DIGEST_BUF);
		draft->known_bytes = desc->size;
		return image_say(&pull->say, l->id, "Already exists");
	}
	r = ingest_blob_begin(pull->in, &l->blob, err);
	if (r < 0)
		return r;
	draft->blob = l->blob;
	f->of[f->n_blobs] = l;
	f->blobs[f->n_blobs++] = (struct registry_blob){.digest = desc->digest,
							.size = desc->size,
							.data = layer_data,
							.done = layer_done,
							.user = l};
	return image_say(&pull->say, l->id, "Pulling fs layer");
}

static int fetch_plan(struct pull_fetch *f, struct err *err)
{
	struct pull *pull = f->pull;
	size_t at_once = pull->args->registries->max_downloads ?: REGISTRY_DOWNLOADS;
	int r = 0;

	for (size_t i = 0; i < pull->manifest.layers_n && r == 0; i++)
		r = fetch_plan_layer(f, i, err);
	for (size_t i = at_once; i < f->n_blobs && r == 0; i++)
		r = image_say(&pull->say, f->of[i]->id, "Waiting");
	return r;
}

static int fetch_convert(struct pull_fetch *f, struct err *err)
{
	int r = fetch_tick(f, err);

	while (r == 0 && f->n_kept < f->n_blobs) {
		if (cancel_fired(f->pull->args->cancel))
			return err_sys(err, -ECANCELED, "the pull was given up");
		ingest_wait(f->pull->in, PULL_WAIT_MS);
		r = fetch_tick(f, err);
	}
	return r;
}

/**
 * pull_layers() - Fetch and convert the layers that are not there
 * @pull: With manifest and draft
 * @err:  Filled on failure
 *
 * The draft is finished afterwards, see image_draft_finish().
 *
 * Return: 0 or negative errno
 */
int pull_layers(struct pull *pull, struct err *err)
{
	_cleanup_free_ struct pull_fetch *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_oom(err);
	f->pull = pull;
	r = fetch_plan(f, err);
	if (r == 0 && f->n_blobs)
		r = registry_fetch(pull->rg, f->blobs, f->n_blobs, fetch_tick, f, err);
	if (r == 0)
		r = fetch_convert(f, err);
	if (r == 0)
		r = image_draft_finish(pull->job, pull->draft, err);
	if (r == 0 && f->last)
		r = image_say(&pull->say, f->last->id, "Pull complete");
	return r;
}
