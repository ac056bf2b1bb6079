/* SPDX-License-Identifier: Apache-2.0 */
/* dns_zone.h - the names that one container sees on its networks, and their addresses */
#pragma once

#include "agent/dns_name.h"

#define DNS_ANSWERS_MAX 1024	    /* addresses of one name that are answered with */
#define DNS_ENDPOINT_NAMES_MAX 1024 /* names of one endpoint */

struct dns_zone;

/*
 * One container on one network, as it is told to dns_zone_set(). names[0] is the container's name,
 * which reverse lookups answer; the others are its short id, hostname, aliases and services.
 */
struct dns_endpoint {
	const char *id;
	const char *const *names;
	size_t n_names;
	const uint8_t *v4; /* 4 bytes, or NULL */
	const uint8_t *v6; /* 16 bytes, or NULL */
};

struct dns_zone *dns_zone_new(void);
void dns_zone_free(struct dns_zone *zone);
int dns_zone_network_add(struct dns_zone *zone, const char *id, const char *name, int rank);
void dns_zone_network_remove(struct dns_zone *zone, const char *id);
int dns_zone_set(struct dns_zone *zone, const char *network, const struct dns_endpoint *endpoint);
void dns_zone_remove(struct dns_zone *zone, const char *network, const char *endpoint);
void dns_zone_clear(struct dns_zone *zone, const char *network, const char *keep);
int dns_zone_link(struct dns_zone *zone, const char *network, const char *alias,
		  const char *target);

/* dns_zone_addresses(), dns_zone_reverse(): the name or address is nobody's here */
#define DNS_ZONE_UNKNOWN 1

int dns_zone_addresses(const struct dns_zone *zone, const struct dns_name *name, uint8_t family_len,
		       struct dns_address *addresses, size_t max, size_t *ret_n);
int dns_zone_reverse(const struct dns_zone *zone, const struct dns_address *address,
		     struct dns_name *ret_name);
