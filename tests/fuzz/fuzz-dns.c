/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-dns.c - DNS messages from a container and from servers upstream, and our replies to them */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dns_local.h"
#include "agent/dns_zone.h"
#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dns_zone *fuzz_zone(void)
{
	static const char *const names[] = {"c1", "svc", "Dotted.Name", "0123456789ab"};
	static const uint8_t v6[16] = {0xfd, [15] = 2};
	static struct dns_zone *zone;

	if (zone)
		return zone;
	zone = dns_zone_new();
	if (!zone || dns_zone_network_add(zone, "n", "net", 0) < 0 ||
	    dns_zone_network_add(zone, "m", "two.labels", 0) < 0)
		abort();
	for (uint8_t i = 1; i < 100; i++) {
		uint8_t v4[4] = {172, 18, 0, i}, id[2] = {i, 0};
		struct dns_endpoint endpoint = {.id = (char *)id,
						.names = names + (i > 1),
						.n_names = i > 1 ? 1 : 4,
						.v4 = v4,
						.v6 = i % 2 ? v6 : NULL};

		if (dns_zone_set(zone, i % 3 ? "n" : "m", &endpoint) < 0)
			abort();
	}
	if (dns_zone_link(zone, "n", "lnk", "c1") < 0)
		abort();
	return zone;
}

/* What we say is a whole answer to what was asked. */
static void fuzz_check(const uint8_t *reply, size_t len, size_t max, const uint8_t *msg,
		       const struct dns_query *query)
{
	struct dns_answer answer;

	if (len > max ||
	    dns_answer_parse(reply, len, query->id, msg + DNS_HEADER_LEN, query->question_len,
			     &answer) < 0 ||
	    answer.len != len)
		abort();
}

static void fuzz_query(const uint8_t *msg, size_t len)
{
	static const size_t sizes[] = {DNS_UDP_MIN, DNS_MESSAGE_MAX};
	static uint8_t reply[DNS_MESSAGE_MAX];
	struct dns_query query;
	int r = dns_query_parse(msg, len, &query);
	size_t n;

	if (r > 0 && dns_reply_bare(reply, msg, DNS_FORMERR) != DNS_HEADER_LEN)
		abort();
	if (r != 0)
		return;
	if (query.len > len || query.question_len > query.len - DNS_HEADER_LEN)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = dns_local_answer(fuzz_zone(), msg, &query, sizes[i], reply);
		if (n)
			fuzz_check(reply, n, sizes[i], msg, &query);
	}
	n = dns_local_code(msg, &query, DNS_SERVFAIL, false, reply);
	fuzz_check(reply, n, DNS_UDP_MIN, msg, &query);
	n = dns_local_truncated(msg, &query, reply);
	fuzz_check(reply, n, DNS_UDP_MIN, msg, &query);
}

/* The same bytes as an answer to its own question */
static void fuzz_answer(const uint8_t *msg, size_t len)
{
	struct dns_answer answer;
	struct dns_name name;
	size_t at = DNS_HEADER_LEN;

	if (len < DNS_HEADER_LEN || dns_name_read(msg, len, &at, &name) < 0 ||
	    len - at < DNS_QUESTION_FIXED)
		return;
	at += DNS_QUESTION_FIXED;
	if (dns_answer_parse(msg, len, dns_get16(msg), msg + DNS_HEADER_LEN, at - DNS_HEADER_LEN,
			     &answer) == 0 &&
	    (answer.len > len || answer.len < at))
		abort();
}

static void fuzz_text(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct dns_name name, again;
	size_t at = 0;

	if (!text || dns_name_from_text(text, &name) < 0)
		return;
	if (dns_name_read(name.wire, name.len, &at, &again) < 0 || at != name.len ||
	    again.len != name.len || memcmp(again.wire, name.wire, name.len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > DNS_MESSAGE_MAX)
		return 0;
	fuzz_query(data, size);
	fuzz_answer(data, size);
	fuzz_text(data, size);
	return 0;
}
