/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns_zone.h"

#include <arpa/inet.h>

#include "agent/dns_local.h"
#include "agent/dns_table.h"
#include "base/cleanup.h"
#include "test.h"
#include "dns-rig.h"

TEST_MAIN()

DEFINE_CLEANUP(struct dns_zone *, dns_zone_free)
#define _cleanup_zone_ _cleanup_(dns_zone_freep)

/* names: NULL-terminated; addresses: text or NULL */
static int set(struct dns_zone *zone, const char *network, const char *id, const char *v4,
	       const char *v6, const char *const *names)
{
	uint8_t a4[4], a6[16];
	struct dns_endpoint endpoint = {.id = id, .names = names};

	while (names[endpoint.n_names])
		endpoint.n_names++;
	if (v4 && inet_pton(AF_INET, v4, a4) == 1)
		endpoint.v4 = a4;
	if (v6 && inet_pton(AF_INET6, v6, a6) == 1)
		endpoint.v6 = a6;
	return dns_zone_set(zone, network, &endpoint);
}
#define SET(zone, network, id, v4, v6, ...)                                                        \
	ASSERT_OK(set(zone, network, id, v4, v6, (const char *const[]){__VA_ARGS__, NULL}))

/* "unknown", or the addresses in order of their text */
static const char *ask(const struct dns_zone *zone, const char *text, int family)
{
	static char found[500], one[8][INET6_ADDRSTRLEN];
	struct dns_address addresses[8];
	struct dns_name name;
	size_t n = 0, len = 0;

	if (dns_name_from_text(text, &name) < 0)
		return "no name";
	if (dns_zone_addresses(zone, &name, family == 4 ? 4 : 16, addresses, 8, &n))
		return "unknown";
	for (size_t i = 0; i < n; i++)
		(void)inet_ntop(addresses[i].len == 4 ? AF_INET : AF_INET6, addresses[i].bytes,
				one[i], sizeof(one[i]));
	qsort(one, n, sizeof(one[0]), (int (*)(const void *, const void *))strcmp);
	found[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s", i ? " " : "",
					one[i]);
	return found;
}

static const char *reverse(const struct dns_zone *zone, const char *text)
{
	static char found[300];
	struct dns_address address = {.len = strchr(text, ':') ? 16 : 4};
	struct dns_name name;
	size_t len = 0;

	(void)inet_pton(address.len == 4 ? AF_INET : AF_INET6, text, address.bytes);
	if (dns_zone_reverse(zone, &address, &name))
		return "unknown";
	for (size_t i = 0; name.wire[i]; i += 1U + name.wire[i])
		len += (size_t)snprintf(found + len, sizeof(found) - len, "%.*s.", name.wire[i],
					(char *)name.wire + i + 1);
	return found;
}

static struct dns_zone *two_networks(void)
{
	struct dns_zone *zone = dns_zone_new();

	(void)dns_zone_network_add(zone, "id-front", "front", 0);
	(void)dns_zone_network_add(zone, "id-back", "Back.End", 0); /* asked first: by its name */
	return zone;
}

/* Goal: every kind of name is found, in any case, alone and with its network's name. */
TEST(dns_zone_names)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "Web.1", "0123456789ab", "Host", "www");
	ASSERT_STREQ(ask(zone, "web.1", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "WEB.1", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "0123456789AB", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "hosT", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "www.front", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "Web.1.Front", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "www.back.end", 4), "unknown");
	ASSERT_STREQ(ask(zone, "web", 4), "unknown");
	ASSERT_STREQ(ask(zone, "front", 4), "unknown");
	ASSERT_STREQ(ask(zone, "a.www.front", 4), "unknown");
	SET(zone, "id-back", "e2", "172.19.0.2", NULL, "db");
	ASSERT_STREQ(ask(zone, "db.BACK.end", 4), "172.19.0.2");
	ASSERT_STREQ(ask(zone, "db.end", 4), "unknown");
}

/* Goal: a known name without an address of the family is no unknown name. */
TEST(dns_zone_families)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "one");
	SET(zone, "id-front", "e2", NULL, "fd00::2", "two");
	ASSERT_STREQ(ask(zone, "one", 6), "");
	ASSERT_STREQ(ask(zone, "two", 4), "");
	ASSERT_STREQ(ask(zone, "two", 6), "fd00::2");
	ASSERT_STREQ(ask(zone, "three", 6), "unknown");
	/* It has one on another network. */
	SET(zone, "id-back", "e3", "172.19.0.2", "fd01::2", "one");
	ASSERT_STREQ(ask(zone, "one", 6), "fd01::2");
	ASSERT_STREQ(ask(zone, "one.front", 6), "");
	SET(zone, "id-back", "e4", NULL, "fd01::3", "three");
	SET(zone, "id-front", "e5", "172.18.0.5", NULL, "three");
	ASSERT_STREQ(ask(zone, "three", 4), "172.18.0.5");
	ASSERT_STREQ(ask(zone, "three", 6), "fd01::3");
}

/* Goal: networks are asked in the order of their rank, then of their name, not of their coming. */
TEST(dns_zone_rank)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	ASSERT_OK(dns_zone_network_add(zone, "id-first", "first", -1));
	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "same");
	SET(zone, "id-first", "e2", "172.20.0.2", NULL, "same");
	ASSERT_STREQ(ask(zone, "same", 4), "172.20.0.2");
	ASSERT_STREQ(ask(zone, "same.front", 4), "172.18.0.2");
	dns_zone_network_remove(zone, "id-first");
	ASSERT_STREQ(ask(zone, "same", 4), "172.18.0.2");
	SET(zone, "id-back", "e3", "172.19.0.2", NULL, "same");
	ASSERT_STREQ(ask(zone, "same", 4), "172.19.0.2"); /* Back.End before front */
}

/* Goal: a service's name has the addresses of all who share it, each once. */
TEST(dns_zone_services)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "c1", "svc", "SVC");
	SET(zone, "id-front", "e2", "172.18.0.3", NULL, "c2", "svc");
	SET(zone, "id-front", "e3", "172.18.0.3", NULL, "c3", "svc");
	ASSERT_STREQ(ask(zone, "svc", 4), "172.18.0.2 172.18.0.3");
	dns_zone_remove(zone, "id-front", "e2");
	ASSERT_STREQ(ask(zone, "svc", 4), "172.18.0.2 172.18.0.3");
	dns_zone_remove(zone, "id-front", "e3");
	ASSERT_STREQ(ask(zone, "svc", 4), "172.18.0.2");
	dns_zone_remove(zone, "id-front", "e3");
	dns_zone_remove(zone, "id-none", "e1");
	dns_zone_remove(zone, "id-front", "e1");
	ASSERT_STREQ(ask(zone, "svc", 4), "unknown");
	ASSERT(!zone->networks->buckets);
}

/* Goal: setting again replaces names and addresses; the whole set can be told anew. */
TEST(dns_zone_changes)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	SET(zone, "id-front", "own", "172.18.0.2", NULL, "me");
	SET(zone, "id-front", "e1", "172.18.0.3", "fd00::3", "old", "both");
	SET(zone, "id-front", "e1", "172.18.0.4", NULL, "new", "both");
	ASSERT_STREQ(ask(zone, "old", 4), "unknown");
	ASSERT_STREQ(ask(zone, "both", 4), "172.18.0.4");
	ASSERT_STREQ(ask(zone, "both", 6), "");
	ASSERT_STREQ(reverse(zone, "172.18.0.3"), "unknown");
	dns_zone_clear(zone, "id-front", "own");
	ASSERT_STREQ(ask(zone, "new", 4), "unknown");
	ASSERT_STREQ(ask(zone, "me", 4), "172.18.0.2");
	dns_zone_clear(zone, "id-front", NULL);
	ASSERT_STREQ(ask(zone, "me", 4), "unknown");
}

/* Goal: a link follows whom it means, hides an equal name on its network, and is nobody else's. */
TEST(dns_zone_links)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "c1");
	SET(zone, "id-front", "e2", "172.18.0.3", NULL, "db");
	ASSERT_OK(dns_zone_link(zone, "id-front", "DB", "c1"));
	ASSERT_STREQ(ask(zone, "db", 4), "172.18.0.2");
	ASSERT_STREQ(ask(zone, "db.front", 4), "172.18.0.2");
	SET(zone, "id-front", "e1", "172.18.0.9", NULL, "c1");
	ASSERT_STREQ(ask(zone, "Db", 4), "172.18.0.9");
	ASSERT_STREQ(ask(zone, "db", 6), "");
	dns_zone_remove(zone, "id-front", "e1");
	ASSERT_STREQ(ask(zone, "db", 4), "unknown");
	ASSERT_OK(dns_zone_link(zone, "id-front", "db", "db"));
	ASSERT_STREQ(ask(zone, "db", 4), "172.18.0.3");
	ASSERT_ERROR(dns_zone_link(zone, "id-none", "a", "b"), ENOENT);
	ASSERT_ERROR(dns_zone_link(zone, "id-front", "", "b"), EINVAL);
}

/* Goal: reverse lookups say the container's name and its network's, in their case. */
TEST(dns_zone_reverse_names)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();

	SET(zone, "id-back", "e1", "172.19.0.2", "fd00::2", "Some.One", "alias");
	ASSERT_STREQ(reverse(zone, "172.19.0.2"), "Some.One.Back.End.");
	ASSERT_STREQ(reverse(zone, "fd00::2"), "Some.One.Back.End.");
	ASSERT_STREQ(reverse(zone, "172.19.0.3"), "unknown");
}

/* Goal: names that DNS cannot say are left out and harm no others; limits and strangers refused. */
TEST(dns_zone_odd_names)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();
	static const char *many[DNS_ENDPOINT_NAMES_MAX + 2];
	char longest[70] = "";

	memset(longest, 'a', 64);
	SET(zone, "id-front", "e1", "172.18.0.2", NULL, longest, "..", "", "good");
	ASSERT_STREQ(ask(zone, "good", 4), "172.18.0.2");
	ASSERT_STREQ(reverse(zone, "172.18.0.2"), "unknown");
	for (size_t i = 0; i <= DNS_ENDPOINT_NAMES_MAX; i++)
		many[i] = "a";
	ASSERT_ERROR(set(zone, "id-front", "e2", NULL, NULL, many), E2BIG);
	ASSERT_ERROR(set(zone, "id-none", "e2", NULL, NULL, many), ENOENT);
}

/* Goal: replies are in the case of the question, and each address is first now and then. */
TEST(dns_local_rotates)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();
	unsigned int first[4] = {0};
	struct dns_query query;
	uint8_t msg[600], data[DNS_UDP_MIN];
	size_t len = rig_query(msg, 5, "sVc", DNS_TYPE_A, 0);

	SET(zone, "id-front", "e1", "172.18.0.1", NULL, "svc");
	SET(zone, "id-front", "e2", "172.18.0.2", NULL, "svc");
	SET(zone, "id-front", "e3", "172.18.0.3", NULL, "svc");
	ASSERT_OK(dns_query_parse(msg, len, &query));
	for (int i = 0; i < 300; i++) {
		size_t n = dns_local_answer(zone, msg, &query, DNS_UDP_MIN, data);
		unsigned int sum = 0;

		ASSERT_EQ(n, len + 3 * 16);
		ASSERT_EQ(rig_answers(data), 3);
		ASSERT(memcmp(data + DNS_HEADER_LEN, "\3sVc", 4) == 0);
		for (size_t k = 0; k < 3; k++)
			sum += rig_rdata(data, &query, k, 4)[3];
		ASSERT_EQ(sum, 6);
		first[rig_rdata(data, &query, 0, 4)[3]]++;
	}
	for (int i = 1; i <= 3; i++)
		ASSERT(first[i] > 0);
}

/* Goal: what dockerd answers itself is answered, what it hands on is handed on. */
TEST(dns_local_types)
{
	static const struct {
		const char *name;
		uint16_t type;
		bool local;
		unsigned int answers;
	} rows[] = {
		{"c1", DNS_TYPE_A, true, 1},
		{"c1", DNS_TYPE_AAAA, true, 0},
		{"c1", DNS_TYPE_MX, true, 0},
		{"c1", 16 /* TXT */, false, 0},
		{"c1", 33 /* SRV */, false, 0},
		{"c1", DNS_TYPE_PTR, false, 0},
		{"2.0.18.172.in-addr.arpa", DNS_TYPE_PTR, true, 1},
		{"2.0.18.172.in-addr.arpa", DNS_TYPE_A, false, 0},
		{"9.0.18.172.in-addr.arpa", DNS_TYPE_PTR, false, 0},
		{"unknown", DNS_TYPE_A, false, 0},
		{"unknown", DNS_TYPE_MX, false, 0},
	};
	_cleanup_zone_ struct dns_zone *zone = two_networks();
	uint8_t msg[600], data[DNS_UDP_MIN];
	struct dns_query query;

	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "c1");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = rig_query(msg, 5, rows[i].name, rows[i].type, 0), n;

		ASSERT_OK(dns_query_parse(msg, len, &query));
		n = dns_local_answer(zone, msg, &query, DNS_UDP_MIN, data);
		ASSERT_EQ(n != 0, rows[i].local);
		ASSERT_EQ(n ? rig_answers(data) : 0, rows[i].answers);
	}
	dns_put16(msg + query.len - 2, 3); /* class CH */
	ASSERT_OK(dns_query_parse(msg, query.len, &query));
	ASSERT_EQ(dns_local_answer(zone, msg, &query, DNS_UDP_MIN, data), 0);
}

/* Goal: RFC 6891: an OPT for an OPT, and BADVERS for a version that does not exist. */
TEST(dns_local_edns)
{
	_cleanup_zone_ struct dns_zone *zone = two_networks();
	uint8_t msg[600], data[DNS_UDP_MIN];
	struct dns_query query;
	size_t len = rig_query(msg, 5, "c1", DNS_TYPE_A, 1232), n;

	SET(zone, "id-front", "e1", "172.18.0.2", NULL, "c1");
	ASSERT_OK(dns_query_parse(msg, len, &query));
	n = dns_local_answer(zone, msg, &query, DNS_UDP_MIN, data);
	ASSERT_EQ(dns_get16(data + 10), 1);
	ASSERT(memcmp(data + n - 11, "\0\0\51\20\0\0\0\0\0\0\0", 11) == 0);
	msg[len - 5] = 1; /* version */
	ASSERT_OK(dns_query_parse(msg, len, &query));
	n = dns_local_answer(zone, msg, &query, DNS_UDP_MIN, data);
	ASSERT_EQ(rig_rcode(data), 0);
	ASSERT_EQ(rig_answers(data), 0);
	ASSERT_EQ(data[n - 6], 1); /* 1 << 4 = BADVERS */
}
