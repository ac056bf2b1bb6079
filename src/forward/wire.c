/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - what daemon and forwarder say to each other
 *
 * Both run on one host, so numbers are in its byte order. A message is
 *
 *	u32 length of what follows
 *	u8 op, u8 length of owner, u16 port, i32 error, u32 value, u32 number of mappings
 *	owner
 *	mappings: u8 proto, u8 flags, u8 host family, u8 target family, u16 host port, u16 last,
 *		  u16 target port, u16 count, 16 bytes host, 16 bytes target
 *
 * The decoder takes nothing that the encoder would not make: no unknown op, flag or family, no
 * range beyond 65535, no bytes left over.
 */
#include "forward/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define WIRE_LENGTH_BYTES 4
#define WIRE_FLAG_SAME 1

struct wire_head {
	uint8_t op, owner_len;
	uint16_t port;
	int32_t error;
	uint32_t value, n;
};

struct wire_mapping {
	uint8_t proto, flags, host_family, target_family;
	uint16_t host_port, host_port_last, target_port, count;
	uint8_t host[16], target[16];
};

_Static_assert(sizeof(struct wire_head) == 16, "no padding");
_Static_assert(sizeof(struct wire_mapping) == 44, "no padding");
_Static_assert(FORWARD_MAPPINGS_MAX * sizeof(struct wire_mapping) + FORWARD_OWNER_MAX +
			       sizeof(struct wire_head) <=
		       FORWARD_FRAME_MAX,
	       "the largest message fits");

static bool wire_ip_valid(const struct forward_ip *ip)
{
	static const uint8_t zeros[12];

	return ip->family == 6 || (ip->family == 4 && memcmp(ip->bytes + 4, zeros, 12) == 0);
}

/**
 * forward_mapping_valid() - Whether a mapping means something
 * @m:	   Mapping
 * @first: No mapping is before it
 *
 * Return: the answer
 */
bool forward_mapping_valid(const struct forward_mapping *m, bool first)
{
	if (m->proto != IPPROTO_TCP && m->proto != IPPROTO_UDP)
		return false;
	if (!wire_ip_valid(&m->host) || !wire_ip_valid(&m->target))
		return false;
	if (m->count == 0 || m->target_port == 0 || m->target_port + m->count - 1 > UINT16_MAX ||
	    m->host_port + m->count - 1 > UINT16_MAX)
		return false;
	if (m->host_port_last && (m->host_port == 0 || m->host_port_last < m->host_port))
		return false;
	if ((m->host_port == 0 || m->host_port_last || m->same_port) && m->count != 1)
		return false;
	return !m->same_port || (!first && !m->host_port_last);
}

static void wire_put_mapping(struct buf *out, const struct forward_mapping *m)
{
	struct wire_mapping w = {
		.proto = m->proto,
		.flags = m->same_port ? WIRE_FLAG_SAME : 0,
		.host_family = m->host.family,
		.target_family = m->target.family,
		.host_port = m->host_port,
		.host_port_last = m->host_port_last,
		.target_port = m->target_port,
		.count = m->count,
	};

	memcpy(w.host, m->host.bytes, sizeof(w.host));
	memcpy(w.target, m->target.bytes, sizeof(w.target));
	buf_add(out, &w, sizeof(w));
}

/**
 * forward_wire_put() - Append a message
 * @out:     Where to; a failure to allocate sticks there
 * @message: Message
 *
 * Return: 0, -E2BIG or -EINVAL if it cannot be said
 */
int forward_wire_put(struct buf *out, const struct forward_message *message)
{
	size_t owner_len = strnlen(message->owner, sizeof(message->owner));
	struct wire_head head = {
		.op = (uint8_t)message->op,
		.owner_len = (uint8_t)owner_len,
		.port = message->port,
		.error = message->error,
		.value = message->value,
		.n = (uint32_t)message->n,
	};
	uint32_t len = (uint32_t)(sizeof(head) + owner_len);

	if (message->n > FORWARD_MAPPINGS_MAX)
		return -E2BIG;
	if (owner_len > FORWARD_OWNER_MAX)
		return -EINVAL;
	for (size_t i = 0; i < message->n; i++) {
		if (!forward_mapping_valid(&message->mappings[i], i == 0))
			return -EINVAL;
	}
	len += (uint32_t)(message->n * sizeof(struct wire_mapping));
	buf_add(out, &len, sizeof(len));
	buf_add(out, &head, sizeof(head));
	buf_add(out, message->owner, owner_len);
	for (size_t i = 0; i < message->n; i++)
		wire_put_mapping(out, &message->mappings[i]);
	return 0;
}

/**
 * forward_wire_length() - How long the message is that begins here
 * @data:      Bytes so far
 * @len:       How many
 * @ret_total: Bytes of the message with its length field, for forward_wire_get(); set on success
 *
 * Return: 0, -EAGAIN if that is not to be seen yet, -EBADMSG if it is no message
 */
int forward_wire_length(const void *data, size_t len, size_t *ret_total)
{
	uint32_t body;

	if (len < WIRE_LENGTH_BYTES)
		return -EAGAIN;
	memcpy(&body, data, sizeof(body));
	if (body < sizeof(struct wire_head) || body > FORWARD_FRAME_MAX)
		return -EBADMSG;
	*ret_total = WIRE_LENGTH_BYTES + body;
	return 0;
}

static int wire_get_mapping(const uint8_t *p, bool first, struct forward_mapping *m)
{
	struct wire_mapping w;

	memcpy(&w, p, sizeof(w));
	if (w.flags & ~WIRE_FLAG_SAME)
		return -EBADMSG;
	*m = (struct forward_mapping){
		.proto = w.proto,
		.same_port = w.flags & WIRE_FLAG_SAME,
		.host.family = w.host_family,
		.target.family = w.target_family,
		.host_port = w.host_port,
		.host_port_last = w.host_port_last,
		.target_port = w.target_port,
		.count = w.count,
	};
	memcpy(m->host.bytes, w.host, sizeof(w.host));
	memcpy(m->target.bytes, w.target, sizeof(w.target));
	return forward_mapping_valid(m, first) ? 0 : -EBADMSG;
}

/**
 * forward_wire_get() - Decode one whole message
 * @data:	 Its bytes, length field included
 * @len:	 As forward_wire_length() said
 * @ret_message: For forward_message_done(); set on success
 *
 * Return: 0, -EBADMSG, or -ENOMEM
 */
int forward_wire_get(const void *data, size_t len, struct forward_message *ret_message)
{
	_cleanup_(forward_message_done) struct forward_message message = {};
	const uint8_t *p = data, *end = p + len;
	struct wire_head head;
	size_t total;
	int r;

	if (forward_wire_length(data, len, &total) < 0 || total != len)
		return -EBADMSG;
	memcpy(&head, p + WIRE_LENGTH_BYTES, sizeof(head));
	p += WIRE_LENGTH_BYTES + sizeof(head);
	if (head.op < FORWARD_HELLO || head.op > FORWARD_LIST || head.n > FORWARD_MAPPINGS_MAX ||
	    head.owner_len > FORWARD_OWNER_MAX ||
	    (size_t)(end - p) != head.owner_len + head.n * sizeof(struct wire_mapping) ||
	    memchr(p, '\0', head.owner_len))
		return -EBADMSG;
	message.op = head.op;
	message.error = head.error;
	message.port = head.port;
	message.value = head.value;
	memcpy(message.owner, p, head.owner_len);
	p += head.owner_len;
	message.mappings = calloc(head.n ? head.n : 1, sizeof(*message.mappings));
	if (!message.mappings)
		return -ENOMEM;
	for (; message.n < head.n; message.n++, p += sizeof(struct wire_mapping)) {
		r = wire_get_mapping(p, message.n == 0, &message.mappings[message.n]);
		if (r < 0)
			return r;
	}
	*ret_message = message;
	message.mappings = NULL;
	return 0;
}

/**
 * forward_message_done() - Free what a decoded message holds
 * @message: Message, may be empty
 */
void forward_message_done(struct forward_message *message)
{
	free(message->mappings);
	*message = (struct forward_message){};
}
