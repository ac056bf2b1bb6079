/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest_list.c - the image index (Docker: manifest list) that a name came as
 *
 * A tag points at one image; where it came as a list of several platforms, the list's document is
 * kept beside it, byte for byte. The images of the list that are here are found by the digests of
 * their manifests. A list lives as long as a tag or a name@digest leads to it.
 *
 * Hostile: the documents, which come from registries and archives; oci_index_read() checks them.
 */
#include "image/manifest_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "image/platform.h"
#include "image/reference.h"
#include "store/store.h"

/**
 * manifest_list_free() - Free a list; its rows stay
 * @list: List; may be NULL
 */
void manifest_list_free(struct manifest_list *list)
{
	if (!list)
		return;
	json_decref(list->doc);
	free(list->text);
	free(list->descs);
	free(list->ids);
	free(list);
}

/**
 * manifest_list_is_image() - Whether an entry is an image rather than something about one
 * @desc: Entry
 *
 * Return: the answer
 */
bool manifest_list_is_image(const struct oci_desc *desc)
{
	return !desc->annotations ||
	       !json_object_get(desc->annotations, "vnd.docker.reference.type");
}

/**
 * manifest_list_whole() - Whether all that it lists is here
 * @list: List
 *
 * Return: the answer
 */
bool manifest_list_whole(const struct manifest_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!*list->ids[i])
			return false;
	return list->n > 0;
}

/**
 * manifest_list_insert() - The rows of a list
 * @is:		Store, in a transaction
 * @digest:	Of the document, which is published
 * @media_type: Its type
 * @size_bytes: Its length
 * @doc:	The document
 * @err:	ERR_INVALID if it is no list
 *
 * Return: 0 or negative errno
 */
int manifest_list_insert(struct image_store *is, const char *digest, const char *media_type,
			 uint64_t size_bytes, const json_t *doc, struct err *err)
{
	_cleanup_free_ struct oci_desc *descs = NULL;
	size_t n;
	int r = oci_index_read(doc, &descs, &n, err);

	if (r < 0)
		return r;
	r = store_exec(is->store, "INSERT OR IGNORE INTO manifest_lists VALUES (?, ?, ?)", NULL,
		       NULL, "ssi", digest, media_type, (int64_t)size_bytes);
	for (size_t i = 0; i < n && r == 0; i++)
		r = store_exec(is->store,
			       "INSERT OR IGNORE INTO manifest_list_entries VALUES (?, ?, ?)", NULL,
			       NULL, "sis", digest, (int64_t)i, descs[i].digest);
	return r < 0 ? err_sys(err, r, "cannot write the list %s down", digest) : 0;
}

/**
 * manifest_list_drop_unnamed() - Forget the lists that no name leads to
 * @is:		 Store, in a transaction
 * @ret_digests: Of their documents, which are garbage now; NULL-terminated, heap
 *
 * Return: 0 or negative errno
 */
int manifest_list_drop_unnamed(struct image_store *is, char ***ret_digests)
{
	_cleanup_(image_strv_freep) char **digests = NULL;
	int r = image_rows_texts(
		is,
		"SELECT digest FROM manifest_lists WHERE digest NOT IN "
		"(SELECT list_digest FROM image_tags WHERE list_digest IS NOT NULL "
		"UNION SELECT substr(ref, instr(ref, '@') + 1) FROM image_digests)",
		NULL, &digests);

	for (char **d = digests; r == 0 && *d; d++)
		r = store_exec(is->store, "DELETE FROM manifest_lists WHERE digest = ?", NULL, NULL,
			       "s", *d);
	if (r == 0)
		*ret_digests = TAKE_PTR(digests);
	return r;
}

/**
 * manifest_list_tidy() - A name went, or points elsewhere: its list goes unless another one has it
 * @is: Store, not in a transaction; its lock is not held
 */
void manifest_list_tidy(struct image_store *is)
{
	_cleanup_(image_strv_freep) char **digests = NULL;
	int r;

	(void)pthread_mutex_lock(&is->lock);
	r = store_begin(is->store);
	if (r == 0) {
		r = manifest_list_drop_unnamed(is, &digests);
		if (r < 0)
			store_rollback(is->store);
		else
			r = store_commit(is->store);
	}
	if (r == 0 && *digests)
		r = store_sync(is->store);
	for (char **d = digests; r == 0 && *d; d++)
		image_file_free(is, IMAGE_BLOB, *d);
	(void)pthread_mutex_unlock(&is->lock);
	if (r < 0)
		log_warn("manifest lists without a name stay until the next start: %s",
			 strerror(-r));
}

/**
 * manifest_list_forget() - A list whose document is damaged or missing
 * @is:	    Store
 * @digest: Of the list; its names stay, each as the image that it points at
 *
 * Return: 0 or negative errno
 */
int manifest_list_forget(struct image_store *is, const char *digest)
{
	int r = store_exec(is->store,
			   "UPDATE image_tags SET list_digest = NULL WHERE list_digest = ?", NULL,
			   NULL, "s", digest);

	return r < 0 ? r
		     : store_exec(is->store, "DELETE FROM manifest_lists WHERE digest = ?", NULL,
				  NULL, "s", digest);
}

/**
 * manifest_list_find() - The digest of the list that a name came as
 * @is:	  Store, in a transaction or not
 * @text: As in image_get()
 * @ret:  Heap; NULL if there is none
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int manifest_list_find(struct image_store *is, const char *text, char **ret, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *canonical = NULL;
	int r;

	*ret = NULL;
	if (reference_parse(text, &ref, NULL) < 0)
		return 0; /* an id, which is one image */
	if (ref.digest)
		free(TAKE_PTR(ref.tag)); /* the digest decides */
	if (reference_default_tag(&ref) < 0)
		return err_oom(err);
	canonical = reference_canonical(&ref);
	if (!canonical)
		return err_oom(err);
	r = image_rows_text(is,
			    ref.digest ? "SELECT digest FROM manifest_lists JOIN image_digests ON "
					 "ref = ?1 WHERE digest = ?2"
				       : "SELECT list_digest FROM image_tags WHERE ref = ?1 AND "
					 "list_digest > ?2",
			    canonical, ref.digest ?: "", ret);
	return r < 0 ? err_sys(err, r, "cannot look up %s", text) : 0;
}

static int list_read(struct image_store *is, const char *digest, struct manifest_list *list,
		     struct err *err)
{
	_cleanup_free_ char *path = image_blob_path(is, digest), *type = NULL;
	int r;

	if (!path)
		return err_oom(err);
	(void)snprintf(list->digest, DIGEST_BUF, "%s", digest); /* one of ours: it fits */
	r = fs_read_file(path, OCI_MANIFEST_BYTES_MAX, &list->text, &list->len);
	if (r == 0)
		r = image_rows_text(
			is, "SELECT media_type FROM manifest_lists WHERE digest = ? AND digest > ?",
			digest, "", &type);
	if (r == 0 && !type)
		r = -ENOENT; /* its row went since */
	if (r < 0)
		return err_sys(err, r, "cannot read the list %s", digest);
	list->media_type = str_eq(type, DOCKER_TYPE_LIST) ? DOCKER_TYPE_LIST : OCI_TYPE_INDEX;
	r = oci_parse(list->text, list->len, "index", &list->doc, err);
	return r < 0 ? r : oci_index_read(list->doc, &list->descs, &list->n, err);
}

static int list_find_images(struct image_store *is, struct manifest_list *list, struct err *err)
{
	list->ids = calloc(list->n + 1, sizeof(*list->ids));
	if (!list->ids)
		return err_oom(err);
	for (size_t i = 0; i < list->n; i++) {
		_cleanup_free_ char *id = NULL;
		int r = image_rows_text(
			is, "SELECT id FROM images WHERE manifest_digest = ? AND id > ?",
			list->descs[i].digest, "", &id);

		if (r < 0)
			return err_sys(err, r, "cannot look up %s", list->descs[i].digest);
		(void)snprintf(list->ids[i], DIGEST_BUF, "%s", id ?: "");
	}
	return 0;
}

/**
 * manifest_list_of() - What a name came as
 * @is:	 Store
 * @ref: Name with a tag, or name@digest of a list
 * @ret: manifest_list_free(); NULL if it came as a single manifest, or is no such name
 * @err: Filled on failure
 *
 * Return: 0 or negative errno
 */
int manifest_list_of(struct image_store *is, const char *ref, struct manifest_list **ret,
		     struct err *err)
{
	_cleanup_free_ char *digest = NULL, *before = NULL;
	int r = manifest_list_find(is, ref, &digest, err);

	*ret = NULL;
	while (r == 0 && digest) {
		_cleanup_(manifest_list_freep) struct manifest_list *list =
			calloc(1, sizeof(*list));

		if (!list)
			return err_oom(err);
		r = list_read(is, digest, list, err);
		if (r == -ENOENT && (!before || !str_eq(digest, before))) {
			/* the name may point elsewhere by now, or have gone */
			free(before);
			before = TAKE_PTR(digest);
			r = manifest_list_find(is, ref, &digest, err);
			continue;
		}
		if (r == 0)
			r = list_find_images(is, list, err);
		if (r == 0)
			*ret = TAKE_PTR(list);
		return r;
	}
	return r;
}

/**
 * image_get_for() - The image that a name means on a platform
 * @is:	       Store
 * @ref_or_id: As in image_get()
 * @platform:  What it must be for; NULL is image_get()
 * @ret_image: image_free(); set on success only
 * @err:       ERR_NOT_FOUND in dockerd's words
 *
 * The image itself if it fits, else another one of the list that the name came as.
 *
 * Return: 0 or negative errno
 */
int image_get_for(struct image_store *is, const char *ref_or_id, const struct platform *platform,
		  struct image **ret_image, struct err *err)
{
	_cleanup_(manifest_list_freep) struct manifest_list *list = NULL;
	_cleanup_(image_freep) struct image *image = NULL;
	int r = image_get(is, ref_or_id, &image, err);

	if (r == 0 && platform && platform_check_image(platform, image, ref_or_id, NULL) < 0)
		r = manifest_list_of(is, ref_or_id, &list, err);
	for (size_t i = 0; r == 0 && list && i < list->n; i++) {
		_cleanup_(image_freep) struct image *other = NULL;

		if (*list->ids[i] && image_get(is, list->ids[i], &other, NULL) == 0 &&
		    platform_check_image(platform, other, ref_or_id, NULL) == 0) {
			*ret_image = TAKE_PTR(other);
			return 0;
		}
	}
	if (r == 0 && platform)
		r = platform_check_image(platform, image, ref_or_id, err);
	if (r == 0)
		*ret_image = TAKE_PTR(image);
	return r;
}

/**
 * image_listed_as() - The tags that came as a list which has an image
 * @is:	      Store
 * @id:	      Image
 * @ret_tags: Familiar; heap array of heap texts, NULL-terminated
 * @err:      Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_listed_as(struct image_store *is, const char *id, char ***ret_tags, struct err *err)
{
	_cleanup_(image_strv_freep) char **refs = NULL;
	int r = image_rows_texts(is,
				 "SELECT DISTINCT ref FROM images JOIN manifest_list_entries e ON "
				 "e.manifest_digest = images.manifest_digest JOIN image_tags t ON "
				 "t.list_digest = e.list_digest WHERE images.id = ? ORDER BY ref",
				 id, &refs);

	for (char **ref = refs; r == 0 && *ref; ref++) {
		char *familiar = reference_shorten(*ref);

		if (!familiar)
			return err_oom(err);
		free(*ref);
		*ref = familiar;
	}
	if (r < 0)
		return err_sys(err, r, "cannot look up %.19s", id);
	*ret_tags = TAKE_PTR(refs);
	return 0;
}

/**
 * image_siblings() - The other images of the list that a name came as
 * @is:	     Store
 * @ref:     Name
 * @id:	     The one that is not meant
 * @ret_ids: Heap array of heap texts, NULL-terminated
 * @err:     Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_siblings(struct image_store *is, const char *ref, const char *id, char ***ret_ids,
		   struct err *err)
{
	_cleanup_(manifest_list_freep) struct manifest_list *list = NULL;
	_cleanup_(image_strv_freep) char **ids = calloc(1, sizeof(char *));
	size_t n = 0;
	int r = ids ? manifest_list_of(is, ref, &list, err) : err_oom(err);

	for (size_t i = 0; r == 0 && list && i < list->n; i++)
		if (*list->ids[i] && !str_eq(list->ids[i], id) &&
		    image_strv_add(&ids, &n, list->ids[i]) < 0)
			r = err_oom(err);
	if (r == 0)
		*ret_ids = TAKE_PTR(ids);
	return r;
}

static json_t *list_entry_json(struct image_store *is, const struct oci_desc *desc, const char *id)
{
	_cleanup_(image_freep) struct image *image = NULL;
	bool here = *id && image_get(is, id, &image, NULL) == 0;
	const char *of = json_string_value(
		json_object_get(desc->annotations, "vnd.docker.reference.digest"));
	json_t *out;

	out = json_pack("{s:s, s:b, s:{s:s, s:s, s:I}, s:{s:I, s:I}, s:s}", "ID", desc->digest,
			"Available", here, "Descriptor", "mediaType", desc->media_type, "digest",
			desc->digest, "size", (json_int_t)desc->size, "Size", "Content",
			(json_int_t)(here ? image->manifest_bytes : 0), "Total",
			(json_int_t)(here ? image->size_bytes + image->manifest_bytes : 0), "Kind",
			manifest_list_is_image(desc) ? "image"
			: of			     ? "attestation"
						     : "unknown");
	if (!out)
		return NULL;
	if (desc->platform)
		(void)json_object_set(json_object_get(out, "Descriptor"), "platform",
				      (json_t *)desc->platform);
	if (desc->annotations)
		(void)json_object_set(json_object_get(out, "Descriptor"), "annotations",
				      (json_t *)desc->annotations);
	if (manifest_list_is_image(desc))
		(void)json_object_set_new(
			out, "ImageData",
			json_pack("{s:O?, s:[], s:{s:I}}", "Platform", desc->platform, "Containers",
				  "Size", "Unpacked", (json_int_t)(here ? image->size_bytes : 0)));
	else if (of)
		(void)json_object_set_new(out, "AttestationData", json_pack("{s:s}", "For", of));
	return out;
}

/* One that is damaged is as good as none to whoever looks at images. */
static struct manifest_list *list_try(struct image_store *is, const char *name)
{
	struct manifest_list *list = NULL;
	struct err why = {};

	if (manifest_list_of(is, name, &list, &why) < 0)
		log_warn("%s: %s", name, why.msg);
	return list;
}

/* Whether a text is a name with a tag, as image_get() reads it, and one of the image's */
static bool image_is_named(const struct image *image, const char *text)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *familiar = NULL;

	if (reference_parse(text, &ref, NULL) < 0 || ref.digest || reference_default_tag(&ref) < 0)
		return false;
	familiar = reference_familiar(&ref);
	for (char **t = image->repo_tags; *t; t++)
		if (str_eq(*t, familiar))
			return true;
	return false;
}

/**
 * image_manifests() - What a name came as, platform by platform
 * @is:	   Store
 * @image: From image_get() or image_list()
 * @name:  The one that was asked for; NULL or an id for any that the image has
 * @ret:   Docker's ImageManifestSummary array; new reference
 * @err:   Filled on failure
 *
 * An image that came as a single manifest has one entry.
 *
 * Return: 0 or negative errno
 */
int image_manifests(struct image_store *is, const struct image *image, const char *name,
		    json_t **ret, struct err *err)
{
	_cleanup_(manifest_list_freep) struct manifest_list *list = NULL;
	_cleanup_(json_decrefp) json_t *out = json_array(), *platform = NULL;
	struct oci_desc own = {.size = image->manifest_bytes, .media_type = image->manifest_type};
	bool named = name && image_is_named(image, name);

	if (named)
		list = list_try(is, name);
	for (char **t = image->repo_tags; !named && *t && !list; t++)
		list = list_try(is, *t);
	for (char **d = image->repo_digests; !named && *d && !list; d++)
		list = list_try(is, *d);
	for (size_t i = 0; list && i < list->n; i++)
		if (json_array_append_new(out, list_entry_json(is, &list->descs[i], list->ids[i])) <
		    0)
			return err_oom(err);
	if (!list && *image->manifest_digest) {
		memcpy(own.digest, image->manifest_digest, DIGEST_BUF);
		platform = json_pack("{s:s, s:s}", "architecture", image->architecture, "os",
				     *image->os ? image->os : "linux");
		own.platform = platform;
		if (json_array_append_new(out, list_entry_json(is, &own, image->id)) < 0)
			return err_oom(err);
	}
	*ret = TAKE_PTR(out);
	return 0;
}
