/* SPDX-License-Identifier: Apache-2.0 */
/* dns-rig.h - messages for the tests of the DNS server */
#pragma once

#include "agent/dns_message.h"

/* A query for @name with an OPT of @udp_size (0: without one). Return: its bytes */
static inline size_t rig_query(uint8_t *msg, uint16_t id, const char *name, uint16_t type,
			       uint16_t udp_size)
{
	struct dns_name wire;
	size_t at = DNS_HEADER_LEN;

	memset(msg, 0, DNS_HEADER_LEN);
	dns_put16(msg, id);
	dns_put16(msg + 2, 0x0100); /* RD */
	dns_put16(msg + 4, 1);
	if (dns_name_from_text(name, &wire) < 0)
		return 0;
	memcpy(msg + at, wire.wire, wire.len);
	at += wire.len;
	dns_put16(msg + at, type);
	dns_put16(msg + at + 2, DNS_CLASS_IN);
	at += 4;
	if (udp_size) {
		memset(msg + at, 0, 11);
		msg[at + 2] = DNS_TYPE_OPT;
		dns_put16(msg + at + 3, udp_size);
		msg[11] = 1;
		at += 11;
	}
	return at;
}

static inline unsigned int rig_rcode(const uint8_t *msg)
{
	return msg[3] & 15;
}

static inline unsigned int rig_answers(const uint8_t *msg)
{
	return dns_get16(msg + 6);
}

/* The data of the @i-th answer of a reply of ours, all of one length. */
static inline const uint8_t *rig_rdata(const uint8_t *msg, const struct dns_query *query, size_t i,
				       size_t rdata_len)
{
	return msg + DNS_HEADER_LEN + query->question_len + i * (12 + rdata_len) + 12;
}
