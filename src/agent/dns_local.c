/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_local.c - what can be said to a query without asking anybody
 *
 * DOC: Theory of operation
 *
 * As dockerd: addresses and reverse names of the zone; a name of the zone has no mail servers; all
 * else, other types of the zone's names too, is for the servers upstream. Where dockerd is silent
 * about EDNS, RFC 6891 is followed: an OPT is answered with one, an unknown version with BADVERS.
 */
#include "agent/dns_local.h"

#include <string.h>
#include <sys/random.h>

#include "agent/dns_zone.h"

/* Another order each time, so that clients that take the first address spread over all. */
static void dns_shuffle(struct dns_address *addresses, size_t n)
{
	uint32_t state = 1;

	if (n < 2)
		return;
	/* Without randomness: always the same order. Addresses are no secrets: xorshift will do. */
	if (getrandom(&state, sizeof(state), GRND_NONBLOCK) != sizeof(state) || state == 0)
		state = 1;
	for (size_t i = n - 1; i > 0; i--) {
		struct dns_address swapped = addresses[i];
		size_t other;

		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		other = state % (i + 1);
		addresses[i] = addresses[other];
		addresses[other] = swapped;
	}
}

static bool dns_local_addresses(struct dns_reply *reply, const struct dns_zone *zone)
{
	static struct dns_address
		addresses[DNS_ANSWERS_MAX]; /* one thread; too large for a stack */
	const struct dns_query *query = reply->query;
	size_t n;

	if (dns_zone_addresses(zone, &query->name, query->type == DNS_TYPE_A ? 4 : 16, addresses,
			       DNS_ANSWERS_MAX, &n) == DNS_ZONE_UNKNOWN)
		return false;
	dns_shuffle(addresses, n);
	for (size_t i = 0; i < n; i++) {
		if (!dns_reply_add(reply, query->type, DNS_TTL_S, addresses[i].bytes,
				   addresses[i].len))
			break; /* marked as truncated: the client comes again over TCP */
	}
	return true;
}

static bool dns_local_mail(struct dns_reply *reply, const struct dns_zone *zone)
{
	size_t n;

	/* RFC 5321 5.1: without MX records, mail goes to the address */
	return dns_zone_addresses(zone, &reply->query->name, 0, NULL, 0, &n) != DNS_ZONE_UNKNOWN;
}

static bool dns_local_reverse(struct dns_reply *reply, const struct dns_zone *zone)
{
	struct dns_address address;
	struct dns_name name;

	if (dns_name_address(&reply->query->name, &address) < 0 ||
	    dns_zone_reverse(zone, &address, &name) == DNS_ZONE_UNKNOWN)
		return false;
	(void)dns_reply_add(reply, DNS_TYPE_PTR, DNS_TTL_S, name.wire, name.len); /* or TC */
	return true;
}

/**
 * dns_local_answer() - Answer a query from the zone
 * @zone:  Zone
 * @msg:   The query's bytes
 * @query: The query
 * @max:   Bytes that the client takes and @data has, at least DNS_UDP_MIN
 * @data:  Where the reply is written
 *
 * Return: bytes of the reply, 0 if somebody else must be asked
 */
size_t dns_local_answer(const struct dns_zone *zone, const uint8_t *msg,
			const struct dns_query *query, size_t max, uint8_t *data)
{
	struct dns_reply reply;
	bool known = false;

	if (query->edns && query->edns_version != 0)
		return dns_local_code(msg, query, DNS_BADVERS, true, data);
	if (query->class != DNS_CLASS_IN)
		return 0;
	dns_reply_begin(&reply, data, max, msg, query);
	if (query->type == DNS_TYPE_A || query->type == DNS_TYPE_AAAA)
		known = dns_local_addresses(&reply, zone);
	else if (query->type == DNS_TYPE_MX)
		known = dns_local_mail(&reply, zone);
	else if (query->type == DNS_TYPE_PTR)
		known = dns_local_reverse(&reply, zone);
	return known ? dns_reply_end(&reply, DNS_NOERROR, true) : 0;
}

/**
 * dns_local_code() - Answer a query with an outcome and no records
 * @msg:       The query's bytes
 * @query:     The query
 * @rcode:     Outcome
 * @recursion: Say that recursion is available
 * @data:      Where the reply is written, DNS_UDP_MIN bytes
 *
 * Return: bytes of the reply
 */
size_t dns_local_code(const uint8_t *msg, const struct dns_query *query, enum dns_rcode rcode,
		      bool recursion, uint8_t *data)
{
	struct dns_reply reply;

	dns_reply_begin(&reply, data, DNS_UDP_MIN, msg, query);
	return dns_reply_end(&reply, rcode, recursion);
}

/**
 * dns_local_truncated() - Answer a query with no more than that it should be asked over TCP
 * @msg:   The query's bytes
 * @query: The query
 * @data:  Where the reply is written, DNS_UDP_MIN bytes
 *
 * Return: bytes of the reply
 */
size_t dns_local_truncated(const uint8_t *msg, const struct dns_query *query, uint8_t *data)
{
	struct dns_reply reply;

	dns_reply_begin(&reply, data, DNS_UDP_MIN, msg, query);
	reply.truncated = true;
	return dns_reply_end(&reply, DNS_NOERROR, true);
}
