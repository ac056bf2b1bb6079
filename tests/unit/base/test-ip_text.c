/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "test.h"

TEST_MAIN()

/* What dockerd 28.5.2 says of each, after ParseAddr("..."): */
static const struct {
	const char *text, *why;
} bad[] = {
	{"1.2.3.4.", "IPv4 field must have at least one digit (at \".\")"},
	{".1.2.3.4", "IPv4 field must have at least one digit (at \".1.2.3.4\")"},
	{"1.2.3.", "IPv4 field must have at least one digit (at \".\")"},
	{"1.2..3", "IPv4 field must have at least one digit (at \".3\")"},
	{"1.2.3.a", "unexpected character (at \"a\")"},
	{"1.2.3.4a", "unexpected character (at \"a\")"},
	{"1234.1.1.1", "IPv4 field has value >255"},
	{"a", "unable to parse IP"},
	{"1", "unable to parse IP"},
	{"", "unable to parse IP"},
	{".", "IPv4 field must have at least one digit (at \".\")"},
	{":", "each colon-separated field must have at least one digit (at \":\")"},
	{":::", "each colon-separated field must have at least one digit (at \":\")"},
	{":1", "each colon-separated field must have at least one digit (at \":1\")"},
	{"1:", "colon must be followed by more characters (at \":\")"},
	{"1:2:3:4:5:6:7:8:9", "trailing garbage after address (at \"9\")"},
	{"1:2:3:4:5:6:7", "address string too short"},
	{"::1:2:3:4:5:6:7:8", "the :: must expand to at least one field of zeros"},
	{"1::2:3:4:5:6:7:8", "the :: must expand to at least one field of zeros"},
	{"1:2:3:4:5:6:7:8::", "the :: must expand to at least one field of zeros"},
	{"::1.2.3", "IPv4 address too short"},
	{"::1.2.3.4.5", "IPv4 address too long"},
	{"1:2:3:4:5:6:7:1.2.3.4",
	 "embedded IPv4 address must replace the final 2 fields of the address (at \"1.2.3.4\")"},
	{"1:2:3:4:5:1.2.3.4",
	 "embedded IPv4 address must replace the final 2 fields of the address (at \"1.2.3.4\")"},
	{"::ffff:1.2.3.256", "IPv4 field has value >255"},
	{"::1.2.3.04", "IPv4 field has octet with leading zero"},
	{"::g", "each colon-separated field must have at least one digit (at \"g\")"},
	{"fffff::", "each group must have 4 or less digits (at \"fffff::\")"},
	{"::fffff", "each group must have 4 or less digits (at \"fffff\")"},
	{"1:2:x", "each colon-separated field must have at least one digit (at \"x\")"},
	{"%", "missing IPv6 address"},
	{"%lo", "missing IPv6 address"},
	{"::%", "zone must be a non-empty string"},
	{"1::2::3", "multiple :: in address (at \":3\")"},
	{"::1 ", "unexpected character, want colon (at \" \")"},
	{"[::1]", "each colon-separated field must have at least one digit (at \"[::1]\")"},
	{"1.2.3.4/24", "unexpected character (at \"/24\")"},
	{"::1/64", "unexpected character, want colon (at \"/64\")"},
	{"host", "unable to parse IP"},
	{"a.b", "unexpected character (at \"a.b\")"},
	{"x:y", "each colon-separated field must have at least one digit (at \"x:y\")"},
	{"1,2", "unable to parse IP"},
	{"::1:", "colon must be followed by more characters (at \":\")"},
	{"1:2:3:4:5:6:7:8:", "colon must be followed by more characters (at \":\")"},
	{"1.2.3.4:80", "unexpected character (at \":80\")"},
	{"00001::", "each group must have 4 or less digits (at \"00001::\")"},
	{"::12.3:4", "unexpected character (at \":4\")"},
	{"1.2.3:4", "unexpected character (at \":4\")"},
	{"1.2.3.999999", "IPv4 field has value >255"},
	{"1.2.3.4%x", "unexpected character (at \"%x\")"},
	{"::g%lo", "each colon-separated field must have at least one digit (at \"g\")"},
	{"1:2%lo", "address string too short"},
	{"1.2:3%lo", "unexpected character (at \":3%lo\")"},
	{"::1.2.3.a%lo", "unexpected character (at \"a\")"},
	{"1:2:3:4:5:6:7::1.2.3.4",
	 "too many hex fields to fit an embedded IPv4 at the end of the address (at \"1.2.3.4\")"},
	{"1::3:4:5:6:7:1.2.3.4", "the :: must expand to at least one field of zeros"},
	{"1.2.3.4::%", "unexpected character (at \"::%\")"},
	{"12345", "unable to parse IP"},
	{"::12345.1.1.1", "each group must have 4 or less digits (at \"12345.1.1.1\")"},
	{"::00000", "each group must have 4 or less digits (at \"00000\")"},
	{"1:2:3:4:5:6:7:8:x", "trailing garbage after address (at \"x\")"},
	{"1:2:3:4:5:6:7:8:%lo", "colon must be followed by more characters (at \":\")"},
	{"1::2:3:4:5:6:7::", "multiple :: in address (at \":\")"},
	{"1:2:3:4:5:6:7:8::9", "trailing garbage after address (at \"9\")"},
	{"0.0.0.00", "IPv4 field has octet with leading zero"},
	{"00.1.1.1", "IPv4 field has octet with leading zero"},
	{"a1.2", "unexpected character (at \"a1.2\")"},
	{"1.2.3.4.5", "IPv4 address too long"},
	{"::x", "each colon-separated field must have at least one digit (at \"x\")"},
};

static const char *const good[] = {"::",
				   "1::",
				   "1:2:3:4:5:6:7:8",
				   "1:2:3:4:5:6:7::",
				   "::1.2.3.4",
				   "1:2:3:4:5:6:1.2.3.4",
				   "0001::",
				   "1.2.3.4",
				   "0.0.0.0",
				   "255.255.255.255",
				   "fd00::1",
				   "FD00::A",
				   "::1%lo",
				   "::ffff:1.2.3.4"};

/* Goal: the words of dockerd, for whatever is wrong first. */
TEST(faults_are_named_as_by_dockerd)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[IP_TEXT_WHY_MAX], wanted[IP_TEXT_WHY_MAX];

		(void)snprintf(wanted, sizeof(wanted), "ParseAddr(\"%s\"): %s", bad[i].text,
			       bad[i].why);
		ASSERT_ERROR(ip_text_check(bad[i].text, why), EINVAL);
		ASSERT_STREQ(why, wanted);
	}
}

/* Goal: nothing is accepted that cannot be used, nor the other way round. */
TEST(what_is_accepted_is_an_address)
{
	char why[IP_TEXT_WHY_MAX] = "untouched";
	unsigned char bytes[16];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ASSERT_OK(ip_text_check(good[i], why));
		ASSERT(strchr(good[i], '%') || inet_pton(AF_INET, good[i], bytes) == 1 ||
		       inet_pton(AF_INET6, good[i], bytes) == 1);
	}
	ASSERT_STREQ(why, "untouched");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT(inet_pton(AF_INET, bad[i].text, bytes) != 1 &&
		       inet_pton(AF_INET6, bad[i].text, bytes) != 1);
}

/* Goal: quotes are quoted, and what is long is cut. */
TEST(a_text_of_any_kind_fits)
{
	char why[IP_TEXT_WHY_MAX], text[1000];

	ASSERT_ERROR(ip_text_check("a\"b.c", why), EINVAL);
	ASSERT_STREQ(why, "ParseAddr(\"a\\\"b.c\"): unexpected character (at \"a\\\"b.c\")");
	ASSERT_ERROR(ip_text_check("a\\b:c", why), EINVAL);
	ASSERT_STREQ(why, "ParseAddr(\"a\\\\b:c\"): unexpected character, want colon (at "
			  "\"\\\\b:c\")");
	memset(text, '"', sizeof(text));
	text[0] = '.';
	text[sizeof(text) - 1] = '\0';
	ASSERT_ERROR(ip_text_check(text, why), EINVAL);
	ASSERT(strlen(why) < sizeof(why));
}
