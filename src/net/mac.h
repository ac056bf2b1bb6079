/* SPDX-License-Identifier: Apache-2.0 */
/* mac.h - MAC addresses of endpoints */
#pragma once

#include <stdint.h>

#define NET_MAC_BYTES 6
#define NET_MAC_TEXT 18 /* with the NUL */

void net_mac_random(uint8_t out[static NET_MAC_BYTES]);
int net_mac_parse(const char *text, uint8_t out[static NET_MAC_BYTES]);
void net_mac_format(const uint8_t mac[static NET_MAC_BYTES], char out[static NET_MAC_TEXT]);
