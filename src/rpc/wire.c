/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - gRPC's message framing over HTTP/2 DATA (grpc/doc/PROTOCOL-HTTP2.md)
 *
 * Hostile: every byte that goes into rpc_reader_next(), rpc_unpack() and the parsers. A message
 * costs memory only as its bytes arrive, never more than RPC_MESSAGE_MAX, and RPC_UNPACK_MAX once
 * unpacked: empty repeated fields are two bytes on the wire and dozens in memory.
 */
#include "rpc/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/util.h"

#define READER_KEEP_MAX KIB(64) /* a larger buffer is not kept for the next message */

static int reader_prefix(struct rpc_reader *reader)
{
	const uint8_t *p = reader->prefix;

	if (p[0] != 0)
		return -ENOTSUP; /* compressed: we never offered to understand that */
	reader->want = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | (size_t)p[4];
	return reader->want > RPC_MESSAGE_MAX ? -EMSGSIZE : 0;
}

static int reader_grow(struct rpc_reader *reader, size_t more)
{
	size_t need = reader->len + more, cap;
	uint8_t *body;

	if (need <= reader->cap)
		return 0;
	cap = MIN(reader->want, MAX(need, MAX(reader->cap * 2, KIB(16))));
	body = realloc(reader->body, cap);
	if (!body)
		return -ENOMEM;
	reader->body = body;
	reader->cap = cap;
	return 0;
}

static void reader_restart(struct rpc_reader *reader)
{
	reader->prefix_len = 0;
	reader->len = 0;
	reader->want = 0;
}

/**
 * rpc_reader_next() - Take the next complete message out of a stream of bytes
 * @reader:   Reader; keeps what does not make a message yet
 * @data:     Bytes that arrived; moved past those that were taken
 * @len:      How many; reduced likewise
 * @ret_body: The message's bytes, until the next call on @reader or @data's end
 * @ret_len:  Their number
 *
 * Return: 1 with a message, 0 when all of @data was taken and no message is complete, -EMSGSIZE,
 * -ENOTSUP (compressed) or -ENOMEM; after an error the reader is only fit for rpc_reader_done()
 */
int rpc_reader_next(struct rpc_reader *reader, const uint8_t **data, size_t *len,
		    const uint8_t **ret_body, size_t *ret_len)
{
	size_t n;
	int r;

	if (reader->prefix_len == RPC_PREFIX_LEN && reader->len == reader->want)
		reader_restart(reader); /* the last call handed out this message */
	if (reader->cap > READER_KEEP_MAX && reader->prefix_len == 0) {
		free(reader->body);
		reader->body = NULL;
		reader->cap = 0;
	}
	while (reader->prefix_len < RPC_PREFIX_LEN) {
		if (*len == 0)
			return 0;
		reader->prefix[reader->prefix_len++] = *(*data)++;
		(*len)--;
		if (reader->prefix_len < RPC_PREFIX_LEN)
			continue;
		r = reader_prefix(reader);
		if (r < 0)
			return r;
	}
	n = MIN(reader->want - reader->len, *len);
	if (reader->len == 0 && n == reader->want) {
		*ret_body = *data; /* whole and in one piece: no copy */
	} else {
		r = reader_grow(reader, n);
		if (r < 0)
			return r;
		if (n > 0)
			memcpy(reader->body + reader->len, *data, n);
		*ret_body = reader->body;
	}
	reader->len += n;
	*data += n;
	*len -= n;
	if (reader->len < reader->want)
		return 0;
	*ret_len = reader->want;
	return 1;
}

/**
 * rpc_reader_pending() - Bytes of a message that is not complete
 * @reader: Reader
 *
 * Return: their number, prefix included; 0 between messages
 */
size_t rpc_reader_pending(const struct rpc_reader *reader)
{
	if (reader->prefix_len == RPC_PREFIX_LEN && reader->len == reader->want)
		return 0;
	return reader->prefix_len + reader->len;
}

/**
 * rpc_reader_done() - Free what a reader holds
 * @reader: Reader; empty afterwards
 */
void rpc_reader_done(struct rpc_reader *reader)
{
	free(reader->body);
	memset(reader, 0, sizeof(*reader));
}

static void *unpack_alloc(void *budget, size_t size)
{
	size_t *left = budget;

	if (size > *left)
		return NULL;
	*left -= size;
	return malloc(size);
}

static void unpack_free(void *budget UNUSED, void *p)
{
	free(p);
}

/**
 * rpc_unpack() - Unpack a message from the other side within RPC_UNPACK_MAX
 * @type:	 Type of the message
 * @body:	 Its bytes
 * @len:	 How many
 * @ret_message: The message, freed with protobuf_c_message_free_unpacked(m, NULL)
 *
 * Return: 0, or -EBADMSG if the bytes are no such message or unpack to too much
 */
int rpc_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t len,
	       ProtobufCMessage **ret_message)
{
	size_t left = RPC_UNPACK_MAX;
	/* Memory comes from malloc(), which is also what the default allocator frees with. */
	ProtobufCAllocator allocator = {
		.alloc = unpack_alloc, .free = unpack_free, .allocator_data = &left};
	static const uint8_t nothing[1];
	ProtobufCMessage *message;

	message = protobuf_c_message_unpack(type, &allocator, len, len > 0 ? body : nothing);
	if (!message)
		return -EBADMSG;
	*ret_message = message;
	return 0;
}

/**
 * rpc_msg_new() - Pack a message
 * @message: Message, stays the caller's
 * @ret_msg: The packed message with its prefix, owned by the caller; free() ends it
 *
 * Return: 0, -EMSGSIZE if it is over RPC_MESSAGE_MAX, or -ENOMEM
 */
int rpc_msg_new(const ProtobufCMessage *message, struct rpc_msg **ret_msg)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	struct rpc_msg *msg;

	if (len > RPC_MESSAGE_MAX)
		return -EMSGSIZE;
	msg = malloc(sizeof(*msg) + RPC_PREFIX_LEN + len);
	if (!msg)
		return -ENOMEM;
	msg->next = msg->prev = NULL;
	msg->off = 0;
	msg->len = RPC_PREFIX_LEN + len;
	msg->data[0] = 0;
	msg->data[1] = (uint8_t)(len >> 24);
	msg->data[2] = (uint8_t)(len >> 16);
	msg->data[3] = (uint8_t)(len >> 8);
	msg->data[4] = (uint8_t)len;
	(void)protobuf_c_message_pack(message, msg->data + RPC_PREFIX_LEN); /* returns len */
	*ret_msg = msg;
	return 0;
}

/**
 * rpc_queue_push() - Append a message
 * @queue: Queue
 * @msg:   Message, the queue's from now on
 */
void rpc_queue_push(struct rpc_queue *queue, struct rpc_msg *msg)
{
	DL_APPEND(queue->head, msg);
	queue->bytes += msg->len;
}

/**
 * rpc_queue_read() - Take bytes from the front, across messages
 * @queue: Queue
 * @buf:   Filled
 * @size:  Its size
 *
 * Return: number of bytes taken
 */
size_t rpc_queue_read(struct rpc_queue *queue, uint8_t *buf, size_t size)
{
	size_t done = 0;

	while (queue->head && done < size) {
		struct rpc_msg *msg = queue->head;
		size_t n = MIN(msg->len - msg->off, size - done);

		memcpy(buf + done, msg->data + msg->off, n);
		msg->off += n;
		done += n;
		if (msg->off < msg->len)
			break;
		DL_DELETE(queue->head, msg);
		free(msg);
	}
	queue->bytes -= done;
	return done;
}

/**
 * rpc_queue_clear() - Drop every message
 * @queue: Queue; empty afterwards
 */
void rpc_queue_clear(struct rpc_queue *queue)
{
	struct rpc_msg *msg, *tmp;

	DL_FOREACH_SAFE (queue->head, msg, tmp)
		free(msg);
	queue->head = NULL;
	queue->bytes = 0;
}

/**
 * rpc_text_encode() - Percent-encode a grpc-message
 * @text:	 Text; cut at RPC_TEXT_MAX - 1 bytes
 * @ret_encoded: Filled, not terminated
 *
 * Return: number of bytes in @ret_encoded
 */
size_t rpc_text_encode(const char *text, char ret_encoded[static 3 * RPC_TEXT_MAX])
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; text[i] && i < RPC_TEXT_MAX - 1; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c <= 0x7e && c != '%') {
			ret_encoded[n++] = (char)c;
			continue;
		}
		ret_encoded[n++] = '%';
		ret_encoded[n++] = hex[c >> 4];
		ret_encoded[n++] = hex[c & 15];
	}
	return n;
}

static int text_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * rpc_text_decode() - Decode a grpc-message
 * @encoded:  Header value; an escape that is none is taken literally, as gRPC wants it
 * @len:      Its length
 * @ret_text: Filled and terminated; cut to fit, NUL and other control bytes become spaces
 */
void rpc_text_decode(const char *encoded, size_t len, char ret_text[static RPC_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < RPC_TEXT_MAX - 1; i++) {
		unsigned char c = (unsigned char)encoded[i];

		if (c == '%' && i + 2 < len && text_hex(encoded[i + 1]) >= 0 &&
		    text_hex(encoded[i + 2]) >= 0) {
			c = (unsigned char)(text_hex(encoded[i + 1]) << 4 |
					    text_hex(encoded[i + 2]));
			i += 2;
		}
		ret_text[n++] = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : (char)c;
	}
	ret_text[n] = '\0';
}

/**
 * rpc_status_parse() - Read a grpc-status
 * @digits: Header value
 * @len:    Its length
 *
 * Return: the code, or RPC_UNKNOWN for anything that is not a number from 0 to 16
 */
int rpc_status_parse(const char *digits, size_t len)
{
	int code = 0;

	if (len == 0 || len > 2)
		return RPC_UNKNOWN;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return RPC_UNKNOWN;
		code = code * 10 + digits[i] - '0';
	}
	return code <= 16 ? code : RPC_UNKNOWN;
}
