/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system_df.c - GET /system/df: what takes room on disk
 *
 * DOC: Theory of operation
 *
 * Images and containers come from their managers, as their lists show them; here only the columns
 * are filled in that a list leaves at -1. Sizes of layers that images share are not known one by
 * one, so SharedSize is 0 for an image that shares nothing and stays -1 (unknown) otherwise.
 */
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/images_json.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "image/image.h"

#define DF_TYPES_MAX 8

struct df_images {
	struct image **items; /* owned */
	size_t n;
};

static void df_images_done(struct df_images *images)
{
	for (size_t i = 0; i < images->n; i++)
		image_free(images->items[i]);
	free(images->items);
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

static bool df_share(const struct image *a, const struct image *b)
{
	for (char **x = a->diff_ids; x && *x; x++)
		for (char **y = b->diff_ids; y && *y; y++)
			if (str_eq(*x, *y))
				return true;
	return false;
}

static bool df_shares_any(const struct df_images *images, size_t self)
{
	for (size_t i = 0; i < images->n; i++)
		if (i != self && df_share(images->items[i], images->items[self]))
			return true;
	return false;
}

static json_int_t df_count_users(const json_t *containers, const char *image_id)
{
	json_int_t n = 0;
	const json_t *c;
	size_t i;

	json_array_foreach (containers, i, c) {
		const char *id = json_string_value(json_object_get(c, "ImageID"));

		n += id && str_eq(id, image_id);
	}
	return n;
}

static int df_add_images(struct api *api, struct http_req *req, const json_t *containers,
			 json_t *out)
{
	_cleanup_(df_images_done) struct df_images images = {0};
	json_t *list = json_array();
	int r;

	if (json_object_set_new(out, "Images", list) < 0)
		return err_oom(&req->err);
	r = image_list(api->core->images, &images.items, &images.n, &req->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < images.n; i++) {
		const struct image *image = images.items[i];
		json_t *row = images_json_summary(image, req->api_version);

		if (!row || json_array_append_new(list, row) < 0)
			return err_oom(&req->err);
		(void)json_object_set_new(row, "Containers",
					  json_integer(df_count_users(containers, image->id)));
		(void)json_object_set_new(row, "SharedSize",
					  json_integer(df_shares_any(&images, i) ? -1 : 0));
	}
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
		r = df_add_images(api, req, containers, out);
		if (r < 0)
			return r;
	}
	if (df_wants(req, "container") && json_object_set(out, "Containers", containers) < 0)
		return err_oom(&req->err);
	return api_reply_json(req, 200, TAKE_PTR(out));
}
