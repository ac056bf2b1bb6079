/* SPDX-License-Identifier: Apache-2.0 */
/* test-oci.c - image documents: what is accepted, what is refused, and why */
#include "image/oci.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "test.h"

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D "\"]}"

static json_t *parse(const char *text)
{
	json_t *doc = NULL;
	struct err err = {};

	return oci_parse(text, strlen(text), "document", &doc, &err) < 0 ? NULL : doc;
}

TEST(a_million_brackets_are_refused)
{
	_cleanup_free_ char *text = malloc(1000000);
	json_t *doc = NULL;
	struct err err = {};

	ASSERT(text);
	memset(text, '[', 1000000);
	ASSERT_ERROR(oci_parse(text, 1000000, "manifest", &doc, &err), EINVAL);
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT(strstr(err.msg, "depth"));
	ASSERT(!doc);
}

TEST(duplicate_keys_and_broken_text_are_refused)
{
	static const char *const broken[] = {
		"",	      "{",	  "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}",
		"{\"a\":1}x", "\"text\"", "{\"a\":1e999}"};

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		_cleanup_(json_decrefp) json_t *doc = parse(broken[i]);

		if (doc)
			TEST_FAIL("accepted: %s", broken[i]);
	}
}

static const char *const bad_configs[] = {
	"[]",
	"{}",
	"{\"rootfs\":{\"type\":\"x\"}}",
	"{\"rootfs\":{\"diff_ids\":{}}}",
	"{\"rootfs\":{\"diff_ids\":[1]}}",
	"{\"rootfs\":{\"diff_ids\":[\"sha256:00\"]}}",
	"{" ROOTFS ",\"os\":1}",
	"{" ROOTFS ",\"created\":\"yesterday\"}",
	"{" ROOTFS ",\"config\":[]}",
	"{" ROOTFS ",\"config\":{\"Env\":\"A=b\"}}",
	"{" ROOTFS ",\"config\":{\"Env\":[1]}}",
	"{" ROOTFS ",\"config\":{\"Cmd\":{}}}",
	"{" ROOTFS ",\"config\":{\"Labels\":{\"a\":1}}}",
	"{" ROOTFS ",\"config\":{\"Volumes\":[\"/a\"]}}",
	"{" ROOTFS ",\"config\":{\"ExposedPorts\":{\"80\":1}}}",
	"{" ROOTFS ",\"config\":{\"Healthcheck\":1}}",
	"{" ROOTFS ",\"history\":{}}",
	"{" ROOTFS ",\"history\":[1]}",
	"{" ROOTFS ",\"history\":[{\"empty_layer\":1}]}",
};

TEST(configs_of_another_shape_are_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_configs); i++) {
		_cleanup_(json_decrefp) json_t *doc = parse(bad_configs[i]);
		struct oci_config config;
		struct err err = {};

		ASSERT(doc);
		if (oci_config_read(doc, &config, &err) != -EINVAL || err.kind != ERR_INVALID)
			TEST_FAIL("accepted: %s", bad_configs[i]);
	}
}

TEST(a_config_is_read)
{
	_cleanup_(json_decrefp) json_t *doc =
		parse("{" ROOTFS ",\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\","
		      "\"created\":\"1970-01-01T00:00:02.5Z\",\"config\":{\"Env\":null,\"Labels\":"
		      "{\"a\":\"b\"}},\"history\":[{\"created_by\":\"x\",\"comment\":\"last\"}]}");
	struct oci_config config;
	struct err err = {};

	ASSERT(doc);
	ASSERT_OK(oci_config_read(doc, &config, &err));
	ASSERT_STREQ(config.variant, "v7");
	ASSERT_STREQ(config.comment, "last");
	ASSERT_EQ(config.created_ns, 2500000000);
	ASSERT_EQ(config.diff_ids_n, 1);
	ASSERT_STREQ(config.diff_ids[0], D);
	ASSERT_EQ(json_object_size(config.labels), 1);
}

TEST(more_than_127_layers_are_refused)
{
	for (int n = 127; n <= 128; n++) {
		_cleanup_(json_decrefp) json_t *doc = json_pack("{s:{s:[]}}", "rootfs", "diff_ids");
		json_t *ids = json_object_get(json_object_get(doc, "rootfs"), "diff_ids");
		struct oci_config config;
		struct err err = {};

		for (int i = 0; i < n; i++)
			json_array_append_new(ids, json_string(D));
		if (n == 127)
			ASSERT_OK(oci_config_read(doc, &config, &err));
		else
			ASSERT_ERROR(oci_config_read(doc, &config, &err), EINVAL);
	}
}

#define DESC "{\"digest\":\"" D "\",\"size\":3}"

TEST(manifests_and_indexes_are_told_apart)
{
	static const char *const bad_manifests[] = {
		"{}",
		"[]",
		"{\"schemaVersion\":1,\"config\":" DESC ",\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":" DESC "}",
		"{\"schemaVersion\":2,\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":" DESC ",\"layers\":[{}]}",
		"{\"schemaVersion\":2,\"config\":" DESC ",\"layers\":[],\"manifests\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" D "\",\"size\":-1},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" D
		"\",\"size\":99999999999999999999},\"layers\":[]}",
	};
	_cleanup_(json_decrefp) json_t *both = parse("{\"manifests\":[" DESC "],\"layers\":[]}");
	_cleanup_(json_decrefp) json_t *index = parse("{\"manifests\":[" DESC "]}");
	_cleanup_free_ struct oci_desc *descs = NULL;
	struct err err = {};
	size_t n = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad_manifests); i++) {
		_cleanup_(json_decrefp) json_t *doc = parse(bad_manifests[i]);
		struct oci_manifest m;

		if (doc && oci_manifest_read(doc, &m, &err) != -EINVAL)
			TEST_FAIL("accepted: %s", bad_manifests[i]);
	}
	ASSERT_ERROR(oci_index_read(both, &descs, &n, &err), EINVAL);
	ASSERT_EQ(n, 7);
	ASSERT_OK(oci_index_read(index, &descs, &n, &err));
	ASSERT_EQ(n, 1);
	ASSERT_EQ(descs[0].size, 3);
	ASSERT_STREQ(descs[0].digest, D);
	ASSERT_STREQ(descs[0].media_type, "");
}

TEST(platforms_are_ranked)
{
	_cleanup_(json_decrefp) json_t *v8 =
		parse("{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}");
	_cleanup_(json_decrefp) json_t *unknown =
		parse("{\"os\":\"unknown\",\"architecture\":\"unknown\"}");

	ASSERT_EQ(oci_platform_score(NULL, "linux/arm64"), 1);
	ASSERT_EQ(oci_platform_score(v8, "linux/arm64"), 2);
	ASSERT_EQ(oci_platform_score(v8, "linux/arm64/v8"), 3);
	ASSERT_EQ(oci_platform_score(v8, "linux/arm64/v7"), 0);
	ASSERT_EQ(oci_platform_score(v8, "linux/amd64"), 0);
	ASSERT_EQ(oci_platform_score(unknown, NULL), 0);
}

/* Goal: a layer that becomes gzip keeps its family, and stays what may not be distributed. */
TEST(types_of_layers_that_become_gzip)
{
	static const struct {
		const char *plain, *gzip;
	} types[] = {
		{OCI_TYPE_LAYER, "application/vnd.oci.image.layer.v1.tar+gzip"},
		{"application/vnd.docker.image.rootfs.diff.tar",
		 "application/vnd.docker.image.rootfs.diff.tar.gzip"},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar",
		 "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
		/* a manifest may call a tar what it is not */
		{"application/vnd.oci.image.layer.v1.tar+zstd",
		 "application/vnd.oci.image.layer.v1.tar+gzip"},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip",
		 "application/vnd.docker.image.rootfs.diff.tar.gzip"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		ASSERT_STREQ(oci_layer_type_gzip(types[i].plain), types[i].gzip);
		ASSERT_STREQ(oci_layer_type(types[i].gzip), types[i].gzip);
	}
}

TEST_MAIN()
