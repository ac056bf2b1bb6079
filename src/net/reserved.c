/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserved.c - prefixes that the host uses
 *
 * As dockerd does, a subnet that was not asked for by number is never one that the host has a
 * route to, or that its resolvers are in: containers would lose them. Read anew for each such
 * network, as routes come and go. Formats: proc(5) for /proc/net/route, the kernel's
 * net/ipv6/route.c for /proc/net/ipv6_route, resolv.conf(5).
 */
#include "net/reserved.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define RESERVED_FILE_MAX MIB(1)

/**
 * net_reserved_underlay() - Whether a prefix touches the underlay
 * @prefix: Prefix
 *
 * Return: the answer
 */
bool net_reserved_underlay(struct net_prefix prefix)
{
	static const char *const texts[] = {NET_UNDERLAY_V4, NET_UNDERLAY_V6};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct net_prefix underlay;

		if (net_prefix_parse(texts[i], &underlay) == 0 &&
		    net_prefix_overlaps(underlay, prefix))
			return true;
	}
	return false;
}

/* The next line of a text, or NULL. */
static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line && line[1] ? line + 1 : NULL;
}

/**
 * net_reserved_routes_v4() - Destinations of /proc/net/route, without the default route
 * @table: Text of the file
 * @out:   Receives prefixes
 * @max:   At most so many
 *
 * Return: how many
 */
size_t net_reserved_routes_v4(const char *table, struct net_prefix *out, size_t max)
{
	size_t n = 0;

	for (const char *line = table; line && n < max; line = next_line(line)) {
		unsigned int dest, mask;

		if (sscanf(line, "%*s %8x %*x %*x %*d %*d %*d %8x", &dest, &mask) != 2 || mask == 0)
			continue;
		/* both as they lie in memory, in network byte order */
		out[n].addr = (struct net_addr){4, __builtin_bswap32(dest)};
		out[n].bits = (unsigned int)__builtin_popcount(mask);
		n++;
	}
	return n;
}

/**
 * net_reserved_routes_v6() - Destinations of /proc/net/ipv6_route
 * @table: Text of the file
 * @out:   Receives prefixes
 * @max:   At most so many
 *
 * Without the default route, link-local and multicast.
 *
 * Return: how many
 */
size_t net_reserved_routes_v6(const char *table, struct net_prefix *out, size_t max)
{
	size_t n = 0;

	for (const char *line = table; line && n < max; line = next_line(line)) {
		uint8_t bytes[16];
		char hex[33];
		unsigned int bits;

		if (sscanf(line, "%32[0-9a-f] %2x", hex, &bits) != 2 || bits == 0 || bits > 128 ||
		    strlen(hex) != 32 || str_unhex(hex, bytes, sizeof(bytes)) < 0 ||
		    bytes[0] == 0xfe || bytes[0] == 0xff)
			continue;
		(void)net_addr_from_bytes(bytes, sizeof(bytes), &out[n].addr); /* 16 fit */
		out[n].bits = bits;
		n++;
	}
	return n;
}

/**
 * net_reserved_resolvers() - Name servers of a resolv.conf
 * @text: Text of the file
 * @out:  Receives host prefixes
 * @max:  At most so many
 *
 * Return: how many
 */
size_t net_reserved_resolvers(const char *text, struct net_prefix *out, size_t max)
{
	size_t n = 0;

	for (const char *line = text; line && n < max; line = next_line(line)) {
		char addr[NET_ADDR_TEXT];

		if (sscanf(line, "nameserver %45s", addr) != 1 ||
		    net_addr_parse(addr, &out[n].addr) < 0)
			continue;
		out[n].bits = net_family_bits(out[n].addr.family);
		n++;
	}
	return n;
}

/**
 * net_reserved_host() - What the host uses now
 * @out: Receives prefixes, the underlay among them
 * @max: At most so many
 *
 * A file that cannot be read reserves nothing.
 *
 * Return: how many
 */
size_t net_reserved_host(struct net_prefix *out, size_t max)
{
	static const struct {
		const char *path;
		size_t (*read)(const char *text, struct net_prefix *out, size_t max);
	} files[] = {
		{"/proc/net/route", net_reserved_routes_v4},
		{"/proc/net/ipv6_route", net_reserved_routes_v6},
		{"/etc/resolv.conf", net_reserved_resolvers},
	};
	size_t n = 0;

	if (n < max && net_prefix_parse(NET_UNDERLAY_V4, &out[n]) == 0)
		n++;
	if (n < max && net_prefix_parse(NET_UNDERLAY_V6, &out[n]) == 0)
		n++;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = NULL;

		if (fs_read_file(files[i].path, RESERVED_FILE_MAX, &text, NULL) == 0)
			n += files[i].read(text, out + n, max - n);
	}
	return n;
}
