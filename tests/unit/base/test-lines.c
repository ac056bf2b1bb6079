/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lines.h"

#include "base/buf.h"
#include "test.h"

TEST_MAIN()

static const char *edited(const char *text, size_t len, const char *removed, const char *added)
{
	static struct buf out;

	buf_reset(&out);
	lines_edit(text, len, removed, added, &out);
	buf_adds(&out, "");
	return out.data;
}

static const char *edit(const char *text, const char *removed, const char *added)
{
	return edited(text, strlen(text), removed, added);
}

/* Goal: whole lines go, all that are alike, and nothing that is only part of one. */
TEST(lines_go_whole)
{
	ASSERT_STREQ(edit("a\tb\nc\na\tb\n", "a\tb\n", ""), "c\n");
	ASSERT_STREQ(edit("a\tb c\na\nx a\tb\n", "a\tb\n", ""), "a\tb c\na\nx a\tb\n");
	ASSERT_STREQ(edit("a\nb\nc\n", "a\nc\n", ""), "b\n");
	ASSERT_STREQ(edit("a\nb", "b\n", ""), "a\n");
	ASSERT_STREQ(edit("a\n", "a\n", ""), "");
	ASSERT_STREQ(edit("", "a\n", ""), "");
	ASSERT_STREQ(edit("\n\na\n", "a\n", ""), "\n\n");
}

/* Goal: new lines come behind all, also where the last has no end, or in the place of what goes. */
TEST(lines_come)
{
	ASSERT_STREQ(edit("a\n", "", "b\nc\n"), "a\nb\nc\n");
	ASSERT_STREQ(edit("a", "", "b\n"), "a\nb\n");
	ASSERT_STREQ(edit("", "", "b\n"), "b\n");
	ASSERT_STREQ(edit("a\nx\nb\nx\n", "x\n", "y\n"), "a\ny\nb\n");
	ASSERT_STREQ(edit("a\n", "x\n", "y\n"), "a\ny\n");
	ASSERT_STREQ(edit("a", "", ""), "a");
}

/* Goal: a pattern is the second word, whatever the first and the others are. */
TEST(lines_by_their_second_word)
{
	ASSERT_STREQ(edit("1\tdb x y\n2\tdbx\n3\tdb\n4\tx db\n5 db\n", "\tdb\n", "9\tdb z\n"),
		     "9\tdb z\n2\tdbx\n4\tx db\n5 db\n");
	ASSERT_STREQ(edit("1\tdb\tq\n\tdb\n", "\tdb\n", ""), "");
}

/* Goal: any bytes. */
TEST(lines_are_any_bytes)
{
	ASSERT_STREQ(edited("\0\xff\na\n\0", 6, "a\n", "") + 3, "");
	ASSERT_STREQ(edited("\ta\n\t\n\t", 6, "\ta\n", ""), "\t\n\t");
}
