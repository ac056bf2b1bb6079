/* SPDX-License-Identifier: Apache-2.0 */
/* load_fixture.h - an image store of its own, and archives made in memory */
#pragma once
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

/* Each program uses its part of these. */
#pragma GCC diagnostic ignored "-Wunused-function"

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
