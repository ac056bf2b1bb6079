/* SPDX-License-Identifier: Apache-2.0 */
/* test-netlink.c - messages to the kernel, against their bytes; and what is found in answers */
#include "agent/netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/link.h"
#include "agent/nft.h"
#include "agent/wireguard.h"
#include "base/str.h"
#include "test.h"

/* Bytes as hexadecimal digits, without the sequence number and the port of each message. */
static const char *hex(struct netlink_batch *b)
{
	static char text[8192];
	size_t at = 0;

	text[0] = '\0';
	netlink_begin_silent(b, 0, NULL, 0); /* which completes the last one */
	while (at + NLMSG_HDRLEN < b->bytes.len) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(void *)(b->bytes.data + at);

		str_hex(h, 8, text + strlen(text));
		str_hex((const char *)h + NLMSG_HDRLEN, h->nlmsg_len - NLMSG_HDRLEN,
			text + strlen(text));
		at += NLMSG_ALIGN(h->nlmsg_len);
		if (at + NLMSG_HDRLEN < b->bytes.len)
			strcat(text, " ");
	}
	return text;
}

static void batch_donep(struct netlink_batch **b)
{
	netlink_batch_done(*b);
}

/* Goal: attributes are padded to 4, nests count what is in them, messages follow each other. */
TEST(attributes_and_nests)
{
	_cleanup_batch_ struct netlink_batch b = {};
	const uint32_t header = 0x01020304;
	size_t outer, inner;

	netlink_begin(&b, 0x10, NLM_F_CREATE, &header, sizeof(header));
	netlink_put_u8(&b, 1, 0xaa);
	outer = netlink_nest(&b, 2);
	netlink_put_str(&b, 3, "abcd");
	inner = netlink_nest(&b, 4);
	netlink_put_be32(&b, 5, 0x01020304);
	netlink_unnest(&b, inner);
	netlink_unnest(&b, outer);
	netlink_begin(&b, 0x11, 0, &header, sizeof(header));
	ASSERT_STREQ(hex(&b), "3800000010000104" /* length 56, type, CREATE | REQUEST */
			      "04030201"
			      "05000100aa000000"
			      "1c000280"
			      "090003006162636400000000"
			      "0c000480"
			      "0800050001020304"
			      " 140000001100010004030201");
}

TEST(an_attribute_has_16_bits_for_its_length)
{
	_cleanup_batch_ struct netlink_batch b = {};
	static char large[UINT16_MAX];
	size_t nest;

	netlink_begin(&b, 1, 0, NULL, 0);
	netlink_put(&b, 1, large, sizeof(large));
	ASSERT(b.bytes.failed);
	netlink_batch_done(&b);
	netlink_begin(&b, 1, 0, NULL, 0);
	nest = netlink_nest(&b, 1);
	netlink_put(&b, 1, large, 40000);
	netlink_put(&b, 1, large, 40000);
	netlink_unnest(&b, nest);
	ASSERT(b.bytes.failed);
}

TEST(an_address_has_its_broadcast)
{
	_cleanup_batch_ struct netlink_batch b = {};
	const struct link_address a = {.bytes = {172, 17, 0, 2}, .len = 4, .prefix = 12};

	link_add_address(&b, 7, &a);
	ASSERT_STREQ(hex(&b), "3000000014000106" /* RTM_NEWADDR, CREATE | EXCL | REQUEST */
			      "020c800007000000"
			      "08000200ac110002"
			      "08000100ac110002"
			      "08000400ac1fffff");
}

TEST(an_ipv6_address_is_not_doubted)
{
	_cleanup_batch_ struct netlink_batch b = {};
	const struct link_address a = {.bytes = {0xfd, [15] = 2}, .len = 16, .prefix = 64};

	link_add_address(&b, 7, &a);
	ASSERT_STREQ(hex(&b), "4000000014000106"
			      "0a40820007000000"
			      "14000200fd000000000000000000000000000002"
			      "14000100fd000000000000000000000000000002");
}

TEST(a_route_is_masked)
{
	_cleanup_batch_ struct netlink_batch b = {};
	const struct link_address to = {.bytes = {172, 17, 255, 2}, .len = 4, .prefix = 20};
	const struct link_address gateway = {.bytes = {172, 17, 0, 1}, .len = 4, .prefix = 32};
	const struct link_address all = {.len = 4};

	link_route(&b, true, 7, &to, NULL);
	link_route(&b, true, 7, &all, &gateway);
	link_route(&b, false, 7, &all, &gateway);
	ASSERT_STREQ(hex(&b), "2c00000018000106" /* RTM_NEWROUTE, CREATE | EXCL | REQUEST */
			      "02140000fe03fd0100000000"
			      "08000100ac11f000"
			      "0800040007000000"
			      " 2c00000018000105" /* CREATE | REPLACE | REQUEST */
			      "02000000fe03000100000000"
			      "08000500ac110001"
			      "0800040007000000"
			      " 2c00000019000100"
			      "02000000fe03000100000000"
			      "08000500ac110001"
			      "0800040007000000");
}

TEST(a_veth_has_its_peer_inside)
{
	_cleanup_batch_ struct netlink_batch b = {};
	const uint8_t mac[LINK_MAC_LEN] = {2, 0x42, 1, 2, 3, 4};
	const struct link_veth veth = {.index = 1000,
				       .name = "v0",
				       .group = 2,
				       .mtu = 1500,
				       .peer_netns_fd = 9,
				       .peer_name = "eth0",
				       .peer_mac = mac};

	link_add_veth(&b, &veth);
	ASSERT_STREQ(hex(&b), "8800000010000106" /* RTM_NEWLINK, CREATE | EXCL | REQUEST */
			      "00000000e80300000000000000000000"
			      "0700030076300000"
			      "08001b0002000000"
			      "08000400dc050000"
			      "50001280"
			      "090001007665746800000000"
			      "40000280"
			      "3c000180"
			      "00000000000000000000000000000000"
			      "090003006574683000000000"
			      "0a0001000242010203040000"
			      "08000400dc050000"
			      "08001c0009000000");
}

TEST(a_peer_of_wireguard)
{
	struct wireguard wg = {.nl.fd = -EBADF, .family = 0x20};
	struct wireguard_batch batch = {.index = 2000};
	struct netlink_batch *b __attribute__((cleanup(batch_donep))) = &batch.b;
	const uint8_t key[WIREGUARD_KEY_LEN] = {[0] = 1, [31] = 2};
	const struct link_address endpoint = {.bytes = {198, 18, 0, 3}, .len = 4, .prefix = 32};
	const struct link_address v4 = {.bytes = {172, 17, 0, 3}, .len = 4, .prefix = 32};
	const struct link_address none = {};
	struct wireguard_peer peer = {.public_key = key,
				      .endpoint = &endpoint,
				      .port = 51820,
				      .allowed = {&v4, &none},
				      .keepalive_s = -1};

	ASSERT_OK(wireguard_add_peer(&wg, &batch, &peer));
	peer.remove = true;
	ASSERT_OK(wireguard_add_peer(&wg, &batch, &peer));
	netlink_unnest(&batch.b, batch.peers);
	ASSERT_STREQ(hex(b), "b400000020000100" /* family, REQUEST */
			     "01010000"		/* WG_CMD_SET_DEVICE, version 1 */
			     "08000100d0070000" /* interface */
			     "98000880"
			     "64000080"
			     "24000100"
			     "0100000000000000000000000000000000000000000000000000000000000002"
			     "0800030002000000"				/* REPLACE_ALLOWEDIPS */
			     "140004000200ca6cc61200030000000000000000" /* 198.18.0.3:51820 */
			     "20000980"
			     "1c000080"
			     "0600010002000000"
			     "08000200ac110003"
			     "0500030020000000"
			     "30000080"
			     "24000100"
			     "0100000000000000000000000000000000000000000000000000000000000002"
			     "0800030001000000" /* REMOVE_ME */);
}

TEST(a_rule_of_nf_tables)
{
	_cleanup_batch_ struct netlink_batch b = {};
	size_t at;

	nft_begin(&b);
	at = nft_rule(&b, NFPROTO_INET, "t", "c");
	nft_meta(&b, NFT_META_IIFGROUP, NFT_REG(0));
	nft_cmp(&b, NFT_REG(0), NFT_CMP_EQ, (uint32_t[]){2}, 4);
	nft_verdict(&b, NF_DROP);
	netlink_unnest(&b, at);
	nft_end(&b);
	ASSERT_STREQ(hex(&b), "1400000010000100"
			      "0000000a"
			      " a8000000060a010c" /* NEWRULE, CREATE | APPEND | REQUEST */
			      "01000000"
			      "0600010074000000"
			      "0600020063000000"
			      "84000480"
			      "24000180"
			      "090001006d65746100000000" /* meta */
			      "14000280"
			      "0800020000000015" /* iifgroup */
			      "0800010000000008"
			      "2c000180"
			      "08000100636d7000" /* cmp */
			      "20000280"
			      "0800010000000008"
			      "0800020000000000"
			      "0c000380"
			      "0800010002000000"
			      "30000180"
			      "0e000100696d6d656469617465000000" /* immediate */
			      "1c000280"
			      "0800010000000000"
			      "10000280"
			      "0c000280"
			      "0800010000000000"
			      " 1400000011000100"
			      "0000000a");
}

/* Goal: whatever lengths an answer claims, nothing outside of it is read. */
TEST(attributes_are_found_within_bounds)
{
	static const uint8_t good[] = {8, 0, 1, 0, 1, 2, 3, 4, 5, 0, 2, 0x80, 9, 0, 0, 0};
	static const uint8_t beyond[] = {9, 0, 1, 0, 1, 2, 3, 4};
	static const uint8_t tiny[] = {3, 0, 1, 0, 4, 0, 2, 0};
	const struct nlattr *a = netlink_find(good, sizeof(good), 2);

	ASSERT(a == (const void *)(good + 8));
	ASSERT_EQ(netlink_payload(a), 1);
	ASSERT(netlink_find(good, 13, 2) == a);
	ASSERT(!netlink_find(good, 12, 2));
	ASSERT(!netlink_find(good, sizeof(good), 3));
	ASSERT(!netlink_find(good, 0, 1));
	ASSERT(!netlink_find(beyond, sizeof(beyond), 1));
	ASSERT(!netlink_find(tiny, sizeof(tiny), 2));
}

TEST(nothing_is_sent_for_nothing)
{
	struct netlink nl = {.fd = -EBADF};
	struct netlink_batch b = {};

	ASSERT_OK(netlink_send(&nl, &b));
	netlink_begin(&b, 1, 0, NULL, 0);
	ASSERT_ERROR(netlink_send(&nl, &b), EBADF);
	ASSERT_EQ(b.bytes.len, 0);
}

TEST_MAIN()
