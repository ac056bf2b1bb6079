/* SPDX-License-Identifier: Apache-2.0 */
/* reserved.h - prefixes that the host uses, so that no network is put there by itself */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/subnet.h"

#define NET_RESERVED_MAX 256

/* The underlay between the VMs and the gateway; no network may be there, asked for or not. */
#define NET_UNDERLAY_V4 "198.18.0.0/15"
#define NET_UNDERLAY_V6 "fd61:7263:6100::/48"

bool net_reserved_underlay(struct net_prefix prefix);
size_t net_reserved_host(struct net_prefix *out, size_t max);
size_t net_reserved_routes_v4(const char *table, struct net_prefix *out, size_t max);
size_t net_reserved_routes_v6(const char *table, struct net_prefix *out, size_t max);
size_t net_reserved_resolvers(const char *text, struct net_prefix *out, size_t max);
