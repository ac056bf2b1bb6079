/* SPDX-License-Identifier: Apache-2.0 */
/* test-load.c - archives in, images out: all of it, or nothing */
#include "image/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
#include "test.h"

struct fixture {
	char dir[64], root[96];
	struct store *store;
	struct image_store *is;
	struct err err;
	char last_line[256];
	int lines;
};

static void fixture_done(struct fixture *f)
{
	image_store_free(f->is);
	store_close(f->store);
	(void)fs_remove_tree(f->dir);
}

static int fixture_reopen(struct fixture *f)
{
	image_store_free(f->is);
	f->is = NULL;
	return image_store_new(f->root, f->store, &f->is, &f->err);
}

static int fixture_open(struct fixture *f)
{
	char db[96];

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/test-load-XXXXXX");
	if (!mkdtemp(f->dir))
		return -errno;
	(void)snprintf(f->root, sizeof(f->root), "%s/images", f->dir);
	(void)snprintf(db, sizeof(db), "%s/arca.db", f->dir);
	return store_open(db, &f->store, &f->err) < 0 ? -EIO : fixture_reopen(f);
}

#define FIXTURE                                                                                    \
	_cleanup_(fixture_done) struct fixture f = {};                                             \
	ASSERT_OK(fixture_open(&f))

/* a tar being written in memory */
struct tar {
	struct buf out;
	struct archive *a;
};

static la_ssize_t tar_write(struct archive *a UNUSED, void *user, const void *data, size_t len)
{
	buf_add(user, data, len);
	return (la_ssize_t)len;
}

static void tar_begin(struct tar *t)
{
	*t = (struct tar){.a = archive_write_new()};
	archive_write_set_format_pax_restricted(t->a);
	archive_write_set_bytes_per_block(t->a, 0);
	archive_write_open(t->a, &t->out, NULL, tar_write, NULL);
}

static void tar_add(struct tar *t, const char *name, const void *data, size_t len)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)len);
	archive_write_header(t->a, e);
	archive_write_data(t->a, data, len);
	archive_entry_free(e);
}

static void tar_link(struct tar *t, const char *name, const char *target)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFLNK);
	archive_entry_set_symlink(e, target);
	archive_write_header(t->a, e);
	archive_entry_free(e);
}

static void tar_end(struct tar *t)
{
	archive_write_close(t->a);
	archive_write_free(t->a);
	t->a = NULL;
}

static void tar_done(struct tar *t)
{
	buf_done(&t->out);
}

#define _cleanup_tar_ _cleanup_(tar_done)

/* a layer of one file */
static void make_layer(struct tar *t, const char *name, const char *text)
{
	tar_begin(t);
	tar_add(t, name, text, strlen(text));
	tar_end(t);
}

static char *make_config(struct tar **layers, size_t n, const char *extra)
{
	_cleanup_buf_ struct buf b = {};

	buf_addf(&b,
		 "{\"os\":\"linux\",\"architecture\":\"amd64\",%s\"rootfs\":{\"type\":\"layers\","
		 "\"diff_ids\":[",
		 extra);
	for (size_t i = 0; i < n; i++) {
		char digest[DIGEST_BUF];

		sha256_digest_text(layers[i]->out.data, layers[i]->out.len, digest);
		buf_addf(&b, "%s\"%s\"", i ? "," : "", digest);
	}
	buf_adds(&b, "]}}");
	return buf_steal(&b);
}

struct memory {
	const char *data;
	size_t len, at, chunk;
	int error_at_end;
};

static ssize_t memory_read(void *user, void *data, size_t len)
{
	struct memory *m = user;
	size_t n = MIN(len, m->len - m->at);

	if (m->chunk && n > m->chunk)
		n = m->chunk;
	if (n == 0 && m->error_at_end)
		return -m->error_at_end;
	memcpy(data, m->data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

static int on_line(void *user, json_t *line)
{
	struct fixture *f = user;
	const char *stream = json_string_value(json_object_get(line, "stream"));

	f->lines++;
	if (stream)
		(void)snprintf(f->last_line, sizeof(f->last_line), "%s", stream);
	return 0;
}

static int load_memory(struct fixture *f, struct memory *m)
{
	struct byte_source source = {memory_read, m};
	struct image_load load = {.quiet = true, .progress = on_line, .user = f};

	f->err = (struct err){};
	return image_load(f->is, &source, &load, &f->err);
}

static int load_buf(struct fixture *f, const struct buf *b)
{
	struct memory m = {.data = b->data, .len = b->len};

	return load_memory(f, &m);
}

static size_t entries(const struct fixture *f, const char *folder)
{
	_cleanup_free_ char *path = str_format("%s/%s", f->root, folder);
	_cleanup_closedir_ DIR *d = opendir(path);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	return n > 2 ? n - 2 : 0;
}

static bool store_is_empty(struct fixture *f)
{
	struct image **images = NULL;
	size_t n = 1;

	if (image_list(f->is, &images, &n, &f->err) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		image_free(images[i]);
	free(images);
	return n == 0 && entries(f, "blobs/sha256") == 0 && entries(f, "layers") == 0 &&
	       entries(f, "rootfs") == 0 && entries(f, "ingest") == 0;
}

/* what can be made wrong about a docker archive */
struct docker_spec {
	const char *tags; /* JSON array */
	const char *config_extra;
	bool legacy_links, swap_layers, drop_layer, wrong_blob_name, garbage_layer, twins;
};

static void make_docker(struct tar *out, const struct docker_spec *spec)
{
	_cleanup_tar_ struct tar a = {}, b = {};
	struct tar *layers[] = {&a, &b};
	_cleanup_free_ char *config = NULL, *manifest = NULL;
	char digest[DIGEST_BUF];

	make_layer(&a, "etc/a", "first");
	if (spec->twins)
		make_layer(&b, "etc/a", "first");
	else
		make_layer(&b, "etc/b", "second");
	if (spec->garbage_layer)
		memset(b.out.data + 100, 'Z', 300);
	config = make_config(layers, 2, spec->config_extra ? spec->config_extra : "");
	sha256_digest_text(config, strlen(config), digest);
	if (spec->wrong_blob_name)
		digest[20] = digest[20] == '0' ? '1' : '0';
	manifest = str_format("[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":%s,\"Layers\":"
			      "[\"%s\",\"%s\"]}]",
			      digest_hex(digest), spec->tags ? spec->tags : "[\"x:1\"]",
			      spec->swap_layers ? "2/layer.tar" : "1/layer.tar",
			      spec->swap_layers ? "1/layer.tar" : "2/layer.tar");
	tar_begin(out);
	tar_add(out, "1/layer.tar", a.out.data, a.out.len);
	if (spec->legacy_links) {
		tar_add(out, "3/layer.tar", b.out.data, b.out.len);
		tar_link(out, "2/layer.tar", "../3/layer.tar");
	} else if (!spec->drop_layer) {
		tar_add(out, "./2/layer.tar", b.out.data, b.out.len);
	}
	tar_add(out, "manifest.json", manifest, strlen(manifest));
	{
		_cleanup_free_ char *path = str_format("blobs/sha256/%s", digest_hex(digest));

		tar_add(out, path, config, strlen(config));
	}
	tar_end(out);
}

TEST(a_docker_archive_becomes_an_image)
{
	_cleanup_tar_ struct tar t = {};
	_cleanup_free_ char *vmdk = NULL;
	struct image *image = NULL;
	FIXTURE;

	make_docker(&t,
		    &(struct docker_spec){.tags = "[\"x:1\",\"localhost:5000/a/b:2\"]",
					  .config_extra = "\"config\":{\"Labels\":{\"k\":\"v\"}},"
							  "\"created\":\"2020-01-02T03:04:05Z\","});
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_STREQ(f.last_line, "Loaded image: localhost:5000/a/b:2\n");
	ASSERT_EQ(f.lines, 2);
	ASSERT_OK(image_get(f.is, "x:1", &image, &f.err));
	ASSERT_STREQ(image->repo_tags[0], "x:1");
	ASSERT_STREQ(image->repo_tags[1], "localhost:5000/a/b:2");
	ASSERT(!image->repo_tags[2]);
	ASSERT_EQ(image->size_bytes, 11);
	ASSERT_STREQ(json_string_value(json_object_get(image->labels, "k")), "v");
	ASSERT_EQ(image->created_ns / 1000000000, 1577934245);
	ASSERT(image->diff_ids[1] && !image->diff_ids[2]);
	ASSERT_OK(image_rootfs(f.is, image, IMAGE_DISK_BYTES, &vmdk, &f.err));
	ASSERT(fs_exists(vmdk));
	ASSERT_EQ(image_store_layers_bytes(f.is), 11);
	image_free(image);

	/* and survives the daemon */
	ASSERT_OK(fixture_reopen(&f));
	ASSERT_OK(image_get(f.is, "localhost:5000/a/b:2", &image, &f.err));
	image_free(image);
	ASSERT_EQ(entries(&f, "blobs/sha256"), 4);
	ASSERT_EQ(entries(&f, "layers"), 2);
	ASSERT_EQ(entries(&f, "rootfs"), 1);
	ASSERT_EQ(entries(&f, "ingest"), 0);
}

TEST(symlinked_layers_of_old_archives_are_followed)
{
	_cleanup_tar_ struct tar t = {};
	FIXTURE;

	make_docker(&t, &(struct docker_spec){.legacy_links = true});
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_EQ(entries(&f, "layers"), 2);
}

TEST(the_same_layer_twice_is_stored_once)
{
	_cleanup_tar_ struct tar t = {};
	struct image *image = NULL;
	FIXTURE;

	make_docker(&t, &(struct docker_spec){.twins = true});
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_EQ(entries(&f, "layers"), 1);
	ASSERT_OK(image_get(f.is, "x:1", &image, &f.err));
	ASSERT_STREQ(image->diff_ids[0], image->diff_ids[1]);
	ASSERT_EQ(image->size_bytes, 10);
	image_free(image);
}

TEST(archives_that_lie_leave_nothing_behind)
{
	static const struct {
		struct docker_spec spec;
		const char *message;
	} lies[] = {
		{{.swap_layers = true}, "invalid diffID for layer 0"},
		{{.drop_layer = true}, "layer 2/layer.tar is missing"},
		{{.wrong_blob_name = true}, "has the digest"},
		{{.garbage_layer = true}, ""},
		{{.tags = "[\"UPPER:1\"]"}, "must be lowercase"},
		{{.tags = "[\"notag\"]"}, "invalid tag"},
		{{.tags = "[1]"}, "RepoTags"},
		{{.config_extra = "\"config\":{\"Env\":1},"}, "Env must be"},
		{{.config_extra = "\"os.version\":1,"}, "os.version"},
	};
	FIXTURE;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		_cleanup_tar_ struct tar t = {};

		make_docker(&t, &lies[i].spec);
		if (load_buf(&f, &t.out) >= 0)
			TEST_FAIL("lie %zu was believed", i);
		if (f.err.kind != ERR_INVALID || !strstr(f.err.msg, lies[i].message))
			TEST_FAIL("lie %zu: %s", i, f.err.msg);
		if (!store_is_empty(&f))
			TEST_FAIL("lie %zu left something behind", i);
	}
}

TEST(an_archive_cut_anywhere_leaves_nothing_behind)
{
	_cleanup_tar_ struct tar t = {};
	FIXTURE;

	make_docker(&t, &(struct docker_spec){});
	for (size_t len = 0; len + 1024 < t.out.len; len += 509) {
		struct memory m = {.data = t.out.data, .len = len, .chunk = 777};

		if (load_memory(&f, &m) >= 0)
			TEST_FAIL("%zu of %zu bytes were enough", len, t.out.len);
		m = (struct memory){.data = t.out.data, .len = len, .error_at_end = ECONNRESET};
		ASSERT(load_memory(&f, &m) < 0);
	}
	ASSERT(store_is_empty(&f));
	ASSERT_OK(load_buf(&f, &t.out));
}

TEST(nonsense_is_no_archive)
{
	static const char brackets[] = "[[[[[[[[[[[[[[[[[";
	_cleanup_tar_ struct tar empty = {}, deep = {};
	_cleanup_free_ char *big = malloc(1 << 20);
	struct memory m = {.data = brackets, .len = sizeof(brackets)};
	FIXTURE;

	ASSERT(load_memory(&f, &m) < 0);
	ASSERT_EQ(f.err.kind, ERR_INVALID);
	tar_begin(&empty);
	tar_end(&empty);
	ASSERT(load_buf(&f, &empty.out) < 0);
	ASSERT(strstr(f.err.msg, "neither manifest.json nor index.json"));
	memset(big, '[', 1 << 20);
	tar_begin(&deep);
	tar_add(&deep, "manifest.json", big, 1 << 20);
	tar_end(&deep);
	ASSERT(load_buf(&f, &deep.out) < 0);
	ASSERT(strstr(f.err.msg, "depth"));
	ASSERT(store_is_empty(&f));
}

/* Goal: files of one name replace each other, but each costs memory and a file: not without end. */
TEST(an_archive_of_too_many_files_of_one_name_is_refused)
{
	_cleanup_tar_ struct tar t = {};
	FIXTURE;

	tar_begin(&t);
	for (int i = 0; i < 65537; i++)
		tar_add(&t, "x", "", 0);
	tar_end(&t);
	ASSERT(load_buf(&f, &t.out) < 0);
	ASSERT(strstr(f.err.msg, "more than 65536 files"));
	ASSERT(store_is_empty(&f));
}

/* A GNU sparse header of @blocks further blocks, each of 21 pieces of nothing, and no end. */
static void put_endless_sparse(struct buf *b, int blocks)
{
	char h[512] = "x";
	unsigned int sum = 0;

	memcpy(h + 100, "0000644", 8);
	memcpy(h + 124, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = 'S';
	memcpy(h + 257, "ustar  ", 8);
	h[482] = 1;
	memcpy(h + 483, "00000000001", 12);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
	buf_add(b, h, sizeof(h));
	memset(h, 0, sizeof(h));
	for (int i = 0; i < 21 * 2; i++)
		memcpy(h + 12 * i, "00000000000", 12);
	h[504] = 1;
	for (int i = 0; i < blocks; i++)
		buf_add(b, h, sizeof(h));
}

/* Goal: a list of pieces of a sparse file is not memory without end. */
TEST(an_archive_of_too_many_pieces_is_refused)
{
	_cleanup_buf_ struct buf out = {};
	FIXTURE;

	put_endless_sparse(&out, 60000);
	ASSERT(load_buf(&f, &out) < 0);
	ASSERT_EQ(f.err.kind, ERR_INVALID);
	ASSERT(strstr(f.err.msg, "too many pieces"));
	ASSERT(store_is_empty(&f));
}

static void add_blob(struct tar *t, const void *data, size_t len, char digest[static DIGEST_BUF])
{
	_cleanup_free_ char *path = NULL;

	sha256_digest_text(data, len, digest);
	path = str_format("blobs/sha256/%s", digest_hex(digest));
	tar_add(t, path, data, len);
}

/* index.json -> nested index -> manifest; size_lie is added to the layer's size */
static void make_oci(struct tar *t, int size_lie, char manifest_digest[static DIGEST_BUF])
{
	_cleanup_tar_ struct tar layer = {};
	struct tar *layers[] = {&layer};
	_cleanup_free_ char *config = NULL, *manifest = NULL, *index = NULL, *top = NULL;
	char cd[DIGEST_BUF], ld[DIGEST_BUF], id[DIGEST_BUF];

	make_layer(&layer, "f", "oci");
	config = make_config(layers, 1, "");
	tar_begin(t);
	add_blob(t, config, strlen(config), cd);
	add_blob(t, layer.out.data, layer.out.len, ld);
	manifest = str_format(
		"{\"schemaVersion\":2, "
		"\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		"\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
		cd, strlen(config), ld, layer.out.len + (size_t)size_lie);
	add_blob(t, manifest, strlen(manifest), manifest_digest);
	index = str_format(
		"{\"schemaVersion\":2,\"manifests\":["
		"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":"
		"\"sha256:0000000000000000000000000000000000000000000000000000000000000000\","
		"\"size\":5,\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},"
		"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
		"\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		manifest_digest, strlen(manifest),
#ifdef __x86_64__
		"amd64"
#else
		"arm64"
#endif
	);
	add_blob(t, index, strlen(index), id);
	top = str_format(
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		"\"application/vnd.oci.image.index.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
		"\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/o:1\","
		"\"org.opencontainers.image.ref.name\":\"1\"}}]}",
		id, strlen(index));
	tar_add(t, "index.json", top, strlen(top));
	tar_add(t, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
	tar_end(t);
}

TEST(an_oci_archive_keeps_its_manifest)
{
	_cleanup_tar_ struct tar t = {};
	char digest[DIGEST_BUF];
	struct image *image = NULL;
	FIXTURE;

	make_oci(&t, 0, digest);
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_STREQ(f.last_line, "Loaded image: o:1\n");
	ASSERT_OK(image_get(f.is, "o:1", &image, &f.err));
	ASSERT_STREQ(image->manifest_digest, digest);
	image_free(image);
	{
		_cleanup_free_ char *by_digest = str_format("o@%s", digest);

		ASSERT_OK(image_get(f.is, by_digest, &image, &f.err));
		image_free(image);
	}
}

TEST(an_oci_archive_with_a_wrong_size_is_refused)
{
	_cleanup_tar_ struct tar t = {};
	char digest[DIGEST_BUF];
	FIXTURE;

	make_oci(&t, 1, digest);
	ASSERT(load_buf(&f, &t.out) < 0);
	ASSERT(strstr(f.err.msg, "its descriptor says"));
	ASSERT(store_is_empty(&f));
}

TEST(images_are_found_by_name_id_and_prefix)
{
	_cleanup_tar_ struct tar t = {};
	struct image *image = NULL;
	char id[DIGEST_BUF], text[DIGEST_BUF];
	FIXTURE;

	make_docker(&t, &(struct docker_spec){.tags = "[\"x:latest\"]"});
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_OK(image_get(f.is, "docker.io/library/x", &image, &f.err));
	memcpy(id, image->id, sizeof(id));
	image_free(image);
	ASSERT_OK(image_get(f.is, id, &image, &f.err));
	image_free(image);
	ASSERT_OK(image_get(f.is, digest_hex(id), &image, &f.err));
	image_free(image);
	(void)snprintf(text, sizeof(text), "%.12s", digest_hex(id));
	ASSERT_OK(image_get(f.is, text, &image, &f.err));
	image_free(image);
	(void)snprintf(text, sizeof(text), "%.15s", id);
	ASSERT_OK(image_get(f.is, text, &image, &f.err));
	image_free(image);
	ASSERT_ERROR(image_get(f.is, "nothing", &image, &f.err), ENOENT);
	ASSERT_STREQ(f.err.msg, "No such image: nothing:latest");
	ASSERT_ERROR(image_get(f.is, "x:y", &image, &f.err), ENOENT);
	ASSERT_ERROR(image_get(f.is, "X", &image, &f.err), EINVAL);
	ASSERT_ERROR(image_get(f.is, "", &image, &f.err), EINVAL);
}

TEST(tags_move_and_deletes_free_what_is_not_shared)
{
	_cleanup_tar_ struct tar t = {}, other = {};
	_cleanup_free_ char *ref = NULL;
	struct image *image = NULL;
	char **deleted = NULL, id[DIGEST_BUF], other_id[DIGEST_BUF];
	size_t n = 0;
	FIXTURE;

	make_docker(&t, &(struct docker_spec){.tags = "[\"x:1\"]"});
	make_docker(&other, &(struct docker_spec){.tags = "[\"x:1\"]",
						  .config_extra = "\"author\":\"me\","});
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_OK(image_get(f.is, "x:1", &image, &f.err));
	memcpy(id, image->id, sizeof(id));
	image_free(image);
	ASSERT_OK(load_buf(&f, &other.out)); /* same layers, another config */
	ASSERT_OK(image_get(f.is, "x:1", &image, &f.err));
	memcpy(other_id, image->id, sizeof(other_id));
	ASSERT(strcmp(id, other_id) != 0);
	image_free(image);
	ASSERT_EQ(entries(&f, "layers"), 2);

	ASSERT_OK(image_tag(f.is, id, "y", NULL, &ref, &f.err));
	ASSERT_STREQ(ref, "y:latest");
	ASSERT_OK(image_tag(f.is, id, "y", "2", NULL, &f.err));
	ASSERT_OK(image_untag(f.is, "y", &f.err));
	ASSERT_ERROR(image_untag(f.is, "y", &f.err), ENOENT);

	ASSERT_OK(image_delete(f.is, id, &deleted, &f.err));
	ASSERT_STREQ(deleted[0], id);
	ASSERT(!deleted[1]); /* its layers live on */
	free(deleted[0]);
	free(deleted);
	ASSERT_ERROR(image_get(f.is, "y:2", &image, &f.err), ENOENT);
	ASSERT_EQ(entries(&f, "layers"), 2);
	ASSERT_EQ(entries(&f, "rootfs"), 1);

	ASSERT_OK(image_delete(f.is, other_id, &deleted, &f.err));
	for (; deleted[n]; n++)
		free(deleted[n]);
	free(deleted);
	ASSERT_EQ(n, 3);
	ASSERT(store_is_empty(&f));
}

TEST(an_import_is_an_image_of_one_layer)
{
	_cleanup_tar_ struct tar t = {};
	static const char *const changes[] = {"CMD [\"/x\"]", "ENV A=b"};
	struct memory m;
	struct byte_source source = {memory_read, &m};
	struct image *image = NULL;
	_cleanup_(json_decrefp) json_t *history = NULL;
	char id[DIGEST_BUF];
	FIXTURE;

	make_layer(&t, "x", "12345");
	m = (struct memory){.data = t.out.data, .len = t.out.len, .chunk = 100};
	ASSERT_OK(image_import(f.is, &source, "imp:v", "", changes, 2, "", id, &f.err));
	ASSERT_OK(image_get(f.is, "imp:v", &image, &f.err));
	ASSERT_STREQ(image->id, id);
	ASSERT_STREQ(image->comment, "Imported from -");
	ASSERT_EQ(image->size_bytes, 5);
	ASSERT_OK(image_history(f.is, image, &history, &f.err));
	ASSERT_EQ(json_array_size(history), 1);
	ASSERT_EQ(json_integer_value(json_object_get(json_array_get(history, 0), "Size")), 5);
	image_free(image);

	m = (struct memory){.data = "not a tar at all", .len = 16};
	ASSERT_ERROR(image_import(f.is, &source, "", "", NULL, 0, "", id, &f.err), EINVAL);
	ASSERT_EQ(f.err.kind, ERR_INVALID);
	ASSERT_EQ(entries(&f, "layers"), 1);
}

static void *load_thread(void *user)
{
	struct fixture *f = user;
	struct fixture mine = {.is = f->is};
	_cleanup_tar_ struct tar t = {};

	for (int i = 0; i < 10; i++) {
		_cleanup_free_ char *tags = str_format("[\"t:%d\"]", i);

		tar_done(&t);
		make_docker(&t, &(struct docker_spec){.tags = tags});
		if (load_buf(&mine, &t.out) < 0) {
			printf("# %s\n", mine.err.msg);
			return "failed";
		}
	}
	return NULL;
}

TEST(loads_and_deletes_at_once_do_not_hurt_each_other)
{
	pthread_t threads[3];
	struct image *image = NULL;
	FIXTURE;

	for (size_t i = 0; i < 3; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, load_thread, &f));
	for (int i = 0; i < 20; i++) {
		char **deleted = NULL;

		if (image_get(f.is, "t:1", &image, &f.err) < 0)
			continue;
		if (image_delete(f.is, image->id, &deleted, &f.err) == 0)
			for (char **d = deleted; *d; d++)
				free(*d);
		free(deleted);
		image_free(image);
	}
	for (size_t i = 0; i < 3; i++) {
		void *failed = NULL;

		ASSERT_OK(pthread_join(threads[i], &failed));
		ASSERT(!failed);
	}
	ASSERT_OK(image_get(f.is, "t:9", &image, &f.err));
	{
		_cleanup_free_ char *vmdk = NULL;

		ASSERT_OK(image_rootfs(f.is, image, IMAGE_DISK_BYTES, &vmdk, &f.err));
		ASSERT(fs_exists(vmdk));
	}
	image_free(image);
	ASSERT_EQ(entries(&f, "ingest"), 0);
}

TEST(what_a_killed_daemon_left_is_swept)
{
	_cleanup_tar_ struct tar t = {};
	_cleanup_free_ char *ingest = NULL, *blob = NULL, *layer = NULL, *layers = NULL;
	FIXTURE;

	make_docker(&t, &(struct docker_spec){});
	ASSERT_OK(load_buf(&f, &t.out));
	ingest = str_format("%s/ingest/7", f.root);
	blob = str_format("%s/blobs/sha256/%064d", f.root, 0);
	layer = str_format("%s/layers/%064d", f.root, 0);
	ASSERT_OK(fs_mkdir_p(ingest, 0700));
	ASSERT_OK(fs_mkdir_p(layer, 0700));
	ASSERT_OK(fs_write_file(blob, "x", 1, 0600));
	ASSERT_OK(fixture_reopen(&f));
	ASSERT(!fs_exists(ingest));
	ASSERT(!fs_exists(blob));
	ASSERT(!fs_exists(layer));
	ASSERT_EQ(entries(&f, "layers"), 2);
	/* and rows whose files are gone are forgotten */
	layers = str_format("%s/layers", f.root);
	ASSERT_OK(fs_remove_tree(layers));
	ASSERT_OK(fixture_reopen(&f));
	ASSERT(store_is_empty(&f));
}

static int save_write(void *user, const void *data, size_t len)
{
	buf_add(user, data, len);
	return 0;
}

static int save(struct fixture *f, const char *ref, struct buf *out)
{
	return image_save(f->is, &ref, 1, save_write, out, &f->err);
}

TEST(saved_images_load_again_bit_for_bit)
{
	_cleanup_tar_ struct tar docker = {}, oci = {};
	_cleanup_buf_ struct buf first = {}, second = {}, all = {};
	char digest[DIGEST_BUF], **deleted = NULL;
	struct image *image = NULL;
	FIXTURE;

	make_docker(&docker, &(struct docker_spec){.tags = "[\"x:1\",\"x:2\"]"});
	make_oci(&oci, 0, digest);
	ASSERT_OK(load_buf(&f, &docker.out));
	ASSERT_OK(load_buf(&f, &oci.out));
	ASSERT_OK(save(&f, "o:1", &first));
	ASSERT_OK(image_get(f.is, "o:1", &image, &f.err));
	ASSERT_OK(image_delete(f.is, image->id, &deleted, &f.err));
	for (char **d = deleted; *d; d++)
		free(*d);
	free(deleted);
	image_free(image);
	ASSERT_OK(load_buf(&f, &first));
	ASSERT_OK(save(&f, "o:1", &second));
	ASSERT_EQ(first.len, second.len);
	ASSERT(memcmp(first.data, second.data, first.len) == 0);
	ASSERT_OK(image_get(f.is, "o:1", &image, &f.err));
	ASSERT_STREQ(image->manifest_digest, digest);
	image_free(image);

	/* a name without a tag brings all of its tags */
	ASSERT_OK(save(&f, "x", &all));
	ASSERT_OK(image_untag(f.is, "x:2", &f.err));
	ASSERT_OK(load_buf(&f, &all));
	ASSERT_STREQ(f.last_line, "Loaded image: x:2\n");
	buf_reset(&all);
	ASSERT_ERROR(save(&f, "nosuch", &all), ENOENT);
	ASSERT_EQ(all.len, 0);
}

/* b compressed by one of libarchive's filters */
static void compress(const struct buf *b, int (*filter)(struct archive *), struct buf *out)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_write_set_format_raw(a);
	filter(a);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open(a, out, NULL, tar_write, NULL);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_write_header(a, e);
	archive_write_data(a, b->data, b->len);
	archive_entry_free(e);
	archive_write_free(a);
}

TEST(compressed_archives_load_and_cut_ones_do_not)
{
	static int (*const filters[])(struct archive *) = {
		archive_write_add_filter_gzip, archive_write_add_filter_zstd,
		archive_write_add_filter_xz, archive_write_add_filter_bzip2};
	_cleanup_tar_ struct tar t = {};
	FIXTURE;

	make_docker(&t, &(struct docker_spec){});
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		_cleanup_buf_ struct buf packed = {};
		struct memory m;

		compress(&t.out, filters[i], &packed);
		m = (struct memory){.data = packed.data, .len = packed.len / 2, .chunk = 7};
		ASSERT(load_memory(&f, &m) < 0);
		ASSERT_EQ(f.err.kind, ERR_INVALID);
		m = (struct memory){.data = packed.data, .len = packed.len, .chunk = 7};
		ASSERT_OK(load_memory(&f, &m));
	}
	ASSERT_EQ(entries(&f, "layers"), 2);
}

TEST(links_that_loop_or_escape_lead_nowhere)
{
	static const char *const targets[] = {"manifest.json",
					      "./manifest.json",
					      "../../etc/passwd",
					      "/etc/passwd",
					      "nosuch",
					      "a",
					      ""};
	FIXTURE;

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		_cleanup_tar_ struct tar t = {};

		tar_begin(&t);
		tar_link(&t, "manifest.json", targets[i]);
		tar_link(&t, "a", "b");
		tar_link(&t, "b", "a");
		tar_add(&t, "../manifest.json", "[]", 2);
		tar_end(&t);
		if (load_buf(&f, &t.out) != -EINVAL)
			TEST_FAIL("%s: %s", targets[i], f.err.msg);
	}
	ASSERT(store_is_empty(&f));
}

static int stop_at_once(void *user UNUSED, const void *data UNUSED, size_t len UNUSED)
{
	return -EPIPE;
}

TEST(a_client_that_leaves_a_save_costs_an_error)
{
	_cleanup_tar_ struct tar t = {};
	const char *ref = "x:1";
	FIXTURE;

	make_docker(&t, &(struct docker_spec){});
	ASSERT_OK(load_buf(&f, &t.out));
	ASSERT_ERROR(image_save(f.is, &ref, 1, stop_at_once, NULL, &f.err), EPIPE);
	ASSERT_OK(load_buf(&f, &t.out));
}

TEST_MAIN()
