/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subnet.c - IPv4 and IPv6 addresses and prefixes as numbers
 *
 * Every text here is an API client's or an administrator's. What is accepted is what Go's netip
 * accepts, which is what Docker's clients are told about: no leading zeros, no zones, no white
 * space. Nothing here walks over the addresses of a prefix, however large it is.
 */
#include "net/subnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/**
 * net_family_bits() - Length of an address
 * @family: 4 or 6
 *
 * Return: 32 or 128; 0 for anything else
 */
unsigned int net_family_bits(unsigned int family)
{
	return family == 4 ? 32 : family == 6 ? 128 : 0;
}

/**
 * net_addr_parse() - Read an address
 * @text:     Text
 * @ret_addr: Set on success
 *
 * Return: 0 or -EINVAL
 */
int net_addr_parse(const char *text, struct net_addr *ret_addr)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];

	if (inet_pton(AF_INET, text, bytes) == 1)
		return net_addr_from_bytes(bytes, 4, ret_addr);
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return net_addr_from_bytes(bytes, 16, ret_addr);
	return -EINVAL;
}

/**
 * net_addr_format() - Print an address in its shortest form
 * @addr: Address; "" for none
 * @out:  Text
 */
void net_addr_format(struct net_addr addr, char out[static NET_ADDR_TEXT])
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];

	out[0] = '\0';
	if (net_addr_to_bytes(addr, bytes) > 0) /* cannot fail: the space is enough */
		(void)inet_ntop(addr.family == 4 ? AF_INET : AF_INET6, bytes, out, NET_ADDR_TEXT);
}

/**
 * net_addr_to_bytes() - An address in network byte order
 * @addr: Address
 * @out:  4 or 16 bytes are written
 *
 * Return: how many; 0 for no address
 */
size_t net_addr_to_bytes(struct net_addr addr, uint8_t out[static NET_ADDR_BYTES_MAX])
{
	size_t len = net_family_bits(addr.family) / 8;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(addr.number >> (8 * (len - 1 - i)));
	return len;
}

/**
 * net_addr_from_bytes() - The other way
 * @bytes:    Network byte order
 * @len:      4 or 16
 * @ret_addr: Set on success
 *
 * Return: 0, or -EINVAL for another length
 */
int net_addr_from_bytes(const void *bytes, size_t len, struct net_addr *ret_addr)
{
	const uint8_t *p = bytes;
	struct net_addr addr = {.family = len == 4 ? 4 : 6};

	if (len != 4 && len != 16)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		addr.number = addr.number << 8 | p[i];
	*ret_addr = addr;
	return 0;
}

/**
 * net_prefix_parse() - Read "address/bits"
 * @text:	Text
 * @ret_prefix: Set on success; bits beyond the prefix are kept
 *
 * Return: 0 or -EINVAL
 */
int net_prefix_parse(const char *text, struct net_prefix *ret_prefix)
{
	const char *slash = strchr(text, '/');
	struct net_prefix prefix;
	char addr[NET_ADDR_TEXT];
	uint64_t bits;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	(void)snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	if (net_addr_parse(addr, &prefix.addr) < 0)
		return -EINVAL;
	if (strspn(slash + 1, "0123456789") != strlen(slash + 1) || (slash[1] == '0' && slash[2]) ||
	    str_u64(slash + 1, net_family_bits(prefix.addr.family), &bits) < 0)
		return -EINVAL;
	prefix.bits = (unsigned int)bits;
	*ret_prefix = prefix;
	return 0;
}

/**
 * net_prefix_format() - Print "address/bits"
 * @prefix: Prefix; "" for none
 * @out:    Text
 */
void net_prefix_format(struct net_prefix prefix, char out[static NET_PREFIX_TEXT])
{
	char addr[NET_ADDR_TEXT];

	net_addr_format(prefix.addr, addr);
	(void)snprintf(out, NET_PREFIX_TEXT, "%s", addr);
	if (*addr)
		(void)snprintf(out, NET_PREFIX_TEXT, "%s/%u", addr, prefix.bits);
}

/* Ones where the host's part is. */
static net_number host_mask(struct net_prefix prefix)
{
	unsigned int host = net_family_bits(prefix.addr.family) - prefix.bits;

	return host >= 128 ? ~(net_number)0 : ((net_number)1 << host) - 1;
}

/**
 * net_prefix_first() - The lowest address, of an IPv4 subnet the network's own
 * @prefix: Prefix
 *
 * Return: the address
 */
struct net_addr net_prefix_first(struct net_prefix prefix)
{
	prefix.addr.number &= ~host_mask(prefix);
	return prefix.addr;
}

/**
 * net_prefix_last() - The highest address, of an IPv4 subnet the broadcast address
 * @prefix: Prefix
 *
 * Return: the address
 */
struct net_addr net_prefix_last(struct net_prefix prefix)
{
	prefix.addr.number |= host_mask(prefix);
	return prefix.addr;
}

/**
 * net_prefix_is_masked() - Whether nothing is set beyond the prefix's bits
 * @prefix: Prefix
 *
 * Return: the answer
 */
bool net_prefix_is_masked(struct net_prefix prefix)
{
	return net_prefix_first(prefix).number == prefix.addr.number;
}

/**
 * net_prefix_masked() - The prefix without what is beyond its bits
 * @prefix: Prefix
 *
 * Return: the prefix
 */
struct net_prefix net_prefix_masked(struct net_prefix prefix)
{
	prefix.addr = net_prefix_first(prefix);
	return prefix;
}

/**
 * net_prefix_contains() - Whether an address is in a prefix
 * @prefix: Prefix; none contains nothing
 * @addr:   Address
 *
 * Return: the answer
 */
bool net_prefix_contains(struct net_prefix prefix, struct net_addr addr)
{
	return prefix.addr.family != 0 && prefix.addr.family == addr.family &&
	       addr.number >= net_prefix_first(prefix).number &&
	       addr.number <= net_prefix_last(prefix).number;
}

/**
 * net_prefix_overlaps() - Whether two prefixes have an address in common
 * @a: Prefix
 * @b: Prefix
 *
 * Return: the answer; false for different families
 */
bool net_prefix_overlaps(struct net_prefix a, struct net_prefix b)
{
	return net_prefix_contains(a, net_prefix_first(b)) ||
	       net_prefix_contains(b, net_prefix_first(a));
}
