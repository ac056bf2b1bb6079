/* SPDX-License-Identifier: Apache-2.0 */
/* test-pools.c - which subnet comes next, and what of the host's is left alone */
#include "net/pools.h"

#include <errno.h>

#include "net/reserved.h"
#include "test.h"

static const uint8_t ula_id[5] = {0x12, 0x34, 0x56, 0x78, 0x9a};

/* The next subnet after those given as texts; "none" when all are taken. */
static const char *next(const struct net_pool_sources *sources, unsigned int family,
			const char *const *used_texts)
{
	static char out[NET_PREFIX_TEXT];
	struct net_prefix used[16], subnet;
	size_t n = 0;

	for (; used_texts[n]; n++)
		(void)net_prefix_parse(used_texts[n], &used[n]);
	if (net_pool_next(sources, family, used, n, &subnet) < 0)
		return "none";
	net_prefix_format(subnet, out);
	return out;
}
#define NEXT(sources, family, ...) next(sources, family, (const char *const[]){__VA_ARGS__ NULL})

TEST(defaults_are_dockers)
{
	struct net_pool_sources s = {0};

	net_pool_sources_default(&s, ula_id);
	ASSERT_STREQ(NEXT(&s, 4, ), "172.17.0.0/16");
	ASSERT_STREQ(NEXT(&s, 4, "172.17.0.0/16", ), "172.18.0.0/16");
	ASSERT_STREQ(NEXT(&s, 4, "172.18.5.0/24", "172.17.0.0/16", ), "172.19.0.0/16");
	ASSERT_STREQ(NEXT(&s, 4, "172.16.0.0/12", ), "192.168.0.0/20");
	ASSERT_STREQ(NEXT(&s, 4, "172.16.0.0/12", "192.168.0.0/24", ), "192.168.16.0/20");
	ASSERT_STREQ(NEXT(&s, 4, "172.16.0.0/12", "192.168.0.0/16", ), "10.0.0.0/24");
	ASSERT_STREQ(NEXT(&s, 4, "0.0.0.0/0", ), "none");
	ASSERT_STREQ(NEXT(&s, 6, ), "fd12:3456:789a::/64");
	ASSERT_STREQ(NEXT(&s, 6, "fd12:3456:789a::/64", ), "fd12:3456:789a:1::/64");
	ASSERT_STREQ(NEXT(&s, 6, "fd12:3456:789a::/60", "::/0", ), "none");
}

TEST(the_last_subnet_of_all_ends_the_search)
{
	struct net_pool_sources s = {0};
	struct err err = {0};

	ASSERT_OK(net_pool_source_parse("base=255.255.254.0/23,size=24", &s.items[0], &err));
	s.n = 1;
	ASSERT_STREQ(NEXT(&s, 4, "255.255.254.0/24", ), "255.255.255.0/24");
	ASSERT_STREQ(NEXT(&s, 4, "255.255.254.0/24", "255.255.255.128/25", ), "none");
	ASSERT_OK(net_pool_source_parse("base=::/0,size=64", &s.items[0], &err));
	ASSERT_STREQ(NEXT(&s, 6, "::/1", ), "8000::/64");
	ASSERT_STREQ(NEXT(&s, 6, "::/1", "8000::/1", ), "none");
}

/* Goal: a source of 2^56 subnets with nested and touching neighbours costs no time. */
TEST(search_jumps_over_what_is_taken)
{
	struct net_pool_sources s = {0};
	struct err err = {0};

	ASSERT_OK(net_pool_source_parse("base=fd00::/8,size=64", &s.items[0], &err));
	s.n = 1;
	ASSERT_STREQ(NEXT(&s, 6, "fd00::/9", "fd80::/64", "fd00:5::/64", ), "fd80:0:0:1::/64");
	ASSERT_STREQ(NEXT(&s, 6, "fd00::/65", "fd00:0:0:1:8000::/66", ), "fd00:0:0:2::/64");
}

TEST(sources_are_parsed_or_refused_in_dockers_words)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"base=x,size=24", "invalid argument \"base=x,size=24\" for "
				   "\"--default-address-pool\" flag: invalid base prefix \"x\""},
		{"foo=1", "invalid argument \"foo=1\" for \"--default-address-pool\" flag: "
			  "unexpected key 'foo' in 'foo=1'"},
		{"size=24", NULL},
		{"", NULL},
		{"base=10.0.0.0/8,size=4", NULL},
		{"base=10.0.0.0/8,size=33", NULL},
		{"base=10.0.0.0/8,size=x", NULL},
		{"base", NULL},
	};
	struct net_pool_source source;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};

		ASSERT_ERROR(net_pool_source_parse(cases[i].text, &source, &err), EINVAL);
		ASSERT_EQ(err.kind, ERR_INVALID);
		if (cases[i].message)
			ASSERT_STREQ(err.msg, cases[i].message);
	}
}

static const char *read_one(size_t (*read)(const char *, struct net_prefix *, size_t),
			    const char *text, size_t at, size_t n)
{
	static char out[NET_PREFIX_TEXT];
	struct net_prefix found[8] = {0};

	if (read(text, found, 8) != n)
		return "another number";
	net_prefix_format(found[at], out);
	return out;
}

TEST(routes_and_resolvers_of_the_host)
{
	static const char v4[] =
		"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
		"eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
		"eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
	static const char v6[] =
		"fd000000000000000000000000000000 40 00000000000000000000000000000000 00 x\n"
		"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 x\n"
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 x\n"
		"short 40\n";
	static const char resolv[] = "search x\nnameserver 10.9.8.7\nnameserver bad\n"
				     "nameserver fd00::53\n";

	ASSERT_STREQ(read_one(net_reserved_routes_v4, v4, 0, 1), "192.168.0.0/16");
	ASSERT_STREQ(read_one(net_reserved_routes_v6, v6, 0, 1), "fd00::/64");
	ASSERT_STREQ(read_one(net_reserved_resolvers, resolv, 0, 2), "10.9.8.7/32");
	ASSERT_STREQ(read_one(net_reserved_resolvers, resolv, 1, 2), "fd00::53/128");
	ASSERT_STREQ(read_one(net_reserved_routes_v4, "", 0, 0), "");
}

TEST_MAIN()
