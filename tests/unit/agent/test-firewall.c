/* SPDX-License-Identifier: Apache-2.0 */
/* test-firewall.c - the rules, as this machine's kernel takes them and nft(8) reads them */
#include "agent/firewall.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

static struct netlink nl = {.fd = -EBADF};
static char ruleset[32768];

static const char *list_ruleset(void)
{
	FILE *f = popen("nft list ruleset 2>&1", "r");
	size_t n = f ? fread(ruleset, 1, sizeof(ruleset) - 1, f) : 0;

	ruleset[n] = '\0';
	if (f)
		(void)pclose(f); /* what it said is looked at */
	return ruleset;
}

#define NEED_KERNEL()                                                                              \
	do {                                                                                       \
		if (nl.fd < 0)                                                                     \
			TEST_SKIP("takes root, nft(8) and a kernel with nf_tables");               \
	} while (0)
#define HAS(text)                                                                                  \
	do {                                                                                       \
		if (!strstr(list_ruleset(), text))                                                 \
			TEST_FAIL("no \"%s\" in:\n%s", text, ruleset);                             \
	} while (0)
#define HAS_NOT(text) ASSERT(!strstr(list_ruleset(), text))

TEST(the_rules_are_taken)
{
	if (geteuid() != 0 || access("/usr/sbin/nft", X_OK) < 0 || unshare(CLONE_NEWNET) < 0 ||
	    netlink_open(NETLINK_NETFILTER, &nl) < 0)
		NEED_KERNEL();
	if (firewall_boot(&nl) < 0)
		netlink_close(&nl);
	NEED_KERNEL();
	HAS("iifgroup 2 ip6 saddr fe80::/10 accept");
	HAS("iifgroup 2 fib saddr . iif oif 0 drop");
	HAS("oifgroup 1 udp sport 51820-52075 notrack");
	HAS("oifgroup 1 udp sport @quiet");
	HAS("iifgroup 2 reject");
	HAS("iifgroup 3 drop");
	HAS("type filter hook forward priority filter; policy drop;");
	HAS("iif . oif @pairs iifgroup != 1 accept");
	HAS("iif . oif @pairs ct state established,related accept");
	HAS("iif . oif @pairs ct status dnat accept");
	HAS("iif . oif . ip saddr @linked ct state established,related accept");
	HAS("iif . oif . ip daddr @linked ct state established,related accept");
	HAS("@open accept");
	HAS("dnat ip to ip saddr map @target4");
	HAS("dnat ip6 to iif . ip6 daddr map @host6");
	HAS("oifgroup 2 ct status dnat masquerade");
}

/* Goal: an entry is added, exchanged and removed as a whole. */
TEST(entries_come_and_go)
{
	struct firewall_entry one = {.way = {1, 2, 3}}, two;

	NEED_KERNEL();
	one.gateway[0] = (struct link_address){.bytes = {198, 18, 0, 1}, .len = 4};
	one.target[0] = (struct link_address){.bytes = {172, 17, 0, 2}, .len = 4};
	one.host[0] = (struct link_address){.bytes = {172, 17, 0, 1}, .len = 4};
	one.host_target[0] = (struct link_address){.bytes = {198, 19, 255, 1}, .len = 4};
	ASSERT_OK(firewall_set(&nl, NULL, &one));
	HAS("198.18.0.1 : 172.17.0.2");
	HAS("172.17.0.1 : 198.19.255.1");
	two = one;
	two.target[0].bytes[3] = 9;
	ASSERT_OK(firewall_set(&nl, &one, &two));
	HAS("198.18.0.1 : 172.17.0.9");
	HAS_NOT("198.18.0.1 : 172.17.0.2");
	one.way.mesh = 9;
	ASSERT_ERROR(firewall_set(&nl, &one, NULL), ENOENT); /* it is not there as a whole */
	HAS("198.18.0.1 : 172.17.0.9");
	ASSERT_OK(firewall_set(&nl, &two, NULL));
	HAS_NOT("172.17.0.9");
	HAS_NOT("elements");
}

/* Goal: where members are apart, a link opens its ports, and takes them away. */
TEST(a_link_opens_ports)
{
	const uint32_t in[] = {FIREWALL_PORT(6, 80), FIREWALL_PORT(17, 53)};
	const uint32_t out[] = {FIREWALL_PORT(6, 5432)};
	const uint8_t peer[] = {172, 17, 0, 3};
	const struct firewall_entry apart = {.way = {1, 2, 0, true}};
	const struct firewall_link link = {.container = 1,
					   .mesh = 2,
					   .peer = peer,
					   .ports_in = in,
					   .n_in = 2,
					   .ports_out = out,
					   .n_out = 1};

	NEED_KERNEL();
	ASSERT_OK(firewall_set(&nl, NULL, &apart));
	HAS_NOT("elements"); /* nothing passes */
	ASSERT_OK(firewall_set_link(&nl, true, &link));
	HAS("172.17.0.3 . tcp . 80");
	HAS("172.17.0.3 . udp . 53");
	HAS("172.17.0.3 . tcp . 5432");
	ASSERT_OK(firewall_set_link(&nl, false, &link));
	HAS_NOT("elements");
	ASSERT_OK(firewall_set(&nl, &apart, NULL));
}

TEST(a_port_is_quiet_for_a_while)
{
	NEED_KERNEL();
	ASSERT_OK(firewall_quiet(&nl, 51821, 60000));
	ASSERT_OK(firewall_quiet(&nl, 51821, 60000)); /* likewise, not longer */
	HAS("51821 timeout 1m");
}

TEST(names_are_redirected)
{
	NEED_KERNEL();
	ASSERT_OK(firewall_redirect_names(&nl, 40001, 40002));
	HAS("ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40001");
	HAS("ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:40002");
	netlink_close(&nl);
}

TEST_MAIN()
