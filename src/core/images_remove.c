/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images_remove.c - `docker rmi` and `docker image prune`
 *
 * A name is taken away; the image goes with its last name. With the last tag of a repository go its
 * digests of that repository. Given an id, all names go, if there is one tag and nothing of another
 * repository, or with force. An image that a running container uses never goes; one that a stopped
 * container uses goes with force only. The words, and which question comes first, are dockerd's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/events.h"
#include "core/filters.h"
#include "core/images_impl.h"
#include "image/reference.h"

DEFINE_CLEANUP(struct image *, image_free)

/*
 * Readers: those who are making a container of an image. Writers: those who ask whether an image
 * is used and then delete it. Above every other lock.
 */
static pthread_rwlock_t images_lock = PTHREAD_RWLOCK_INITIALIZER;

/**
 * images_use_begin() - From now on no image is removed
 *
 * For whoever looks an image up and then publishes something that containers_use_image() finds.
 */
void images_use_begin(void)
{
	(void)pthread_rwlock_rdlock(&images_lock); /* fails only for a thread that writes */
}

/**
 * images_use_end() - Images may be removed again
 */
void images_use_end(void)
{
	(void)pthread_rwlock_unlock(&images_lock); /* we hold it */
}

static const char *id12(const char *id)
{
	return str_starts(id, DIGEST_PREFIX) ? digest_hex(id) : id;
}

static int conflict(const char *image_id, bool hard, const char *why, const char *container,
		    struct err *err)
{
	return err_user(err, ERR_CONFLICT, "conflict: unable to delete %.12s (%s) - %s%.12s",
			id12(image_id), hard ? "cannot be forced" : "must be forced", why,
			container ? container : "");
}

/* The length of the repository in "repo:tag" or "repo@digest" */
static size_t repository_len(const char *name)
{
	const char *at = strchr(name, '@'), *colon = strrchr(name, ':');

	return (size_t)((at ? at : colon) - name);
}

static bool same_repository(const char *a, const char *b)
{
	size_t len = repository_len(a);

	return repository_len(b) == len && strncmp(a, b, len) == 0;
}

/* At most one tag, and no digest of another repository: one name to whoever looks at it. */
static bool is_single_reference(const struct image *image)
{
	const char *first = image->repo_tags[0] ? image->repo_tags[0] : image->repo_digests[0];

	if (image->repo_tags[0] && image->repo_tags[1])
		return false;
	for (char **d = image->repo_digests; *d; d++)
		if (!same_repository(first, *d))
			return false;
	return true;
}

/* What stands against deleting the image itself. names: other names count (soft). */
static int check_conflicts(struct core *core, const struct image *image, bool force, bool names,
			   struct err *err)
{
	char user[ID_BUF];

	if (containers_use_image(core->containers, image->id, true, user))
		return conflict(image->id, true, "image is being used by running container ", user,
				err);
	if (force)
		return 0;
	if (names && !is_single_reference(image))
		return conflict(image->id, false, "image is referenced in multiple repositories",
				NULL, err);
	if (containers_use_image(core->containers, image->id, false, user))
		return conflict(image->id, false, "image is being used by stopped container ", user,
				err);
	return 0;
}

static int record(json_t *records, const char *what, const char *name, struct err *err)
{
	return json_array_append_new(records, json_pack("{s:s}", what, name)) < 0 ? err_oom(err)
										  : 0;
}

/* The images of a list share its digest: it is told once. */
static bool is_recorded(const json_t *records, const char *name)
{
	const json_t *line;
	size_t i;

	json_array_foreach (records, i, line) {
		const char *untagged = json_string_value(json_object_get(line, "Untagged"));

		if (untagged && str_eq(untagged, name))
			return true;
	}
	return false;
}

static int untag(struct core *core, const struct image *image, const char *name, json_t *records,
		 struct err *err)
{
	int r = image_untag(core->images, name, image->id, err);

	if (r < 0)
		return r;
	images_tell(core, "untag", image->id, image->id, image->labels);
	return is_recorded(records, name) ? 0 : record(records, "Untagged", name, err);
}

/* deleted is freed; it may be NULL. */
static int record_deleted(json_t *records, char **deleted, struct err *err)
{
	int r = 0;

	for (char **d = deleted; d && *d; d++) {
		if (r == 0)
			r = record(records, "Deleted", *d, err);
		free(*d);
	}
	free(deleted);
	return r;
}

/* The image and all names it has. ret_bytes: added to; may be NULL. */
static int delete_image(struct core *core, const struct image *image, json_t *records,
			uint64_t *ret_bytes, struct err *err)
{
	char **deleted = NULL;
	uint64_t bytes;
	int r = 0;

	for (char **t = image->repo_tags; *t && r == 0; t++)
		r = untag(core, image, *t, records, err);
	for (char **d = image->repo_digests; *d && r == 0; d++)
		r = untag(core, image, *d, records, err);
	if (r == 0)
		r = image_delete(core->images, image->id, &deleted, &bytes, err);
	if (r < 0)
		return r;
	if (ret_bytes)
		*ret_bytes += bytes;
	r = record_deleted(records, deleted, err);
	images_tell(core, "delete", image->id, image->id, image->labels);
	return r;
}

static int remove_by_id(struct core *core, const struct image *image, bool force, json_t *records,
			struct err *err)
{
	int r = check_conflicts(core, image, force, true, err);

	return r < 0 ? r : delete_image(core, image, records, NULL, err);
}

/* A tag went: the digests of its repository go along unless it has another tag. */
static int untag_digests(struct core *core, const struct image *image, const char *name,
			 json_t *records, struct err *err)
{
	int r = 0;

	for (char **t = image->repo_tags; *t; t++)
		if (same_repository(*t, name))
			return 0;
	for (char **d = image->repo_digests; *d && r == 0; d++)
		if (same_repository(*d, name))
			r = untag(core, image, *d, records, err);
	return r;
}

static void texts_free(char **texts)
{
	for (char **t = texts; t && *t; t++)
		free(*t);
	free(texts);
}

DEFINE_CLEANUP(char **, texts_free)

static bool any_in_repository(char *const *names, const char *name)
{
	for (; *names; names++)
		if (same_repository(*names, name))
			return true;
	return false;
}

/* A name went that came as a list which has this image: what it got by that name goes, too. */
static int untag_sibling(struct core *core, const struct image *image, const char *name,
			 json_t *records, struct err *err)
{
	_cleanup_(texts_freep) char **listed = NULL;
	bool by_digest = strchr(name, '@') != NULL;
	int r = image_listed_as(core->images, image->id, &listed, err);

	if (r < 0 || (!by_digest && (any_in_repository(image->repo_tags, name) ||
				     any_in_repository(listed, name))))
		return r;
	for (char **d = image->repo_digests; *d && r == 0; d++)
		if (by_digest ? str_eq(*d, name) : same_repository(*d, name))
			r = untag(core, image, *d, records, err);
	return r;
}

static int remove_sibling(struct core *core, const char *id, const char *name, json_t *records,
			  struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL, *left = NULL;
	char user[ID_BUF];
	int r;

	if (image_get(core->images, id, &image, NULL) < 0)
		return 0; /* it went with another name */
	r = untag_sibling(core, image, name, records, err);
	if (r == 0)
		r = image_get(core->images, id, &left, err);
	if (r < 0 || left->repo_tags[0] || left->repo_digests[0] || left->listed ||
	    containers_use_image(core->containers, id, false, user))
		return r;
	return delete_image(core, left, records, NULL, err);
}

/* The images of other platforms that came with a name, before it goes. */
struct siblings {
	struct {
		char *name; /* owned */
		char **ids; /* owned */
	} * of;		    /* owned */
	size_t n;
};

static void siblings_done(struct siblings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->of[i].name);
		texts_free(s->of[i].ids);
	}
	free(s->of);
}

static int siblings_of(struct core *core, const struct image *image, char *const *names,
		       struct siblings *ret, struct err *err)
{
	size_t n = 0;
	int r = 0;

	while (names[n])
		n++;
	ret->of = calloc(n + 1, sizeof(*ret->of));
	if (!ret->of)
		return err_oom(err);
	for (; ret->n < n && r == 0; ret->n++) {
		struct err why = {};

		ret->of[ret->n].name = strdup(names[ret->n]);
		if (!ret->of[ret->n].name)
			return err_oom(err);
		/* a list that is damaged must not keep its names from going */
		if (image_siblings(core->images, names[ret->n], image->id, &ret->of[ret->n].ids,
				   &why) < 0)
			log_warn("%s: its images of other platforms stay: %s", names[ret->n],
				 why.msg);
	}
	return r;
}

static int remove_siblings(struct core *core, const struct siblings *siblings, json_t *records,
			   struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < siblings->n; i++)
		for (char **id = siblings->of[i].ids; r == 0 && id && *id; id++)
			r = remove_sibling(core, *id, siblings->of[i].name, records, err);
	return r;
}

static int remove_by_name(struct core *core, const struct image *image, const char *name,
			  bool force, json_t *records, struct err *err)
{
	_cleanup_(image_freep) struct image *left = NULL, *last = NULL;
	char user[ID_BUF];
	int r;

	if (!force && is_single_reference(image) &&
	    containers_use_image(core->containers, image->id, false, user))
		return err_user(err, ERR_CONFLICT,
				"conflict: unable to remove repository reference \"%s\" (must "
				"force) - container %.12s is using its referenced image %.12s",
				name, user, id12(image->id));
	r = untag(core, image, name, records, err);
	if (r == 0)
		r = image_get(core->images, image->id, &left, err);
	if (r == 0 && !strchr(name, '@'))
		r = untag_digests(core, left, name, records, err);
	if (r == 0)
		r = image_get(core->images, image->id, &last, err);
	if (r < 0 || last->repo_tags[0] || last->repo_digests[0])
		return r;
	/* its last name went: an image in use stays, without one, and nobody is told off */
	if (check_conflicts(core, last, force, false, NULL) < 0)
		return 0;
	return delete_image(core, last, records, NULL, err);
}

/* An id or the beginning of one, rather than a name */
static bool is_id(const struct image *image, const char *text)
{
	return str_starts(image->id, text) || str_starts(digest_hex(image->id), text);
}

static int familiar_name(const char *text, char **ret, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	int r = reference_parse(text, &ref, err);

	if (r < 0)
		return r;
	if (ref.digest) /* "name:tag@digest" means the digest */
		free(TAKE_PTR(ref.tag));
	if (reference_default_tag(&ref) < 0)
		return err_oom(err);
	*ret = reference_familiar(&ref);
	return *ret ? 0 : err_oom(err);
}

/**
 * images_remove() - Take a name away, and the image with its last one
 * @core:	 Managers
 * @ref_or_id:	 Name, id, or the beginning of one
 * @force:	 Also if stopped containers use it or it has several names
 * @ret_records: What went; new reference
 * @err:	 ERR_NOT_FOUND, ERR_CONFLICT
 *
 * Return: 0 or negative errno
 */
int images_remove(struct core *core, const char *ref_or_id, bool force, json_t **ret_records,
		  struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	_cleanup_(json_decrefp) json_t *records = json_array();
	_cleanup_(siblings_done) struct siblings siblings = {};
	_cleanup_free_ char *name = NULL;
	int r;

	(void)pthread_rwlock_wrlock(&images_lock); /* fails only for a thread that holds it */
	r = image_get(core->images, ref_or_id, &image, err);
	if (r == 0 && is_id(image, ref_or_id)) {
		r = siblings_of(core, image, image->repo_tags, &siblings, err);
		if (r == 0)
			r = remove_by_id(core, image, force, records, err);
	} else if (r == 0) {
		r = familiar_name(ref_or_id, &name, err);
		if (r == 0)
			r = siblings_of(core, image, (char *const[]){name, NULL}, &siblings, err);
		if (r == 0)
			r = remove_by_name(core, image, name, force, records, err);
	}
	if (r == 0)
		r = remove_siblings(core, &siblings, records, err);
	(void)pthread_rwlock_unlock(&images_lock); /* we hold it */
	if (r < 0)
		return r;
	*ret_records = TAKE_PTR(records);
	return 0;
}

/* Nobody wants it: no names (or all that are unused) and no container. */
static bool prune_wanted(struct core *core, const struct image *image, bool dangling_only)
{
	char user[ID_BUF];

	if (dangling_only && (image->repo_tags[0] || image->listed))
		return false;
	return !containers_use_image(core->containers, image->id, false, user);
}

static int prune_one(struct core *core, const char *id, bool dangling_only, json_t *records,
		     uint64_t *bytes, struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	int r = 0;

	(void)pthread_rwlock_wrlock(&images_lock); /* fails only for its holder */
	/* it may have gone, or got a name, since it was listed */
	if (image_get(core->images, id, &image, NULL) == 0 &&
	    prune_wanted(core, image, dangling_only))
		r = delete_image(core, image, records, bytes, err);
	(void)pthread_rwlock_unlock(&images_lock); /* we hold it */
	return r;
}

static int prune_filters(const char *text, json_t **ret, bool *ret_dangling, struct err *err)
{
	static const char *const known[] = {"dangling", "label", "label!", "until", NULL};
	int r = filters_parse(text, known, ret, err);

	*ret_dangling = true;
	if (r == 0 && json_array_size(json_object_get(*ret, "until")) > 1)
		return err_user(err, ERR_INVALID, "more than one until filter specified");
	if (r == 0)
		r = filters_bool(*ret, "dangling", ret_dangling, err);
	if (r < 0 || !filters_has(*ret, "dangling"))
		return r;
	return json_object_del(*ret, "dangling") < 0 ? err_oom(err) : 0;
}

/* What broken pulls left has no image whose label or age a filter could ask for. */
static int prune_kept(struct core *core, const json_t *filters, json_t *records, uint64_t *bytes,
		      struct err *err)
{
	char **deleted = NULL;
	uint64_t kept = 0;
	int r;

	if (json_object_size(filters))
		return 0;
	r = image_prune_kept(core->images, &deleted, &kept, err);
	*bytes += kept;
	return r < 0 ? r : record_deleted(records, deleted, err);
}

/**
 * images_prune() - Delete images that nobody uses, and what broken pulls left
 * @core:	 Managers
 * @filters:	 dangling, label, label!, until; NULL or "" is dangling=true
 * @ret_records: What went; new reference
 * @ret_bytes:	 How much
 * @err:	 ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int images_prune(struct core *core, const char *filters, json_t **ret_records, uint64_t *ret_bytes,
		 struct err *err)
{
	_cleanup_(json_decrefp) json_t *parsed = NULL, *records = json_array();
	uint64_t bytes = 0;
	struct image **images = NULL;
	_cleanup_free_ char *reclaimed = NULL;
	bool dangling;
	size_t n = 0;
	int r;

	r = prune_filters(filters, &parsed, &dangling, err);
	if (r == 0)
		r = images_list_filtered(core, parsed, true, &images, &n, err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = prune_one(core, images[i]->id, dangling, records, &bytes, err);
	images_free_all(images, n);
	if (r == 0)
		r = prune_kept(core, parsed, records, &bytes, err);
	if (r < 0)
		return r;
	*ret_bytes = bytes;
	*ret_records = TAKE_PTR(records);
	reclaimed = str_format("%llu", (unsigned long long)*ret_bytes);
	events_publish(core->events, "image", "prune", "",
		       json_pack("{s:s}", "reclaimed", reclaimed ? reclaimed : "0"));
	return 0;
}
