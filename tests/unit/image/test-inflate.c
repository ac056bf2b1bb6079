/* SPDX-License-Identifier: Apache-2.0 */
/* test-inflate.c - gzip, zstd and plain streams, whole, split and broken */
#include "image/inflate.h"

#include "../test.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "layers.h"

static void put_gzip(struct buf *b, const void *data, size_t len)
{
	struct isal_zstream z;
	static unsigned char out[300000];

	isal_deflate_stateless_init(&z);
	z.gzip_flag = IGZIP_GZIP;
	z.next_in = (unsigned char *)(uintptr_t)data;
	z.avail_in = (uint32_t)len;
	z.next_out = out;
	z.avail_out = sizeof(out);
	z.end_of_stream = 1;
	if (isal_deflate_stateless(&z) != COMP_OK)
		abort();
	buf_add(b, out, z.total_out);
}

static void put_zstd(struct buf *b, const void *data, size_t len)
{
	static char out[300000];
	size_t n = ZSTD_compress(out, sizeof(out), data, len, 1);

	buf_add(b, out, n);
}

/* Inflate @b in pieces of @step into @out; the result of the last read. */
static ssize_t inflate_all(const struct buf *b, size_t step, size_t out_step, struct buf *out,
			   const char **ret_error)
{
	struct memory_source m = {.data = b->data, .len = b->len, .step = step};
	struct byte_source from = {memory_read, &m};
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	char piece[5000];
	ssize_t n;

	if (inflate_new(&from, &in) < 0)
		abort();
	while ((n = inflate_read(in, piece, MIN(out_step, sizeof(piece)))) > 0)
		buf_add(out, piece, (size_t)n);
	*ret_error = inflate_error(in);
	return n;
}

static void fill(char *data, size_t len)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = x >> 30 ? "compress me "[i % 12] : (char)(x >> 16);
	}
}

#define ASSERT_INFLATES(b, step, out_step, want, want_len)                                         \
	do {                                                                                       \
		_cleanup_buf_ struct buf got = {};                                                 \
		const char *error;                                                                 \
		ssize_t n = inflate_all(b, step, out_step, &got, &error);                          \
		if (n < 0)                                                                         \
			TEST_FAIL("%zd: %s", n, error ? error : "?");                              \
		ASSERT_EQ(got.len, want_len);                                                      \
		ASSERT(memcmp(got.data ? got.data : "", want, want_len) == 0);                     \
	} while (0)

#define ASSERT_REFUSED(b, text)                                                                    \
	do {                                                                                       \
		for (size_t _step = 0; _step < 2; _step++) {                                       \
			_cleanup_buf_ struct buf _got = {};                                        \
			const char *_error;                                                        \
			ASSERT_ERROR(inflate_all(b, _step, 5000, &_got, &_error), EINVAL);         \
			ASSERT_STREQ(_error, text);                                                \
		}                                                                                  \
	} while (0)

static char data[100000];

TEST(gzip_in_pieces_of_any_size)
{
	_cleanup_buf_ struct buf b = {};

	fill(data, sizeof(data));
	put_gzip(&b, data, sizeof(data));
	ASSERT_INFLATES(&b, 0, 5000, data, sizeof(data));
	ASSERT_INFLATES(&b, 1, 5000, data, sizeof(data));
	ASSERT_INFLATES(&b, 7, 1, data, sizeof(data));
	ASSERT_INFLATES(&b, 4096, 13, data, sizeof(data));
}

TEST(gzip_members_follow_each_other)
{
	for (size_t step = 0; step < 40; step++) {
		_cleanup_buf_ struct buf b = {};

		put_gzip(&b, "one", 3);
		put_gzip(&b, "", 0);
		put_gzip(&b, "two", 3);
		buf_add(&b, "\0\0\0\0", 4); /* padding */
		ASSERT_INFLATES(&b, step, 5000, "onetwo", 6);
	}
}

TEST(zstd_frames_follow_each_other)
{
	_cleanup_buf_ struct buf b = {};

	fill(data, sizeof(data));
	buf_add(&b, "\x50\x2a\x4d\x18\x04\0\0\0skip", 12); /* a skippable frame first */
	put_zstd(&b, data, 50000);
	put_zstd(&b, "", 0);
	put_zstd(&b, data + 50000, 50000);
	ASSERT_INFLATES(&b, 0, 5000, data, sizeof(data));
	ASSERT_INFLATES(&b, 1, 5000, data, sizeof(data));
	ASSERT_INFLATES(&b, 3, 1, data, sizeof(data));
}

TEST(plain_bytes_pass)
{
	_cleanup_buf_ struct buf b = {};

	ASSERT_INFLATES(&b, 0, 5000, "", 0);
	buf_adds(&b, "\x1f");
	ASSERT_INFLATES(&b, 1, 5000, "\x1f", 1);
	fill(data, sizeof(data));
	buf_add(&b, data, sizeof(data));
	ASSERT_INFLATES(&b, 2, 3, b.data, b.len);
}

TEST(truncated_streams_are_refused)
{
	_cleanup_buf_ struct buf gz = {}, zst = {};
	size_t gz_len, zst_len;

	fill(data, 1000);
	put_gzip(&gz, data, 1000);
	put_zstd(&zst, data, 1000);
	gz_len = gz.len;
	zst_len = zst.len;
	for (gz.len = 4; gz.len < gz_len; gz.len++)
		ASSERT_REFUSED(&gz, "gzip: unexpected EOF");
	for (zst.len = 4; zst.len < zst_len; zst.len++)
		ASSERT_REFUSED(&zst, "zstd: unexpected EOF");
}

TEST(corrupt_streams_are_refused)
{
	_cleanup_buf_ struct buf gz = {}, zst = {};
	_cleanup_buf_ struct buf got = {};
	const char *error;

	fill(data, sizeof(data));
	put_gzip(&gz, data, sizeof(data));
	gz.data[gz.len - 6] ^= 1; /* the checksum */
	ASSERT_REFUSED(&gz, "gzip: invalid checksum");
	gz.data[gz.len - 6] ^= 1;
	memset(gz.data + 2000, 0xff, 64);
	ASSERT_ERROR(inflate_all(&gz, 0, 5000, &got, &error), EINVAL);
	put_zstd(&zst, data, sizeof(data));
	memset(zst.data + 20, 0xff, 64);
	ASSERT_REFUSED(&zst, "zstd: invalid data");
}

TEST(garbage_behind_the_end_is_refused)
{
	_cleanup_buf_ struct buf gz = {}, zst = {};

	put_gzip(&gz, "x", 1);
	buf_adds(&gz, "garbage");
	ASSERT_REFUSED(&gz, "gzip: invalid header");
	put_zstd(&zst, "x", 1);
	buf_adds(&zst, "garbage");
	ASSERT_REFUSED(&zst, "zstd: invalid data");
}

TEST(other_compressions_are_named)
{
	_cleanup_buf_ struct buf bz = {}, xz = {};

	buf_adds(&bz, "BZh91AY&SY");
	ASSERT_REFUSED(&bz, "bzip2-compressed archives are not supported");
	buf_add(&xz,
		"\xfd"
		"7zXZ\0\0\4",
		8);
	ASSERT_REFUSED(&xz, "xz-compressed archives are not supported");
}

static ssize_t failing_read(void *user UNUSED, void *out UNUSED, size_t len UNUSED)
{
	return -ECONNRESET;
}

TEST(errors_of_the_source_pass_unchanged)
{
	struct byte_source from = {failing_read, NULL};
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	char c;

	ASSERT_OK(inflate_new(&from, &in));
	ASSERT_ERROR(inflate_read(in, &c, 1), ECONNRESET);
	ASSERT(!inflate_error(in));
}

TEST_MAIN()
