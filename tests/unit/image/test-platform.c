/* SPDX-License-Identifier: Apache-2.0 */
/* test-platform.c - platforms as containerd's package reads and compares them */
#include "image/platform.h"

#include <errno.h>

#include "image/image.h"
#include "image/oci.h"
#include "test.h"

TEST(words_of_the_command_line_are_read)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"linux/amd64", "linux/amd64"},	    {"linux/arm64/v8", "linux/arm64/v8"},
		{"arm64", "linux/arm64"},	    {"aarch64", "linux/arm64"},
		{"linux/x86_64", "linux/amd64"},    {"linux/arm", "linux/arm/v7"},
		{"armel", "linux/arm/v6"},	    {"linux/arm/7", "linux/arm/v7"},
		{"Windows/AMD64", "windows/amd64"},
	};
	char text[PLATFORM_TEXT_MAX];
	struct platform p;
	struct err err = {};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_OK(platform_parse(cases[i].text, &p, &err));
		platform_format(&p, text);
		ASSERT_STREQ(text, cases[i].want);
	}
	ASSERT_OK(platform_parse("linux", &p, &err));
	ASSERT_STREQ(p.architecture, oci_host_architecture());
}

TEST(what_is_no_platform_is_refused)
{
	static const char *const bad[] = {"",	    "foo",	   "linux/",
					  "/amd64", "linux/a/b/c", "li nux/amd64"};
	static const char *const bad_json[] = {"",
					       "x",
					       "[]",
					       "{}",
					       "{\"os\":\"linux\"}",
					       "{\"os\":1}",
					       "{\"os\":\"linux\",\"architecture\":\"arm64\"}x"};
	struct platform p = {.os = "kept"};
	struct err err = {};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_ERROR(platform_parse(bad[i], &p, &err), EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad_json); i++)
		ASSERT_ERROR(platform_parse_json(bad_json[i], &p, &err), EINVAL);
	ASSERT_STREQ(p.os, "kept");
	(void)platform_parse("foo", &p, &err);
	ASSERT_STREQ(err.msg,
		     "\"foo\": unknown operating system or architecture: invalid argument");
}

TEST(images_are_compared_in_one_form)
{
	static const struct {
		const char *json, *os, *architecture, *variant;
		bool fits;
	} cases[] = {
		{"{\"os\":\"linux\",\"architecture\":\"arm64\"}", "linux", "arm64", "v8", true},
		{"{\"os\":\"linux\",\"architecture\":\"aarch64\"}", "linux", "arm64", "", true},
		{"{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v7\"}", "linux",
		 "arm64", "v8", false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\"}", "linux", "arm64", "v8", false},
		{"{\"os\":\"windows\",\"architecture\":\"amd64\"}", "linux", "amd64", "", false},
		{"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}", "linux", "arm",
		 "", true},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\"}", "", "", "", true},
	};
	struct err err = {};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image image = {.os = (char *)cases[i].os,
				      .architecture = (char *)cases[i].architecture,
				      .variant = (char *)cases[i].variant};
		struct platform wanted;

		ASSERT_OK(platform_parse_json(cases[i].json, &wanted, &err));
		ASSERT_EQ(platform_check_image(&wanted, &image, "x", &err),
			  cases[i].fits ? 0 : -ENOENT);
	}
	ASSERT_STREQ(err.msg,
		     "image with reference x was found but its platform (linux/amd64) does not "
		     "match the specified platform (windows/amd64)");
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
}

TEST(this_machine_runs_its_own)
{
	struct platform host, other = {.os = "linux", .architecture = "s390x"};

	platform_of_host(&host);
	ASSERT(platform_runs_here(&host));
	ASSERT(!platform_runs_here(&other));
	ASSERT(platform_runs_here(&(struct platform){}));
}

TEST_MAIN()
