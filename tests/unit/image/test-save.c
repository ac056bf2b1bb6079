/* SPDX-License-Identifier: Apache-2.0 */
#include "load_fixture.h"

static int save_write(void *user, const void *data, size_t len)
{
	buf_add(user, data, len);
	return 0;
}

static int save(struct fixture *f, const char *ref, struct buf *out)
{
	return image_save(
		f->is,
		&(struct image_save){.refs = &ref, .refs_n = 1, .write = save_write, .user = out},
		&f->err);
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
	ASSERT_OK(image_delete(f.is, image->id, &deleted, NULL, &f.err));
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
	ASSERT_OK(image_get(f.is, "x:2", &image, &f.err));
	ASSERT_OK(image_untag(f.is, "x:2", image->id, &f.err));
	image_free(image);
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
	ASSERT_ERROR(
		image_save(f.is,
			   &(struct image_save){.refs = &ref, .refs_n = 1, .write = stop_at_once},
			   &f.err),
		EPIPE);
	ASSERT_OK(load_buf(&f, &t.out));
}

TEST_MAIN()
