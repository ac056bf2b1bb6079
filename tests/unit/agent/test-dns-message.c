/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns_message.h"

#include <errno.h>

#include "base/util.h"
#include "test.h"
#include "dns-rig.h"

TEST_MAIN()

static struct dns_name name_of(const char *text)
{
	struct dns_name name = {.len = 0};

	(void)dns_name_from_text(text, &name);
	return name;
}

/* Goal: compression is followed backwards only, so that no name reads for ever or out of bounds. */
TEST(dns_name_pointers_are_bounded)
{
	static const uint8_t good[] = "\3one\0\3two\xc0\0\1x";
	static const uint8_t self[] = {0xc0, 0};
	static const uint8_t forward[] = {0xc0, 2, 1, 'a', 0};
	static const uint8_t circle[] = {1, 'a', 0xc0, 0};
	static const uint8_t cut[] = {0xc0};
	static const uint8_t label[] = {5, 'a', 'b'};
	static const uint8_t reserved[] = {0x40, 'a', 0};
	static const uint8_t endless[] = {1, 'a'};
	struct dns_name name = {.len = 77}, want = name_of("two.one");
	size_t at = 5;

	ASSERT_OK(dns_name_read(good, sizeof(good), &at, &name));
	ASSERT_EQ(at, 11);
	ASSERT_EQ(name.len, want.len);
	ASSERT(memcmp(name.wire, want.wire, want.len) == 0);
	at = 0;
	name.len = 77;
	ASSERT_ERROR(dns_name_read(self, sizeof(self), &at, &name), EBADMSG);
	ASSERT_ERROR(dns_name_read(forward, sizeof(forward), &at, &name), EBADMSG);
	ASSERT_ERROR(dns_name_read(circle, sizeof(circle), &at, &name), EBADMSG);
	ASSERT_ERROR(dns_name_read(cut, sizeof(cut), &at, &name), EBADMSG);
	ASSERT_ERROR(dns_name_read(label, sizeof(label), &at, &name), EBADMSG);
	ASSERT_ERROR(dns_name_read(reserved, sizeof(reserved), &at, &name), EBADMSG);
	ASSERT_ERROR(dns_name_read(endless, sizeof(endless), &at, &name), EBADMSG);
	at = 2;
	ASSERT_ERROR(dns_name_read(circle, sizeof(circle), &at, &name), EBADMSG);
	ASSERT_EQ(at, 2);
	ASSERT_EQ(name.len, 77);
}

/* Goal: 255 bytes are a name, 256 are none. */
TEST(dns_name_length_ends_at_255)
{
	uint8_t msg[300];
	struct dns_name name;
	char text[300] = "";
	size_t at = 0;

	for (int i = 0; i < 127; i++)
		memcpy(msg + 2L * i, "\1a", 2);
	msg[254] = 0;
	ASSERT_OK(dns_name_read(msg, sizeof(msg), &at, &name));
	ASSERT_EQ(name.len, 255);
	memcpy(msg + 254, "\1a\0", 3);
	at = 0;
	ASSERT_ERROR(dns_name_read(msg, sizeof(msg), &at, &name), EBADMSG);
	memset(text, 'x', DNS_LABEL_MAX);
	ASSERT_OK(dns_name_from_text(text, &name));
	text[DNS_LABEL_MAX] = 'x';
	ASSERT_ERROR(dns_name_from_text(text, &name), EINVAL);
}

/* Goal: text that is no name is refused; a dot at its end changes nothing. */
TEST(dns_name_from_text_refuses)
{
	struct dns_name name, dotted = name_of("a.b.");

	ASSERT_EQ(dotted.len, 5);
	ASSERT_ERROR(dns_name_from_text("", &name), EINVAL);
	ASSERT_ERROR(dns_name_from_text(".", &name), EINVAL);
	ASSERT_ERROR(dns_name_from_text(".a", &name), EINVAL);
	ASSERT_ERROR(dns_name_from_text("a..b", &name), EINVAL);
}

/* Goal: only complete reverse names mean an address. */
TEST(dns_name_reverse)
{
	static const char v6[] = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.a.A.0.0.0.0.D.f."
				 "ip6.arpa";
	static const char *const bad[] = {
		"18.172.in-addr.arpa",
		"1.2.0.18.172.in-addr.arpa",
		"256.0.18.172.in-addr.arpa",
		"03.0.18.172.in-addr.arpa",
		"x.0.18.172.in-addr.arpa",
		"3.0.18.172.in-addr.arpa.org",
		"1.0.18.172.in-addr-arpa.x",
		"0.0.0.0.ip6.arpa",
		"ip6.arpa",
		"3.0.18.172",
	};
	struct dns_address address = {.len = 9};
	struct dns_name name = name_of("3.0.18.172.In-Addr.ARPA");

	ASSERT_OK(dns_name_address(&name, &address));
	ASSERT_EQ(address.len, 4);
	ASSERT(memcmp(address.bytes, "\254\22\0\3", 4) == 0);
	name = name_of(v6);
	ASSERT_OK(dns_name_address(&name, &address));
	ASSERT_EQ(address.len, 16);
	ASSERT(memcmp(address.bytes, "\xfd\0\0\xaa\0\0\0\0\0\0\0\0\0\0\0\2", 16) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		name = name_of(bad[i]);
		ASSERT_ERROR(dns_name_address(&name, &address), ENOENT);
	}
}

/* Goal: a query says what it says, with its EDNS; what follows it is no part of it. */
TEST(dns_query_is_taken_apart)
{
	struct dns_query query;
	uint8_t msg[600];
	size_t len = rig_query(msg, 0x1234, "MiXed.example", DNS_TYPE_AAAA, 0);

	ASSERT_OK(dns_query_parse(msg, len + 7, &query));
	ASSERT_EQ(query.id, 0x1234);
	ASSERT_EQ(query.type, DNS_TYPE_AAAA);
	ASSERT_EQ(query.class, DNS_CLASS_IN);
	ASSERT_EQ(query.len, len);
	ASSERT_EQ(query.udp_size, DNS_UDP_MIN);
	ASSERT(!query.edns);
	ASSERT(memcmp(query.name.wire, "\5MiXed\7example", 15) == 0);
	len = rig_query(msg, 1, "a", DNS_TYPE_A, 4000);
	ASSERT_OK(dns_query_parse(msg, len, &query));
	ASSERT(query.edns);
	ASSERT_EQ(query.udp_size, 4000);
	len = rig_query(msg, 1, "a", DNS_TYPE_A, 5);
	ASSERT_OK(dns_query_parse(msg, len, &query));
	ASSERT_EQ(query.udp_size, DNS_UDP_MIN);
}

/* Goal: every way to be no query has its outcome. */
TEST(dns_query_refuses)
{
	struct dns_query query = {.len = 99};
	uint8_t msg[600];
	size_t len = rig_query(msg, 1, "a.b", DNS_TYPE_A, 1000);

	for (size_t cut = 0; cut < DNS_HEADER_LEN; cut++)
		ASSERT_ERROR(dns_query_parse(msg, cut, &query), ENOMSG);
	for (size_t cut = DNS_HEADER_LEN; cut < len; cut++)
		ASSERT_EQ(dns_query_parse(msg, cut, &query), DNS_QUERY_FORMERR);
	msg[2] |= 0x80;
	ASSERT_ERROR(dns_query_parse(msg, len, &query), ENOMSG);
	msg[2] = 0x20; /* NOTIFY */
	ASSERT_EQ(dns_query_parse(msg, len, &query), DNS_QUERY_NOTIMP);
	msg[2] = 1;
	msg[5] = 2; /* questions */
	ASSERT_EQ(dns_query_parse(msg, len, &query), DNS_QUERY_FORMERR);
	msg[5] = 1;
	msg[7] = 1; /* answers */
	ASSERT_EQ(dns_query_parse(msg, len, &query), DNS_QUERY_FORMERR);
	msg[7] = 0;
	memcpy(msg + len, msg + len - 11, 11); /* two OPT records */
	msg[11] = 2;
	ASSERT_EQ(dns_query_parse(msg, len + 11, &query), DNS_QUERY_FORMERR);
	ASSERT_EQ(query.len, 99);
	/* The question's name, as a pointer to a zero in the header */
	(void)rig_query(msg, 1, "a", DNS_TYPE_A, 0);
	memcpy(msg + DNS_HEADER_LEN, "\xc0\6\0\1\0\1", 6);
	ASSERT_EQ(dns_query_parse(msg, 18, &query), DNS_QUERY_FORMERR);
}

/* Goal: an answer must have the id and the question, in any case, and be whole. */
TEST(dns_answer_is_checked)
{
	struct dns_answer answer = {.len = 5};
	uint8_t msg[600], question[100];
	size_t len = rig_query(msg, 7, "Host.example", DNS_TYPE_A, 0), q = len - DNS_HEADER_LEN;

	memcpy(question, msg + DNS_HEADER_LEN, q);
	ASSERT_ERROR(dns_answer_parse(msg, len, 7, question, q, &answer), ENOMSG); /* no QR */
	dns_put16(msg + 2, 0x8383); /* NXDOMAIN, TC */
	ASSERT_ERROR(dns_answer_parse(msg, len, 8, question, q, &answer), ENOMSG);
	ASSERT_ERROR(dns_answer_parse(msg, len - 1, 7, question, q, &answer), ENOMSG);
	msg[13] = 'h';
	ASSERT_OK(dns_answer_parse(msg, len + 3, 7, question, q, &answer));
	ASSERT_EQ(answer.rcode, DNS_NXDOMAIN);
	ASSERT(answer.truncated);
	ASSERT_EQ(answer.len, len);
	msg[13] = 'x';
	ASSERT_ERROR(dns_answer_parse(msg, len, 7, question, q, &answer), ENOMSG);
	msg[13] = 'H';
	msg[7] = 1; /* an answer that is not there, cut at each byte, and there */
	memcpy(msg + len, "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 16);
	for (size_t cut = 0; cut < 16; cut++)
		ASSERT_ERROR(dns_answer_parse(msg, len + cut, 7, question, q, &answer), EBADMSG);
	ASSERT_OK(dns_answer_parse(msg, len + 16, 7, question, q, &answer));
	ASSERT_EQ(answer.len, len + 16);
}

/* Goal: a reply keeps to the size, says TC when it does not fit, and is itself a message. */
TEST(dns_reply_is_truncated)
{
	struct dns_query query;
	struct dns_answer answer;
	struct dns_reply reply;
	uint8_t msg[600], data[1000];
	size_t len = rig_query(msg, 9, "MANY", DNS_TYPE_A, 600), n;

	ASSERT_OK(dns_query_parse(msg, len, &query));
	dns_reply_begin(&reply, data, query.udp_size, msg, &query);
	while (dns_reply_add(&reply, DNS_TYPE_A, 600, "\1\2\3\4", 4))
		;
	n = dns_reply_end(&reply, DNS_NOERROR, true);
	ASSERT_EQ(n, DNS_HEADER_LEN + 10 + 35 * 16 + 11); /* one more would be 609 */
	ASSERT_EQ(rig_answers(data), 35);
	ASSERT_OK(dns_answer_parse(data, n, 9, msg + DNS_HEADER_LEN, query.question_len, &answer));
	ASSERT(answer.truncated);
	ASSERT_EQ(answer.len, n);
	ASSERT(memcmp(data + DNS_HEADER_LEN, msg + DNS_HEADER_LEN, query.question_len) == 0);
	ASSERT_EQ(dns_get16(data + 2), 0x8380); /* QR TC RD RA */
}

/* Goal: what could not be taken apart is refused with its id and no more. */
TEST(dns_reply_bare_is_a_header)
{
	uint8_t msg[DNS_HEADER_LEN] = {1, 2, 0x21, 0xff, 0, 9}, data[DNS_HEADER_LEN];

	ASSERT_EQ(dns_reply_bare(data, msg, DNS_NOTIMP), DNS_HEADER_LEN);
	ASSERT(memcmp(data, "\1\2\xa1\4\0\0\0\0\0\0\0\0", DNS_HEADER_LEN) == 0);
}
