/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images_stream.c - images on the wire: load, import, save
 *
 * An answer begins with the first line there is to tell, which is after the archive is in: so what
 * is wrong with it is an HTTP status, and only what goes wrong later is an error line in a stream
 * that said 200.
 */
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
#include "image/platform.h"
#include "image/reference.h"

#define CHANGES_MAX 128
#define PLATFORMS_MAX 16
#define SAVE_NAMES_MAX 256 /* as many parameters as a query can have */
#define PLATFORM_SINCE 148

static ssize_t body_read(void *user, void *data, size_t len)
{
	return http_body_read(user, data, len);
}

/**
 * images_stream_line() - A line of a stream; the first one begins the answer
 * @user: Request
 * @line: JSON object
 *
 * Return: 0 or negative errno once the client has left
 */
int images_stream_line(void *user, json_t *line)
{
	struct http_req *req = user;
	int r = req->answered ? 0 : http_stream_begin(req, 200, "application/json");

	return r < 0 ? r : api_stream_json(req, line);
}

/**
 * images_stream_error() - An error before anything was said is a status, afterwards a line
 * @req: Request with its error filled
 * @r:   Negative errno
 *
 * Return: @r where it becomes a status, else how telling it went
 */
int images_stream_error(struct http_req *req, int r)
{
	_cleanup_(json_decrefp) json_t *line = NULL;

	if (!req->answered)
		return r;
	line = json_pack("{s:{s:s}, s:s}", "errorDetail", "message", req->err.msg, "error",
			 req->err.msg);
	return line ? api_stream_json(req, line) : r;
}

/**
 * images_platform_text() - The platform of a query: JSON or os/arch[/variant]
 * @text: Value of the parameter, may be NULL
 * @ret:  Heap text os/arch[/variant], or NULL for none
 * @err:  ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int images_platform_text(const char *text, char **ret, struct err *err)
{
	char normal[PLATFORM_TEXT_MAX];
	struct platform p;
	int r;

	*ret = NULL;
	if (str_empty(text))
		return 0;
	r = *text == '{' ? platform_parse_json(text, &p, err) : platform_parse(text, &p, err);
	if (r < 0)
		return r;
	platform_format(&p, normal);
	if (*text == '{')
		r = platform_parse(normal, &p, err);
	if (r < 0)
		return r;
	platform_format(&p, normal);
	*ret = strdup(normal);
	return *ret ? 0 : err_oom(err);
}

/* The platforms of a save or load: JSON each, of versions that know them. ret_n: 0 for all */
static int stream_platforms(struct http_req *req, struct platform ret[static PLATFORMS_MAX],
			    size_t *ret_n)
{
	const char *texts[PLATFORMS_MAX];
	size_t n = http_query_all(req, "platform", texts, PLATFORMS_MAX);
	int r = 0;

	*ret_n = 0;
	if (req->api_version < PLATFORM_SINCE || (n == 1 && !*texts[0]))
		return 0;
	if (n > PLATFORMS_MAX)
		return err_user(&req->err, ERR_INVALID, "more than %d platforms", PLATFORMS_MAX);
	for (size_t i = 0; i < n && r == 0; i++)
		r = platform_parse_json(texts[i], &ret[i], &req->err);
	if (r == 0)
		*ret_n = n;
	return r;
}

/* POST /images/load?quiet&platform -> 200 stream | 400 */
int api_image_load(struct api *api, struct http_req *req)
{
	struct byte_source source = {.read = body_read, .user = req};
	struct platform platforms[PLATFORMS_MAX];
	char texts[PLATFORMS_MAX][PLATFORM_TEXT_MAX];
	const char *wanted[PLATFORMS_MAX];
	struct image_load load = {.quiet = http_query_bool(req, "quiet", false),
				  .platforms = wanted,
				  .progress = images_stream_line,
				  .user = req};
	int r = stream_platforms(req, platforms, &load.platforms_n);

	for (size_t i = 0; r == 0 && i < load.platforms_n; i++) {
		platform_format(&platforms[i], texts[i]);
		wanted[i] = texts[i];
	}
	if (r == 0)
		r = images_load(api->core, &source, &load, &req->err);
	return r < 0 ? images_stream_error(req, r) : 0;
}

static int image_import_body(struct api *api, struct http_req *req)
{
	struct byte_source source = {.read = body_read, .user = req};
	const char *repo = http_query(req, "repo"), *tag = http_query(req, "tag");
	const char *changes[CHANGES_MAX];
	_cleanup_(json_decrefp) json_t *line = NULL;
	_cleanup_free_ char *ref = NULL;
	struct images_import import = {
		.message = http_query(req, "message"),
		.platform = http_query(req, "platform"),
		.changes = changes,
		.n_changes = http_query_all(req, "changes", changes, CHANGES_MAX),
	};
	char id[DIGEST_BUF];
	int r;

	if (import.n_changes > CHANGES_MAX)
		return err_user(&req->err, ERR_INVALID, "more than %d changes", CHANGES_MAX);
	if (!str_empty(repo) && !str_empty(tag) && !reference_tag_valid(tag))
		return err_user(&req->err, ERR_INVALID, "invalid tag format");
	if (!str_empty(repo)) {
		ref = str_format("%s%s%s", repo, str_empty(tag) ? "" : ":", tag ? tag : "");
		if (!ref)
			return err_oom(&req->err);
		import.ref = ref;
	}
	r = images_import(api->core, &source, &import, id, &req->err);
	if (r < 0)
		return r;
	line = json_pack("{s:s}", "status", id);
	return line ? images_stream_line(req, line) : err_oom(&req->err);
}

/* POST /images/create?fromImage|fromSrc&repo&tag&message&changes&platform -> 200 stream | 400 */
int api_image_create(struct api *api, struct http_req *req)
{
	const char *from_image = http_query(req, "fromImage"), *from = http_query(req, "fromSrc");

	if (!str_empty(from_image))
		return api_image_pull(api, req, from_image);
	if (str_empty(from))
		return err_user(&req->err, ERR_INVALID, "fromImage or fromSrc is required");
	if (!str_eq(from, "-"))
		return err_user(&req->err, ERR_NOT_IMPLEMENTED,
				"importing from a URL is not implemented yet: %.300s", from);
	return image_import_body(api, req);
}

static int save_write(void *user, const void *data, size_t len)
{
	struct http_req *req = user;
	int r = req->answered ? 0 : http_stream_begin(req, 200, "application/x-tar");

	return r < 0 ? r : http_stream_write(req, data, len);
}

/* GET /images/get?names&platform and /images/{name}/get -> 200 tar | 400 | 404 */
int api_image_get(struct api *api, struct http_req *req)
{
	struct platform platforms[PLATFORMS_MAX];
	const char *names[SAVE_NAMES_MAX];
	struct image_save save = {.refs = names,
				  .refs_n = 1,
				  .platforms = platforms,
				  .write = save_write,
				  .user = req};
	int r;

	names[0] = http_var(req, "name");
	if (str_empty(names[0]))
		save.refs_n = http_query_all(req, "names", names, SAVE_NAMES_MAX);
	if (save.refs_n > SAVE_NAMES_MAX)
		return err_user(&req->err, ERR_INVALID, "more than %d names", SAVE_NAMES_MAX);
	r = stream_platforms(req, platforms, &save.platforms_n);
	return r < 0 ? r : image_save(api->core->images, &save, &req->err);
}
