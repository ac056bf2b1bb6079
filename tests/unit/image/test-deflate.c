/* SPDX-License-Identifier: Apache-2.0 */
/* test-deflate.c - gzip of a stream: what comes back, and that it is always the same */
#include "image/deflate.h"

#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "image/inflate.h"
#include "layers.h"

#define PIECE (256 * 1024)

/* Words out of a small vocabulary: compresses, but not to nothing. */
static void fill(struct buf *b, size_t len)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		char c;

		x = x * 1664525 + 1013904223;
		c = (char)('a' + (x >> 24) % 7);
		buf_add(b, &c, 1);
	}
}

static int deflate_buf(const struct buf *b, size_t step, int fd, struct deflate_result *ret)
{
	struct memory_source m = {.data = b->data, .len = b->len, .step = step};
	struct byte_source from = {memory_read, &m};

	return deflate_gzip(&from, fd, ret);
}

static ssize_t fd_read(void *user, void *data, size_t len)
{
	return fs_read_full(*(int *)user, data, len);
}

static ssize_t inflate_file(int fd, struct buf *out)
{
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	struct byte_source from = {fd_read, &fd};
	static char piece[65536];
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0 || inflate_new(&from, &in) < 0)
		abort();
	while ((n = inflate_read(in, piece, sizeof(piece))) > 0)
		buf_add(out, piece, (size_t)n);
	return inflate_kind(in) == INFLATE_GZIP ? n : -1;
}

/* Goal: any length comes back, around the edges of a piece too; digests are those of the bytes. */
TEST(what_was_compressed_comes_back)
{
	static const size_t lens[] = {0,     1,		512,	   PIECE - 1,
				      PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 77};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		_cleanup_buf_ struct buf in = {}, out = {}, file = {};
		_cleanup_close_ int fd = memfd_create("deflate", MFD_CLOEXEC);
		struct deflate_result got;
		char want[DIGEST_BUF];
		static char piece[PIECE];
		ssize_t n;

		fill(&in, lens[i]);
		ASSERT_OK(deflate_buf(&in, 0, fd, &got));
		ASSERT_EQ(inflate_file(fd, &out), 0);
		ASSERT_EQ(out.len, in.len);
		ASSERT(in.len == 0 || memcmp(out.data, in.data, in.len) == 0);
		sha256_digest_text(in.data, in.len, want);
		ASSERT_STREQ(got.digest_in, want);
		ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
		while ((n = fs_read_full(fd, piece, sizeof(piece))) > 0)
			buf_add(&file, piece, (size_t)n);
		ASSERT_EQ(got.bytes, file.len);
		sha256_digest_text(file.data, file.len, want);
		ASSERT_STREQ(got.digest, want);
		ASSERT(in.len < 1000 || got.bytes < in.len / 2);
	}
}

/* Goal: the gzip depends on the bytes alone, not on how they arrive. */
TEST(the_same_bytes_give_the_same_gzip)
{
	static const size_t steps[] = {0, 1000, 4096, PIECE - 1};
	_cleanup_buf_ struct buf in = {};
	struct deflate_result first = {};

	fill(&in, 2 * PIECE + 12345);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		_cleanup_close_ int fd = memfd_create("deflate", MFD_CLOEXEC);
		struct deflate_result got;

		ASSERT_OK(deflate_buf(&in, steps[i], fd, &got));
		if (i == 0)
			first = got;
		ASSERT_STREQ(got.digest, first.digest);
		ASSERT_EQ(got.bytes, first.bytes);
	}
}

static ssize_t break_read(void *user UNUSED, void *data UNUSED, size_t len UNUSED)
{
	return -ECANCELED;
}

TEST(what_cannot_be_read_or_written_is_told)
{
	_cleanup_close_ int fd = memfd_create("deflate", MFD_CLOEXEC), full = -EBADF;
	struct byte_source from = {break_read, NULL};
	struct deflate_result got = {.bytes = 7};
	_cleanup_buf_ struct buf in = {};

	ASSERT_ERROR(deflate_gzip(&from, fd, &got), ECANCELED);
	ASSERT_EQ(got.bytes, 7);
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	fill(&in, 1000);
	ASSERT_ERROR(deflate_buf(&in, 0, full, &got), ENOSPC);
}

TEST_MAIN()
