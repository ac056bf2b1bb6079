/* SPDX-License-Identifier: Apache-2.0 */
/* test-glob.c - the cases of Go's own test of path.Match, and some of Docker's names */
#include "base/glob.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "test.h"

static const struct {
	const char *pattern, *name;
	bool match, valid;
} cases[] = {
	{"abc", "abc", true, true},
	{"*", "abc", true, true},
	{"*c", "abc", true, true},
	{"a*", "a", true, true},
	{"a*", "abc", true, true},
	{"a*", "ab/c", false, true},
	{"a*/b", "abc/b", true, true},
	{"a*/b", "a/c/b", false, true},
	{"a*b*c*d*e*/f", "axbxcxdxe/f", true, true},
	{"a*b*c*d*e*/f", "axbxcxdxexxx/f", true, true},
	{"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false, true},
	{"a*b*c*d*e*/f", "axbxcxdxexxx/fff", false, true},
	{"a*b?c*x", "abxbbxdbxebxczzx", true, true},
	{"a*b?c*x", "abxbbxdbxebxczzy", false, true},
	{"ab[c]", "abc", true, true},
	{"ab[b-d]", "abc", true, true},
	{"ab[e-g]", "abc", false, true},
	{"ab[^c]", "abc", false, true},
	{"ab[^b-d]", "abc", false, true},
	{"ab[^e-g]", "abc", true, true},
	{"a\\*b", "a*b", true, true},
	{"a\\*b", "ab", false, true},
	{"a???b", "aabc", false, true},
	{"a?b", "a/b", false, true},
	{"a*b", "a/b", false, true},
	{"a[^b]c", "a/c", true, true},
	{"[\\]a]", "]", true, true},
	{"[\\-]", "-", true, true},
	{"[x\\-]", "x", true, true},
	{"[x\\-]", "z", false, true},
	{"[!x]", "x", true, true},
	{"[!x]", "y", false, true},
	{"[]a]", "]", false, false},
	{"[-]", "-", false, false},
	{"[x-]", "x", false, false},
	{"[-x]", "x", false, false},
	{"\\", "a", false, false},
	{"[a-b-c]", "a", false, false},
	{"[", "a", false, false},
	{"[^", "a", false, false},
	{"[^bc", "a", false, false},
	{"a[", "a", false, false},
	{"*x", "xxx", true, true},
	{"", "", true, true},
	{"zz/*", "zz/one:1", true, true},
	{"*/*/*", "reg.example:5000/zz/one", true, true},
	{"*", "zz/one", false, true},
};

TEST(patterns_mean_what_go_says)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(glob_valid(cases[i].pattern), cases[i].valid);
		if (cases[i].valid)
			ASSERT_EQ(glob_match(cases[i].pattern, cases[i].name), cases[i].match);
	}
}

/* Goal: a hostile pattern costs pattern times name, not two to the number of stars. */
TEST(many_stars_end)
{
	char pattern[2001], name[2001];

	for (size_t i = 0; i < 2000; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[2000] = '\0';
	memset(name, 'a', 1999);
	strcpy(name + 1999, "b");
	ASSERT(!glob_match(pattern, name));
}

TEST_MAIN()
