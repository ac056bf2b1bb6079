/* SPDX-License-Identifier: Apache-2.0 */
#include "core/filters.h"

#include <errno.h>

#include "base/util.h"
#include "test.h"

TEST_MAIN()

static const char *const known[] = {"name", "label", "label!", "status", NULL};

/* Goal: both shapes become the same thing, and nothing given is no filter. */
TEST(filters_parse_takes_both_shapes)
{
	json_t *a = NULL, *b = NULL, *none = json_null();
	struct err err = {0};

	ASSERT_OK(
		filters_parse("{\"name\":{\"x\":true,\"y\":false},\"label\":{}}", known, &a, &err));
	ASSERT_OK(filters_parse("{\"name\":[\"x\",\"y\"],\"label\":[]}", known, &b, &err));
	ASSERT(json_equal(a, b));
	ASSERT(filters_has(a, "name") && !filters_has(a, "label") && !filters_has(NULL, "name"));
	json_decref(a);
	json_decref(b);
	ASSERT_OK(filters_parse("", known, &none, &err));
	ASSERT(!none);
	ASSERT_OK(filters_parse("{}", known, &a, &err));
	ASSERT(filters_match(a, "name", "x"));
	json_decref(a);
}

/* Goal: what is not understood is refused, in dockerd's words. */
TEST(filters_parse_refuses)
{
	static const char *const bad[] = {
		"x",
		"[]",
		"{",
		"{\"name\":1}",
		"{\"name\":[1]}",
		"{\"name\":{\"x\":1}}",
		"null",
		"{\"name\":{\"x\":[]}}",
		"[[[[[[[[[[[[[[",
		"{\"\\u0000\":[]}",
		"{\"name\":\"x\"}",
	};
	json_t *filters = NULL;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_ERROR(filters_parse(bad[i], known, &filters, &err), EINVAL);
		ASSERT_STREQ(err.msg, "invalid filter");
	}
	ASSERT_ERROR(filters_parse("{\"nosuch\":[\"x\"]}", known, &filters, &err), EINVAL);
	ASSERT_STREQ(err.msg, "invalid filter 'nosuch'");
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT(!filters);
}

/* Goal: values are alternatives, labels are conditions. */
TEST(filters_match_values_and_labels)
{
	json_t *labels = json_pack("{s:s, s:s}", "a", "1", "b", "");
	json_t *f = NULL;
	struct err err = {0};

	ASSERT_OK(filters_parse("{\"name\":[\"x\",\"y\"],\"label\":[\"a=1\",\"b\"],"
				"\"label!\":[\"c\",\"a=2\"]}",
				known, &f, &err));
	ASSERT(filters_match(f, "name", "y"));
	ASSERT(!filters_match(f, "name", "z"));
	ASSERT(!filters_match(f, "name", NULL));
	ASSERT(filters_match(f, "status", "whatever"));
	ASSERT(filters_match_labels(f, "label", labels));
	ASSERT(filters_match_labels(f, "label!", labels));
	ASSERT(!filters_match_labels(f, "label", NULL));
	json_object_set_new(labels, "c", json_string("x"));
	ASSERT(!filters_match_labels(f, "label!", labels));
	json_object_set_new(labels, "a", json_string("3"));
	ASSERT(!filters_match_labels(f, "label", labels));
	json_decref(labels);
	json_decref(f);
}
