/* SPDX-License-Identifier: Apache-2.0 */
#include "http/target.h"

#include <errno.h>

#include "base/cleanup.h"
#include "http/ring.h"
#include "test.h"

TEST_MAIN()

/* Goal: path and query are decoded, repeated and empty keys kept. */
TEST(target_parse_decodes)
{
	_cleanup_(http_target_done) struct http_target t = {0};

	ASSERT_OK(http_target_parse("/images/a%2Fb+c/json?all=1&f=%7B%22a+b%22%7D&f=2&&x&y=", &t));
	ASSERT_STREQ(t.path, "/images/a/b+c/json");
	ASSERT_EQ(t.n_params, 5);
	ASSERT_STREQ(http_target_query(&t, "f"), "{\"a b\"}");
	ASSERT_STREQ(t.params[2].value, "2");
	ASSERT_STREQ(http_target_query(&t, "x"), "");
	ASSERT_STREQ(http_target_query(&t, "y"), "");
	ASSERT(!http_target_query(&t, "z"));
}

/* Goal: what a proxy's client sends. */
TEST(target_parse_takes_absolute_form)
{
	_cleanup_(http_target_done) struct http_target t = {0}, u = {0};

	ASSERT_OK(http_target_parse("http://docker/v1.47/_ping?a=b", &t));
	ASSERT_STREQ(t.path, "/v1.47/_ping");
	ASSERT_OK(http_target_parse("http://docker", &u));
	ASSERT_STREQ(u.path, "/");
}

/* Goal: refusals leave the result alone. */
TEST(target_parse_refuses)
{
	static const char *const bad[] = {"",	    "nothing", "/%",	"/%4",	  "/%zz",
					  "/a%00b", "/?a=%",   "/?%=1", "/?a=%00"};
	struct http_target t = {.n_params = 7};
	char many[4096] = "/?";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_ERROR(http_target_parse(bad[i], &t), EINVAL);
	memset(many + 2, '&', HTTP_QUERY_PARAMS_MAX);
	ASSERT_ERROR(http_target_parse(many, &t), E2BIG);
	ASSERT_EQ(t.n_params, 7);
}

/* Goal: bytes come out as they went in, across the seam and while it grows; never more than max. */
TEST(ring_keeps_order)
{
	_cleanup_(http_ring_done) struct http_ring r = {0};
	unsigned char in = 0, out = 0, data[3000];

	for (int round = 0; round < 50; round++) {
		size_t n;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (unsigned char)(in + i);
		in = (unsigned char)(in + http_ring_push(&r, data, sizeof(data), 10000));
		ASSERT(r.len <= 10000);
		n = http_ring_pop(&r, data, 2500);
		for (size_t i = 0; i < n; i++)
			ASSERT_EQ(data[i], out++);
	}
	ASSERT(r.cap <= 10000);
	ASSERT(http_ring_push(&r, data, 3000, 10000) <= 3000);
	ASSERT_EQ(r.len, 10000);
}
