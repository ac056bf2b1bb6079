/* SPDX-License-Identifier: Apache-2.0 */
/* test-stdio_keys.c - detach keys */
#include "core/stdio_keys.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

TEST(parse)
{
	struct stdio_keys keys;

	ASSERT_OK(stdio_keys_parse(NULL, &keys));
	ASSERT_EQ(keys.n, 2);
	ASSERT_EQ(keys.keys[0], 16);
	ASSERT_EQ(keys.keys[1], 17);
	ASSERT_OK(stdio_keys_parse("", &keys));
	ASSERT_EQ(keys.n, 0);
	ASSERT_OK(stdio_keys_parse("ctrl-@,a,CTRL-Z,ctrl-_,ctrl-\\,DEL,@", &keys));
	ASSERT_EQ(keys.n, 7);
	ASSERT(memcmp(keys.keys, "\0a\x1a\x1f\x1c\x7f@", 7) == 0);
}

TEST(parse_refuses)
{
	static const char *const bad[] = {"ctrl-",
					  "ctrl-1",
					  "ab",
					  "a,",
					  ",a",
					  "a,,b",
					  "ctrl-aa",
					  "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
					  "a,a,a,a,a,a"};
	struct stdio_keys keys = {.n = 99};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (stdio_keys_parse(bad[i], &keys) != -EINVAL)
			TEST_FAIL("taken: %s", bad[i]);
	}
	ASSERT_EQ(keys.n, 99);
}

/* Feed text in pieces of each size; expect what is passed on, and whether it detaches. */
static const char *run(const char *sequence, const char *text, size_t piece, bool *ret_detached,
		       struct buf *out)
{
	struct stdio_keys keys;
	size_t len = strlen(text);

	buf_reset(out);
	buf_adds(out, "");
	*ret_detached = false;
	if (stdio_keys_parse(sequence, &keys) < 0)
		return "bad";
	for (size_t at = 0; at < len && !*ret_detached; at += piece)
		*ret_detached = stdio_keys_filter(&keys, text + at, MIN(piece, len - at), out);
	return out->data;
}

TEST(filter)
{
	static const struct {
		const char *sequence, *text, *passed;
		bool detached;
	} cases[] = {
		{"a,b", "xaby", "x", true},
		{"a,b", "xacy", "xacy", false},
		{"a,b", "aab", "a", true},
		{"a,a,b", "aaab", "a", true},
		{"a,b,a,c", "ababac", "ab", true},
		{"a,b,a,c", "abab", "ab", false}, /* the second "ab" is held */
		{"q", "q", "", true},
		{"", "ab", "ab", false},
	};
	_cleanup_buf_ struct buf out = {0};
	bool detached;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece < 5; piece++) {
			const char *passed =
				run(cases[i].sequence, cases[i].text, piece, &detached, &out);
			const char *want = cases[i].passed;

			if (strcmp(passed, want) != 0 || detached != cases[i].detached)
				TEST_FAIL("case %zu, pieces of %zu: \"%s\" %d", i, piece, passed,
					  detached);
		}
	}
}

TEST_MAIN()
