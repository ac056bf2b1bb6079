/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c - what goes through registries: pull, push, login, search, distribution */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/images_stream.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/core.h"
#include "core/images.h"
#include "core/pulls.h"
#include "image/platform.h"
#include "image/reference.h"
#include "registry/auth.h"
#include "registry/hosts.h"

#define SEARCH_LIMIT 25
#define SEARCH_LIMIT_MAX 100
#define PUSH_PLATFORM_SINCE 146

/* Who asks: X-Registry-Auth, or where that says nobody, the entry of X-Registry-Config for the
 * registry of @name. A header that cannot be read is nobody's, as with dockerd: the registry
 * decides. */
static void registry_read_auth(struct http_req *req, const char *name, struct registry_auth *auth)
{
	_cleanup_reference_ struct reference ref = {};
	struct err ignored;

	(void)registry_auth_parse(http_header(req, "X-Registry-Auth"), auth, &ignored);
	if (!registry_auth_is_empty(auth) || reference_parse(name, &ref, &ignored) < 0)
		return;
	registry_auth_done(auth);
	(void)registry_auth_parse_config(http_header(req, "X-Registry-Config"), ref.domain, auth,
					 &ignored);
}

static struct image_remote registry_remote(struct api *api, struct http_req *req,
					   const struct registry_auth *auth)
{
	return (struct image_remote){
		.registries = api->core->config.registries, .auth = auth, .cancel = &req->gone};
}

/* "name", and a tag or digest beside it */
static int pull_ref(const char *name, const char *tag, char **ret, struct err *err)
{
	_cleanup_reference_ struct reference ref = {};
	int r = reference_parse(name, &ref, err);

	if (r < 0)
		return r;
	if (str_empty(tag)) {
		*ret = reference_canonical(&ref);
		return *ret ? 0 : err_oom(err);
	}
	free(TAKE_PTR(ref.digest));
	free(TAKE_PTR(ref.tag));
	if (!digest_valid(tag)) {
		r = reference_set_tag(&ref, tag, err);
	} else {
		ref.digest = strdup(tag);
		r = ref.digest ? 0 : err_oom(err);
	}
	if (r < 0)
		return r;
	*ret = reference_canonical(&ref);
	return *ret ? 0 : err_oom(err);
}

/**
 * api_image_pull() - POST /images/create?fromImage&tag&platform -> 200 stream | 400 | 401 | 404
 * @api:  API
 * @req:  Request
 * @name: fromImage
 *
 * Return: 0 or negative errno
 */
int api_image_pull(struct api *api, struct http_req *req, const char *name)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	_cleanup_free_ char *platform = NULL, *ref = NULL;
	struct pull_request pull = {
		.auth = &auth, .gone = &req->gone, .progress = images_stream_line, .user = req};
	int r = images_platform_text(http_query(req, "platform"), &platform, &req->err);

	if (r == 0)
		r = pull_ref(name, http_query(req, "tag"), &ref, &req->err);
	if (r < 0)
		return r;
	registry_read_auth(req, ref, &auth);
	pull.ref = ref;
	pull.platform = platform;
	r = pulls_pull(api->core->pulls, &pull, &req->err);
	return r < 0 ? images_stream_error(req, r) : 0;
}

/* POST /images/{name}/push?tag -> 200 stream | 400 */
int api_image_push(struct api *api, struct http_req *req)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	_cleanup_free_ char *ref = NULL;
	struct image_push push = {.registries = api->core->config.registries,
				  .auth = &auth,
				  .cancel = &req->gone,
				  .progress = images_stream_line,
				  .user = req};
	const char *platform = http_query(req, "platform");
	struct platform wanted;
	int r = pull_ref(http_var(req, "name"), http_query(req, "tag"), &ref, &req->err);

	if (r == 0 && !str_empty(platform) && req->api_version >= PUSH_PLATFORM_SINCE) {
		r = platform_parse_json(platform, &wanted, &req->err);
		push.platform = &wanted;
	}
	if (r < 0)
		return r;
	registry_read_auth(req, ref, &auth);
	push.ref = ref;
	r = images_push(api->core, &push, &req->err);
	return r < 0 ? images_stream_error(req, r) : 0;
}

/* POST /auth -> 200 | 400 | 401 */
int api_auth(struct api *api, struct http_req *req)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	struct image_remote remote = registry_remote(api, req, &auth);
	_cleanup_(json_decrefp) json_t *body = NULL;
	_cleanup_free_ char *domain = NULL, *identity = NULL;
	const char *text, *address;
	size_t len;
	int r;

	r = api_body_json(req, &body);
	if (r == 0)
		r = http_body_all(req, HTTP_BODY_MAX, &text, &len);
	if (r == 0)
		r = registry_auth_from_json(text, len, &auth, &req->err);
	if (r < 0)
		return r;
	address = json_string_value(json_object_get(body, "serveraddress"));
	domain = registry_domain(address ?: "");
	if (!domain)
		return err_oom(&req->err);
	r = image_remote_login(&remote, domain, &identity, &req->err);
	if (r < 0)
		return r;
	return api_reply_json(
		req, 200,
		json_pack("{s:s, s:s}", "Status", "Login Succeeded", "IdentityToken", identity));
}

/* GET /distribution/{name}/json -> 200 | 400 | 401 | 404 */
int api_distribution(struct api *api, struct http_req *req)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	struct image_remote remote = registry_remote(api, req, &auth);
	json_t *doc;
	int r;

	registry_read_auth(req, http_var(req, "name"), &auth);
	r = image_remote_describe(&remote, http_var(req, "name"), &doc, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, doc);
}

/* GET /images/search?term&limit&filters -> 200 | 400 | 500 */
int api_image_search(struct api *api, struct http_req *req)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	struct image_remote remote = registry_remote(api, req, &auth);
	const char *term = http_query(req, "term");
	_cleanup_(json_decrefp) json_t *results = NULL;
	int limit = SEARCH_LIMIT, r;

	r = api_query_int(req, "limit", SEARCH_LIMIT, &limit);
	if (r < 0)
		return r;
	if (limit == 0)
		limit = SEARCH_LIMIT;
	if (limit < 1 || limit > SEARCH_LIMIT_MAX)
		return err_user(&req->err, ERR_INVALID, "limit %d is outside the range of [1, %d]",
				limit, SEARCH_LIMIT_MAX);
	if (str_empty(term))
		return err_user(&req->err, ERR_INVALID, "term is required");
	(void)registry_auth_parse(http_header(req, "X-Registry-Auth"), &auth, NULL);
	r = images_search(&remote, term, (unsigned int)limit, http_query(req, "filters"), &results,
			  &req->err);
	return r < 0 ? r : api_reply_json(req, 200, TAKE_PTR(results));
}
