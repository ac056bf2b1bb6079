/* SPDX-License-Identifier: Apache-2.0 */
/* subnet.h - IPv4 and IPv6 addresses and prefixes as numbers: parse, print, compare */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_ADDR_TEXT 46   /* with the NUL */
#define NET_PREFIX_TEXT 50 /* with the NUL */
#define NET_ADDR_BYTES_MAX 16

typedef unsigned __int128 net_number; /* an address as a number; IPv4 in the low 32 bits */

struct net_addr {
	unsigned int family; /* 4, 6; 0: no address */
	net_number number;
};

struct net_prefix {
	struct net_addr addr; /* family 0: no prefix */
	unsigned int bits;
};

unsigned int net_family_bits(unsigned int family);

int net_addr_parse(const char *text, struct net_addr *ret_addr);
void net_addr_format(struct net_addr addr, char out[static NET_ADDR_TEXT]);
size_t net_addr_to_bytes(struct net_addr addr, uint8_t out[static NET_ADDR_BYTES_MAX]);
int net_addr_from_bytes(const void *bytes, size_t len, struct net_addr *ret_addr);

int net_prefix_parse(const char *text, struct net_prefix *ret_prefix);
void net_prefix_format(struct net_prefix prefix, char out[static NET_PREFIX_TEXT]);
struct net_addr net_prefix_first(struct net_prefix prefix);
struct net_addr net_prefix_last(struct net_prefix prefix);
bool net_prefix_is_masked(struct net_prefix prefix);
struct net_prefix net_prefix_masked(struct net_prefix prefix);
bool net_prefix_contains(struct net_prefix prefix, struct net_addr addr);
bool net_prefix_overlaps(struct net_prefix a, struct net_prefix b);
