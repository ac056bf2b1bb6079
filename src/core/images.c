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
#include "core/core.h"
#include "core/events.h"
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
	image_progress_fn progress;
	void *user;
};

static int load_progress(void *user, json_t *line)
{
	struct load_user *lu = user;

	return lu->progress ? lu->progress(lu->user, line) : 0;
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
 * @quiet:    Only tell the results
 * @platform: "os/arch" to take from a multi-platform archive; NULL for the host's
 * @progress: Told lines for the client, all after the images are there; may be NULL
 * @user:     For @progress
 * @err:      ERR_INVALID for every defect of the archive
 *
 * Return: 0 or negative errno; then no image of it is there
 */
int images_load(struct core *core, const struct byte_source *source, bool quiet,
		const char *platform, image_progress_fn progress, void *user, struct err *err)
{
	struct load_user lu = {.core = core, .progress = progress, .user = user};
	struct image_load load = {.quiet = quiet,
				  .platform = platform,
				  .progress = load_progress,
				  .loaded = load_loaded,
				  .user = &lu};

	return image_load(core->images, source, &load, err);
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
