/* SPDX-License-Identifier: Apache-2.0 */
/* dns_local.h - what can be said to a query without asking anybody */
#pragma once

#include "agent/dns_message.h"

struct dns_zone;

#define DNS_TTL_S 600 /* dockerd's */

size_t dns_local_answer(const struct dns_zone *zone, const uint8_t *msg,
			const struct dns_query *query, size_t max, uint8_t *data);
size_t dns_local_code(const uint8_t *msg, const struct dns_query *query, enum dns_rcode rcode,
		      bool recursion, uint8_t *data);
size_t dns_local_truncated(const uint8_t *msg, const struct dns_query *query, uint8_t *data);
