/* SPDX-License-Identifier: Apache-2.0 */
/* test-err.c - messages are text that JSON can carry, whatever went into them */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "test.h"

/* Goal: bytes of an archive or a guest do not get into answers and rows as they are. */
TEST(messages_are_utf8)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"a\303\266 \342\202\254 \360\237\220\213",
		 "a\303\266 \342\202\254 \360\237\220\213"},
		{"\377\376", "??"},
		{"x\200", "x?"},
		{"\300\257", "??"},	      /* overlong */
		{"\340\200\257", "???"},      /* overlong */
		{"\355\240\200", "???"},      /* surrogate */
		{"\364\220\200\200", "????"}, /* beyond the last */
		{"\342\202", "??"},	      /* cut */
		{"\302x", "?x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};

		(void)err_user(&err, ERR_INVALID, "%s", cases[i].in);
		ASSERT_STREQ(err.msg, cases[i].out);
	}
}

TEST(a_cut_splits_no_character)
{
	struct err err = {0};
	char text[2 * ERR_MSG_MAX];

	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\303\266", 3);
	(void)err_sys(&err, -EIO, "x%s", text);
	ASSERT_EQ(strlen(err.msg), ERR_MSG_MAX - 1);
	ASSERT(memcmp(err.msg + ERR_MSG_MAX - 3, "\303\266", 2) == 0);
	(void)err_sys(&err, -EIO, "%s", text);
	ASSERT_EQ(err.msg[ERR_MSG_MAX - 2], '?');
}

TEST_MAIN()
