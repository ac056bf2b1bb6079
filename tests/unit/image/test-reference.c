/* SPDX-License-Identifier: Apache-2.0 */
/* test-reference.c - Docker's grammar of image names, as tables */
#include "image/reference.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "test.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *text, *canonical, *familiar;
} good[] = {
	{"busybox", "docker.io/library/busybox", "busybox"},
	{"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"},
	{"library/busybox", "docker.io/library/busybox", "busybox"},
	{"docker.io/busybox", "docker.io/library/busybox", "busybox"},
	{"docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"},
	{"index.docker.io/foo/bar", "docker.io/foo/bar", "foo/bar"},
	{"foo/bar", "docker.io/foo/bar", "foo/bar"},
	{"library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar"},
	{"localhost/x", "localhost/x", "localhost/x"},
	{"localhost:5000/x", "localhost:5000/x", "localhost:5000/x"},
	{"localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"},
	{"localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
	{"Uppercase/lower", "Uppercase/lower", "Uppercase/lower"},
	{"a.b.c/d/e/f:G_h.i-j", "a.b.c/d/e/f:G_h.i-j", "a.b.c/d/e/f:G_h.i-j"},
	{"xn--7o8h.com/foo", "xn--7o8h.com/foo", "xn--7o8h.com/foo"},
	{"[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x"},
	{"[fe80::1]/x:t", "[fe80::1]/x:t", "[fe80::1]/x:t"},
	{"a_b/c__d/e-f/g---h.i", "docker.io/a_b/c__d/e-f/g---h.i", "a_b/c__d/e-f/g---h.i"},
	{"x:_y", "docker.io/library/x:_y", "x:_y"},
	{"x@sha256:" HEX64, "docker.io/library/x@sha256:" HEX64, "x@sha256:" HEX64},
	{"q.io/x:t@sha256:" HEX64, "q.io/x:t@sha256:" HEX64, "q.io/x:t@sha256:" HEX64},
	{HEX64 "a", "docker.io/library/" HEX64 "a", HEX64 "a"},
	{"0/1", "docker.io/0/1", "0/1"},
	/* what would mean another host without its domain keeps it */
	{"docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"},
	{"docker.io/localhost/c:1", "docker.io/localhost/c:1", "docker.io/localhost/c:1"},
	{"docker.io/library/" HEX64, "docker.io/library/" HEX64, "docker.io/library/" HEX64},
};

TEST(good_names_become_canonical_and_familiar)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_reference_ struct reference ref = {};
		_cleanup_free_ char *canonical = NULL, *familiar = NULL, *again = NULL;
		struct err err = {};

		if (reference_parse(good[i].text, &ref, &err) < 0)
			TEST_FAIL("%s: %s", good[i].text, err.msg);
		canonical = reference_canonical(&ref);
		familiar = reference_familiar(&ref);
		ASSERT_STREQ(canonical, good[i].canonical);
		ASSERT_STREQ(familiar, good[i].familiar);
		again = reference_shorten(canonical);
		ASSERT_STREQ(again, good[i].familiar);
	}
}

#define INVALID "invalid reference format"
static const struct {
	const char *text, *message;
} bad[] = {
	{"", INVALID},
	{":tag", INVALID},
	{"x:", INVALID},
	{"x@", INVALID},
	{"@sha256:" HEX64, INVALID},
	{"x@sha256:0123", INVALID ": invalid checksum digest length"},
	{"x@sha256:" HEX64 "0", INVALID ": invalid checksum digest length"},
	{"x@md5:" HEX64, INVALID},
	{"x@sha256:" HEX64 "@sha256:" HEX64, INVALID ": invalid checksum digest length"},
	{"-x", INVALID},
	{"x-", INVALID},
	{"x.", INVALID},
	{"x___y", INVALID},
	{"x..y", INVALID},
	{"x_-y", INVALID},
	{"a//b", INVALID},
	{"/a", INVALID},
	{"a/", INVALID},
	{"a/b/", INVALID},
	{"x y", INVALID},
	{"x\n", INVALID},
	{"x\xff", INVALID},
	{"../etc", INVALID},
	{"a/../b", INVALID},
	{"x:-y", INVALID},
	{"x:.y", INVALID},
	{"x:a b", INVALID},
	{"x:a:b", INVALID},
	{"-a.com/x", INVALID},
	{"a-.com/x", INVALID},
	{"a..com/x", INVALID},
	{"localhost:/x", INVALID},
	{"localhost:5a/x", INVALID},
	{"[::1/x", INVALID},
	{"[]:1/x", INVALID},
	{"Foo", INVALID ": repository name (library/Foo) must be lowercase"},
	{"foo/Bar:x", INVALID ": repository name (foo/Bar) must be lowercase"},
	{"localhost:5000/Foo:x", INVALID ": repository name (Foo) must be lowercase"},
	{HEX64, "invalid repository name (" HEX64 "), cannot specify 64-byte hexadecimal strings"},
};

TEST(bad_names_are_refused_in_dockers_words)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_reference_ struct reference ref = {};
		struct err err = {};

		if (reference_parse(bad[i].text, &ref, &err) != -EINVAL)
			TEST_FAIL("accepted: %s", bad[i].text);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT_STREQ(err.msg, bad[i].message);
		ASSERT(!ref.path && !ref.domain);
	}
}

TEST(lengths_end_where_dockers_end)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *text = NULL;
	struct err err = {};

	/* 5 x 50 and "/y": 252; with three more 255 */
	ASSERT_OK(reference_parse("a.b/" X50 X50 X50 X50 X50 "/yyyy", &ref, &err));
	ASSERT_EQ(reference_parse("a.b/" X50 X50 X50 X50 X50 "/yyyyy", &ref, &err), -EINVAL);
	ASSERT(strstr(err.msg, "must not be more than 255 characters"));
	reference_done(&ref);
	ASSERT_OK(reference_parse("x:" X50 X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", &ref, &err));
	reference_done(&ref);
	ASSERT_ERROR(reference_parse("x:" X50 X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx", &ref, &err),
		     EINVAL);
	text = malloc(1 << 20);
	ASSERT(text);
	memset(text, 'a', 1 << 20);
	text[(1 << 20) - 1] = '\0';
	ASSERT_ERROR(reference_parse(text, &ref, &err), EINVAL);
}

TEST(tags_are_set_and_defaulted)
{
	_cleanup_reference_ struct reference ref = {};
	_cleanup_free_ char *text = NULL;
	struct err err = {};

	ASSERT_OK(reference_parse("x", &ref, &err));
	ASSERT_OK(reference_default_tag(&ref));
	ASSERT_STREQ(ref.tag, "latest");
	ASSERT_ERROR(reference_set_tag(&ref, "-", &err), EINVAL);
	ASSERT_STREQ(err.msg, "invalid tag format");
	ASSERT_OK(reference_set_tag(&ref, "v1", &err));
	ASSERT_OK(reference_default_tag(&ref));
	text = reference_familiar(&ref);
	ASSERT_STREQ(text, "x:v1");
}

TEST_MAIN()
