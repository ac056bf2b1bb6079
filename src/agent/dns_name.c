/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_name.c - domain names as they are on the wire (RFC 1035 3.1 and 4.1.4)
 *
 * DOC: Theory of operation
 *
 * What is read is hostile. A pointer must lead to before the name it is part of, and each further
 * one to before the last: whatever the bytes say, reading ends, and a name is at most 255 bytes.
 * Only ASCII letters have a case (RFC 4343).
 */
#include "agent/dns_name.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/util.h"

#define DNS_POINTER 0xc0

static uint8_t dns_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static int dns_name_push(struct dns_name *name, const uint8_t *label, size_t len)
{
	if (name->len + 1 + len + 1 > DNS_NAME_MAX) /* and the root */
		return -EBADMSG;
	name->wire[name->len++] = (uint8_t)len;
	memcpy(name->wire + name->len, label, len);
	name->len = (uint8_t)(name->len + len);
	return 0;
}

/**
 * dns_name_read() - Read a name out of a message, following compression
 * @msg:      Message, from its header on
 * @len:      Bytes of @msg
 * @at:	      Where the name begins; set to behind it on success
 * @ret_name: Uncompressed, in the case it has there; set on success
 *
 * Return: 0, or -EBADMSG if this is no name
 */
int dns_name_read(const uint8_t *msg, size_t len, size_t *at, struct dns_name *ret_name)
{
	struct dns_name name = {0};
	size_t pos = *at, limit = *at, end = 0; /* end: behind the first pointer */

	for (;;) {
		size_t label;

		if (pos >= len)
			return -EBADMSG;
		label = msg[pos];
		if (label == 0)
			break;
		if ((label & DNS_POINTER) == DNS_POINTER) {
			if (pos + 1 >= len)
				return -EBADMSG;
			if (!end)
				end = pos + 2;
			pos = (label & ~(size_t)DNS_POINTER) << 8 | msg[pos + 1];
			if (pos >= limit)
				return -EBADMSG;
			limit = pos;
			continue;
		}
		if (label > DNS_LABEL_MAX || label > len - pos - 1 ||
		    dns_name_push(&name, msg + pos + 1, label) < 0)
			return -EBADMSG;
		pos += 1 + label;
	}
	name.wire[name.len++] = 0;
	*at = end ? end : pos + 1;
	*ret_name = name;
	return 0;
}

/**
 * dns_name_from_text() - Make a name from text
 * @text:     Labels with dots between; one dot at the end may be
 * @ret_name: In the case of @text; set on success
 *
 * Return: 0, or -EINVAL if no such name can be on the wire: an empty or too long label, or all of
 * it too long
 */
int dns_name_from_text(const char *text, struct dns_name *ret_name)
{
	struct dns_name name = {0};

	while (*text) {
		size_t len = strcspn(text, ".");

		if (len == 0 || len > DNS_LABEL_MAX ||
		    dns_name_push(&name, (const uint8_t *)text, len) < 0)
			return -EINVAL;
		text += len;
		text += *text == '.';
	}
	if (name.len == 0)
		return -EINVAL;
	name.wire[name.len++] = 0;
	*ret_name = name;
	return 0;
}

/**
 * dns_name_join() - One name behind another
 * @a:	      First labels
 * @b:	      Last labels
 * @ret_name: Set on success
 *
 * Return: 0, or -EINVAL if it becomes too long
 */
int dns_name_join(const struct dns_name *a, const struct dns_name *b, struct dns_name *ret_name)
{
	if (a->len - 1 + b->len > DNS_NAME_MAX)
		return -EINVAL;
	*ret_name = *a;
	memcpy(ret_name->wire + a->len - 1, b->wire, b->len);
	ret_name->len = (uint8_t)(a->len - 1 + b->len);
	return 0;
}

/**
 * dns_name_lower() - Make the form that names are compared in
 * @name: Name; lengths of labels are below any letter
 */
void dns_name_lower(struct dns_name *name)
{
	for (size_t i = 0; i < name->len; i++)
		name->wire[i] = dns_lower(name->wire[i]);
}

/**
 * dns_name_single() - Is it one label?
 * @name: Name
 *
 * Return: false for the root also
 */
bool dns_name_single(const struct dns_name *name)
{
	return name->len > 1 && name->len == name->wire[0] + 2;
}

/**
 * dns_bytes_equal() - Compare bytes in which the case of letters does not matter
 * @a:	 Bytes
 * @b:	 Bytes
 * @len: Of both
 *
 * Return: true if equal
 */
bool dns_bytes_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (dns_lower(a[i]) != dns_lower(b[i]))
			return false;
	}
	return true;
}

static bool dns_name_ends(const struct dns_name *name, const char *suffix, size_t len, size_t at)
{
	return name->len == at + len &&
	       dns_bytes_equal(name->wire + at, (const uint8_t *)suffix, len);
}

/* One label of 1 to 3 digits, at most 255, without needless zeros */
static int dns_label_octet(const uint8_t *label, uint8_t *ret_octet)
{
	unsigned int value = 0;
	size_t len = label[0];

	if (len < 1 || len > 3 || (len > 1 && label[1] == '0'))
		return -ENOENT;
	for (size_t i = 1; i <= len; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -ENOENT;
		value = value * 10 + (label[i] - '0');
	}
	if (value > UINT8_MAX)
		return -ENOENT;
	*ret_octet = (uint8_t)value;
	return 0;
}

static int dns_label_nibble(const uint8_t *label, uint8_t *ret_nibble)
{
	uint8_t c = dns_lower(label[1]);

	if (label[0] != 1)
		return -ENOENT;
	if (c >= '0' && c <= '9')
		*ret_nibble = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*ret_nibble = (uint8_t)(c - 'a' + 10);
	else
		return -ENOENT;
	return 0;
}

/* Return: 0 or -ENOENT; the address's last octet is the name's first label (RFC 1035 3.5) */
static int dns_name_address4(const struct dns_name *name, struct dns_address *address)
{
	static const char suffix[] = "\7in-addr\4arpa"; /* its NUL is the root */
	size_t at = 0;

	address->len = 4;
	for (size_t i = 4; i-- > 0; at += 1U + name->wire[at]) {
		if (dns_label_octet(name->wire + at, &address->bytes[i]) < 0)
			return -ENOENT;
	}
	return dns_name_ends(name, suffix, sizeof(suffix), at) ? 0 : -ENOENT;
}

/* Return: 0 or -ENOENT; 32 nibbles, the last one first (RFC 3596 2.5) */
static int dns_name_address6(const struct dns_name *name, struct dns_address *address)
{
	static const char suffix[] = "\3ip6\4arpa";

	address->len = 16;
	for (size_t i = 0; i < 16; i++) {
		uint8_t low, high;

		if (dns_label_nibble(name->wire + 4 * i, &low) < 0 ||
		    dns_label_nibble(name->wire + 4 * i + 2, &high) < 0)
			return -ENOENT;
		address->bytes[15 - i] = (uint8_t)(high << 4 | low);
	}
	return dns_name_ends(name, suffix, sizeof(suffix), 64) ? 0 : -ENOENT;
}

/**
 * dns_name_address() - The address that a reverse name means
 * @name:	 Name
 * @ret_address: Set on success
 *
 * Return: 0, or -ENOENT if it is no complete reverse name
 */
int dns_name_address(const struct dns_name *name, struct dns_address *ret_address)
{
	struct dns_address address = {.len = 0};

	if (dns_name_address4(name, &address) < 0 && dns_name_address6(name, &address) < 0)
		return -ENOENT;
	*ret_address = address;
	return 0;
}
