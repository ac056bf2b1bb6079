/* SPDX-License-Identifier: Apache-2.0 */
/* images.c - looking at images and changing their names: list, inspect, history, tag, rmi, prune */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/images_json.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/core.h"
#include "core/images.h"
#include "image/platform.h"

#define IMAGE_INSPECT_PLATFORM_SINCE 149
#define IMAGE_HISTORY_PLATFORM_SINCE 148
#define IMAGE_LIST_MANIFESTS_SINCE 147
#define IMAGE_INSPECT_MANIFESTS_SINCE 148

DEFINE_CLEANUP(struct image *, image_free)

struct image_list {
	struct image **items; /* owned */
	size_t n;
	struct images_usage *usage; /* owned */
};

static void image_list_done(struct image_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		image_free(list->items[i]);
	free(list->items);
	free(list->usage);
}

/* What a name came as, where the client asks for it. name: the one asked for; NULL for any */
static int image_add_manifests(struct api *api, struct http_req *req, const struct image *image,
			       const char *name, unsigned int since, json_t *to)
{
	json_t *manifests;
	int r;

	if (req->api_version < since || !http_query_bool(req, "manifests", false))
		return 0;
	r = image_manifests(api->core->images, image, name, &manifests, &req->err);
	if (r < 0)
		return r;
	return json_object_set_new(to, "Manifests", manifests) < 0 ? err_oom(&req->err) : 0;
}

/* GET /images/json?all&filters&digests&shared-size&manifests -> 200 | 400 | 404 */
int api_image_list(struct api *api, struct http_req *req)
{
	_cleanup_(image_list_done) struct image_list list = {};
	_cleanup_(json_decrefp) json_t *out = json_array();
	json_t *summary;
	const char *reference = req->api_version < 141 ? http_query(req, "filter") : NULL;
	int r;

	r = images_list(api->core, http_query(req, "filters"), reference, &list.items, &list.n,
			&req->err);
	if (r == 0)
		r = images_usage(api->core, list.items, list.n,
				 req->api_version >= 142 &&
					 http_query_bool(req, "shared-size", false),
				 &list.usage, &req->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++) {
		if (req->api_version < 151)
			list.usage[i].containers = -1;
		summary = images_json_summary(list.items[i], &list.usage[i], req->api_version);
		if (json_array_append_new(out, summary) < 0)
			return err_oom(&req->err);
		r = image_add_manifests(api, req, list.items[i], NULL, IMAGE_LIST_MANIFESTS_SINCE,
					summary);
		if (r < 0)
			return r;
	}
	return api_reply_json(req, 200, TAKE_PTR(out));
}

/* The image of the path; with ?platform, if the version knows it, only one for that platform. */
static int image_of_request(struct api *api, struct http_req *req, unsigned int platform_since,
			    struct image **ret)
{
	const char *platform = http_query(req, "platform");
	const char *name = http_var(req, "name");
	bool wanted = !str_empty(platform) && req->api_version >= platform_since;
	struct platform p;
	int r;

	if (wanted) {
		r = platform_parse_json(platform, &p, &req->err);
		if (r < 0)
			return r;
	}
	return image_get_for(api->core->images, name, wanted ? &p : NULL, ret, &req->err);
}

static int image_reply_inspect(struct api *api, struct http_req *req, const struct image *image)
{
	_cleanup_(json_decrefp) json_t *out = images_json_inspect(image, req->api_version);
	int r = out ? image_add_manifests(api, req, image, http_var(req, "name"),
					  IMAGE_INSPECT_MANIFESTS_SINCE, out)
		    : err_oom(&req->err);

	return r < 0 ? r : api_reply_json(req, 200, TAKE_PTR(out));
}

/* GET /images/{name}/json?platform&manifests -> 200 | 400 | 404 */
int api_image_inspect(struct api *api, struct http_req *req)
{
	_cleanup_(image_freep) struct image *image = NULL;
	int r;

	if (req->api_version >= IMAGE_INSPECT_PLATFORM_SINCE &&
	    !str_empty(http_query(req, "platform")) && http_query_bool(req, "manifests", false))
		return err_user(
			&req->err, ERR_INVALID,
			"conflicting options: manifests and platform options cannot both be "
			"set");
	r = image_of_request(api, req, IMAGE_INSPECT_PLATFORM_SINCE, &image);
	if (r < 0)
		return r;
	return image_reply_inspect(api, req, image);
}

/* GET /images/{name}/history?platform -> 200 | 400 | 404 */
int api_image_history(struct api *api, struct http_req *req)
{
	_cleanup_(image_freep) struct image *image = NULL;
	json_t *history;
	int r = image_of_request(api, req, IMAGE_HISTORY_PLATFORM_SINCE, &image);

	if (r == 0)
		r = image_history(api->core->images, image, &history, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, history);
}

/* POST /images/{name}/tag?repo&tag -> 201 | 400 | 404 */
int api_image_tag(struct api *api, struct http_req *req)
{
	const char *repo = http_query(req, "repo");
	int r;

	r = images_tag(api->core, http_var(req, "name"), repo ? repo : "", http_query(req, "tag"),
		       &req->err);
	return r < 0 ? r : http_resp_empty(req, 201);
}

/* DELETE /images/{name}?force&noprune -> 200 | 404 | 409 */
int api_image_remove(struct api *api, struct http_req *req)
{
	json_t *records;
	int r;

	r = images_remove(api->core, http_var(req, "name"), http_query_bool(req, "force", false),
			  &records, &req->err);
	return r < 0 ? r : api_reply_json(req, 200, records);
}

/* POST /images/prune?filters -> 200 | 400 */
int api_image_prune(struct api *api, struct http_req *req)
{
	json_t *records;
	uint64_t bytes;
	int r;

	r = images_prune(api->core, http_query(req, "filters"), &records, &bytes, &req->err);
	if (r < 0)
		return r;
	if (json_array_size(records) == 0) {
		json_decref(records);
		records = json_null();
	}
	return api_reply_json(req, 200,
			      json_pack("{s:o, s:I}", "ImagesDeleted", records, "SpaceReclaimed",
					(json_int_t)bytes));
}
