/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.c - the JSON documents of images, checked
 *
 * Everything that others read later (the config's Env, Cmd, Labels, ...) is checked for its type
 * here, once, so that a stored config can be trusted to have the shape of the specification. A
 * document that is both a manifest and an index is refused: two readers could see two images.
 * All input is hostile; limits are in oci.h and in jansson (depth 2048).
 */
#include "image/oci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/util.h"

/**
 * oci_parse() - Text to JSON
 * @data: Bytes
 * @len:  How many
 * @what: Names the document in errors
 * @ret:  New reference; set on success only
 * @err:  ERR_INVALID if it is no JSON object or array
 *
 * Return: 0 or negative errno
 */
int oci_parse(const char *data, size_t len, const char *what, json_t **ret, struct err *err)
{
	json_error_t error;
	json_t *doc = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);

	if (!doc)
		return err_user(err, ERR_INVALID, "invalid %s: %s at byte %d", what, error.text,
				error.position);
	*ret = doc;
	return 0;
}

static const char *text_or_empty(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const json_t *object_or_null(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_object(value) ? value : NULL;
}

static int desc_read(const json_t *from, const char *what, struct oci_desc *ret, struct err *err)
{
	const char *digest = json_string_value(json_object_get(from, "digest"));
	const json_t *size = json_object_get(from, "size");

	if (!digest || !digest_valid(digest))
		return err_user(err, ERR_INVALID, "invalid %s: no sha256 digest", what);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_user(err, ERR_INVALID, "invalid %s: no size", what);
	memcpy(ret->digest, digest, DIGEST_BUF);
	ret->size = (uint64_t)json_integer_value(size);
	ret->media_type = text_or_empty(from, "mediaType");
	ret->platform = object_or_null(from, "platform");
	ret->annotations = object_or_null(from, "annotations");
	return 0;
}

/**
 * oci_manifest_read() - A manifest as a struct
 * @doc: Document; @ret borrows from it
 * @ret: Filled on success
 * @err: ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int oci_manifest_read(const json_t *doc, struct oci_manifest *ret, struct err *err)
{
	const json_t *layers = json_object_get(doc, "layers");
	struct oci_manifest m = {};
	int r;

	if (json_object_get(doc, "manifests"))
		return err_user(err, ERR_INVALID,
				"invalid manifest: it is an index as well (\"manifests\")");
	if (!json_is_object(doc) ||
	    json_integer_value(json_object_get(doc, "schemaVersion")) != 2 ||
	    !json_is_array(layers))
		return err_user(err, ERR_INVALID, "invalid manifest: no schema 2 manifest");
	if (json_array_size(layers) > LAYERS_PER_IMAGE_MAX)
		return err_user(err, ERR_INVALID,
				"invalid manifest: max depth exceeded (%d layers)",
				LAYERS_PER_IMAGE_MAX);
	r = desc_read(json_object_get(doc, "config"), "manifest's config", &m.config, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(layers); i++) {
		r = desc_read(json_array_get(layers, i), "manifest's layer", &m.layers[i], err);
		if (r < 0)
			return r;
	}
	m.layers_n = json_array_size(layers);
	*ret = m;
	return 0;
}

/**
 * oci_index_read() - The entries of an index or manifest list
 * @doc:   Document; @ret borrows from it
 * @ret:   Heap array; set on success only
 * @ret_n: Its length
 * @err:   ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int oci_index_read(const json_t *doc, struct oci_desc **ret, size_t *ret_n, struct err *err)
{
	const json_t *entries = json_object_get(doc, "manifests");
	_cleanup_free_ struct oci_desc *descs = NULL;
	size_t n = json_array_size(entries);
	int r;

	if (json_object_get(doc, "layers") || json_object_get(doc, "config"))
		return err_user(err, ERR_INVALID,
				"invalid index: it is a manifest as well (\"layers\")");
	if (!json_is_array(entries))
		return err_user(err, ERR_INVALID, "invalid index: no manifests");
	if (n > OCI_INDEX_ENTRIES_MAX)
		return err_user(err, ERR_INVALID, "invalid index: more than %d manifests",
				OCI_INDEX_ENTRIES_MAX);
	descs = calloc(n ? n : 1, sizeof(*descs));
	if (!descs)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		r = desc_read(json_array_get(entries, i), "index entry", &descs[i], err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(descs);
	*ret_n = n;
	return 0;
}

enum shape { SHAPE_STRING, SHAPE_STRINGS, SHAPE_STRING_MAP, SHAPE_SET, SHAPE_BOOL, SHAPE_OBJECT };

static const struct {
	const char *key;
	enum shape shape;
	const char *words;
} config_shapes[] = {
	{"User", SHAPE_STRING, "a string"},
	{"WorkingDir", SHAPE_STRING, "a string"},
	{"StopSignal", SHAPE_STRING, "a string"},
	{"Env", SHAPE_STRINGS, "an array of strings"},
	{"Cmd", SHAPE_STRINGS, "an array of strings"},
	{"Entrypoint", SHAPE_STRINGS, "an array of strings"},
	{"Shell", SHAPE_STRINGS, "an array of strings"},
	{"OnBuild", SHAPE_STRINGS, "an array of strings"},
	{"ExposedPorts", SHAPE_SET, "an object of objects"},
	{"Volumes", SHAPE_SET, "an object of objects"},
	{"Labels", SHAPE_STRING_MAP, "an object of strings"},
	{"ArgsEscaped", SHAPE_BOOL, "a boolean"},
	{"Healthcheck", SHAPE_OBJECT, "an object"},
};

static bool all_of(const json_t *value, bool (*is)(const json_t *))
{
	const json_t *v;
	const char *key UNUSED;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach (value, i, v)
			if (!is(v))
				return false;
		return true;
	}
	for (void *it = json_object_iter((json_t *)value); it;
	     it = json_object_iter_next((json_t *)value, it))
		if (!is(json_object_iter_value(it)))
			return false;
	return true;
}

static bool is_string(const json_t *value)
{
	return json_is_string(value);
}

static bool is_object_or_null(const json_t *value)
{
	return json_is_object(value) || json_is_null(value);
}

static bool shape_fits(const json_t *value, enum shape shape)
{
	if (!value || json_is_null(value))
		return true;
	switch (shape) {
	case SHAPE_STRING:
		return json_is_string(value);
	case SHAPE_STRINGS:
		return json_is_array(value) && all_of(value, is_string);
	case SHAPE_STRING_MAP:
		return json_is_object(value) && all_of(value, is_string);
	case SHAPE_SET:
		return json_is_object(value) && all_of(value, is_object_or_null);
	case SHAPE_BOOL:
		return json_is_boolean(value);
	case SHAPE_OBJECT:
		return json_is_object(value);
	}
	return false;
}

static int config_check_shapes(const json_t *doc, struct err *err)
{
	static const char *const top[] = {"architecture", "os",	     "variant",	  "author",
					  "comment",	  "created", "os.version"};
	const json_t *config = json_object_get(doc, "config");
	const json_t *history = json_object_get(doc, "history"), *entry;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(top); i++)
		if (!shape_fits(json_object_get(doc, top[i]), SHAPE_STRING))
			return err_user(err, ERR_INVALID, "invalid image config: %s is no string",
					top[i]);
	if (!shape_fits(config, SHAPE_OBJECT))
		return err_user(err, ERR_INVALID, "invalid image config: config is no object");
	for (i = 0; i < ARRAY_SIZE(config_shapes); i++)
		if (!shape_fits(json_object_get(config, config_shapes[i].key),
				config_shapes[i].shape))
			return err_user(err, ERR_INVALID, "invalid image config: %s must be %s",
					config_shapes[i].key, config_shapes[i].words);
	if (history && !json_is_null(history) && !json_is_array(history))
		return err_user(err, ERR_INVALID, "invalid image config: history is no array");
	json_array_foreach (history, i, entry)
		if (!json_is_object(entry) ||
		    !shape_fits(json_object_get(entry, "created"), SHAPE_STRING) ||
		    !shape_fits(json_object_get(entry, "created_by"), SHAPE_STRING) ||
		    !shape_fits(json_object_get(entry, "comment"), SHAPE_STRING) ||
		    !shape_fits(json_object_get(entry, "author"), SHAPE_STRING) ||
		    !shape_fits(json_object_get(entry, "empty_layer"), SHAPE_BOOL))
			return err_user(err, ERR_INVALID, "invalid image config: history entry %zu",
					i);
	return 0;
}

static int config_read_rootfs(const json_t *doc, struct oci_config *c, struct err *err)
{
	const json_t *rootfs = json_object_get(doc, "rootfs");
	const json_t *diff_ids = json_object_get(rootfs, "diff_ids");
	const char *type = text_or_empty(rootfs, "type");

	if (!json_is_object(rootfs))
		return err_user(err, ERR_INVALID, "invalid image JSON, no RootFS key");
	if (*type && !str_eq(type, "layers"))
		return err_user(err, ERR_INVALID, "invalid image config: rootfs of type %.60s",
				type);
	if (json_is_null(diff_ids))
		diff_ids = NULL;
	if (diff_ids && !json_is_array(diff_ids))
		return err_user(err, ERR_INVALID, "invalid image config: diff_ids is no array");
	if (json_array_size(diff_ids) > LAYERS_PER_IMAGE_MAX)
		return err_user(err, ERR_INVALID, "max depth exceeded: %zu layers, at most %d",
				json_array_size(diff_ids), LAYERS_PER_IMAGE_MAX);
	for (size_t i = 0; i < json_array_size(diff_ids); i++) {
		const char *id = json_string_value(json_array_get(diff_ids, i));

		if (!id || !digest_valid(id))
			return err_user(err, ERR_INVALID,
					"invalid image config: diff id %zu is no sha256 digest", i);
		c->diff_ids[i] = id;
	}
	c->diff_ids_n = json_array_size(diff_ids);
	return 0;
}

/**
 * oci_config_read() - An image's config as a struct
 * @doc: Document; @ret borrows from it
 * @ret: Filled on success
 * @err: ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int oci_config_read(const json_t *doc, struct oci_config *ret, struct err *err)
{
	struct oci_config c = {};
	const json_t *history;
	const char *created;
	int r;

	if (!json_is_object(doc))
		return err_user(err, ERR_INVALID, "invalid image config: no JSON object");
	r = config_check_shapes(doc, err);
	if (r < 0)
		return r;
	r = config_read_rootfs(doc, &c, err);
	if (r < 0)
		return r;
	c.architecture = text_or_empty(doc, "architecture");
	c.os = text_or_empty(doc, "os");
	c.variant = text_or_empty(doc, "variant");
	c.author = text_or_empty(doc, "author");
	c.comment = text_or_empty(doc, "comment");
	history = json_object_get(doc, "history");
	if (!*c.comment && json_array_size(history))
		c.comment = text_or_empty(json_array_get(history, json_array_size(history) - 1),
					  "comment");
	c.labels = object_or_null(json_object_get(doc, "config"), "Labels");
	created = text_or_empty(doc, "created");
	if (*created && clock_parse_rfc3339(created, &c.created_ns) < 0)
		return err_user(err, ERR_INVALID, "invalid image config: created is no time");
	*ret = c;
	return 0;
}

/**
 * oci_type_is_index() - Whether a media type is that of an index or manifest list
 * @media_type: Type
 *
 * Return: the answer
 */
bool oci_type_is_index(const char *media_type)
{
	return str_eq(media_type, OCI_TYPE_INDEX) || str_eq(media_type, DOCKER_TYPE_LIST);
}

/**
 * oci_type_is_manifest() - Whether a media type is that of an image manifest
 * @media_type: Type
 *
 * Return: the answer
 */
bool oci_type_is_manifest(const char *media_type)
{
	return str_eq(media_type, OCI_TYPE_MANIFEST) || str_eq(media_type, DOCKER_TYPE_MANIFEST);
}

/**
 * oci_layer_type() - Find a layer's media type among those we read
 * @media_type: Type from a manifest
 *
 * Return: the same text as a constant, or NULL
 */
const char *oci_layer_type(const char *media_type)
{
	static const char *const known[] = {
		OCI_TYPE_LAYER,
		OCI_TYPE_LAYER "+gzip",
		OCI_TYPE_LAYER "+zstd",
		OCI_TYPE_NONDISTRIBUTABLE,
		OCI_TYPE_NONDISTRIBUTABLE "+gzip",
		OCI_TYPE_NONDISTRIBUTABLE "+zstd",
		DOCKER_TYPE_LAYER,
		DOCKER_TYPE_LAYER ".gzip",
		DOCKER_TYPE_LAYER ".zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(known[i], media_type))
			return known[i];
	return NULL;
}

/**
 * oci_layer_type_gzip() - What a layer's media type becomes when the layer is compressed with gzip
 * @media_type: Type from a manifest
 *
 * Return: a constant text
 */
const char *oci_layer_type_gzip(const char *media_type)
{
	if (str_starts(media_type, OCI_TYPE_NONDISTRIBUTABLE))
		return OCI_TYPE_NONDISTRIBUTABLE "+gzip";
	if (str_starts(media_type, DOCKER_TYPE_LAYER))
		return DOCKER_TYPE_LAYER ".gzip";
	return OCI_TYPE_LAYER "+gzip";
}

/**
 * oci_host_architecture() - This machine in the words of Go
 *
 * Return: a constant text
 */
const char *oci_host_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#else
#error "which machine is this?"
#endif
}

/**
 * oci_platform_score() - How well an index entry fits
 * @platform: Its platform object; NULL if it has none
 * @wanted:   "os/arch[/variant]", or NULL for this host
 *
 * Return: 0 not at all, 1 may fit (says nothing), 2 fits, 3 fits with its variant
 */
int oci_platform_score(const json_t *platform, const char *wanted)
{
	_cleanup_free_ char *host = NULL, *have = NULL;
	const char *variant = text_or_empty(platform, "variant");
	size_t len;

	if (!platform)
		return 1;
	if (!wanted) {
		host = str_format("linux/%s", oci_host_architecture());
		wanted = host;
	}
	have = str_format("%s/%s", text_or_empty(platform, "os"),
			  text_or_empty(platform, "architecture"));
	if (!wanted || !have)
		return 0;
	len = strlen(have);
	if (strncmp(wanted, have, len) != 0)
		return 0;
	if (wanted[len] == '\0')
		return *variant ? 2 : 3;
	return wanted[len] == '/' && str_eq(wanted + len + 1, variant) ? 3 : 0;
}
