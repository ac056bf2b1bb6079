/* SPDX-License-Identifier: Apache-2.0 */
/* test-tar.c - tar dialects, numbers, names as bytes, sparse files; and what is no tar */
#include "image/tar.h"

#include "../test.h"

#include "base/str.h"
#include "layers.h"

struct feed {
	struct buf b;
	size_t at, step;
};

static void feed_done(struct feed *f)
{
	buf_done(&f->b);
}

static ssize_t feed_read(void *user, const void **ret_data)
{
	struct feed *f = user;
	size_t n = MIN(f->b.len - f->at, f->step ? f->step : 1000000);

	*ret_data = f->b.data + f->at;
	f->at += n;
	return (ssize_t)n;
}

#define READER(f, t, e)                                                                            \
	__attribute__((cleanup(feed_done))) struct feed f = {};                                    \
	_cleanup_(tar_freep) struct tar *t = NULL;                                                 \
	struct tar_entry e = {};                                                                   \
	ASSERT_OK(tar_new(feed_read, &f, &t))

#define ASSERT_INVALID(t, r, text)                                                                 \
	do {                                                                                       \
		ASSERT_ERROR(r, EINVAL);                                                           \
		ASSERT_STREQ(tar_error(t), text);                                                  \
	} while (0)

/* All contents as one buffer, holes as zeros. */
static void read_contents(struct tar *t, const struct tar_entry *e, char *out, size_t max)
{
	const void *piece;
	uint64_t off;
	ssize_t n;

	memset(out, 0, max);
	while ((n = tar_data(t, &piece, &off)) > 0)
		if (off + (uint64_t)n <= max && off + (uint64_t)n <= e->size)
			memcpy(out + off, piece, (size_t)n);
}

TEST(ustar_fields)
{
	READER(f, t, e);
	char text[8];

	TAR(&f.b, .name = "a", .data = "hello", .mode = 04711, .uid = 1, .gid = 2, .mtime = 99);
	TAR(&f.b, .name = "dev", .type = '4', .dev_major = 8, .dev_minor = 17);
	TAR(&f.b, .name = "l", .type = '2', .link = "to");
	tar_end(&f.b);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, "a");
	ASSERT_EQ(e.type, TAR_FILE);
	ASSERT_EQ(e.mode, 04711);
	ASSERT_EQ(e.uid, 1);
	ASSERT_EQ(e.gid, 2);
	ASSERT_EQ(e.mtime_sec, 99);
	ASSERT_EQ(e.size, 5);
	read_contents(t, &e, text, sizeof(text));
	ASSERT_STREQ(text, "hello");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(e.dev_major, 8);
	ASSERT_EQ(e.dev_minor, 17);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.link, "to");
	ASSERT_EQ(tar_next(t, &e), 0);
	ASSERT_EQ(tar_next(t, &e), 0);
}

/* Goal: blocks that the source cuts anywhere are put together again. */
TEST(source_in_small_pieces)
{
	for (size_t step = 1; step < 1100; step += 97) {
		READER(f, t, e);
		char text[2000], want[2000];

		f.step = step;
		memset(want, 'w', sizeof(want));
		TAR(&f.b, .name = "a", .data = want, .len = 1999, .pax = "path=other\n");
		TAR_FILE_ENTRY(&f.b, "b", "x");
		tar_end(&f.b);
		ASSERT_EQ(tar_next(t, &e), 1);
		ASSERT_STREQ(e.path, "other");
		read_contents(t, &e, text, sizeof(text));
		ASSERT(memcmp(text, want, 1999) == 0);
		ASSERT_EQ(tar_next(t, &e), 1);
		ASSERT_STREQ(e.path, "b");
		ASSERT_EQ(tar_next(t, &e), 0);
	}
}

TEST(contents_nobody_reads_are_skipped)
{
	READER(f, t, e);
	char big[3000] = "x";

	TAR(&f.b, .name = "a", .data = big, .len = sizeof(big));
	TAR_FILE_ENTRY(&f.b, "b", "");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, "b");
	ASSERT_EQ(tar_next(t, &e), 0); /* the end mark may be missing */
}

TEST(pax_names_are_bytes)
{
	/* decomposed, surrogates, Latin-1: neither UTF-8 nor normalised */
	static const char odd[] = "e\xcc\x81 \xed\xa0\x80 \xff\xe9\n";
	READER(f, t, e);

	tar_put_pax(&f.b, "linkpath", odd, strlen(odd));
	TAR(&f.b, .name = "a", .type = '2', .link = "short");
	tar_put_pax(&f.b, "path", odd, strlen(odd));
	TAR_FILE_ENTRY(&f.b, "b", "");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, "a");
	ASSERT_STREQ(e.link, odd);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, odd);
}

TEST(pax_numbers)
{
	READER(f, t, e);

	TAR(&f.b, .name = "a", .pax = "uid=3000000000\ngid=4000000000\nmtime=12.000000345678\n");
	TAR(&f.b, .name = "b", .pax = "mtime=-1.25\ncomment=x\n");
	TAR(&f.b, .name = "c", .uid = 7);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(e.uid, 3000000000);
	ASSERT_EQ(e.gid, 4000000000);
	ASSERT_EQ(e.mtime_sec, 12);
	ASSERT_EQ(e.mtime_nsec, 345);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(e.mtime_sec, -2);
	ASSERT_EQ(e.mtime_nsec, 750000000);
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(e.uid, 7); /* nothing sticks to the next entry */
	ASSERT_EQ(e.mtime_nsec, 0);
}

TEST(xattrs_in_both_forms)
{
	READER(f, t, e);

	TAR(&f.b, .name = "a",
	    .pax = "SCHILY.xattr.user.k=v=1\nLIBARCHIVE.xattr.user%2ea%25b=AP8B\n");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(e.n_xattrs, 2);
	ASSERT_STREQ(e.xattrs[0].name, "user.k");
	ASSERT_EQ(e.xattrs[0].len, 3);
	ASSERT(memcmp(e.xattrs[0].value, "v=1", 3) == 0);
	ASSERT_STREQ(e.xattrs[1].name, "user.a%b");
	ASSERT_EQ(e.xattrs[1].len, 3);
	ASSERT(memcmp(e.xattrs[1].value, "\0\xff\x01", 3) == 0);
}

TEST(gnu_long_names)
{
	READER(f, t, e);
	char name[400], link[500];

	memset(name, 'n', sizeof(name));
	memset(link, 'l', sizeof(link));
	name[399] = link[499] = '\0';
	tar_put_raw(&f.b, "././@LongLink", 'K', sizeof(link), link, sizeof(link));
	tar_put_raw(&f.b, "././@LongLink", 'L', sizeof(name), name, sizeof(name));
	TAR(&f.b, .name = "nnn", .type = '2', .link = "lll");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, name);
	ASSERT_STREQ(e.link, link);
}

TEST(second_pax_header_replaces_the_first)
{
	READER(f, t, e);
	char big[3000];

	memset(big, 'p', sizeof(big));
	tar_put_pax(&f.b, "path", "first", 5);
	tar_put_pax(&f.b, "comment", big, sizeof(big)); /* moves the buffer */
	TAR_FILE_ENTRY(&f.b, "plain", "");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, "plain");
}

TEST(global_headers_and_labels_are_skipped)
{
	READER(f, t, e);

	tar_put_raw(&f.b, "g", 'g', 12, "12 path=xxx\n", 12);
	tar_put_raw(&f.b, "label", 'V', 0, "", 0);
	TAR_FILE_ENTRY(&f.b, "a", "");
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_STREQ(e.path, "a");
}

TEST(base_256_numbers)
{
	READER(f, t, e);

	TAR_FILE_ENTRY(&f.b, "a", "");
	memcpy(f.b.data + 108, "\x80\0\0\0\xff\xff\xff\xfe", 8);
	memcpy(f.b.data + 148, "        ", 8);
	{
		unsigned int sum = 0;

		for (int i = 0; i < 512; i++)
			sum += (unsigned char)f.b.data[i];
		(void)snprintf(f.b.data + 148, 8, "%06o", sum);
	}
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(e.uid, 0xfffffffe);
}

/* The file in all sparse tests: 2 bytes at 1000, 3 bytes at 5000, 9000 long. */
#define ASSERT_SPARSE(t, e)                                                                        \
	do {                                                                                       \
		char got[9000];                                                                    \
		ASSERT_EQ(tar_next(t, &(e)), 1);                                                   \
		ASSERT_STREQ((e).path, "s");                                                       \
		ASSERT_EQ((e).size, 9000);                                                         \
		read_contents(t, &(e), got, sizeof(got));                                          \
		ASSERT_EQ(got[999], 0);                                                            \
		ASSERT(memcmp(got + 1000, "ab\0", 3) == 0);                                        \
		ASSERT(memcmp(got + 5000, "cde\0", 4) == 0);                                       \
		ASSERT_EQ(tar_next(t, &(e)), 1);                                                   \
		ASSERT_STREQ((e).path, "after");                                                   \
	} while (0)

TEST(sparse_pax_0_0)
{
	READER(f, t, e);

	TAR(&f.b, .name = "s", .data = "abcde",
	    .pax = "GNU.sparse.size=9000\nGNU.sparse.numblocks=2\nGNU.sparse.offset=1000\n"
		   "GNU.sparse.numbytes=2\nGNU.sparse.offset=5000\nGNU.sparse.numbytes=3\n");
	TAR_FILE_ENTRY(&f.b, "after", "");
	ASSERT_SPARSE(t, e);
}

TEST(sparse_pax_0_1)
{
	READER(f, t, e);

	TAR(&f.b, .name = "GNUSparseFile.1/s", .data = "abcde",
	    .pax = "GNU.sparse.size=9000\nGNU.sparse.map=1000,2,5000,3,9000,0\n"
		   "GNU.sparse.name=s\n");
	TAR_FILE_ENTRY(&f.b, "after", "");
	ASSERT_SPARSE(t, e);
}

TEST(sparse_pax_1_0)
{
	READER(f, t, e);
	char data[512 + 5] = "2\n1000\n2\n5000\n3\n";

	memcpy(data + 512, "abcde", 5);
	TAR(&f.b, .name = "GNUSparseFile.1/s", .data = data, .len = sizeof(data),
	    .pax = "GNU.sparse.major=1\nGNU.sparse.minor=0\nGNU.sparse.realsize=9000\n"
		   "GNU.sparse.name=s\n");
	TAR_FILE_ENTRY(&f.b, "after", "");
	ASSERT_SPARSE(t, e);
}

static void put_old_sparse(struct buf *b, const char *real_size)
{
	char *h;
	unsigned int sum = 0;

	tar_put_raw(b, "s", 'S', 5, "abcde", 5);
	h = b->data + b->len - 1024;
	memcpy(h + 257, "ustar  ", 8);
	memcpy(h + 386, "00000001750\00000000000002", 24);
	memcpy(h + 386 + 24, "00000011610\00000000000003", 24);
	memcpy(h + 483, real_size, 12);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
}

TEST(sparse_old_gnu)
{
	READER(f, t, e);

	put_old_sparse(&f.b, "00000021450");
	TAR_FILE_ENTRY(&f.b, "after", "");
	ASSERT_SPARSE(t, e);
}

TEST(sparse_lies_are_refused)
{
	static const char *const lies[] = {
		"GNU.sparse.size=9000\nGNU.sparse.map=1000,2,1001,3\n",	  /* overlap */
		"GNU.sparse.size=9000\nGNU.sparse.map=1000,2,5000,600\n", /* more than stored */
		"GNU.sparse.size=9000\nGNU.sparse.map=1000,2,8999,3\n",	  /* behind the end */
		"GNU.sparse.size=9000\nGNU.sparse.map=1000,2,5000\n",	  /* odd */
		"GNU.sparse.size=9000\nGNU.sparse.map=18446744073709551615,2\n",
		"GNU.sparse.size=9000\nGNU.sparse.numbytes=3\n", /* no offset */
		"GNU.sparse.size=9000\nGNU.sparse.offset=1\nGNU.sparse.map=\n"
		"GNU.sparse.numbytes=3\n",			/* the offset is gone */
		"GNU.sparse.major=1\n",				/* no size */
		"GNU.sparse.major=1\nGNU.sparse.realsize=10\n", /* no map */
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		READER(f, t, e);

		TAR(&f.b, .name = "s", .data = "abcde", .pax = lies[i]);
		ASSERT_INVALID(t, tar_next(t, &e), "invalid sparse file");
	}
	{
		READER(f, t, e);

		put_old_sparse(&f.b, "00000000010");
		ASSERT_INVALID(t, tar_next(t, &e), "invalid sparse file");
	}
}

TEST(huge_headers_are_refused_before_they_are_read)
{
	READER(f, t, e);

	tar_put_raw(&f.b, "x", 'x', 2ULL << 30, "", 0);
	ASSERT_INVALID(t, tar_next(t, &e), "extended header is too large");
	{
		READER(g, u, e2);

		tar_put_raw(&g.b, "x", 'L', 1ULL << 32, "", 0);
		ASSERT_INVALID(u, tar_next(u, &e2), "extended header is too large");
	}
}

TEST(malformed_pax_records_are_refused)
{
	static const char *const bad[] = {
		"x",	   "5",	      "99 a=b\n", "6 a=b",
		"5 ab\n",  "6 =ab\n", "0 a=b\n",  "99999999999999999999 a=b\n",
		"7 a=bc\0"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		READER(f, t, e);

		tar_put_raw(&f.b, "x", 'x', strlen(bad[i]), bad[i], strlen(bad[i]));
		TAR_FILE_ENTRY(&f.b, "a", "");
		ASSERT_INVALID(t, tar_next(t, &e), "invalid extended header");
	}
}

TEST(numbers_that_are_none_are_refused)
{
	static const char *const bad[] = {"size=-1\n", "uid=x\n", "mtime=1.x\n", "gid=1e9\n",
					  "size=99999999999999999999\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		READER(f, t, e);

		TAR(&f.b, .name = "a", .pax = bad[i]);
		ASSERT_INVALID(t, tar_next(t, &e), "invalid number in an extended header");
	}
}

TEST(truncated_archives_are_refused)
{
	READER(f, t, e);
	const void *piece;
	uint64_t off;

	TAR_FILE_ENTRY(&f.b, "a", "hello");
	f.b.len = 512 + 3;
	ASSERT_EQ(tar_next(t, &e), 1);
	ASSERT_EQ(tar_data(t, &piece, &off), 3);
	ASSERT_INVALID(t, (int)tar_data(t, &piece, &off), "unexpected EOF");
	{
		READER(g, u, e2);

		TAR_FILE_ENTRY(&g.b, "a", "");
		g.b.len = 511;
		ASSERT_INVALID(u, tar_next(u, &e2), "unexpected EOF");
	}
}

TEST(garbage_is_refused)
{
	READER(f, t, e);

	TAR_FILE_ENTRY(&f.b, "a", "");
	f.b.data[0] = 'b'; /* checksum */
	ASSERT_INVALID(t, tar_next(t, &e), "invalid tar header");
	{
		READER(g, u, e2);

		tar_put_raw(&g.b, "a", 'Q', 0, "", 0);
		ASSERT_INVALID(u, tar_next(u, &e2), "unhandled tar header type");
	}
}

TEST_MAIN()
