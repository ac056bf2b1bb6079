/* SPDX-License-Identifier: Apache-2.0 */
/* images_json.c - images in the words of the Engine API, as each API version has them */
#include "api/images_json.h"

#include <string.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/util.h"
#include "core/images.h"
#include "image/image.h"

#define STORAGE_DRIVER "erofs-overlay"
#define TIME_ZERO "0001-01-01T00:00:00Z"

/* Before 1.43 an image without any name was called "<none>:<none>", and no digests were null. */
static json_t *summary_tags(const struct image *image, unsigned int api_version)
{
	if (!image->repo_tags[0] && api_version < 143)
		return json_pack("[s]", "<none>:<none>");
	return api_strings((const char *const *)image->repo_tags);
}

static json_t *summary_digests(const struct image *image, unsigned int api_version)
{
	if (image->repo_digests[0] || api_version >= 143)
		return api_strings((const char *const *)image->repo_digests);
	return image->repo_tags[0] ? json_null() : json_pack("[s]", "<none>@<none>");
}

/**
 * images_json_summary() - ImageSummary
 * @image:	 From image_list()
 * @usage:	 Of it
 * @api_version: 151 for 1.51
 *
 * Return: new reference, NULL without memory
 */
json_t *images_json_summary(const struct image *image, const struct images_usage *usage,
			    unsigned int api_version)
{
	json_t *labels = image->labels ? json_incref(image->labels) : json_null();
	json_t *out;

	out = json_pack("{s:I, s:I, s:s, s:o, s:s, s:o, s:o, s:I, s:I}", "Containers",
			(json_int_t)usage->containers, "Created",
			(json_int_t)(image->created_ns / NSEC_PER_SEC), "Id", image->id, "Labels",
			labels, "ParentId", "", "RepoDigests", summary_digests(image, api_version),
			"RepoTags", summary_tags(image, api_version), "SharedSize",
			(json_int_t)usage->shared_bytes, "Size", (json_int_t)image->size_bytes);
	if (out && api_version < 144)
		(void)json_object_set_new(out, "VirtualSize",
					  json_integer((json_int_t)image->size_bytes));
	return out;
}

static void copy_if(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value && !json_is_null(value) && !(json_is_array(value) && !json_array_size(value)) &&
	    !(json_is_object(value) && !json_object_size(value)))
		(void)json_object_set(to, key, value);
}

/* The whole container config that clients before 1.50 knew, and what was left of it until 1.52:
 * empty where the image says nothing. */
static json_t *empty_config(unsigned int api_version)
{
	json_t *out = json_object(), *container;

	if (api_version >= 152)
		return out;
	(void)json_object_update_new(
		out, json_pack("{s:s, s:n, s:n, s:n, s:s, s:n, s:n, s:n}", "User", "", "Env", "Cmd",
			       "Volumes", "WorkingDir", "", "Entrypoint", "OnBuild", "Labels"));
	if (api_version >= 150)
		return out;
	container = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:s}", "Hostname", "",
			      "Domainname", "", "AttachStdin", 0, "AttachStdout", 0, "AttachStderr",
			      0, "Tty", 0, "OpenStdin", 0, "StdinOnce", 0, "Image", "");
	(void)json_object_update_new(out, container);
	return out;
}

static json_t *inspect_config(const json_t *config, unsigned int api_version)
{
	static const char *const keys[] = {
		"User",	       "ExposedPorts", "Env",	 "Entrypoint", "Cmd",
		"Volumes",     "WorkingDir",   "Labels", "StopSignal", "ArgsEscaped",
		"Healthcheck", "OnBuild",      "Shell"};
	json_t *out = empty_config(api_version);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		copy_if(out, config, keys[i]);
	return out;
}

static const char *text_of(const json_t *config, const char *key)
{
	const char *text = json_string_value(json_object_get(config, key));

	return text ? text : "";
}

static json_t *inspect_versions(json_t *out, const struct image *image, unsigned int api_version)
{
	const char *os_version = text_of(image->config, "os.version");

	if (*image->variant)
		(void)json_object_set_new(out, "Variant", json_string(image->variant));
	if (*os_version)
		(void)json_object_set_new(out, "OsVersion", json_string(os_version));
	if (api_version < 152) {
		(void)json_object_set_new(out, "Parent", json_string(""));
		(void)json_object_set_new(out, "DockerVersion",
					  json_string(text_of(image->config, "docker_version")));
	}
	if (api_version < 145)
		(void)json_object_set_new(out, "ContainerConfig", empty_config(api_version));
	if (api_version < 144)
		(void)json_object_set_new(out, "VirtualSize",
					  json_integer((json_int_t)image->size_bytes));
	return out;
}

/**
 * images_json_inspect() - ImageInspect
 * @image:	 From image_get()
 * @api_version: 151 for 1.51
 *
 * Return: new reference, NULL without memory
 */
json_t *images_json_inspect(const struct image *image, unsigned int api_version)
{
	const char *created = text_of(image->config, "created");
	char tagged[CLOCK_RFC3339_MAX] = TIME_ZERO;
	json_t *out;

	if (image->tagged_ns)
		clock_format_rfc3339(image->tagged_ns, tagged);
	out = json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:s, s:s, s:I, s:{s:s, s:n}, "
			"s:{s:s, s:o}, s:{s:s}}",
			"Id", image->id, "RepoTags",
			api_strings((const char *const *)image->repo_tags), "RepoDigests",
			api_strings((const char *const *)image->repo_digests), "Comment",
			image->comment, "Created", *created ? created : TIME_ZERO, "Author",
			text_of(image->config, "author"), "Config",
			inspect_config(json_object_get(image->config, "config"), api_version),
			"Architecture", image->architecture, "Os", *image->os ? image->os : "linux",
			"Size", (json_int_t)image->size_bytes, "GraphDriver", "Name",
			STORAGE_DRIVER, "Data", "RootFS", "Type", "layers", "Layers",
			api_strings((const char *const *)image->diff_ids), "Metadata",
			"LastTagTime", tagged);
	return out ? inspect_versions(out, image, api_version) : NULL;
}
