/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_pull.c - from a registry into the store
 *
 * DOC: Theory of operation
 *
 *	name -> manifest (by way of an index) -> config -> layers -> rows
 *
 * Every document is digested and compared with what named it; where a tag named it, its own digest
 * is what the image is known by from then on. An image whose config is here already gets its name
 * and nothing else. The order of writing is image_draft.c's: rows last.
 *
 * Threads: the caller's, for as long as it takes; it ends early when the cancel fires.
 *
 * Hostile: everything the registry says.
 */
#include "image/image_pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "image/manifest_list.h"
#include "store/store.h"

#define PULL_INDEX_DEPTH_MAX 4
#define PULL_TAGS_MAX 10000
#define PULL_TAG_PAGES_MAX 1000 /* a registry can say "next" for ever */
#define PULL_TYPE_SCHEMA1 "application/vnd.docker.distribution.manifest.v1"

static void pull_done(struct pull *pull)
{
	json_decref(pull->manifest_doc);
	json_decref(pull->list_doc);
	registry_reply_done(&pull->list_reply);
	image_draft_free(pull->draft);
	registry_close(pull->rg);
}

/**
 * pull_explain() - An answer that is no manifest, in dockerd's words around the registry's
 * @rg:	   Conversation
 * @call:  What was asked
 * @reply: The answer
 * @ref:   What the user calls it
 * @err:   Filled
 *
 * Return: negative errno
 */
int pull_explain(const struct registry *rg, const struct registry_call *call,
		 const struct registry_reply *reply, const struct reference *ref, struct err *err)
{
	_cleanup_free_ char *name = reference_familiar_name(ref);
	_cleanup_free_ char *full = reference_familiar(ref);
	char words[512];

	registry_error_text(reply, words, sizeof(words));
	if (str_starts(words, "denied") || reply->status == 403)
		return err_user(err, ERR_NOT_FOUND,
				"pull access denied for %s, repository does not exist or may "
				"require 'docker login'%s%s",
				name ?: "", *words ? ": " : "", words);
	if (str_starts(words, "name unknown"))
		return err_user(err, ERR_NOT_FOUND, "repository %s not found: %s", name ?: "",
				words);
	if (reply->status == 404)
		return err_user(err, ERR_NOT_FOUND, "manifest for %s not found: %s", full ?: "",
				*words ? words : "manifest unknown: manifest unknown");
	return registry_error(rg, call, reply, err);
}

/* A document by tag or digest; by digest it is what it should be. */
static int pull_manifest(struct pull *pull, const struct reference *ref, const char *which,
			 struct registry_reply *ret_reply, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_free_ char *path = str_format("manifests/%s", which);
	struct registry_call call = {.method = "GET", .path = path, .accept = PULL_ACCEPT};
	char digest[DIGEST_BUF];
	int r;

	if (!path)
		return err_oom(err);
	r = registry_call(pull->rg, &call, &reply, err);
	if (r < 0)
		return r;
	if (reply.status != 200)
		return pull_explain(pull->rg, &call, &reply, ref, err);
	sha256_digest_text(reply.data, reply.len, digest);
	if (digest_valid(which) && !str_eq(digest, which))
		return err_user(err, ERR_INVALID,
				"manifest verification failed for digest %s: the registry sent %s",
				which, digest);
	if (digest_valid(reply.digest) && !str_eq(digest, reply.digest))
		return err_user(err, ERR_INVALID,
				"manifest verification failed for digest %s: the registry sent %s",
				reply.digest, digest);
	(void)snprintf(reply.digest, sizeof(reply.digest), "%s", digest); /* it fits */
	*ret_reply = reply;
	reply = (struct registry_reply){};
	return 0;
}

/**
 * pull_type() - The media type of a document
 * @reply: It came in
 * @doc:   Document
 *
 * Return: a type of ours, or what it calls itself
 */
const char *pull_type(const struct registry_reply *reply, const json_t *doc)
{
	const char *type = json_string_value(json_object_get(doc, "mediaType"));

	if (str_empty(type))
		type = reply->type;
	if (oci_type_is_index(type) || oci_type_is_manifest(type) ||
	    str_starts(type, PULL_TYPE_SCHEMA1))
		return type;
	return json_object_get(doc, "manifests") ? OCI_TYPE_INDEX : OCI_TYPE_MANIFEST;
}

/* What it came as and what it is must not disagree (CVE-2021-41190). */
static int pull_check_type(const struct registry_reply *reply, const json_t *doc, struct err *err)
{
	bool index = json_object_get(doc, "manifests") != NULL;

	if (index ? !oci_type_is_manifest(reply->type) : !oci_type_is_index(reply->type))
		return 0;
	return err_user(err, ERR_INVALID, "invalid manifest: expected %s but found %s",
			index ? "manifest" : "index", index ? "index" : "manifest");
}

static int pull_choose(struct pull *pull, const json_t *doc, char ret_digest[static DIGEST_BUF],
		       struct err *err)
{
	_cleanup_free_ struct oci_desc *descs = NULL;
	size_t n, best = 0;
	int r, best_score = 0;

	r = oci_index_read(doc, &descs, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		bool attestation =
			descs[i].annotations &&
			json_object_get(descs[i].annotations, "vnd.docker.reference.type");
		int score = attestation
				    ? 0
				    : oci_platform_score(descs[i].platform, pull->args->platform);

		if (score > best_score) {
			best = i;
			best_score = score;
		}
	}
	if (best_score == 0)
		return err_user(err, ERR_NOT_FOUND,
				"no matching manifest for %s%s in the manifest list entries",
				pull->args->platform ?: "linux/",
				pull->args->platform ? "" : oci_host_architecture());
	memcpy(ret_digest, descs[best].digest, DIGEST_BUF);
	return 0;
}

static int pull_refuse_schema1(const struct reference *ref, struct err *err)
{
	_cleanup_free_ char *familiar = reference_familiar(ref);

	return err_user(
		err, ERR_INVALID,
		"Docker Image Format v1 and Docker Image manifest version 2, schema 1 "
		"support has been removed. Suggest the author of %s to upgrade the image to "
		"the OCI Format or Docker Image manifest v2, schema 2. More information at "
		"https://docs.docker.com/go/deprecated-image-specs/",
		familiar ?: "");
}

/* From the name to the manifest of one image; its bytes go to the ingest. */
static int pull_resolve(struct pull *pull, const struct reference *ref,
			struct registry_reply *ret_reply, const char **ret_type, struct err *err)
{
	char digest[DIGEST_BUF];
	const char *which = ref->digest ?: ref->tag;

	for (int depth = 0; depth < PULL_INDEX_DEPTH_MAX; depth++) {
		_cleanup_registry_reply_ struct registry_reply reply = {};
		_cleanup_(json_decrefp) json_t *doc = NULL;
		const char *type;
		int r = pull_manifest(pull, ref, which, &reply, err);

		if (r == 0 && depth == 0)
			memcpy(pull->top_digest, reply.digest, DIGEST_BUF);
		if (r == 0)
			r = oci_parse(reply.data, reply.len, "manifest", &doc, err);
		if (r < 0)
			return r;
		r = pull_check_type(&reply, doc, err);
		if (r < 0)
			return r;
		type = pull_type(&reply, doc);
		if (str_starts(type, PULL_TYPE_SCHEMA1) ||
		    json_integer_value(json_object_get(doc, "schemaVersion")) == 1)
			return pull_refuse_schema1(ref, err);
		if (!oci_type_is_index(type)) {
			*ret_type = str_eq(type, DOCKER_TYPE_MANIFEST) ? DOCKER_TYPE_MANIFEST
								       : OCI_TYPE_MANIFEST;
			pull->manifest_doc = TAKE_PTR(doc);
			*ret_reply = reply;
			reply = (struct registry_reply){};
			return 0;
		}
		r = pull_choose(pull, doc, digest, err);
		if (r < 0)
			return r;
		if (depth == 0) { /* what the name is; it is kept */
			pull->list_type =
				str_eq(type, DOCKER_TYPE_LIST) ? DOCKER_TYPE_LIST : OCI_TYPE_INDEX;
			pull->list_doc = TAKE_PTR(doc);
			pull->list_reply = reply;
			reply = (struct registry_reply){};
		}
		which = digest;
	}
	return err_user(err, ERR_INVALID, "invalid index: indexes are nested too deep");
}

static int pull_take(struct pull *pull, const void *data, size_t len, struct ingest_blob **ret,
		     struct err *err)
{
	int r = ingest_blob_begin(pull->in, ret, err);

	if (r == 0)
		r = ingest_blob_add(pull->in, *ret, data, len, err);
	return r < 0 ? r : ingest_blob_end(pull->in, *ret, err);
}

/* A document that the store has already; what is there was digested on its way in. */
static bool pull_read_own(struct pull *pull, const struct oci_desc *desc,
			  struct registry_reply *reply)
{
	_cleanup_free_ char *path = image_blob_path(pull->is, desc->digest);
	char digest[DIGEST_BUF];

	if (!path || fs_read_file(path, OCI_CONFIG_BYTES_MAX, &reply->data, &reply->len) < 0)
		return false;
	sha256_digest_text(reply->data, reply->len, digest);
	if (reply->len == desc->size && str_eq(digest, desc->digest))
		return true;
	registry_reply_done(reply);
	return false;
}

static int pull_config(struct pull *pull, struct ingest_blob **ret, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	const struct oci_desc *desc = &pull->manifest.config;
	_cleanup_free_ char *path = str_format("blobs/%s", desc->digest);
	struct registry_call call = {.method = "GET", .path = path};
	int r;

	if (!path)
		return err_oom(err);
	if (*desc->media_type && !str_eq(desc->media_type, OCI_TYPE_CONFIG) &&
	    !str_eq(desc->media_type, DOCKER_TYPE_CONFIG))
		return err_user(err, ERR_INVALID,
				"invalid rootfs in image configuration: unsupported config type "
				"\"%.100s\": this is no container image",
				desc->media_type);
	if (pull_read_own(pull, desc, &reply)) /* of an image that is here, or another's twin */
		return pull_take(pull, reply.data, reply.len, ret, err);
	r = registry_call(pull->rg, &call, &reply, err);
	if (r < 0)
		return r;
	if (reply.status != 200)
		return registry_error(pull->rg, &call, &reply, err);
	r = pull_take(pull, reply.data, reply.len, ret, err);
	if (r < 0)
		return r;
	if (reply.len != desc->size || !str_eq(ingest_blob_digest(*ret), desc->digest))
		return err_user(err, ERR_INVALID, "image config verification failed for digest %s",
				desc->digest);
	return 0;
}

static int pull_check_layers(struct pull *pull, struct err *err)
{
	const struct oci_manifest *m = &pull->manifest;

	if (m->layers_n != pull->draft->view.diff_ids_n)
		return err_user(err, ERR_INVALID,
				"layers from manifest don't match image configuration: %zu layers, "
				"%zu diff ids",
				m->layers_n, pull->draft->view.diff_ids_n);
	for (size_t i = 0; i < m->layers_n; i++) {
		pull->draft->layers[i].media_type = oci_layer_type(m->layers[i].media_type);
		if (!pull->draft->layers[i].media_type)
			return err_user(err, ERR_INVALID, "unsupported layer media type \"%.100s\"",
					m->layers[i].media_type);
	}
	return 0;
}

static int pull_check_platform(struct pull *pull, const struct reference *ref, struct err *err)
{
	const struct oci_config *c = &pull->draft->view;
	_cleanup_(json_decrefp) json_t *have =
		json_pack("{s:s, s:s, s:s}", "os", *c->os ? c->os : "linux", "architecture",
			  c->architecture, "variant", c->variant);
	_cleanup_free_ char *familiar = reference_familiar(ref);

	if (!pull->args->platform || !*c->architecture ||
	    oci_platform_score(have, pull->args->platform) > 0)
		return 0;
	return err_user(err, ERR_NOT_FOUND,
			"image with reference %s was found but does not match the specified "
			"platform: wanted %s, actual: %s/%s",
			familiar ?: "", pull->args->platform, c->os, c->architecture);
}

static int pull_take_list(struct pull *pull, struct err *err)
{
	if (!pull->list_doc)
		return 0;
	pull->draft->list_doc = TAKE_PTR(pull->list_doc);
	pull->draft->list_type = pull->list_type;
	return pull_take(pull, pull->list_reply.data, pull->list_reply.len, &pull->draft->list_blob,
			 err);
}

/* Documents are in, the draft is begun; layers may be missing. */
static int pull_begin(struct pull *pull, const struct reference *ref, struct err *err)
{
	_cleanup_free_ char *from = str_format("Pulling from %s", ref->path);
	_cleanup_free_ char *canonical = reference_canonical(ref);
	_cleanup_registry_reply_ struct registry_reply reply = {};
	struct ingest_blob *config, *manifest;
	const char *type = NULL;
	int r;

	if (!from || !canonical)
		return err_oom(err);
	r = pull_resolve(pull, ref, &reply, &type, err);
	if (r == 0) /* from here on there is something to tell: errors become lines */
		r = image_say_json(&pull->say, json_pack("{s:s, s:s}", "status", from, "id",
							 ref->tag ?: canonical));
	if (r == 0)
		r = oci_manifest_read(pull->manifest_doc, &pull->manifest, err);
	if (r == 0)
		r = pull_take(pull, reply.data, reply.len, &manifest, err);
	if (r == 0)
		r = pull_config(pull, &config, err);
	if (r == 0)
		r = image_draft_new(pull->in, config, &pull->draft, err);
	if (r < 0)
		return r;
	pull->draft->manifest_blob = manifest;
	pull->draft->manifest_type = type;
	r = pull_take_list(pull, err);
	if (r < 0)
		return r;
	r = pull_check_platform(pull, ref, err);
	return r < 0 ? r : pull_check_layers(pull, err);
}

/* Under what names the image will be known, and whether it has been already. */
static int pull_name(struct pull *pull, const struct reference *ref, struct err *err)
{
	_cleanup_free_ char *name = reference_name(ref), *canonical = NULL, *old = NULL;
	int r;

	pull->draft->repo_digest = name ? str_format("%s@%s", name, pull->top_digest) : NULL;
	if (!pull->draft->repo_digest)
		return err_oom(err);
	if (!ref->digest) {
		canonical = reference_canonical(ref);
		if (!canonical || image_draft_add_tag(pull->draft, canonical) < 0)
			return err_oom(err);
	}
	r = image_rows_text(
		pull->is,
		ref->digest ? "SELECT image_id FROM image_digests WHERE ref = ? AND image_id = ?"
			    : "SELECT image_id FROM image_tags WHERE ref = ? AND image_id = ?",
		ref->digest ? pull->draft->repo_digest : canonical, pull->draft->id, &old);
	pull->up_to_date = old != NULL;
	return r < 0 ? err_sys(err, r, "cannot look up %s", pull->draft->repo_digest) : 0;
}

/* Whatever of the image is here from now on, or comes, stays. */
static int pull_hold(struct pull *pull, struct err *err)
{
	const struct image_draft *draft = pull->draft;
	struct image_job *job = pull->job;
	int r = image_job_hold(job, IMAGE_BLOB, draft->id, err);

	for (size_t i = 0; i < pull->manifest.layers_n && r == 0; i++) {
		r = image_job_hold(job, IMAGE_BLOB, pull->manifest.layers[i].digest, err);
		if (r == 0)
			r = image_job_hold(job, IMAGE_LAYER, draft->view.diff_ids[i], err);
	}
	return r;
}

static int pull_name_rows(struct pull *pull, bool *ret_here)
{
	struct image_store *is = pull->is;
	const struct image_draft *draft = pull->draft;
	_cleanup_free_ char *id = NULL;
	char old[DIGEST_BUF];
	int r = image_rows_text(is, "SELECT id FROM images WHERE id = ? AND id > ?", draft->id, "",
				&id);

	*ret_here = id != NULL;
	if (r == 0 && id)
		r = image_rows_pulled_as(is, draft->repo_digest, draft->id);
	if (r == 0 && id)
		r = image_draft_insert_list(is, draft);
	if (r == 0 && id && draft->tags_n)
		r = image_rows_tag(is, draft->tags[0], draft->id, 0, image_draft_list(draft), old);
	return r;
}

/* Give the image its names if it is here. */
static int pull_name_existing(struct pull *pull, bool *ret_here, struct err *err)
{
	struct image_store *is = pull->is;
	struct image_draft *draft = pull->draft;
	int r = 0;

	if (draft->list_blob)
		r = image_job_hold(pull->job, IMAGE_BLOB, image_draft_list(draft), err);
	if (r == 0 && draft->list_blob)
		r = ingest_blob_publish(pull->job->in, draft->list_blob, err);

	if (r < 0)
		return r;
	r = store_begin(is->store);
	if (r == 0) {
		r = pull_name_rows(pull, ret_here);
		if (r < 0)
			store_rollback(is->store);
		else
			r = store_commit(is->store);
	}
	if (r == 0 && *ret_here) {
		manifest_list_tidy(is); /* the name may have been another list's */
		r = image_index_write(is);
	}
	return r < 0 ? err_sys(err, r, "cannot write the image down") : 0;
}

static int pull_store(struct pull *pull, const struct reference *ref, struct err *err)
{
	bool here = false;
	int r;

	r = pull_begin(pull, ref, err);
	if (r == 0)
		r = pull_name(pull, ref, err);
	if (r == 0)
		r = pull_hold(pull, err);
	if (r == 0)
		r = pull_name_existing(pull, &here, err);
	if (r < 0 || here)
		return r;
	r = pull_layers(pull, err);
	if (r == 0)
		r = image_drafts_commit(pull->is, pull->draft, NULL, NULL, err);
	if (r == 0 && pull_kept_forget(pull->is) < 0)
		log_warn(
			"cannot forget layers that an image names by now"); /* only spared longer */
	return r;
}

static int pull_open(struct pull *pull, const struct reference *ref, struct err *err)
{
	struct registry_spec spec = {.options = pull->args->registries,
				     .domain = ref->domain,
				     .path = ref->path,
				     .auth = pull->args->auth,
				     .actions = "pull",
				     .cancel = pull->args->cancel};

	return registry_open(&spec, &pull->rg, err);
}

static int pull_one(struct image_store *is, const struct image_pull *args,
		    const struct reference *ref, bool *ret_newer, struct err *err)
{
	_cleanup_(pull_done) struct pull pull = {
		.is = is, .args = args, .say = {args->progress, args->user}};
	_cleanup_free_ char *familiar = reference_familiar(ref), *digest = NULL;
	int r;

	if (!familiar)
		return err_oom(err);
	r = pull_open(&pull, ref, err);
	if (r < 0)
		return r;
	r = image_job_begin(is, true, &pull.job, err);
	if (r < 0)
		return r;
	pull.in = pull.job->in;
	r = pull_store(&pull, ref, err);
	image_job_end(pull.job, true);
	if (r < 0)
		return r;
	*ret_newer = !pull.up_to_date;
	if (args->pulled)
		args->pulled(args->user, pull.draft->id, familiar);
	digest = str_format("Digest: %s", pull.top_digest);
	return digest ? image_say(&pull.say, NULL, digest) : err_oom(err);
}

static int pull_add_tags(const struct registry_reply *reply, char ***tags, size_t *n,
			 struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	json_t *tag;
	size_t i;
	int r = oci_parse(reply->data, reply->len, "list of tags", &doc, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(doc, "tags"), i, tag) {
		const char *text = json_string_value(tag);

		if (*n >= PULL_TAGS_MAX)
			return err_user(err, ERR_INVALID, "the repository has more than %d tags",
					PULL_TAGS_MAX);
		if (!text || !reference_tag_valid(text))
			text = ""; /* no tag: the pull ends there, see pull_all() */
		if (image_strv_add(tags, n, text) < 0)
			return err_oom(err);
	}
	return 0;
}

/* Link: <...>; rel="next" */
static char *pull_next_page(const struct registry_reply *reply)
{
	const char *start = reply->link ? strchr(reply->link, '<') : NULL;
	const char *end = start ? strchr(start, '>') : NULL;

	if (!end || !strstr(end, "rel=\"next\""))
		return NULL;
	return strndup(start + 1, (size_t)(end - start - 1));
}

static int pull_list_tags(struct registry *rg, const struct reference *ref, char ***ret_tags,
			  struct err *err)
{
	_cleanup_free_ char *path = strdup("tags/list");
	size_t n = 0, pages = 0;

	while (path) {
		_cleanup_registry_reply_ struct registry_reply reply = {};
		struct registry_call call = {.method = "GET", .path = path};
		int r;

		if (++pages > PULL_TAG_PAGES_MAX)
			return err_user(err, ERR_INVALID,
					"the repository has more than %d pages of tags",
					PULL_TAG_PAGES_MAX);
		r = registry_call(rg, &call, &reply, err);
		if (r < 0)
			return r;
		if (reply.status != 200)
			return pull_explain(rg, &call, &reply, ref, err);
		r = pull_add_tags(&reply, ret_tags, &n, err);
		if (r < 0)
			return r;
		free(path);
		path = pull_next_page(&reply);
	}
	return 0;
}

/* One after the other, as the registry lists them; dockerd as well stops at the first that is none.
 */
static int pull_all(struct image_store *is, const struct image_pull *args, struct reference *ref,
		    bool *ret_newer, struct err *err)
{
	_cleanup_(pull_done) struct pull pull = {
		.is = is, .args = args, .say = {args->progress, args->user}};
	_cleanup_(image_strv_freep) char **tags = NULL;
	int r = pull_open(&pull, ref, err);

	if (r == 0)
		r = pull_list_tags(pull.rg, ref, &tags, err);
	for (char **tag = tags; r == 0 && tag && *tag; tag++) {
		bool newer = false;

		r = reference_set_tag(ref, *tag, err);
		if (r == 0)
			r = pull_one(is, args, ref, &newer, err);
		*ret_newer |= newer;
	}
	free(TAKE_PTR(ref->tag));
	return r;
}

/**
 * image_pull() - Take in an image, or all tags of a repository
 * @is:	  Store
 * @args: What, from where, as whom
 * @err:  In dockerd's words where the registry's answer has a meaning for it
 *
 * Blocking. On failure the store is as it was, except that layers which were complete are spared
 * for the next attempt.
 *
 * Return: 0, -ECANCELED, or another negative errno
 */
int image_pull(struct image_store *is, const struct image_pull *args, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *familiar = NULL, *status = NULL;
	const struct image_say say = {args->progress, args->user};
	bool newer = false;
	int r = reference_parse(args->ref, &ref, err);

	if (r < 0)
		return r;
	if (ref.digest)
		free(TAKE_PTR(ref.tag)); /* the digest decides */
	r = ref.tag || ref.digest ? pull_one(is, args, &ref, &newer, err)
				  : pull_all(is, args, &ref, &newer, err);
	if (r < 0)
		return r;
	familiar = reference_familiar(&ref);
	status = familiar ? str_format("Status: %s for %s",
				       newer ? "Downloaded newer image" : "Image is up to date",
				       familiar)
			  : NULL;
	return status ? image_say(&say, NULL, status) : err_oom(err);
}
