/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_merge.c - what a container inherits from its image's config
 *
 * dockerd's rules: scalars and the command where the container says nothing, environment and
 * maps by name. An entrypoint of the container's own drops the image's command; [""] asks for none.
 * Image configs come from registries and archives: every type is checked before use.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"

static bool merge_is_strv(const json_t *value)
{
	json_t *item;
	size_t i;

	if (!json_is_array(value))
		return false;
	json_array_foreach (value, i, item) {
		if (!json_is_string(item))
			return false;
	}
	return true;
}

static int merge_string(json_t *config, const json_t *image, const char *key)
{
	const json_t *value = json_object_get(image, key);

	if (!jx_empty(config, key) || !json_is_string(value) || jx_empty(image, key))
		return 0;
	return jx_share(config, key, value);
}

static int merge_strv(json_t *config, const json_t *image, const char *key)
{
	const json_t *value = json_object_get(image, key);

	if (!merge_is_strv(value) || json_array_size(value) == 0)
		return 0;
	return jx_share(config, key, value);
}

/* Members of the image's map that the container's does not have. */
static int merge_map(json_t *config, const json_t *image, const char *key, bool strings)
{
	json_t *from = json_object_get(image, key), *value;
	_cleanup_json_ json_t *merged = NULL;
	const char *name;
	int r = 0;

	if (!json_is_object(from) || json_object_size(from) == 0)
		return 0;
	merged = json_is_object(json_object_get(config, key))
			 ? json_copy(json_object_get(config, key))
			 : json_object();
	if (!merged)
		return -ENOMEM;
	json_object_foreach (from, name, value) {
		if (json_object_get(merged, name) || (strings && !json_is_string(value)))
			continue;
		r |= jx_share(merged, name, value);
	}
	return r ? -ENOMEM : jx_share(config, key, merged);
}

static bool merge_env_has(const json_t *env, const char *entry)
{
	size_t len = strcspn(entry, "="), i;
	json_t *item;

	json_array_foreach (env, i, item) {
		const char *s = json_string_value(item);

		if (strcspn(s, "=") == len && strncmp(s, entry, len) == 0)
			return true;
	}
	return false;
}

static int merge_env(json_t *config, const json_t *image)
{
	json_t *own = json_object_get(config, "Env"), *from = json_object_get(image, "Env"), *item;
	_cleanup_json_ json_t *merged = NULL;
	int r = 0;
	size_t i;

	if (!merge_is_strv(from))
		return 0;
	merged = json_is_array(own) ? json_copy(own) : json_array();
	if (!merged)
		return -ENOMEM;
	json_array_foreach (from, i, item) {
		if (!merge_env_has(own, json_string_value(item)))
			r |= json_array_append(merged, item);
	}
	return r ? -ENOMEM : jx_share(config, "Env", merged);
}

static int merge_command(json_t *config, const json_t *image)
{
	json_t *entrypoint = json_object_get(config, "Entrypoint");
	int r = 0;

	if (json_array_size(entrypoint) == 0) {
		if (jx_len(config, "Cmd") == 0)
			r |= merge_strv(config, image, "Cmd");
		if (!json_is_array(entrypoint))
			r |= merge_strv(config, image, "Entrypoint");
	} else if (json_array_size(entrypoint) == 1 &&
		   str_empty(json_string_value(json_array_get(entrypoint, 0)))) {
		r |= jx_set(config, "Entrypoint", json_null());
	}
	return r;
}

/* Each field that the container left at zero. */
static int merge_healthcheck(json_t *config, const json_t *image)
{
	json_t *own = json_object_get(config, "Healthcheck");
	json_t *from = json_object_get(image, "Healthcheck"), *value;
	_cleanup_json_ json_t *merged = NULL;
	const char *key;
	int r = 0;

	if (!json_is_object(from))
		return 0;
	if (!json_is_object(own))
		return jx_share(config, "Healthcheck", from);
	merged = json_copy(own);
	if (!merged)
		return -ENOMEM;
	json_object_foreach (from, key, value) {
		if (jx_empty(own, key))
			r |= jx_share(merged, key, value);
	}
	return r ? -ENOMEM : jx_share(config, "Healthcheck", merged);
}

/**
 * container_config_merge() - Let a container's config inherit from its image
 * @config:	  Normalised config, changed in place
 * @image_config: "config" member of the image's document, or NULL
 * @err:	  Filled on failure
 *
 * Return: 0 or -ENOMEM
 */
int container_config_merge(json_t *config, const json_t *image_config, struct err *err)
{
	int r = 0;

	r |= merge_string(config, image_config, "User");
	r |= merge_string(config, image_config, "WorkingDir");
	r |= merge_string(config, image_config, "StopSignal");
	r |= merge_map(config, image_config, "ExposedPorts", false);
	r |= merge_map(config, image_config, "Volumes", false);
	r |= merge_map(config, image_config, "Labels", true);
	r |= merge_env(config, image_config);
	r |= merge_command(config, image_config);
	r |= merge_healthcheck(config, image_config);
	if (jx_empty(config, "Volumes")) /* {} and null are one to dockerd */
		r |= jx_set(config, "Volumes", json_null());
	if (jx_len(config, "Shell") == 0)
		r |= merge_strv(config, image_config, "Shell");
	return r ? err_oom(err) : 0;
}
