/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_push.c - from the store to a registry
 *
 * DOC: Theory of operation
 *
 *	layers -> config -> manifest under the tag
 *
 * The manifest of an image that was pulled goes as it lies in the store, byte for byte: it has the
 * digest it had. A name that came as a manifest list goes as that list if all of it is here or in
 * another repository of that registry (push_missing.c), else as the one image that the name points
 * at. Of other images, layers that lie uncompressed are sent as gzip (push_gzip.c), and the
 * manifest names what they became. The config, and so the image's id, stays.
 *
 * While a push runs it holds the blobs of the image, so none goes away under it: an image that is
 * removed meanwhile is pushed all the same. Progress may be told by several threads: image_push()
 * puts a lock before it.
 */
#include "image/image_push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "store/store.h"

/* Progress of several threads, one at a time. */
struct push_progress {
	pthread_mutex_t lock;
	const struct image_push *args;
};

static int push_progress(void *user, json_t *line)
{
	struct push_progress *pp = user;
	int r;

	pthread_mutex_lock(&pp->lock);
	r = pp->args->progress(pp->args->user, line);
	pthread_mutex_unlock(&pp->lock);
	return r;
}

static void push_manifest_done(struct push_manifest *m)
{
	free(m->text);
}

static void push_done(struct push *push)
{
	json_decref(push->doc);
	image_strv_free(push->diff_ids);
	free(push->from);
}

static int push_read_manifest(struct push *push, const struct image *image, struct push_manifest *m,
			      struct err *err)
{
	_cleanup_free_ char *path = image_blob_path(push->is, image->manifest_digest);
	int r;

	if (!path)
		return err_oom(err);
	r = fs_read_file(path, OCI_MANIFEST_BYTES_MAX, &m->text, &m->len);
	if (r < 0)
		return err_sys(err, r, "cannot read the manifest %s", image->manifest_digest);
	m->type = image->manifest_type;
	memcpy(m->digest, image->manifest_digest, DIGEST_BUF);
	r = oci_parse(m->text, m->len, "manifest", &push->doc, err);
	return r < 0 ? r : oci_manifest_read(push->doc, &push->manifest, err);
}

/* A repository of the same registry that is known to have a layer of this image. */
static int push_find_from(struct push *push)
{
	_cleanup_(image_strv_freep) char **refs = NULL;
	int r;

	r = image_rows_texts(push->is,
			     "SELECT DISTINCT ref FROM image_digests d JOIN image_layers l ON "
			     "l.image_id = d.image_id WHERE l.blob_digest IN (SELECT blob_digest "
			     "FROM image_layers WHERE image_id = ?) ORDER BY ref",
			     push->id, &refs);
	for (char **ref = refs; r == 0 && ref && *ref && !push->from; ref++) {
		_cleanup_reference_ struct reference other = {};

		if (reference_parse(*ref, &other, NULL) < 0)
			continue; /* ours to write, so it can be read */
		if (str_eq(other.domain, push->ref->domain) && !str_eq(other.path, push->ref->path))
			push->from = TAKE_PTR(other.path);
	}
	return r;
}

static int pulled_row(void *user, struct store_row *row)
{
	*(bool *)user = store_row_int(row, 0) != 0;
	return 0;
}

static int push_find_pulled(struct push *push, struct err *err)
{
	int r = store_exec(push->is->store, "SELECT pulled FROM images WHERE id = ?", pulled_row,
			   &push->as_it_is, "s", push->id);

	return r < 0 ? err_sys(err, r, "cannot look up %s", push->id) : 0;
}

/* One layer's entry becomes what the layer became. */
static int push_name_layer(json_t *entry, const struct oci_desc *desc)
{
	/* the type first: desc may borrow from what is replaced */
	if (json_object_set_new(entry, "mediaType", json_string(desc->media_type)) < 0 ||
	    json_object_set_new(entry, "digest", json_string(desc->digest)) < 0)
		return -ENOMEM;
	return json_object_set_new(entry, "size", json_integer((json_int_t)desc->size));
}

/* The manifest that is sent: as it was, or with the layers that became gzip. */
static int push_name_layers(struct push *push, struct push_manifest *m, struct err *err)
{
	json_t *layers = json_object_get(push->doc, "layers");
	bool changed = false;

	for (size_t i = 0; i < push->manifest.layers_n; i++) {
		const struct oci_desc *desc = &push->manifest.layers[i];
		json_t *entry = json_array_get(layers, i);

		if (str_eq(json_string_value(json_object_get(entry, "digest")), desc->digest))
			continue;
		changed = true;
		if (push_name_layer(entry, desc) < 0)
			return err_oom(err);
	}
	if (!changed)
		return 0;
	free(m->text);
	m->text = json_dumps(push->doc, JSON_COMPACT);
	if (!m->text)
		return err_oom(err);
	m->len = strlen(m->text);
	sha256_digest_text(m->text, m->len, m->digest);
	return 0;
}

/**
 * push_put_manifest() - A manifest to the registry; what it names is there
 * @rg:	 Conversation that may push
 * @m:	 Its bytes
 * @tag: Tag or digest that it goes under
 * @err: Filled on failure
 *
 * Return: 0 or negative errno
 */
int push_put_manifest(struct registry *rg, const struct push_manifest *m, const char *tag,
		      struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_free_ char *path = str_format("manifests/%s", tag);
	struct registry_call call = {.method = "PUT",
				     .path = path,
				     .content_type = m->type,
				     .body = m->text,
				     .body_len = m->len};
	int r = path ? registry_call(rg, &call, &reply, err) : err_oom(err);

	if (r < 0)
		return r;
	if (reply.status != 201 && reply.status != 200 && reply.status != 202)
		return registry_error(rg, &call, &reply, err);
	return 0;
}

static int push_tell_result(struct push *push, const struct push_manifest *m, const char *tag)
{
	_cleanup_free_ char *line = str_format("%s: digest: %s size: %zu", tag, m->digest, m->len);
	int r = line ? image_say(&push->say, NULL, line) : -ENOMEM;

	if (r < 0)
		return r;
	return image_say_json(&push->say,
			      json_pack("{s:{}, s:{s:s, s:s, s:I}}", "progressDetail", "aux", "Tag",
					tag, "Digest", m->digest, "Size", (json_int_t)m->len));
}

static int push_remember(const struct push *push, const char *id, const struct push_manifest *m,
			 struct err *err)
{
	_cleanup_free_ char *name = reference_name(push->ref), *as = NULL;
	int r;

	as = name ? str_format("%s@%s", name, m->digest) : NULL;
	if (!as)
		return err_oom(err);
	r = image_rows_pulled_as(push->is, as, id);
	return r < 0 ? err_sys(err, r, "cannot write %s down", as) : 0;
}

/* All but the layers, which are there. */
static int push_documents(struct push *push, struct push_manifest *m, const char *tag,
			  struct err *err)
{
	struct push_file config = {.desc = push->manifest.config, .fd = -EBADF};
	struct registry *rg = NULL;
	int r = push_name_layers(push, m, err);

	if (r == 0)
		r = push_open(push, &rg, err);
	if (r == 0)
		r = push_blob(push, rg, &config, err);
	if (r == 0)
		r = push_put_manifest(rg, m, tag, err);
	cleanup_close(&config.fd);
	registry_close(rg);
	return r;
}

/* ret_sent: what was put under the tag; push_manifest_done() */
static int push_image(struct push *push, struct image *image, const char *tag,
		      struct push_manifest *ret_sent, struct err *err)
{
	_cleanup_(push_manifest_done) struct push_manifest m = {};
	int r;

	if (!*image->manifest_digest)
		return err_user(err, ERR_INTERNAL, "image %s has no manifest", image->id);
	memcpy(push->id, image->id, DIGEST_BUF);
	push->diff_ids = TAKE_PTR(image->diff_ids);
	r = push->as_it_is ? 0 : push_find_pulled(push, err);
	if (r == 0)
		r = push_read_manifest(push, image, &m, err);
	if (r == 0 && push_find_from(push) < 0)
		r = err_oom(err);
	if (r == 0)
		r = push_layers(push, err);
	if (r == 0)
		r = push_documents(push, &m, tag, err);
	if (r < 0)
		return r;
	*ret_sent = m;
	m = (struct push_manifest){};
	return 0;
}

/* An image of the list, under its own digest */
static int push_member(const struct push *list_push, struct image *image, const char *digest,
		       struct err *err)
{
	_cleanup_(push_done) struct push push = {.is = list_push->is,
						 .args = list_push->args,
						 .ref = list_push->ref,
						 .say = list_push->say,
						 .as_it_is = true};
	_cleanup_(push_manifest_done) struct push_manifest sent = {};

	return push_image(&push, image, digest, &sent, err);
}

/* The images of a list that are here, or NULL, entry by entry; their rows may go meanwhile. */
struct push_members {
	struct image **of; /* owned */
	size_t n;
};

static void push_members_done(struct push_members *members)
{
	for (size_t i = 0; i < members->n; i++)
		image_free(members->of[i]);
	free(members->of);
}

/* All of a list: its images that are here, then the list byte for byte. */
static int push_list(struct push *push, const struct image *image, const char *tag,
		     const struct manifest_list *list, const struct push_members *members,
		     struct err *err)
{
	_cleanup_(push_manifest_done) struct push_manifest m = {.len = list->len,
								.type = list->media_type};
	struct registry *rg = NULL;
	int r = 0;

	memcpy(push->id, image->id, DIGEST_BUF);
	memcpy(m.digest, list->digest, DIGEST_BUF);
	m.text = strdup(list->text); /* JSON: no NUL in it */
	if (!m.text)
		return err_oom(err);
	for (size_t i = 0; i < list->n && r == 0; i++)
		if (members->of[i])
			r = push_member(push, members->of[i], list->descs[i].digest, err);
	if (r == 0)
		r = push_open(push, &rg, err);
	if (r == 0)
		r = push_put_manifest(rg, &m, tag, err);
	registry_close(rg);
	for (size_t i = 0; i < list->n && r == 0; i++) /* as a pull would */
		if (members->of[i])
			r = push_remember(push, members->of[i]->id, &m, err);
	if (r == 0) /* last: it is what the digest means here */
		r = push_remember(push, image->id, &m, err);
	return r < 0 ? r : push_tell_result(push, &m, tag);
}

/* One image of a list went although the list was meant; clients explain it. */
static int push_tell_part(struct push *push, const struct manifest_list *list,
			  const struct push_manifest *m)
{
	return image_say_json(
		&push->say, json_pack("{s:{s:b, s:{s:s, s:s, s:I}, s:{s:s, s:s, s:I}}}", "aux",
				      "manifestPushedInsteadOfIndex", 1, "originalIndex",
				      "mediaType", list->media_type, "digest", list->digest, "size",
				      (json_int_t)list->len, "selectedManifest", "mediaType",
				      m->type, "digest", m->digest, "size", (json_int_t)m->len));
}

static int push_single(struct push *push, struct image *image, const char *tag,
		       const struct manifest_list *part_of, struct err *err)
{
	_cleanup_(push_manifest_done) struct push_manifest m = {};
	int r = push_image(push, image, tag, &m, err);

	if (r == 0)
		r = push_remember(push, image->id, &m, err);
	if (r == 0)
		r = push_tell_result(push, &m, tag);
	return r == 0 && part_of ? push_tell_part(push, part_of, &m) : r;
}

/* Whether the whole list is there once what is here was sent. Why not is of no interest: then the
 * image goes alone, and the client is told so. */
static bool push_can_keep(const struct push *push, const struct manifest_list *list)
{
	struct err why = {};
	int r = push_missing(push, list, &why);

	if (r < 0 && *why.msg)
		log_debug("the list %.19s cannot be kept: %s", list->digest, why.msg);
	return r == 0;
}

/* What is pushed, for all of its tags. */
struct push_job {
	struct image_store *is;	       /* borrowed */
	const struct image_push *args; /* borrowed */
	struct image_say say;
	struct image_job *job;
};

/* The image of a name on the platform that was asked for, and its blobs held. */
static int push_find_image(const struct push_job *pj, const char *familiar, struct image **ret,
			   struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	struct err missing;
	int r = image_get(pj->is, familiar, &image, &missing);

	if (r < 0)
		return err_user(err, ERR_NOT_FOUND, "tag does not exist: %s", familiar);
	if (pj->args->platform) {
		image_free(TAKE_PTR(image));
		r = image_get_for(pj->is, familiar, pj->args->platform, &image, err);
	}
	if (r == 0)
		r = image_job_hold_image(pj->job, image->id, err);
	if (r == 0)
		*ret = TAKE_PTR(image);
	return r;
}

/* The list and what of it is here */
static int push_hold_list(const struct push_job *pj, const struct manifest_list *list,
			  struct push_members *ret, struct err *err)
{
	int r = image_job_hold(pj->job, IMAGE_BLOB, list->digest, err);

	ret->of = calloc(list->n + 1, sizeof(*ret->of));
	if (!ret->of)
		return err_oom(err);
	for (; ret->n < list->n && r == 0; ret->n++) {
		const char *id = list->ids[ret->n];

		r = *id ? image_job_hold_image(pj->job, id, err) : 0;
		if (r == 0 && *id)
			r = image_get(pj->is, id, &ret->of[ret->n], err);
	}
	return r;
}

static int push_tag(const struct push_job *pj, const struct reference *ref, struct err *err)
{
	const struct image_push *args = pj->args;
	_cleanup_(push_done) struct push push = {
		.is = pj->is, .args = args, .ref = ref, .say = pj->say};
	_cleanup_free_ char *familiar = reference_familiar(ref);
	_cleanup_(manifest_list_freep) struct manifest_list *list = NULL;
	_cleanup_(push_members_done) struct push_members members = {};
	_cleanup_(image_freep) struct image *image = NULL;
	int r;

	if (!familiar)
		return err_oom(err);
	r = push_find_image(pj, familiar, &image, err);
	if (r == 0 && !args->platform)
		r = manifest_list_of(pj->is, familiar, &list, err);
	if (r == 0 && list)
		r = push_hold_list(pj, list, &members, err);
	if (r == 0 && list && push_can_keep(&push, list))
		r = push_list(&push, image, ref->tag, list, &members, err);
	else if (r == 0)
		r = push_single(&push, image, ref->tag, list, err);
	if (r == 0 && args->pushed)
		args->pushed(args->user, familiar);
	return r;
}

static int push_tags(const struct push_job *pj, struct reference *ref, struct err *err)
{
	_cleanup_free_ char *name = reference_name(ref), *familiar = reference_familiar_name(ref);
	_cleanup_free_ char *given = ref->tag ? strdup(ref->tag) : NULL;
	_cleanup_(image_strv_freep) char **tags = NULL;
	int r;

	if (!name || !familiar || (ref->tag && !given))
		return err_oom(err);
	r = image_rows_texts(pj->is,
			     "SELECT substr(ref, length(?1) + 2) FROM image_tags WHERE "
			     "substr(ref, 1, length(?1) + 1) = ?1 || ':' ORDER BY ref",
			     name, &tags);
	if (r < 0)
		return err_sys(err, r, "cannot look up %s", name);
	if (!*tags)
		return err_user(err, ERR_NOT_FOUND,
				"An image does not exist locally with the tag: %s", familiar);
	if (given)
		return push_tag(pj, ref, err);
	for (char **tag = tags; r == 0 && *tag; tag++) {
		r = reference_set_tag(ref, *tag, err);
		if (r == 0)
			r = push_tag(pj, ref, err);
	}
	return r;
}

/* Asked for a platform, dockerd looks before it says anything: then the error is a status. */
static int push_check_platform(struct image_store *is, const struct image_push *args,
			       struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;

	return args->platform ? image_get_for(is, args->ref, args->platform, &image, err) : 0;
}

/**
 * image_push() - Send an image, or all tags of a repository, to a registry
 * @is:	  Store
 * @args: What, as whom
 * @err:  Filled on failure
 *
 * Blocking.
 *
 * Return: 0, -ECANCELED, or another negative errno
 */
int image_push(struct image_store *is, const struct image_push *args, struct err *err)
{
	struct push_progress progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .args = args};
	struct push_job pj = {.is = is, .args = args, .say = {push_progress, &progress}};
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *first = NULL;
	int r = reference_parse(args->ref, &ref, err);

	if (r < 0)
		return r;
	if (ref.digest)
		return err_user(err, ERR_INVALID, "cannot push a digest reference");
	r = push_check_platform(is, args, err);
	if (r < 0)
		return r;
	first = str_format("The push refers to repository [%s/%s]", ref.domain, ref.path);
	if (!first)
		return err_oom(err);
	r = image_say(&pj.say, NULL, first);
	if (r == 0)
		r = image_job_begin(is, false, &pj.job, err);
	if (r < 0)
		return r;
	r = push_tags(&pj, &ref, err);
	image_job_end(pj.job, false);
	memory_give_back();
	return r;
}
