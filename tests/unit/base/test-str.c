/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/sha256.h"
#include "test.h"

TEST_MAIN()

/* Goal: sizes as people type them, and refusal of what they mistype. */
TEST(str_size_bytes_knows_binary_units)
{
	int64_t n = 7;

	ASSERT_OK(str_size_bytes("512m", &n));
	ASSERT_EQ(n, 512LL << 20);
	ASSERT_OK(str_size_bytes("1.5GiB", &n));
	ASSERT_EQ(n, 3LL << 29);
	ASSERT_OK(str_size_bytes("10", &n));
	ASSERT_EQ(n, 10);
	n = 7;
	ASSERT_ERROR(str_size_bytes("10x", &n), EINVAL);
	ASSERT_ERROR(str_size_bytes("-1", &n), EINVAL);
	ASSERT_ERROR(str_size_bytes("", &n), EINVAL);
	ASSERT_ERROR(str_size_bytes("99999999999t", &n), ERANGE);
	ASSERT_EQ(n, 7);
}

/* Goal: Docker's booleans. */
TEST(str_bool_is_dockers)
{
	ASSERT(str_bool("1") && str_bool("True") && str_bool("x"));
	ASSERT(!str_bool("0") && !str_bool("False") && !str_bool("none") && !str_bool("") &&
	       !str_bool(NULL));
}

/* Goal: numbers at the edges. */
TEST(str_numbers_refuse_overflow)
{
	uint64_t u = 7;
	int64_t i = 7;

	ASSERT_OK(str_u64("18446744073709551615", UINT64_MAX, &u));
	ASSERT_ERROR(str_u64("18446744073709551616", UINT64_MAX, &u), ERANGE);
	ASSERT_ERROR(str_u64("11", 10, &u), ERANGE);
	ASSERT_ERROR(str_u64("1 ", 10, &u), EINVAL);
	ASSERT_OK(str_i64("-42", &i));
	ASSERT_EQ(i, -42);
	ASSERT_ERROR(str_i64("--1", &i), EINVAL);
}

/* Goal: ids are what Docker's clients accept, and digests are checked to the letter. */
TEST(ids_and_digests_have_their_form)
{
	char id[ID_BUF], digest[DIGEST_BUF];

	id_generate(id);
	ASSERT_EQ(strlen(id), 64);
	ASSERT(str_is_hex(id));
	sha256_digest_text("abc", 3, digest);
	ASSERT_STREQ(digest,
		     "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ASSERT(digest_valid(digest));
	digest[10] = 'G';
	ASSERT(!digest_valid(digest));
	ASSERT(!digest_valid("sha256:"));
}

/* Goal: a buffer grows, is consumed from the front, and stays terminated. */
TEST(buf_keeps_bytes)
{
	_cleanup_buf_ struct buf b = {0};

	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%03d", i);
	ASSERT_EQ(b.len, 3000);
	buf_consume(&b, 2997);
	ASSERT_STREQ(b.data, "999");
	ASSERT(!buf_reserve(&b, SIZE_MAX));
	ASSERT(b.failed);
}
