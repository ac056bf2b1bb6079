/* SPDX-License-Identifier: Apache-2.0 */
/* mac.c - MAC addresses of endpoints: random ones as dockerd 28 makes them, and an API client's */
#include "net/mac.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/str.h"

/**
 * net_mac_random() - A locally administered unicast address
 * @out: Address
 */
void net_mac_random(uint8_t out[static NET_MAC_BYTES])
{
	random_bytes(out, NET_MAC_BYTES);
	out[0] = (uint8_t)((out[0] & 0xfe) | 0x02);
}

/**
 * net_mac_parse() - Read an address
 * @text: "02:42:ac:11:00:02", with hyphens, or "0242.ac11.0002"
 * @out:  Filled on success
 *
 * Return: 0 or -EINVAL
 */
int net_mac_parse(const char *text, uint8_t out[static NET_MAC_BYTES])
{
	static const char *const shapes[] = {"xx:xx:xx:xx:xx:xx", "xx-xx-xx-xx-xx-xx",
					     "xxxx.xxxx.xxxx"};
	char hex[2 * NET_MAC_BYTES + 1];

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		const char *shape = shapes[i];
		size_t n = 0, k = 0;

		if (strlen(shape) != strlen(text))
			continue;
		for (; shape[k] && (shape[k] == 'x' || shape[k] == text[k]); k++) {
			/* digits are judged below, all at once */
			if (shape[k] == 'x')
				hex[n++] = (char)(text[k] >= 'A' && text[k] <= 'F' ? text[k] | 0x20
										   : text[k]);
		}
		hex[n] = '\0';
		if (!shape[k] && str_unhex(hex, out, NET_MAC_BYTES) == 0)
			return 0;
	}
	return -EINVAL;
}

/**
 * net_mac_format() - Print an address
 * @mac: Address
 * @out: Text, lower case with colons
 */
void net_mac_format(const uint8_t mac[static NET_MAC_BYTES], char out[static NET_MAC_TEXT])
{
	(void)snprintf(out, NET_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
}
