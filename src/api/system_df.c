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

static bool df_wants(struct http_req *req, const char *type)
{
	const char *types[DF_TYPES_MAX];
	size_t n = http_query_all(req, "type", types, DF_TYPES_MAX);

	for (size_t i = 0; i < MIN(n, (size_t)DF_TYPES_MAX); i++)
		if (str_eq(types[i], type))
			return true;
	return n == 0;
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
		if (json_array_append_new(list,
					  images_json_summary(images.items[i], &images.usage[i],
							      req->api_version)) < 0)
			return err_oom(&req->err);
	return 0;
}

/* GET /system/df?type -> 200 */
int api_system_df(struct api *api, struct http_req *req)
{
	_cleanup_(df_json_decref) json_t *containers = NULL;
	_cleanup_(df_json_decref) json_t *out = NULL;
	int r;

	r = container_list(api->core->containers, true, 0, true, NULL, &containers, &req->err);
	if (r < 0)
		return r;
	out = json_pack("{s:I, s:n, s:n, s:o?, s:o?}", "LayersSize",
			(json_int_t)image_store_layers_bytes(api->core->images), "Images",
			"Containers", "Volumes", df_wants(req, "volume") ? json_array() : NULL,
			"BuildCache", df_wants(req, "build-cache") ? json_array() : NULL);
	if (!out)
		return err_oom(&req->err);
	if (df_wants(req, "image")) {
		r = df_add_images(api, req, out);
		if (r < 0)
			return r;
	}
	if (df_wants(req, "container") && json_object_set(out, "Containers", containers) < 0)
		return err_oom(&req->err);
	return api_reply_json(req, 200, TAKE_PTR(out));
}
