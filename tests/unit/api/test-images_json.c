/* SPDX-License-Identifier: Apache-2.0 */
/* test-images_json.c - images as each API version has them, compared with what dockerd 28 answers
 */
#include "api/images_json.h"

#include "base/cleanup.h"
#include "core/images.h"
#include "image/image.h"
#include "test.h"

#define ID "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct images_usage unknown = {-1, -1}, used = {5, 2};
static char *none[] = {NULL};
static char *tags[] = {"x:1", NULL};

static struct image make_image(char **repo_tags)
{
	return (struct image){.id = ID,
			      .created_ns = 1704067200LL * 1000000000,
			      .size_bytes = 7,
			      .architecture = "amd64",
			      .os = "linux",
			      .variant = "",
			      .repo_tags = repo_tags,
			      .repo_digests = none,
			      .diff_ids = tags,
			      .manifest_type = "",
			      .comment = "c",
			      .config =
				      json_loads("{\"created\":\"2024-01-01T00:00:00Z\",\"config\":"
						 "{\"Cmd\":[\"sh\"],\"Labels\":{}}}",
						 0, NULL)};
}

static char *dump(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(value);
	return text;
}

TEST(summaries_follow_the_version)
{
	struct image tagged = make_image(tags), untagged = make_image(none);
	_cleanup_free_ char *now = dump(images_json_summary(&tagged, &unknown, 151));
	_cleanup_free_ char *old = dump(images_json_summary(&tagged, &unknown, 140));
	_cleanup_free_ char *old_none = dump(images_json_summary(&untagged, &used, 142));
	_cleanup_free_ char *new_none = dump(images_json_summary(&untagged, &used, 143));

	json_decref(tagged.config);
	json_decref(untagged.config);
	ASSERT_STREQ(now, "{\"Containers\":-1,\"Created\":1704067200,\"Id\":\"" ID
			  "\",\"Labels\":null,\"ParentId\":\"\",\"RepoDigests\":[],\"RepoTags\":"
			  "[\"x:1\"],\"SharedSize\":-1,\"Size\":7}");
	ASSERT(strstr(old, "\"RepoDigests\":null"));
	ASSERT(strstr(old, "\"VirtualSize\":7"));
	ASSERT(strstr(old_none, "\"RepoTags\":[\"<none>:<none>\"]"));
	ASSERT(strstr(old_none, "\"RepoDigests\":[\"<none>@<none>\"]"));
	ASSERT(strstr(new_none, "\"RepoTags\":[]"));
	ASSERT(strstr(new_none, "\"Containers\":2"));
	ASSERT(strstr(new_none, "\"SharedSize\":5"));
}

TEST(inspect_follows_the_version)
{
	struct image image = make_image(tags);
	_cleanup_free_ char *v144 = dump(images_json_inspect(&image, 144));
	_cleanup_free_ char *v151 = dump(images_json_inspect(&image, 151));
	_cleanup_free_ char *v152 = dump(images_json_inspect(&image, 152));

	json_decref(image.config);
	ASSERT(strstr(v144, "\"ContainerConfig\":{\"AttachStderr\":false"));
	ASSERT(!strstr(v144, "VirtualSize"));
	ASSERT(strstr(v151, "\"Config\":{\"Cmd\":[\"sh\"],\"Entrypoint\":null,\"Env\":null,"
			    "\"Labels\":null,\"OnBuild\":null,\"User\":\"\",\"Volumes\":null,"
			    "\"WorkingDir\":\"\"}"));
	ASSERT(strstr(v151, "\"Parent\":\"\""));
	ASSERT(strstr(v152, "\"Config\":{\"Cmd\":[\"sh\"]}"));
	ASSERT(strstr(v152, "\"Created\":\"2024-01-01T00:00:00Z\""));
	ASSERT(strstr(v152, "\"LastTagTime\":\"0001-01-01T00:00:00Z\""));
}

TEST_MAIN()
