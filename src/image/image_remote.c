/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_remote.c - questions to registries: are these credentials good, what is this name, what is
 * there; nothing is stored
 *
 * Hostile: the answers.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "image/image_pull.h"

#define REMOTE_INDEX_URL "https://index.docker.io"

static void cleanup_registry(struct registry **rg)
{
	registry_close(*rg);
}
#define _cleanup_registry_ _cleanup_(cleanup_registry)

static int remote_open(const struct image_remote *remote, const char *domain, const char *path,
		       const char *actions, struct registry **ret, struct err *err)
{
	struct registry_spec spec = {.options = remote->registries,
				     .domain = domain,
				     .path = path,
				     .auth = remote->auth,
				     .actions = actions,
				     .cancel = remote->cancel};

	return registry_open(&spec, ret, err);
}

/**
 * image_remote_login() - Whether a registry accepts credentials
 * @remote: With credentials
 * @domain: Registry
 * @ret_identity_token: Heap text that stands for the password from now on, "" if there is none
 * @err:    ERR_UNAUTHORIZED where it does not
 *
 * Return: 0 or negative errno
 */
int image_remote_login(const struct image_remote *remote, const char *domain,
		       char **ret_identity_token, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_registry_ struct registry *rg = NULL;
	struct registry_call call = {.method = "GET", .path = "/v2/"};
	int r = remote_open(remote, domain, "", NULL, &rg, err);

	if (r == 0)
		r = registry_call(rg, &call, &reply, err);
	if (r < 0)
		return r;
	if (reply.status == 200) {
		*ret_identity_token = strdup(registry_identity_token(rg) ?: "");
		return *ret_identity_token ? 0 : err_oom(err);
	}
	return err_user(err, reply.status == 401 ? ERR_UNAUTHORIZED : ERR_INTERNAL,
			"login attempt to %s/v2/ failed with status: %ld%s", registry_base(rg),
			reply.status, reply.status == 401 ? " Unauthorized" : "");
}

static json_t *remote_platform(const json_t *doc)
{
	json_t *platform = json_object();

	for (size_t i = 0; platform && i < 5; i++) {
		static const char *const keys[] = {"architecture", "os", "os.version",
						   "os.features", "variant"};
		json_t *value = json_object_get(doc, keys[i]);

		if (value && !(json_is_string(value) && !*json_string_value(value)))
			(void)json_object_set(platform, keys[i], value); /* or it lacks */
	}
	return platform;
}

/* Of an index: what its entries say; of a manifest: what its config says. */
static int remote_platforms(struct registry *rg, const json_t *doc, bool index, json_t *ret_list,
			    struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_(json_decrefp) json_t *config = NULL;
	_cleanup_free_ char *path = NULL;
	struct registry_call call = {.method = "GET"};
	struct oci_manifest m;
	json_t *entry, *platform;
	size_t i;
	int r;

	json_array_foreach (json_object_get(doc, "manifests"), i, entry) {
		platform = json_object_get(entry, "platform");
		if (index && platform)
			(void)json_array_append_new(ret_list, remote_platform(platform));
	}
	if (index)
		return 0;
	r = oci_manifest_read(doc, &m, err);
	if (r < 0)
		return r;
	call.path = path = str_format("blobs/%s", m.config.digest);
	if (!path)
		return err_oom(err);
	r = registry_call(rg, &call, &reply, err);
	if (r < 0)
		return r;
	if (reply.status != 200)
		return registry_error(rg, &call, &reply, err);
	r = oci_parse(reply.data, reply.len, "image config", &config, err);
	if (r == 0)
		(void)json_array_append_new(ret_list, remote_platform(config));
	return r;
}

/**
 * image_remote_describe() - What a registry has under a name
 * @remote: As whom
 * @text:   Name with tag or digest; latest without
 * @ret:    Docker's DistributionInspect, new reference; set on success
 * @err:    Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_remote_describe(const struct image_remote *remote, const char *text, json_t **ret,
			  struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_(json_decrefp) json_t *doc = NULL, *platforms = json_array();
	_cleanup_reference_ struct reference ref = {};
	_cleanup_registry_ struct registry *rg = NULL;
	_cleanup_free_ char *path = NULL;
	struct registry_call call = {.method = "GET", .accept = PULL_ACCEPT};
	char digest[DIGEST_BUF];
	const char *type;
	int r = reference_parse(text, &ref, err);

	if (r == 0 && reference_default_tag(&ref) < 0)
		return err_oom(err);
	if (r == 0)
		r = remote_open(remote, ref.domain, ref.path, "pull", &rg, err);
	if (r < 0)
		return r;
	call.path = path = str_format("manifests/%s", ref.digest ?: ref.tag);
	if (!path || !platforms)
		return err_oom(err);
	r = registry_call(rg, &call, &reply, err);
	if (r < 0)
		return r;
	if (reply.status == 403)
		return registry_error(rg, &call, &reply, err);
	if (reply.status != 200)
		return pull_explain(rg, &call, &reply, &ref, err);
	sha256_digest_text(reply.data, reply.len, digest);
	if (ref.digest && !str_eq(digest, ref.digest))
		return err_user(err, ERR_INVALID, "manifest verification failed for digest %s",
				ref.digest);
	r = oci_parse(reply.data, reply.len, "manifest", &doc, err);
	if (r < 0)
		return r;
	type = pull_type(&reply, doc);
	r = remote_platforms(rg, doc, oci_type_is_index(type), platforms, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:{s:s, s:s, s:I}, s:O}", "Descriptor", "mediaType", type, "digest",
			 digest, "size", (json_int_t)reply.len, "Platforms", platforms);
	return *ret ? 0 : err_oom(err);
}

static void remote_escape(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf_add(out, text, 1);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
	}
}

/* "host:port/term" asks that host, everything else Docker Hub; dockerd's rule of names. */
static void remote_split_term(const char *term, char **ret_domain, const char **ret_rest)
{
	const char *slash = strchr(term, '/');
	size_t n = slash ? (size_t)(slash - term) : 0;

	*ret_rest = term;
	if (n && (memchr(term, '.', n) || memchr(term, ':', n) ||
		  strncmp(term, "localhost/", 10) == 0)) {
		*ret_domain = strndup(term, n);
		*ret_rest = slash + 1;
	} else {
		*ret_domain = strdup(REGISTRY_DOCKER_IO);
	}
}

static int remote_read_results(const struct registry_reply *reply, json_t **ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	json_t *results;
	int r = oci_parse(reply->data, reply->len, "list of search results", &doc, err);

	if (r < 0)
		return r;
	results = json_object_get(doc, "results");
	*ret = json_is_array(results) ? json_incref(results) : json_array();
	return *ret ? 0 : err_oom(err);
}

/**
 * image_remote_search() - Ask a registry what it has
 * @remote: As whom
 * @term:   Words; "host:port/words" asks that host
 * @limit:  At most so many
 * @ret:    Results, new reference; set on success
 * @err:    Also where the registry has no search, as most have not
 *
 * Return: 0 or negative errno
 */
int image_remote_search(const struct image_remote *remote, const char *term, unsigned int limit,
			json_t **ret, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_registry_ struct registry *rg = NULL;
	_cleanup_free_ char *domain = NULL;
	_cleanup_buf_ struct buf path = {};
	struct registry_call call = {.method = "GET"};
	const char *rest;
	int r;

	remote_split_term(term, &domain, &rest);
	if (!domain)
		return err_oom(err);
	r = remote_open(remote, domain, "", "pull", &rg, err);
	if (r < 0)
		return r;
	buf_addf(&path,
		 "%s/v1/search?n=%u&q=", str_eq(domain, REGISTRY_DOCKER_IO) ? REMOTE_INDEX_URL : "",
		 limit);
	remote_escape(&path, rest);
	if (path.failed)
		return err_oom(err);
	call.path = path.data;
	r = registry_call(rg, &call, &reply, err);
	if (r < 0)
		return r;
	if (reply.status != 200)
		return err_user(err, ERR_INTERNAL, "Unexpected status code %ld", reply.status);
	return remote_read_results(&reply, ret, err);
}
