/* SPDX-License-Identifier: Apache-2.0 */
/* images_list.c - images that match filters: dangling, label, before, since, until, reference */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/filters.h"
#include "core/images_impl.h"
#include "image/reference.h"

DEFINE_CLEANUP(struct image *, image_free)

struct bounds {
	int64_t before_ns, since_ns; /* created strictly between; INT64_MAX and INT64_MIN if free */
	int dangling;		     /* -1 does not matter */
};

/**
 * images_free_all() - Free a list of images
 * @images: Heap array or NULL
 * @n:	    Its length
 */
void images_free_all(struct image **images, size_t n)
{
	for (size_t i = 0; i < n; i++)
		image_free(images[i]);
	free(images);
}

static int bound_image(struct core *core, const char *ref, int64_t *ret_ns, struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	int r = image_get(core->images, ref, &image, err);

	if (r < 0)
		return r;
	*ret_ns = image->created_ns;
	return 0;
}

static int bounds_read(struct core *core, const json_t *filters, bool inclusive, struct bounds *b,
		       struct err *err)
{
	const json_t *value;
	int64_t ns;
	size_t i;
	int r;

	*b = (struct bounds){.before_ns = INT64_MAX, .since_ns = INT64_MIN, .dangling = -1};
	json_array_foreach (json_object_get(filters, "before"), i, value) {
		r = bound_image(core, json_string_value(value), &ns, err);
		if (r < 0)
			return r;
		b->before_ns = MIN(b->before_ns, ns);
	}
	json_array_foreach (json_object_get(filters, "since"), i, value) {
		r = bound_image(core, json_string_value(value), &ns, err);
		if (r < 0)
			return r;
		b->since_ns = MAX(b->since_ns, ns);
	}
	json_array_foreach (json_object_get(filters, "until"), i, value) {
		if (clock_parse_timestamp(json_string_value(value), clock_realtime_ns(), &ns) < 0)
			return err_user(err, ERR_INVALID,
					"failed to parse value as time or duration: \"%.60s\"",
					json_string_value(value));
		b->before_ns = MIN(b->before_ns, ns + inclusive);
	}
	json_array_foreach (json_object_get(filters, "reference"), i, value)
		if (!glob_valid(json_string_value(value)))
			return err_user(err, ERR_INVALID, "syntax error in pattern");
	if (filters_has(filters, "dangling")) {
		bool dangling = false;

		r = filters_bool(filters, "dangling", &dangling, err);
		if (r < 0)
			return r;
		b->dangling = dangling;
	}
	return 0;
}

/* Go's path.Match over the familiar name, with and without its tag */
static bool reference_fits(const char *pattern, const char *name)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *repository = NULL;

	if (glob_match(pattern, name))
		return true;
	if (reference_parse(name, &ref, NULL) < 0)
		return false;
	repository = reference_familiar_name(&ref);
	return repository && glob_match(pattern, repository);
}

static bool any_reference_fits(const json_t *patterns, const char *name)
{
	const json_t *value;
	size_t i;

	json_array_foreach (patterns, i, value)
		if (reference_fits(json_string_value(value), name))
			return true;
	return false;
}

/* Keep the names that fit; none is left: the image does not match. */
static bool keep_references(const json_t *patterns, struct image *image)
{
	char **lists[] = {image->repo_tags, image->repo_digests};
	size_t kept = 0;

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		char **to = lists[l];

		for (char **from = lists[l]; *from; from++) {
			if (!any_reference_fits(patterns, *from)) {
				free(*from);
				continue;
			}
			*to++ = *from;
			kept++;
		}
		*to = NULL;
	}
	return kept > 0;
}

static bool image_matches(const json_t *filters, const struct bounds *b, struct image *image)
{
	bool dangling = !image->repo_tags[0] && !image->listed;

	if (b->dangling >= 0 && dangling != (b->dangling != 0))
		return false;
	if (b->before_ns != INT64_MAX && image->created_ns >= b->before_ns)
		return false;
	if (b->since_ns != INT64_MIN && image->created_ns <= b->since_ns)
		return false;
	if (!filters_match_labels(filters, "label", image->labels) ||
	    !filters_match_labels(filters, "label!", image->labels))
		return false;
	return !filters_has(filters, "reference") ||
	       keep_references(json_object_get(filters, "reference"), image);
}

/**
 * images_list_filtered() - Images that match parsed filters
 * @core:	Managers
 * @filters:	From filters_parse()
 * @inclusive:	Whether "until" takes in images of that very moment, as prune's does
 * @ret_images: Newest first; images_free_all()
 * @ret_n:	Their number
 * @err:	ERR_INVALID, ERR_NOT_FOUND (before, since)
 *
 * Return: 0 or negative errno
 */
int images_list_filtered(struct core *core, const json_t *filters, bool inclusive,
			 struct image ***ret_images, size_t *ret_n, struct err *err)
{
	struct image **images = NULL;
	size_t n = 0, kept = 0;
	struct bounds b;
	int r;

	r = bounds_read(core, filters, inclusive, &b, err);
	if (r == 0)
		r = image_list(core->images, &images, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (image_matches(filters, &b, images[i]))
			images[kept++] = images[i];
		else
			image_free(images[i]);
	}
	*ret_images = images;
	*ret_n = kept;
	return 0;
}

/* The old parameter of its own, before there were filters for it */
static int add_reference(json_t **filters, const char *reference, struct err *err)
{
	json_t *list;

	if (!*filters)
		*filters = json_object();
	list = json_object_get(*filters, "reference");
	if (!list) {
		list = json_array();
		if (json_object_set_new(*filters, "reference", list) < 0)
			return err_oom(err);
	}
	return json_array_append_new(list, json_string(reference)) < 0 ? err_oom(err) : 0;
}

/**
 * images_list() - Images, newest first
 * @core:	Managers
 * @filters:	Text of the query parameter; NULL or "" for all
 * @reference:	One more value of the filter "reference"; NULL or "" for none
 * @ret_images: Heap array; free each with image_free(), then the array
 * @ret_n:	Their number
 * @err:	ERR_INVALID, ERR_NOT_FOUND
 *
 * Return: 0 or negative errno
 */
int images_list(struct core *core, const char *filters, const char *reference,
		struct image ***ret_images, size_t *ret_n, struct err *err)
{
	/* no "label!": dockerd has it for prune only */
	static const char *const known[] = {"dangling",	 "label", "before", "since",
					    "reference", "until", NULL};
	_cleanup_(json_decrefp) json_t *parsed = NULL;
	int r = filters_parse(filters, known, &parsed, err);

	if (r == 0 && !str_empty(reference))
		r = add_reference(&parsed, reference, err);
	return r < 0 ? r : images_list_filtered(core, parsed, false, ret_images, ret_n, err);
}

/**
 * images_usage() - Who else uses what images use
 * @core:   Managers
 * @images: Images
 * @n:	    Their number
 * @shared: Whether shared_bytes is wanted; else it is -1
 * @ret:    Heap array of @n
 * @err:    Filled on failure
 *
 * Return: 0 or negative errno
 */
int images_usage(struct core *core, struct image *const *images, size_t n, bool shared,
		 struct images_usage **ret, struct err *err)
{
	_cleanup_free_ struct images_usage *usage = calloc(n + 1, sizeof(*usage));
	_cleanup_free_ int64_t *bytes = calloc(n + 1, sizeof(*bytes));
	int r;

	if (!usage || !bytes)
		return err_oom(err);
	if (shared) {
		r = image_shared_bytes(core->images, images, n, bytes, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		usage[i].shared_bytes = shared ? bytes[i] : -1;
		usage[i].containers = containers_count_image(core->containers, images[i]->id);
	}
	*ret = TAKE_PTR(usage);
	return 0;
}
