/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>

#include "test.h"

TEST_MAIN()

/* Goal: what the API prints parses back to the same nanosecond. */
TEST(clock_rfc3339_round_trips)
{
	static const int64_t times[] = {1, 1700000000123456789, 1700000000000000000,
					1700000000100000000};
	char buf[CLOCK_RFC3339_MAX];

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int64_t back = 0;

		clock_format_rfc3339(times[i], buf);
		ASSERT_OK(clock_parse_rfc3339(buf, &back));
		ASSERT_EQ(back, times[i]);
	}
	clock_format_rfc3339(1700000000100000000, buf);
	ASSERT_STREQ(buf, "2023-11-14T22:13:20.1Z");
	clock_format_rfc3339(0, buf);
	ASSERT_STREQ(buf, "0001-01-01T00:00:00Z");
}

/* Goal: `since` takes seconds, fractions, durations and dates; nothing else. */
TEST(clock_timestamp_takes_every_form_of_since)
{
	int64_t ns = 7;

	ASSERT_OK(clock_parse_timestamp("1700000000.5", 0, &ns));
	ASSERT_EQ(ns, 1700000000500000000);
	ASSERT_OK(clock_parse_timestamp("1h30m", 5400 * NSEC_PER_SEC + 3, &ns));
	ASSERT_EQ(ns, 3);
	ASSERT_OK(clock_parse_timestamp("2023-11-14T23:13:20+01:00", 0, &ns));
	ASSERT_EQ(ns, 1700000000 * NSEC_PER_SEC);
	ASSERT_OK(clock_parse_timestamp("2023-11-14", 0, &ns));
	ns = 7;
	ASSERT_ERROR(clock_parse_timestamp("yesterday", 0, &ns), EINVAL);
	ASSERT_ERROR(clock_parse_timestamp("99999999999999999999", 0, &ns), EINVAL);
	ASSERT_ERROR(clock_parse_timestamp("", 0, &ns), EINVAL);
	ASSERT_EQ(ns, 7);
}
