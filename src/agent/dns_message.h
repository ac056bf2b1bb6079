/* SPDX-License-Identifier: Apache-2.0 */
/* dns_message.h - DNS messages: what a query asks, whether an answer fits, and building replies */
#pragma once

#include "agent/dns_name.h"

#define DNS_HEADER_LEN 12
#define DNS_MESSAGE_MAX 65535
#define DNS_UDP_MIN 512	      /* what everybody takes: RFC 1035 4.2.1 */
#define DNS_UDP_OFFERED 4096  /* what our OPT says; loopback does not fragment */
#define DNS_QUESTION_FIXED 4  /* type and class behind the name */
#define DNS_ADDITIONAL_MAX 16 /* records of a query that are looked at: an OPT, a signature */

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_OPT = 41,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* RFC 6891 9; its upper bits are in the OPT record */
};

enum dns_class { DNS_CLASS_IN = 1 };

/* A query that was taken apart. */
struct dns_query {
	uint16_t id, flags, type, class;
	struct dns_name name; /* in the client's case */
	size_t question_len;  /* bytes from the header's end on */
	size_t len;	      /* bytes of the whole message; what follows is no part of it */
	bool edns;	      /* it has an OPT record: */
	uint8_t edns_version;
	bool edns_do;	   /* wants DNSSEC's records: RFC 3225 */
	uint16_t udp_size; /* bytes that its sender takes over UDP, at least DNS_UDP_MIN */
};

/* dns_query_parse(): answer with this code, and no more */
#define DNS_QUERY_FORMERR 1
#define DNS_QUERY_NOTIMP 2

int dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *ret_query);

/* An answer that came from an upstream server. */
struct dns_answer {
	enum dns_rcode rcode;
	bool truncated;
	size_t len; /* bytes of the message; what follows is no part of it */
};

int dns_answer_parse(const uint8_t *msg, size_t len, uint16_t id, const uint8_t *question,
		     size_t question_len, struct dns_answer *ret_answer);

/* A reply in the making. */
struct dns_reply {
	const struct dns_query *query; /* borrowed: from the caller */
	uint8_t *data;		       /* borrowed: from the caller */
	size_t max, len;
	unsigned int answers;
	bool truncated;
};

void dns_reply_begin(struct dns_reply *reply, uint8_t *data, size_t max, const uint8_t *msg,
		     const struct dns_query *query);
bool dns_reply_add(struct dns_reply *reply, enum dns_type type, uint32_t ttl_s, const void *rdata,
		   size_t len);
size_t dns_reply_end(struct dns_reply *reply, enum dns_rcode rcode, bool recursion);
size_t dns_reply_bare(uint8_t data[static DNS_HEADER_LEN], const uint8_t *msg,
		      enum dns_rcode rcode);

uint16_t dns_get16(const uint8_t *p);
void dns_put16(uint8_t *p, uint16_t value);
