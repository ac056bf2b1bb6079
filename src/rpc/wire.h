/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - gRPC's message framing over HTTP/2 DATA, and its status texts; both sides */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/client.h" /* limits, status codes */

#define RPC_PREFIX_LEN 5		  /* compressed flag, big-endian length */
#define RPC_TEXT_MAX 1024		  /* a grpc-message, decoded, with its NUL */
#define RPC_UNPACK_MAX (32 * 1024 * 1024) /* memory that one message may unpack to */

/* Cuts a stream of DATA bytes into messages. Zero-initialised is empty. */
struct rpc_reader {
	uint8_t prefix[RPC_PREFIX_LEN];
	size_t prefix_len; /* bytes of the prefix that are there */
	size_t want;	   /* length of the message that the prefix announced */
	uint8_t *body;	   /* owned; what is there of a message that comes in pieces */
	size_t len, cap;
};

int rpc_reader_next(struct rpc_reader *reader, const uint8_t **data, size_t *len,
		    const uint8_t **ret_body, size_t *ret_len);
size_t rpc_reader_pending(const struct rpc_reader *reader);
void rpc_reader_done(struct rpc_reader *reader);

int rpc_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t len,
	       ProtobufCMessage **ret_message);

/* One packed message with its prefix, on its way out. */
struct rpc_msg {
	struct rpc_msg *next, *prev;
	size_t len, off;
	uint8_t data[];
};

/* Messages on their way out, in order. Zero-initialised is empty. */
struct rpc_queue {
	struct rpc_msg *head; /* owned */
	size_t bytes;	      /* not yet read */
};

int rpc_msg_new(const ProtobufCMessage *message, struct rpc_msg **ret_msg);
void rpc_queue_push(struct rpc_queue *queue, struct rpc_msg *msg);
size_t rpc_queue_read(struct rpc_queue *queue, uint8_t *buf, size_t size);
void rpc_queue_clear(struct rpc_queue *queue);

size_t rpc_text_encode(const char *text, char ret_encoded[static 3 * RPC_TEXT_MAX]);
void rpc_text_decode(const char *encoded, size_t len, char ret_text[static RPC_TEXT_MAX]);
int rpc_status_parse(const char *digits, size_t len);
