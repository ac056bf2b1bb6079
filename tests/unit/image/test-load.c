/* SPDX-License-Identifier: Apache-2.0 */
#include "load_fixture.h"

#include <lzma.h>

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

static void put_xz(struct buf *b, const struct buf *plain, uint32_t preset)
{
	size_t max = lzma_stream_buffer_bound(plain->len);
	_cleanup_free_ unsigned char *out = malloc(max);
	lzma_stream z = LZMA_STREAM_INIT;

	if (!out || lzma_easy_encoder(&z, preset, LZMA_CHECK_CRC64) != LZMA_OK)
		abort();
	z.next_in = (const uint8_t *)plain->data;
	z.avail_in = plain->len;
	z.next_out = out;
	z.avail_out = max;
	if (lzma_code(&z, LZMA_FINISH) != LZMA_STREAM_END)
		abort();
	buf_add(b, out, max - z.avail_out);
	lzma_end(&z);
}

TEST(an_xz_archive_is_loaded)
{
	for (uint32_t preset = 0; preset <= 9; preset += 3) {
		_cleanup_tar_ struct tar t = {};
		_cleanup_buf_ struct buf first = {}, second = {}, xz = {};
		struct memory m;
		FIXTURE;

		make_docker(&t, &(struct docker_spec){});
		buf_add(&first, t.out.data, 1000);
		buf_add(&second, t.out.data + 1000, t.out.len - 1000);
		put_xz(&xz, &first, preset); /* two streams, as from xz -T or cat */
		put_xz(&xz, &second, preset);
		m = (struct memory){.data = xz.data, .len = xz.len, .chunk = 113};
		if (load_memory(&f, &m) < 0)
			TEST_FAIL("preset %u: %s", preset, f.err.msg);
	}
}

TEST(a_broken_xz_archive_is_refused)
{
	_cleanup_tar_ struct tar t = {};
	_cleanup_buf_ struct buf xz = {};
	FIXTURE;

	make_docker(&t, &(struct docker_spec){});
	put_xz(&xz, &t.out, 6);
	for (size_t len = 7; len < xz.len; len += 101) {
		struct memory m = {.data = xz.data, .len = len};

		ASSERT(load_memory(&f, &m) < 0);
		ASSERT_EQ(f.err.kind, ERR_INVALID);
		m = (struct memory){.data = xz.data, .len = len, .error_at_end = ECONNRESET};
		ASSERT(load_memory(&f, &m) < 0);
		ASSERT(!strstr(f.err.msg, "xz"));
	}
	memset(xz.data + xz.len / 2, 0xff, 16);
	ASSERT(load_buf(&f, &xz) < 0);
	ASSERT(strstr(f.err.msg, "xz: invalid data"));
	ASSERT(store_is_empty(&f));
}

/* Goal: a few bytes cannot make the daemon take gigabytes. */
TEST(an_xz_archive_that_wants_too_much_memory_is_refused)
{
	/* in the only block's header: size / 4 - 1, flags, LZMA2, one byte, the dictionary */
	enum { BLOCK = LZMA_STREAM_HEADER_SIZE, DICTIONARY = BLOCK + 4 };
	_cleanup_tar_ struct tar t = {};
	_cleanup_buf_ struct buf xz = {};
	struct memory m;
	uint32_t crc;
	FIXTURE;

	make_docker(&t, &(struct docker_spec){});
	put_xz(&xz, &t.out, 0);
	ASSERT_EQ(xz.data[BLOCK + 2], 0x21);
	xz.data[DICTIONARY] = 40; /* 4 GiB - 1 */
	ASSERT_EQ(xz.data[BLOCK], 2);
	crc = lzma_crc32((const uint8_t *)xz.data + BLOCK, 8, 0);
	memcpy(xz.data + BLOCK + 8, &crc, sizeof(crc));
	m = (struct memory){.data = xz.data, .len = xz.len, .chunk = 10};
	ASSERT(load_memory(&f, &m) < 0);
	ASSERT_EQ(f.err.kind, ERR_INVALID);
	ASSERT_STREQ(f.err.msg, "invalid archive: xz: unpacking it takes 4096 MiB of memory, more "
				"than the 128 MiB allowed");
	ASSERT(store_is_empty(&f));

	xz.data[DICTIONARY] = 28; /* 64 MiB, as xz -9 */
	crc = lzma_crc32((const uint8_t *)xz.data + BLOCK, 8, 0);
	memcpy(xz.data + BLOCK + 8, &crc, sizeof(crc));
	ASSERT_OK(load_buf(&f, &xz));
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
	ASSERT_ERROR(image_untag(f.is, "y", other_id, &f.err), ENOENT);
	ASSERT_OK(image_untag(f.is, "y", id, &f.err));
	ASSERT_ERROR(image_untag(f.is, "y", id, &f.err), ENOENT);

	ASSERT_OK(image_delete(f.is, id, &deleted, NULL, &f.err));
	ASSERT_STREQ(deleted[0], id);
	ASSERT(!deleted[1]); /* its layers live on */
	free(deleted[0]);
	free(deleted);
	ASSERT_ERROR(image_get(f.is, "y:2", &image, &f.err), ENOENT);
	ASSERT_EQ(entries(&f, "layers"), 2);
	ASSERT_EQ(entries(&f, "rootfs"), 1);

	ASSERT_OK(image_delete(f.is, other_id, &deleted, NULL, &f.err));
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
		if (image_delete(f.is, image->id, &deleted, NULL, &f.err) == 0)
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

TEST_MAIN()
