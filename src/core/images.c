/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.c - what happens to images: load, import, tag; and the events of it
 *
 * The store knows images; this file knows who is told. An event's attributes are the image's labels
 * and its name, as dockerd has them.
 */
#include "core/images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/core.h"
#include "core/events.h"
#include "core/filters.h"
#include "core/images_impl.h"

DEFINE_CLEANUP(struct image *, image_free)

/**
 * images_tell() - An event about an image
 * @core:   Managers
 * @action: "load", "tag", ...
 * @id:	    Image
 * @name:   What the event calls it
 * @labels: Of its config, or NULL
 */
void images_tell(struct core *core, const char *action, const char *id, const char *name,
		 const json_t *labels)
{
	json_t *attributes = labels ? json_deep_copy(labels) : json_object();

	if (attributes && name)
		(void)json_object_set_new(attributes, "name", json_string(name));
	events_publish(core->events, "image", action, id, attributes);
}

struct load_user {
	struct core *core;
	const struct image_load *load; /* what the client wants to be told */
};

static int load_progress(void *user, json_t *line)
{
	struct load_user *lu = user;

	return lu->load->progress ? lu->load->progress(lu->load->user, line) : 0;
}

static void load_loaded(void *user, const char *id)
{
	struct load_user *lu = user;
	_cleanup_(image_freep) struct image *image = NULL;

	if (image_get(lu->core->images, id, &image, NULL) == 0)
		images_tell(lu->core, "load", id, id, image->labels);
}

/**
 * images_load() - Take in an archive of images
 * @core:     Managers
 * @source:   The archive
 * @load:     What to take, and whom to tell; its `loaded` is not called
 * @err:      ERR_INVALID for every defect of the archive
 *
 * Return: 0 or negative errno; then no image of it is there
 */
int images_load(struct core *core, const struct byte_source *source, const struct image_load *load,
		struct err *err)
{
	struct load_user lu = {.core = core, .load = load};
	struct image_load told = *load;

	told.progress = load_progress;
	told.loaded = load_loaded;
	told.user = &lu;
	return image_load(core->images, source, &told, err);
}

/**
 * images_import() - Make an image of a root filesystem
 * @core:   Managers
 * @source: A tar
 * @import: What to make of it
 * @ret_id: Its id
 * @err:    ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int images_import(struct core *core, const struct byte_source *source,
		  const struct images_import *import, char ret_id[static DIGEST_BUF],
		  struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	int r;

	r = image_import(core->images, source, import->ref, import->message, import->changes,
			 import->n_changes, import->platform, ret_id, err);
	if (r < 0)
		return r;
	if (image_get(core->images, ret_id, &image, NULL) == 0)
		images_tell(core, "import", ret_id, ret_id, image->labels);
	return 0;
}

struct push_user {
	struct core *core;
	const struct image_push *push;
};

static int push_progress(void *user, json_t *line)
{
	struct push_user *pu = user;

	return pu->push->progress(pu->push->user, line);
}

static void push_pushed(void *user, const char *familiar)
{
	struct push_user *pu = user;
	_cleanup_(image_freep) struct image *image = NULL;

	if (image_get(pu->core->images, familiar, &image, NULL) == 0)
		images_tell(pu->core, "push", familiar, familiar, image->labels);
}

/**
 * images_push() - Send an image, or all tags of a repository, to a registry
 * @core: Managers
 * @push: What; its `pushed` is not called
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int images_push(struct core *core, const struct image_push *push, struct err *err)
{
	struct push_user pu = {.core = core, .push = push};
	struct image_push told = *push;

	told.progress = push_progress;
	told.pushed = push_pushed;
	told.user = &pu;
	return image_push(core->images, &told, err);
}

static bool search_matches(const json_t *filters, json_t *result)
{
	static const char *const flags[][2] = {{"is-official", "is_official"},
					       {"is-automated", "is_automated"}};
	const json_t *least;
	int64_t stars = 0;
	size_t k;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (filters_has(filters, flags[i][0]) &&
		    !filters_match(filters, flags[i][0],
				   json_is_true(json_object_get(result, flags[i][1])) ? "true"
										      : "false"))
			return false;
	json_array_foreach (json_object_get(filters, "stars"), k, least)
		if (str_i64(json_string_value(least), &stars) == 0 &&
		    json_integer_value(json_object_get(result, "star_count")) < stars)
			return false;
	return true;
}

/**
 * images_search() - Ask a registry what it has
 * @remote:  As whom
 * @term:    Words
 * @limit:   At most so many
 * @filters: Text of the query parameter, or NULL
 * @ret:     Docker's list, new reference; set on success
 * @err:     Filled on failure
 *
 * Return: 0 or negative errno
 */
int images_search(const struct image_remote *remote, const char *term, unsigned int limit,
		  const char *filters, json_t **ret, struct err *err)
{
	static const char *const known[] = {"is-automated", "is-official", "stars", NULL};
	_cleanup_(json_decrefp) json_t *parsed = NULL, *all = NULL;
	json_t *result, *out;
	size_t i;
	int r = filters_parse(filters, known, &parsed, err);

	if (r == 0)
		r = image_remote_search(remote, term, limit, &all, err);
	if (r < 0)
		return r;
	out = json_array();
	if (!out)
		return err_oom(err);
	json_array_foreach (all, i, result) {
		if (json_array_size(out) < limit && search_matches(parsed, result))
			(void)json_array_append(out, result); /* or one is missing */
	}
	*ret = out;
	return 0;
}

/**
 * images_tag() - Give an image one more name
 * @core:      Managers
 * @ref_or_id: Image
 * @repo:      Repository, maybe with a tag
 * @tag:       Tag; NULL or "" for that of @repo, or latest
 * @err:       ERR_NOT_FOUND, ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int images_tag(struct core *core, const char *ref_or_id, const char *repo, const char *tag,
	       struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	_cleanup_free_ char *name = NULL;
	int r = image_tag(core->images, ref_or_id, repo, tag, &name, err);

	if (r < 0)
		return r;
	if (image_get(core->images, name, &image, NULL) == 0)
		images_tell(core, "tag", image->id, name, image->labels);
	return 0;
}
