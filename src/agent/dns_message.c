/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_message.c - DNS messages (RFC 1035 4, EDNS of RFC 6891)
 *
 * DOC: Theory of operation
 *
 * Queries come from the container, answers from whoever can send to the VM: both are hostile. A
 * message is walked once from its header to the last record that the header counts; what is not
 * whole is refused, what follows is cut off. The counts are 16 bits, and each record takes at least
 * 11 bytes, so that a walk is no longer than the message.
 *
 * A reply carries the query's question byte for byte (its case is some clients' protection against
 * forged answers), and its records name it by a pointer.
 */
#include "agent/dns_message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"

/* Header flags */
#define DNS_QR 0x8000
#define DNS_OPCODE 0x7800
#define DNS_TC 0x0200
#define DNS_RD 0x0100
#define DNS_RA 0x0080
#define DNS_CD 0x0010
#define DNS_RCODE 0x000f

#define DNS_RECORD_FIXED 10 /* type, class, TTL, length of the data */
#define DNS_OPT_LEN 11
#define DNS_OPT_DO 0x8000
#define DNS_QUESTION_POINTER 0xc00c

struct dns_record {
	uint16_t type, class;
	uint32_t ttl;
	bool root; /* its owner is the root */
};

/**
 * dns_get16() - Read a number in network order
 * @p: Two bytes
 *
 * Return: the number
 */
uint16_t dns_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/**
 * dns_put16() - Write a number in network order
 * @p:	   Two bytes
 * @value: Number
 */
void dns_put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static int dns_record_read(const uint8_t *msg, size_t len, size_t *at, struct dns_record *ret)
{
	struct dns_name owner;
	size_t pos = *at, data;
	int r = dns_name_read(msg, len, &pos, &owner);

	if (r < 0)
		return r;
	if (len - pos < DNS_RECORD_FIXED)
		return -EBADMSG;
	ret->type = dns_get16(msg + pos);
	ret->class = dns_get16(msg + pos + 2);
	ret->ttl = (uint32_t)dns_get16(msg + pos + 4) << 16 | dns_get16(msg + pos + 6);
	ret->root = owner.len == 1;
	data = dns_get16(msg + pos + 8);
	pos += DNS_RECORD_FIXED;
	if (len - pos < data)
		return -EBADMSG;
	*at = pos + data;
	return 0;
}

static int dns_question_read(const uint8_t *msg, size_t len, struct dns_query *query)
{
	size_t at = DNS_HEADER_LEN;
	int r = dns_name_read(msg, len, &at, &query->name);

	if (r < 0)
		return r;
	if (len - at < DNS_QUESTION_FIXED)
		return -EBADMSG;
	query->type = dns_get16(msg + at);
	query->class = dns_get16(msg + at + 2);
	query->question_len = at + DNS_QUESTION_FIXED - DNS_HEADER_LEN;
	query->len = at + DNS_QUESTION_FIXED;
	return 0;
}

/* RFC 6891 6.1: at most one OPT, owned by the root, among the additional records */
static int dns_query_opt(struct dns_query *query, const struct dns_record *record)
{
	if (query->edns || !record->root)
		return -EBADMSG;
	query->edns = true;
	query->udp_size = MAX(record->class, DNS_UDP_MIN);
	query->edns_version = (uint8_t)(record->ttl >> 16);
	query->edns_do = record->ttl & DNS_OPT_DO;
	return 0;
}

static int dns_query_records(const uint8_t *msg, size_t len, struct dns_query *query)
{
	unsigned int additional = dns_get16(msg + 10);

	/* A query has no records but additional ones; those of an update or a transfer are not for
	 * us. */
	if (dns_get16(msg + 6) || dns_get16(msg + 8) || additional > DNS_ADDITIONAL_MAX)
		return -EBADMSG;
	while (additional-- > 0) {
		struct dns_record record;
		int r = dns_record_read(msg, len, &query->len, &record);

		if (r == 0 && record.type == DNS_TYPE_OPT)
			r = dns_query_opt(query, &record);
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * dns_query_parse() - Take a query apart
 * @msg:       Hostile bytes
 * @len:       Bytes of @msg
 * @ret_query: Set on success; @id and @flags also if the outcome is positive
 *
 * Return: 0; DNS_QUERY_FORMERR or DNS_QUERY_NOTIMP if dns_reply_bare() says no more than that;
 * -ENOMSG if it deserves no answer: no header, or itself an answer
 */
int dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *ret_query)
{
	struct dns_query query = {.udp_size = DNS_UDP_MIN};

	if (len < DNS_HEADER_LEN)
		return -ENOMSG;
	query.id = dns_get16(msg);
	query.flags = dns_get16(msg + 2);
	if (query.flags & DNS_QR)
		return -ENOMSG;
	ret_query->id = query.id;
	ret_query->flags = query.flags;
	if (query.flags & DNS_OPCODE)
		return DNS_QUERY_NOTIMP;
	if (dns_get16(msg + 4) != 1 || dns_question_read(msg, len, &query) < 0 ||
	    dns_query_records(msg, len, &query) < 0)
		return DNS_QUERY_FORMERR;
	/* A question that points into the header would mean something else in our reply. */
	if (query.question_len != query.name.len + (size_t)DNS_QUESTION_FIXED)
		return DNS_QUERY_FORMERR;
	*ret_query = query;
	return 0;
}

/**
 * dns_answer_parse() - Is this the answer to what was asked?
 * @msg:	  Hostile bytes
 * @len:	  Bytes of @msg
 * @id:		  Id that was asked with
 * @question:	  Question that was asked, as bytes of the query
 * @question_len: Bytes of @question
 * @ret_answer:	  Set on success
 *
 * The case of the answer's question may differ: there are servers that lower it.
 *
 * Return: 0; -ENOMSG if it answers something else; -EBADMSG if it is not whole
 */
int dns_answer_parse(const uint8_t *msg, size_t len, uint16_t id, const uint8_t *question,
		     size_t question_len, struct dns_answer *ret_answer)
{
	size_t at = DNS_HEADER_LEN + question_len;
	unsigned int records;
	uint16_t flags;

	if (len < at)
		return -ENOMSG;
	flags = dns_get16(msg + 2);
	if (dns_get16(msg) != id || !(flags & DNS_QR) || (flags & DNS_OPCODE) ||
	    dns_get16(msg + 4) != 1 ||
	    !dns_bytes_equal(msg + DNS_HEADER_LEN, question, question_len))
		return -ENOMSG;
	records = (unsigned int)dns_get16(msg + 6) + dns_get16(msg + 8) + dns_get16(msg + 10);
	while (records-- > 0) {
		struct dns_record record;
		int r = dns_record_read(msg, len, &at, &record);

		if (r < 0)
			return r;
	}
	ret_answer->rcode = flags & DNS_RCODE;
	ret_answer->truncated = flags & DNS_TC;
	ret_answer->len = at;
	return 0;
}

/**
 * dns_reply_begin() - Begin the reply to a query
 * @reply: Made here
 * @data:  Where it is written
 * @max:   Bytes that the client takes and @data has, at least DNS_UDP_MIN
 * @msg:   The query's bytes
 * @query: The query, outlives @reply
 */
void dns_reply_begin(struct dns_reply *reply, uint8_t *data, size_t max, const uint8_t *msg,
		     const struct dns_query *query)
{
	assert(max >= DNS_UDP_MIN); /* a header, any question and an OPT fit */
	*reply = (struct dns_reply){.query = query, .data = data, .max = MIN(max, DNS_MESSAGE_MAX)};
	if (query->edns)
		reply->max -= DNS_OPT_LEN;
	memset(data, 0, DNS_HEADER_LEN);
	memcpy(data + DNS_HEADER_LEN, msg + DNS_HEADER_LEN, query->question_len);
	reply->len = DNS_HEADER_LEN + query->question_len;
}

/**
 * dns_reply_add() - Add a record about what was asked for
 * @reply: Reply
 * @type:  Of the record; its class is IN
 * @ttl_s: Seconds that it may be kept
 * @rdata: Its data, without compression
 * @len:   Bytes of @rdata
 *
 * Return: false if it does not fit: the reply is marked as truncated
 */
bool dns_reply_add(struct dns_reply *reply, enum dns_type type, uint32_t ttl_s, const void *rdata,
		   size_t len)
{
	uint8_t *p = reply->data + reply->len;

	if (reply->truncated || reply->max - reply->len < 2 + DNS_RECORD_FIXED + len) {
		reply->truncated = true;
		return false;
	}
	dns_put16(p, DNS_QUESTION_POINTER);
	dns_put16(p + 2, (uint16_t)type);
	dns_put16(p + 4, DNS_CLASS_IN);
	dns_put16(p + 6, (uint16_t)(ttl_s >> 16));
	dns_put16(p + 8, (uint16_t)ttl_s);
	dns_put16(p + 10, (uint16_t)len);
	memcpy(p + 12, rdata, len);
	reply->len += 2 + DNS_RECORD_FIXED + len;
	reply->answers++;
	return true;
}

/* RFC 6891 6.1.1: who asks with an OPT is answered with one */
static void dns_reply_opt(struct dns_reply *reply, enum dns_rcode rcode)
{
	uint8_t *p = reply->data + reply->len;

	memset(p, 0, DNS_OPT_LEN); /* owner: the root; version 0; no options */
	dns_put16(p + 1, DNS_TYPE_OPT);
	dns_put16(p + 3, DNS_UDP_OFFERED);
	p[5] = (uint8_t)(rcode >> 4);
	dns_put16(p + 7, reply->query->edns_do ? DNS_OPT_DO : 0);
	reply->len += DNS_OPT_LEN;
}

/**
 * dns_reply_end() - Finish a reply
 * @reply:     Reply
 * @rcode:     Outcome; DNS_BADVERS for queries with an OPT only
 * @recursion: Say that recursion is available
 *
 * Return: bytes of the message
 */
size_t dns_reply_end(struct dns_reply *reply, enum dns_rcode rcode, bool recursion)
{
	uint16_t flags = DNS_QR | (reply->query->flags & (DNS_RD | DNS_CD));

	flags |= (uint16_t)rcode & DNS_RCODE;
	flags |= recursion ? DNS_RA : 0;
	flags |= reply->truncated ? DNS_TC : 0;
	dns_put16(reply->data, reply->query->id);
	dns_put16(reply->data + 2, flags);
	dns_put16(reply->data + 4, 1);
	dns_put16(reply->data + 6, (uint16_t)reply->answers);
	if (reply->query->edns) {
		dns_put16(reply->data + 10, 1);
		dns_reply_opt(reply, rcode);
	}
	return reply->len;
}

/**
 * dns_reply_bare() - Refuse what could not be taken apart
 * @data:  Where the reply is written
 * @msg:   The query's bytes, a header at least
 * @rcode: Outcome
 *
 * Return: bytes of the message
 */
size_t dns_reply_bare(uint8_t data[static DNS_HEADER_LEN], const uint8_t *msg, enum dns_rcode rcode)
{
	uint16_t flags = dns_get16(msg + 2);

	memset(data, 0, DNS_HEADER_LEN);
	memcpy(data, msg, 2);
	dns_put16(data + 2, (uint16_t)(DNS_QR | (flags & (DNS_OPCODE | DNS_RD)) | rcode));
	return DNS_HEADER_LEN;
}
