/* SPDX-License-Identifier: Apache-2.0 */
/* test-images.c - policy over images: what may be removed, what is told, what a filter finds */
#include "core/images.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/events.h"
#include "store/store.h"
#include "test.h"

#define USER "feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed"

/* fakes of the neighbours */
static struct buf told;
static const char *used_image; /* by the one container there is */
static bool used_running;

void events_publish(struct events *events UNUSED, const char *type, const char *action,
		    const char *actor_id UNUSED, json_t *attributes)
{
	const char *name = json_string_value(json_object_get(attributes, "name"));
	const char *label = json_string_value(json_object_get(attributes, "k"));

	buf_addf(&told, "%s %s %.10s%s%s\n", type, action, name ? name : "", label ? " " : "",
		 label ? label : "");
	json_decref(attributes);
}

bool containers_use_image(struct containers *cs UNUSED, const char *image_id, bool running_only,
			  char ret_id[static ID_BUF])
{
	if (!used_image || !str_eq(used_image, image_id) || (running_only && !used_running))
		return false;
	memcpy(ret_id, USER, ID_BUF);
	return true;
}

unsigned int containers_count_image(struct containers *cs UNUSED, const char *image_id)
{
	return used_image && str_eq(used_image, image_id);
}

struct fixture {
	char dir[64];
	struct core core;
	struct err err;
	char id[DIGEST_BUF];
};

static void fixture_done(struct fixture *f)
{
	image_store_free(f->core.images);
	store_close(f->core.store);
	(void)fs_remove_tree(f->dir);
	buf_done(&told);
	used_image = NULL;
}

struct memory {
	struct buf bytes;
	size_t at;
};

static ssize_t memory_read(void *user, void *data, size_t len)
{
	struct memory *m = user;
	size_t n = MIN(len, m->bytes.len - m->at);

	memcpy(data, m->bytes.data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

static la_ssize_t memory_write(struct archive *a UNUSED, void *user, const void *data, size_t len)
{
	buf_add(user, data, len);
	return (la_ssize_t)len;
}

/* an image of one file, called `ref` unless NULL */
static int import(struct fixture *f, const char *file, const char *ref, const char *label,
		  char ret_id[static DIGEST_BUF])
{
	struct memory m = {};
	struct byte_source source = {memory_read, &m};
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	struct images_import import = {.ref = ref, .changes = &label, .n_changes = label ? 1 : 0};
	int r;

	archive_write_set_format_ustar(a);
	archive_write_open(a, &m.bytes, NULL, memory_write, NULL);
	archive_entry_set_pathname(e, file);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_size(e, 3);
	archive_write_header(a, e);
	archive_write_data(a, "abc", 3);
	archive_entry_free(e);
	archive_write_free(a);
	r = images_import(&f->core, &source, &import, ret_id, &f->err);
	buf_done(&m.bytes);
	return r;
}

static int fixture_open(struct fixture *f)
{
	char path[96];

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/test-images-XXXXXX");
	if (!mkdtemp(f->dir))
		return -errno;
	(void)snprintf(path, sizeof(path), "%s/arca.db", f->dir);
	if (store_open(path, &f->core.store, &f->err) < 0)
		return -EIO;
	(void)snprintf(path, sizeof(path), "%s/images", f->dir);
	if (image_store_new(path, f->core.store, &f->core.images, &f->err) < 0)
		return -EIO;
	return import(f, "f", "x:1", "LABEL k=v", f->id);
}

#define FIXTURE                                                                                    \
	_cleanup_(fixture_done) struct fixture f = {};                                             \
	ASSERT_OK(fixture_open(&f))

/* the records as text, "" on failure */
static const char *removed(struct fixture *f, const char *ref, bool force)
{
	static char text[1024];
	_cleanup_free_ char *dump = NULL;
	json_t *records;

	f->err = (struct err){};
	if (images_remove(&f->core, ref, force, &records, &f->err) < 0)
		return "";
	dump = json_dumps(records, JSON_COMPACT);
	json_decref(records);
	(void)snprintf(text, sizeof(text), "%s", dump ? dump : "");
	return text;
}

TEST(the_last_name_takes_the_image_along)
{
	struct image *image;
	FIXTURE;

	ASSERT_OK(images_tag(&f.core, "x:1", "y", NULL, &f.err));
	ASSERT_STREQ(removed(&f, "x:1", false), "[{\"Untagged\":\"x:1\"}]");
	ASSERT(strstr(removed(&f, "y", false),
		      "[{\"Untagged\":\"y:latest\"},{\"Deleted\":\"sha256:"));
	ASSERT_ERROR(image_get(f.core.images, f.id, &image, &f.err), ENOENT);
	ASSERT(strstr(told.data, "image tag y:latest v\n"));
	ASSERT(strstr(told.data, "image untag sha256:"));
	ASSERT(strstr(told.data, "image delete sha256:"));
}

TEST(several_names_need_force_by_id)
{
	FIXTURE;

	ASSERT_OK(images_tag(&f.core, "x:1", "y", NULL, &f.err));
	ASSERT_STREQ(removed(&f, f.id, false), "");
	ASSERT_EQ(f.err.kind, ERR_CONFLICT);
	ASSERT(strstr(f.err.msg,
		      "(must be forced) - image is referenced in multiple repositories"));
	ASSERT(strstr(removed(&f, digest_hex(f.id), true), "{\"Untagged\":\"y:latest\"}"));
}

#define DIGEST "sha256:" USER

static int add_digest(struct fixture *f, const char *name)
{
	_cleanup_free_ char *ref = str_format("docker.io/library/%s@" DIGEST, name);

	return store_exec(f->core.store, "INSERT INTO image_digests VALUES (?, ?)", NULL, NULL,
			  "ss", ref, f->id);
}

/* Goal: a tag and the digest it was pulled by are one name to whoever looks at the image. */
TEST(the_last_tag_takes_the_digests_of_its_repository_along)
{
	FIXTURE;

	ASSERT_OK(add_digest(&f, "x"));
	ASSERT_OK(images_tag(&f.core, "x:1", "x", "2", &f.err));
	ASSERT_STREQ(removed(&f, "x:1", false), "[{\"Untagged\":\"x:1\"}]");
	ASSERT(strstr(removed(&f, "x:2", false), "[{\"Untagged\":\"x:2\"},{\"Untagged\":\"x@" DIGEST
						 "\"},{\"Deleted\":\"sha256:"));
}

TEST(a_tag_and_its_digest_go_by_id)
{
	FIXTURE;

	ASSERT_OK(add_digest(&f, "x"));
	ASSERT(strstr(removed(&f, f.id, false), "[{\"Untagged\":\"x:1\"},{\"Untagged\":\"x@" DIGEST
						"\"},{\"Deleted\":\"sha256:"));
}

TEST(a_digest_of_another_repository_is_a_name_of_its_own)
{
	FIXTURE;

	ASSERT_OK(add_digest(&f, "y"));
	ASSERT_STREQ(removed(&f, f.id, false), "");
	ASSERT(strstr(f.err.msg, "image is referenced in multiple repositories"));
	ASSERT_STREQ(removed(&f, "x:1", false), "[{\"Untagged\":\"x:1\"}]");
	ASSERT(strstr(removed(&f, "y@" DIGEST, false),
		      "[{\"Untagged\":\"y@" DIGEST "\"},{\"Deleted\":\"sha256:"));
}

TEST(removing_a_digest_leaves_the_tags)
{
	FIXTURE;

	ASSERT_OK(add_digest(&f, "x"));
	used_image = f.id;
	ASSERT_STREQ(removed(&f, "x@" DIGEST, false), "");
	ASSERT(strstr(f.err.msg, "is using its referenced image"));
	ASSERT_STREQ(removed(&f, "x@" DIGEST, true), "[{\"Untagged\":\"x@" DIGEST "\"}]");
}

TEST(a_stopped_container_holds_its_image_unless_forced)
{
	_cleanup_free_ char *want = NULL;
	FIXTURE;

	used_image = f.id;
	ASSERT_STREQ(removed(&f, "x:1", false), "");
	want = str_format("conflict: unable to remove repository reference \"x:1\" (must force) - "
			  "container feedfeedfeed is using its referenced image %.12s",
			  digest_hex(f.id));
	ASSERT_STREQ(f.err.msg, want);
	ASSERT_STREQ(removed(&f, f.id, false), "");
	ASSERT(strstr(f.err.msg,
		      "(must be forced) - image is being used by stopped container feedfeedfeed"));
	ASSERT(strstr(removed(&f, f.id, true), "Deleted"));
}

TEST(a_running_container_holds_its_image_always)
{
	struct image *image;
	FIXTURE;

	used_image = f.id;
	used_running = true;
	ASSERT_STREQ(removed(&f, f.id, true), "");
	ASSERT(strstr(
		f.err.msg,
		"(cannot be forced) - image is being used by running container feedfeedfeed"));
	/* its name goes with force, the image stays */
	ASSERT_STREQ(removed(&f, "x:1", true), "[{\"Untagged\":\"x:1\"}]");
	ASSERT_OK(image_get(f.core.images, f.id, &image, &f.err));
	image_free(image);
}

static size_t listed(struct fixture *f, const char *filters)
{
	struct image **images = NULL;
	size_t n = 0;

	f->err = (struct err){};
	if (images_list(&f->core, filters, NULL, &images, &n, &f->err) < 0)
		return 99;
	for (size_t i = 0; i < n; i++)
		image_free(images[i]);
	free(images);
	return n;
}

TEST(filters_find_and_unknown_ones_are_refused)
{
	char id[DIGEST_BUF];
	static const struct {
		const char *filters;
		size_t n;
	} cases[] = {
		{NULL, 3},
		{"{\"dangling\":[\"true\"]}", 1},
		{"{\"dangling\":{\"false\":true}}", 2},
		{"{\"dangling\":[\"maybe\"]}", 99},
		{"{\"label\":[\"k\"]}", 1},
		{"{\"label\":[\"k=v\"]}", 1},
		{"{\"label\":[\"k=w\"]}", 0},
		{"{\"reference\":[\"x\"]}", 1},
		{"{\"reference\":[\"x:*\"]}", 1},
		{"{\"reference\":[\"a/*\"]}", 1},
		{"{\"reference\":[\"*\"]}", 1},
		{"{\"reference\":[\"*/*\"]}", 1},
		{"{\"since\":[\"x:1\"]}", 2},
		{"{\"before\":[\"x:1\"]}", 0},
		{"{\"before\":[\"nosuch\"]}", 99},
		{"{\"until\":[\"1h\"]}", 0},
		{"{\"until\":[\"soon\"]}", 99},
		{"{\"colour\":[\"red\"]}", 99},
		{"[]", 99},
	};
	FIXTURE;

	ASSERT_OK(import(&f, "g", "a/b", NULL, id));
	ASSERT_OK(import(&f, "h", NULL, NULL, id));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = listed(&f, cases[i].filters);

		if (n != cases[i].n)
			TEST_FAIL("%s finds %zu (%s)", cases[i].filters, n, f.err.msg);
	}
}

TEST(prune_takes_what_nobody_uses)
{
	char loose[DIGEST_BUF];
	json_t *records;
	uint64_t bytes;
	FIXTURE;

	ASSERT_OK(import(&f, "h", NULL, NULL, loose));
	used_image = loose;
	used_running = false;
	ASSERT_OK(images_prune(&f.core, NULL, &records, &bytes, &f.err));
	ASSERT_EQ(json_array_size(records), 0);
	json_decref(records);
	used_image = NULL;
	ASSERT_OK(images_prune(&f.core, NULL, &records, &bytes, &f.err));
	ASSERT_EQ(json_array_size(records), 2); /* image and layer */
	ASSERT_EQ(bytes, 3);
	json_decref(records);
	ASSERT_OK(images_prune(&f.core, "{\"dangling\":[\"false\"]}", &records, &bytes, &f.err));
	ASSERT_EQ(json_array_size(records), 3); /* and a name */
	json_decref(records);
	ASSERT_ERROR(images_prune(&f.core, "{\"reference\":[\"x\"]}", &records, &bytes, &f.err),
		     EINVAL);
	ASSERT_EQ(listed(&f, NULL), 0);
}

TEST_MAIN()
