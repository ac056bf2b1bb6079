/* SPDX-License-Identifier: Apache-2.0 */
/* test-foreign.c - whose processor a program is for */
#include "agent/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static const char *of(const void *bytes, size_t len)
{
	char path[] = "/tmp/test-foreign-XXXXXX";
	int fd = mkstemp(path);
	const char *name;

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		abort();
	name = foreign_machine(path);
	(void)close(fd);
	(void)unlink(path);
	return name ? name : "";
}

TEST(the_header_tells)
{
	ASSERT_STREQ(of("\x7f"
			"ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\xb7\0",
			20),
		     "aarch64");
	ASSERT_STREQ(of("\x7f"
			"ELF\2\2\1\0\0\0\0\0\0\0\0\0\0\2\0\x16",
			20),
		     "s390x");
	ASSERT_STREQ(of("\x7f"
			"ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\xff\xee",
			20),
		     "another processor");
}

TEST(what_is_none_has_none)
{
	ASSERT_STREQ(of("\x7f"
			"ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\xb7",
			19),
		     ""); /* cut off */
	ASSERT_STREQ(of("#!/bin/sh\necho this is text\n", 27), "");
	ASSERT(!foreign_machine("/proc/self/exe"));
	ASSERT(!foreign_machine("/nonexistent"));
	ASSERT(!foreign_machine("/tmp"));
}

TEST_MAIN()
