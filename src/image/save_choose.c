/* SPDX-License-Identifier: Apache-2.0 */
/*
 * save_choose.c - what `docker save` takes: images, their names, and the platforms of each
 *
 * A name with a tag brings itself, one without brings all of its tags, an id brings none. A name
 * that came as a manifest list brings every image of it that is here, or those of the platforms
 * that were asked for. An error here is still a status: nothing has been written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/image_save.h"
#include "image/reference.h"

/**
 * save_choice_done() - Free what a choice owns
 * @choice: Choice; may be zero
 */
void save_choice_done(struct save_choice *choice)
{
	for (size_t i = 0; i < choice->n; i++) {
		struct save_image *si = &choice->images[i];

		for (size_t t = 0; t < si->tags_n; t++) {
			free(si->tags[t].canonical);
			manifest_list_free(si->tags[t].list);
		}
		free(si->tags);
		image_strv_free(si->others);
	}
	free(choice->images);
	*choice = (struct save_choice){};
}

static int choose_find(struct save_choice *choice, const char *id, struct save_image **ret,
		       struct err *err)
{
	struct save_image *bigger;

	for (size_t i = 0; i < choice->n; i++) {
		if (str_eq(choice->images[i].id, id)) {
			*ret = &choice->images[i];
			return 0;
		}
	}
	if (choice->n >= SAVE_IMAGES_MAX)
		return err_user(err, ERR_INVALID, "more than %d images", SAVE_IMAGES_MAX);
	bigger = reallocarray(choice->images, choice->n + 1, sizeof(*bigger));
	if (!bigger)
		return err_oom(err);
	choice->images = bigger;
	*ret = &bigger[choice->n++];
	**ret = (struct save_image){};
	memcpy((*ret)->id, id, DIGEST_BUF);
	return 0;
}

/* The tag, and the list if it brings more than the image itself. */
static int choose_add_tag(struct save_image *si, char *canonical, struct manifest_list **list)
{
	struct save_tag *bigger;

	for (size_t i = 0; i < si->tags_n; i++) {
		if (str_eq(si->tags[i].canonical, canonical)) {
			free(canonical);
			return 0;
		}
	}
	bigger = reallocarray(si->tags, si->tags_n + 1, sizeof(*bigger));
	if (!bigger) {
		free(canonical);
		return -ENOMEM;
	}
	si->tags = bigger;
	bigger[si->tags_n++] = (struct save_tag){canonical, TAKE_PTR(*list)};
	return 0;
}

static int choose_add_other(struct save_image *si, const char *id)
{
	for (size_t i = 0; i < si->others_n; i++)
		if (str_eq(si->others[i], id))
			return 0;
	return image_strv_add(&si->others, &si->others_n, id);
}

/* The ids that a name brings: the first is what it points at, or what fits the first platform. */
static int choose_ids(struct image_store *is, const char *text, const struct image_save *args,
		      const struct manifest_list *list, char ***ret_ids, struct err *err)
{
	_cleanup_(image_strv_freep) char **ids = NULL;
	char platform[PLATFORM_TEXT_MAX];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < MAX(args->platforms_n, (size_t)1); i++) {
		_cleanup_(image_freep) struct image *image = NULL;
		const struct platform *wanted = args->platforms_n ? &args->platforms[i] : NULL;

		r = image_get_for(is, text, wanted, &image, wanted ? NULL : err);
		if (r < 0 && wanted) {
			platform_format(wanted, platform);
			return err_user(err, ERR_NOT_FOUND,
					"no suitable export target found for platform %s",
					platform);
		}
		if (r == 0 && image_strv_add(&ids, &n, image->id) < 0)
			r = err_oom(err);
	}
	for (size_t i = 0; r == 0 && list && !args->platforms_n && i < list->n; i++)
		if (*list->ids[i] && image_strv_add(&ids, &n, list->ids[i]) < 0)
			r = err_oom(err);
	if (r == 0)
		*ret_ids = TAKE_PTR(ids);
	return r;
}

static int choose_canonical(struct image_store *is, const char *text, char **ret, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *canonical = NULL;
	int r;

	*ret = NULL;
	if (reference_parse(text, &ref, NULL) < 0 || ref.digest)
		return 0;
	if (reference_default_tag(&ref) < 0)
		return err_oom(err);
	canonical = reference_canonical(&ref);
	if (!canonical)
		return err_oom(err);
	r = image_rows_text(is, "SELECT ref FROM image_tags WHERE ref = ? AND ref > ?", canonical,
			    "", ret);
	return r < 0 ? err_sys(err, r, "cannot look up %s", text) : 0;
}

static bool list_has(const struct manifest_list *list, const char *id)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->ids[i], id))
			return true;
	return false;
}

static int choose_one(struct image_store *is, const char *text, const struct image_save *args,
		      struct save_choice *choice, struct err *err)
{
	_cleanup_(manifest_list_freep) struct manifest_list *list = NULL;
	_cleanup_(image_strv_freep) char **ids = NULL;
	char *canonical = NULL, id[DIGEST_BUF];
	struct save_image *si = NULL;
	bool several = false;
	int r = image_rows_resolve(is, text, id, err);

	if (r == -ENOENT) /* as it was written, without the tag that goes without saying */
		return err_user(err, ERR_NOT_FOUND, "No such image: %.300s", text);
	if (r == 0)
		r = manifest_list_of(is, text, &list, err);
	if (r == 0)
		r = choose_ids(is, text, args, list, &ids, err);
	if (r == 0)
		r = choose_find(choice, ids[0], &si, err);
	for (char **other = ids; r == 0 && *other; other++) {
		if (str_eq(*other, ids[0]))
			continue;
		several = true;
		r = choose_add_other(si, *other) < 0 ? err_oom(err) : 0;
	}
	if (r == 0)
		r = choose_canonical(is, text, &canonical, err);
	if (r < 0 || !canonical)
		return r;
	/* one image of several, or one that is here with another manifest than the list has: it is
	 * saved as if it came alone, or the archive would not have it */
	if (list && (!list_has(list, ids[0]) || (!several && list->n > 1))) {
		manifest_list_free(list);
		list = NULL;
	}
	return choose_add_tag(si, canonical, &list) < 0 ? err_oom(err) : 0;
}

/* A name without a tag brings all of its tags. */
static int choose_all(struct image_store *is, const char *text, const struct image_save *args,
		      struct save_choice *choice, bool *ret_found, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_(image_strv_freep) char **refs = NULL;
	_cleanup_free_ char *name = NULL;
	int r;

	*ret_found = false;
	if (reference_parse(text, &ref, NULL) < 0 || ref.tag || ref.digest)
		return 0;
	name = reference_name(&ref);
	if (!name)
		return err_oom(err);
	r = image_rows_texts(is,
			     "SELECT ref FROM image_tags WHERE substr(ref, 1, length(?1) + 1) = "
			     "?1 || ':' ORDER BY ref",
			     name, &refs);
	if (r < 0)
		return err_sys(err, r, "cannot look up %s", text);
	for (char **t = refs; r == 0 && *t; t++) {
		r = choose_one(is, *t, args, choice, err);
		*ret_found = true;
	}
	return r;
}

/**
 * save_choose() - What a save takes
 * @is:	  Store
 * @args: What was asked for
 * @ret:  Zero at first; save_choice_done(), also on failure
 * @err:  ERR_NOT_FOUND, ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int save_choose(struct image_store *is, const struct image_save *args, struct save_choice *ret,
		struct err *err)
{
	bool found;
	int r = 0;

	if (args->refs_n == 0 || args->refs_n > SAVE_IMAGES_MAX)
		return err_user(err, ERR_INVALID, "1 to %d images are expected", SAVE_IMAGES_MAX);
	for (size_t i = 0; i < args->refs_n && r == 0; i++) {
		r = choose_all(is, args->refs[i], args, ret, &found, err);
		if (r == 0 && !found)
			r = choose_one(is, args->refs[i], args, ret, err);
	}
	return r;
}
