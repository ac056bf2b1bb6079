/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system_df.c - GET /system/df: what takes room on disk
 *
 * DOC: Theory of operation
 *
 * Images and containers come from their managers, as their lists show them; here the columns are
 * always filled in that a list leaves at -1.
 */
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/images_json.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/images.h"
#include "image/image.h"

#define DF_TYPES_MAX 8
#define DF_TYPE_SINCE 142

struct df_images {
	struct image **items; /* owned */
	size_t n;
	struct images_usage *usage; /* owned */
};

static void df_images_done(struct df_images *images)
{
	for (size_t i = 0; i < images->n; i++)
		image_free(images->items[i]);
	free(images->items);
	free(images->usage);
}

static void df_json_decref(json_t **json)
{
	json_decref(*json);
}

/* What is asked for: all of it unless the version knows "type" and there is one. */
struct df_want {
	bool image, container, volume, build_cache;
};

static int df_wanted(struct http_req *req, struct df_want *ret)
{
	const char *types[DF_TYPES_MAX];
	size_t n = http_query_all(req, "type", types, DF_TYPES_MAX);

	*ret = (struct df_want){true, true, true, true};
	if (req->api_version < DF_TYPE_SINCE || n == 0)
		return 0;
	*ret = (struct df_want){};
	for (size_t i = 0; i < MIN(n, (size_t)DF_TYPES_MAX); i++) {
		if (str_eq(types[i], "image"))
			ret->image = true;
		else if (str_eq(types[i], "container"))
			ret->container = true;
		else if (str_eq(types[i], "volume"))
			ret->volume = true;
		else if (str_eq(types[i], "build-cache"))
			ret->build_cache = true;
		else
			return err_user(&req->err, ERR_INVALID, "unknown object type: %.60s",
					types[i]);
	}
	return 0;
}

/* As the list has it, but what is empty is null, in every version. */
static json_t *df_image(const struct image *image, const struct images_usage *usage,
			unsigned int api_version)
{
	json_t *row = images_json_summary(image, usage, api_version);

	if (row && !image->repo_tags[0])
		(void)json_object_set_new(row, "RepoTags", json_null()); /* replaces */
	if (row && !image->repo_digests[0])
		(void)json_object_set_new(row, "RepoDigests", json_null());
	return row;
}

static int df_add_images(struct api *api, struct http_req *req, json_t *out)
{
	_cleanup_(df_images_done) struct df_images images = {0};
	json_t *list = json_array();
	int r;

	if (json_object_set_new(out, "Images", list) < 0)
		return err_oom(&req->err);
	r = image_list(api->core->images, &images.items, &images.n, &req->err);
	if (r == 0)
		r = images_usage(api->core, images.items, images.n, true, &images.usage, &req->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < images.n; i++)
		if (json_array_append_new(list, df_image(images.items[i], &images.usage[i],
							 req->api_version)) < 0)
			return err_oom(&req->err);
	return 0;
}

/* GET /system/df?type -> 200 | 400 */
int api_system_df(struct api *api, struct http_req *req)
{
	_cleanup_(df_json_decref) json_t *containers = NULL;
	_cleanup_(df_json_decref) json_t *out = NULL;
	struct df_want want;
	int r = df_wanted(req, &want);

	if (r == 0 && want.container)
		r = container_list(api->core->containers, true, 0, true, NULL, &containers,
				   &req->err);
	if (r < 0)
		return r;
	out = json_pack("{s:I, s:n, s:O?, s:o?, s:o?}", "LayersSize",
			want.image ? (json_int_t)image_store_layers_bytes(api->core->images) : 0,
			"Images", "Containers", containers, "Volumes",
			want.volume ? json_array() : NULL, "BuildCache",
			want.build_cache ? json_array() : NULL);
	if (!out)
		return err_oom(&req->err);
	if (want.image) {
		r = df_add_images(api, req, out);
		if (r < 0)
			return r;
	}
	return api_reply_json(req, 200, TAKE_PTR(out));
}
