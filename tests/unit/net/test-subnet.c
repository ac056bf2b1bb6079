/* SPDX-License-Identifier: Apache-2.0 */
/* test-subnet.c - addresses, prefixes and MACs: what is one, and how it is printed */
#include "net/subnet.h"

#include <errno.h>

#include "net/mac.h"
#include "test.h"

static const char *printed(const char *text)
{
	static char out[NET_PREFIX_TEXT];
	struct net_prefix prefix;

	if (net_prefix_parse(text, &prefix) < 0)
		return "none";
	net_prefix_format(prefix, out);
	return out;
}

TEST(prefixes_are_printed_in_their_shortest_form)
{
	ASSERT_STREQ(printed("10.0.0.0/8"), "10.0.0.0/8");
	ASSERT_STREQ(printed("0.0.0.0/0"), "0.0.0.0/0");
	ASSERT_STREQ(printed("255.255.255.255/32"), "255.255.255.255/32");
	ASSERT_STREQ(printed("FD00:0:0::1/64"), "fd00::1/64");
	ASSERT_STREQ(printed("::/0"), "::/0");
	ASSERT_STREQ(printed("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
		     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
}

/* Goal: what Go's netip refuses is refused. */
TEST(what_is_no_prefix_is_refused)
{
	static const char *const bad[] = {"",
					  "/",
					  "10.0.0.0",
					  "10.0.0.0/",
					  "10.0.0.0/33",
					  "10.0.0.0/-1",
					  "10.0.0.0/+8",
					  "10.0.0.0/08",
					  "10.0.0/8",
					  "010.0.0.0/8",
					  "10.0.0.0/8 ",
					  " 10.0.0.0/8",
					  "::/129",
					  "fe80::1%lo/64",
					  "10.0.0.0/8/8",
					  "x/8",
					  "10.0.0.0/99999999999999999999",
					  "::ffff:1.2.3.4.5/8"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_STREQ(printed(bad[i]), "none");
}

static struct net_prefix prefix(const char *text)
{
	struct net_prefix out = {0};

	(void)net_prefix_parse(text, &out);
	return out;
}

TEST(bounds_of_prefixes)
{
	char text[NET_ADDR_TEXT];

	net_addr_format(net_prefix_last(prefix("10.1.2.3/16")), text);
	ASSERT_STREQ(text, "10.1.255.255");
	net_addr_format(net_prefix_first(prefix("10.1.2.3/16")), text);
	ASSERT_STREQ(text, "10.1.0.0");
	net_addr_format(net_prefix_last(prefix("::/0")), text);
	ASSERT_STREQ(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	net_addr_format(net_prefix_last(prefix("fd00::1/128")), text);
	ASSERT_STREQ(text, "fd00::1");
	ASSERT(!net_prefix_is_masked(prefix("10.1.2.3/16")));
	ASSERT(net_prefix_is_masked(prefix("10.1.2.3/32")));
}

TEST(overlap_is_within_a_family)
{
	ASSERT(net_prefix_overlaps(prefix("10.0.0.0/8"), prefix("10.5.0.0/16")));
	ASSERT(net_prefix_overlaps(prefix("10.5.0.0/16"), prefix("10.0.0.0/8")));
	ASSERT(!net_prefix_overlaps(prefix("10.0.0.0/16"), prefix("10.1.0.0/16")));
	ASSERT(!net_prefix_overlaps(prefix("0.0.0.0/0"), prefix("::/0")));
	ASSERT(net_prefix_overlaps(prefix("::/0"), prefix("ff00::/8")));
	ASSERT(!net_prefix_overlaps(prefix("10.0.0.0/8"), (struct net_prefix){0}));
}

TEST(bytes_and_numbers_are_the_same)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];
	struct net_addr addr, back;

	ASSERT_OK(net_addr_parse("fd00:1:2:3:4:5:6:7", &addr));
	ASSERT_EQ(net_addr_to_bytes(addr, bytes), 16);
	ASSERT_EQ(bytes[0], 0xfd);
	ASSERT_EQ(bytes[15], 7);
	ASSERT_OK(net_addr_from_bytes(bytes, 16, &back));
	ASSERT(back.number == addr.number && back.family == 6);
	ASSERT_ERROR(net_addr_from_bytes(bytes, 5, &back), EINVAL);
	ASSERT_EQ(net_addr_to_bytes((struct net_addr){0}, bytes), 0);
}

TEST(macs)
{
	uint8_t mac[NET_MAC_BYTES], other[NET_MAC_BYTES];
	char text[NET_MAC_TEXT];

	ASSERT_OK(net_mac_parse("02-42-AC-11-00-fE", mac));
	net_mac_format(mac, text);
	ASSERT_STREQ(text, "02:42:ac:11:00:fe");
	ASSERT_OK(net_mac_parse("0242.ac11.00fe", mac));
	ASSERT_ERROR(net_mac_parse("", mac), EINVAL);
	ASSERT_ERROR(net_mac_parse("02:42:ac:11:00", mac), EINVAL);
	ASSERT_ERROR(net_mac_parse("02:42:ac:11:00:0g", mac), EINVAL);
	ASSERT_ERROR(net_mac_parse("02:42-ac:11:00:00", mac), EINVAL);
	net_mac_random(mac);
	net_mac_random(other);
	ASSERT_EQ(mac[0] & 3, 2); /* local, unicast */
	ASSERT(memcmp(mac, other, sizeof(mac)) != 0);
}

TEST_MAIN()
