/* SPDX-License-Identifier: Apache-2.0 */
/* dns_name.h - domain names as they are on the wire, and the addresses that reverse names mean */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_LABEL_MAX 63
#define DNS_NAME_MAX 255 /* bytes on the wire, the root's zero byte included: RFC 1035 2.3.4 */

/*
 * Length-prefixed labels, ended by the root's zero byte. Kept so and not as text, because a label
 * may hold any byte, dots too.
 */
struct dns_name {
	uint8_t wire[DNS_NAME_MAX];
	uint8_t len;
};

struct dns_address {
	uint8_t bytes[16];
	uint8_t len; /* 4 or 16 */
};

int dns_name_read(const uint8_t *msg, size_t len, size_t *at, struct dns_name *ret_name);
int dns_name_from_text(const char *text, struct dns_name *ret_name);
int dns_name_join(const struct dns_name *a, const struct dns_name *b, struct dns_name *ret_name);
void dns_name_lower(struct dns_name *name);
bool dns_name_single(const struct dns_name *name);
bool dns_bytes_equal(const uint8_t *a, const uint8_t *b, size_t len);
int dns_name_address(const struct dns_name *name, struct dns_address *ret_address);
