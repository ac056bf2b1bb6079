/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push_missing.c - entries of a manifest list that are not here, from repository to repository
 *
 * Of a list usually one platform was pulled. Where the registry that it came from is the one that
 * it goes to, the others need not pass through this machine: their manifests are fetched and put
 * again, their blobs are mounted from the repository where they are. Elsewhere the list cannot be
 * kept.
 *
 * Hostile: what the registry says; a manifest has the digest that the list gave.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/image_pull.h"
#include "image/image_push.h"

/* A repository of this registry that the list was pulled from, or pushed to. */
static int missing_find_source(const struct push *push, const struct manifest_list *list,
			       char **ret_path, struct err *err)
{
	_cleanup_(image_strv_freep) char **refs = NULL;
	int r = image_rows_texts(push->is,
				 "SELECT DISTINCT ref FROM image_digests WHERE "
				 "substr(ref, instr(ref, '@') + 1) = ? ORDER BY ref",
				 list->digest, &refs);

	*ret_path = NULL;
	for (char **ref = refs; r == 0 && *ref && !*ret_path; ref++) {
		_cleanup_reference_ struct reference from = {};

		if (reference_parse(*ref, &from, NULL) == 0 &&
		    str_eq(from.domain, push->ref->domain))
			*ret_path = TAKE_PTR(from.path);
	}
	return r < 0 ? err_sys(err, r, "cannot look up %s", list->digest) : 0;
}

static int missing_open_source(const struct push *push, const char *path, struct registry **ret,
			       struct err *err)
{
	struct registry_spec spec = {.options = push->args->registries,
				     .domain = push->ref->domain,
				     .path = path,
				     .auth = push->args->auth,
				     .actions = "pull",
				     .cancel = push->args->cancel};

	return registry_open(&spec, ret, err);
}

/* Return: 0 if the blob is in the target's repository now */
static int missing_mount(struct registry *to, const char *from, const struct oci_desc *desc,
			 struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply head = {}, reply = {};
	_cleanup_free_ char *path = str_format("blobs/%s", desc->digest);
	_cleanup_free_ char *mount =
		str_format("blobs/uploads/?mount=%s&from=%s", desc->digest, from);
	struct registry_call ask = {.method = "HEAD", .path = path};
	struct registry_call call = {.method = "POST", .path = mount};
	int r = path && mount ? registry_call(to, &ask, &head, err) : err_oom(err);

	if (r < 0 || head.status == 200)
		return r;
	r = registry_call(to, &call, &reply, err);
	if (r < 0)
		return r;
	return reply.status == 201 ? 0 : registry_error(to, &call, &reply, err);
}

static int missing_fetch(struct registry *from, const struct oci_desc *desc,
			 struct registry_reply *ret, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_free_ char *path = str_format("manifests/%s", desc->digest);
	struct registry_call call = {.method = "GET", .path = path, .accept = PULL_ACCEPT};
	char digest[DIGEST_BUF];
	int r = path ? registry_call(from, &call, &reply, err) : err_oom(err);

	if (r < 0)
		return r;
	if (reply.status != 200)
		return registry_error(from, &call, &reply, err);
	sha256_digest_text(reply.data, reply.len, digest);
	if (!str_eq(digest, desc->digest))
		return err_user(err, ERR_INVALID,
				"manifest verification failed for digest %s: the registry sent %s",
				desc->digest, digest);
	*ret = reply;
	reply = (struct registry_reply){};
	return 0;
}

static int missing_copy(struct registry *from, const char *from_path, struct registry *to,
			const struct oci_desc *desc, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_(json_decrefp) json_t *doc = NULL;
	struct push_manifest m = {};
	struct oci_manifest parsed;
	int r = missing_fetch(from, desc, &reply, err);

	if (r == 0)
		r = oci_parse(reply.data, reply.len, "manifest", &doc, err);
	if (r == 0)
		r = oci_manifest_read(doc, &parsed, err); /* a list in the list is none */
	if (r == 0)
		r = missing_mount(to, from_path, &parsed.config, err);
	for (size_t i = 0; r == 0 && i < parsed.layers_n; i++)
		r = missing_mount(to, from_path, &parsed.layers[i], err);
	if (r < 0)
		return r;
	/* it becomes a header: a constant, not what the document calls itself */
	m = (struct push_manifest){.text = reply.data,
				   .len = reply.len,
				   .type = str_eq(pull_type(&reply, doc), DOCKER_TYPE_MANIFEST)
						   ? DOCKER_TYPE_MANIFEST
						   : OCI_TYPE_MANIFEST};
	return push_put_manifest(to, &m, desc->digest, err);
}

/**
 * push_missing() - Bring what of a list is not here into the repository that it goes to
 * @push: Push
 * @list: List
 * @err:  Filled on failure
 *
 * Return: 0 if all that is not here is there; -ENOENT (no err) if nothing is known to have it; or
 * another negative errno
 */
int push_missing(const struct push *push, const struct manifest_list *list, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct push there = *push; /* with a scope for the source */
	struct registry *from = NULL, *to = NULL;
	int r;

	if (manifest_list_whole(list))
		return 0;
	r = missing_find_source(push, list, &path, err);
	if (r == 0 && !path)
		return -ENOENT;
	there.from = path;
	if (r == 0)
		r = missing_open_source(push, path, &from, err);
	if (r == 0)
		r = push_open(&there, &to, err);
	for (size_t i = 0; r == 0 && i < list->n; i++)
		if (!*list->ids[i])
			r = missing_copy(from, path, to, &list->descs[i], err);
	registry_close(from);
	registry_close(to);
	return r;
}
