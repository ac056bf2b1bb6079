/* SPDX-License-Identifier: Apache-2.0 */
#include <agent.pb-c.h>
#include <errno.h>

#include "test.h"
#include "base/cleanup.h"
#include "rpc/sync.h"
#include "rpc/wire.h"

TEST_MAIN()

/* Goal: a key is found wherever it is cut, and the byte after it is the next one. */
TEST(scan_finds_a_needle_in_any_pieces)
{
	uint8_t stream[200], key[RPC_TOKEN_LEN];

	rpc_sync_key(NULL, key);
	for (size_t piece = 1; piece <= sizeof(stream); piece++) {
		struct rpc_scan scan = {};
		size_t used = 0, at = 0;

		memset(stream, key[0], sizeof(stream)); /* many false starts */
		memcpy(stream + 77, key, sizeof(key));
		rpc_scan_set(&scan, key, sizeof(key));
		for (at = 0; at < sizeof(stream) && !used; at += piece) {
			used = rpc_scan_feed(&scan, stream + at, MIN(piece, sizeof(stream) - at));
			if (used)
				break;
		}
		ASSERT(used > 0);
		ASSERT_EQ(at + used, 77 + sizeof(key));
	}
}

TEST(scan_does_not_find_half_a_needle)
{
	uint8_t key[RPC_TOKEN_LEN];
	struct rpc_scan scan = {};

	rpc_sync_key(NULL, key);
	rpc_scan_set(&scan, key, sizeof(key));
	ASSERT_EQ(rpc_scan_feed(&scan, key, 31), 0);
	ASSERT_EQ(rpc_scan_feed(&scan, key, 31), 0);
	ASSERT_EQ(rpc_scan_feed(&scan, key + 31, 1), 1);
	ASSERT_EQ(rpc_scan_feed(&scan, key + 31, 1), 0); /* found once, forgotten */
}

/* Goal: Hello carries the token; that must not look like a preamble. */
TEST(key_is_not_the_token)
{
	unsigned char token[RPC_TOKEN_LEN];
	uint8_t key[RPC_TOKEN_LEN], again[RPC_TOKEN_LEN];

	for (size_t i = 0; i < sizeof(token); i++)
		token[i] = (unsigned char)(i * 7);
	rpc_sync_key(token, key);
	rpc_sync_key(key, again);
	for (size_t i = 0; i < sizeof(token); i++)
		ASSERT(key[i] != token[i]);
	ASSERT(memcmp(again, token, sizeof(token)) == 0);
}

TEST(reader_cuts_messages_in_any_pieces)
{
	Arca__V1__InputChunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	uint8_t data[700], stream[2000];
	size_t total = 0;

	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < 3; i++) {
		struct rpc_msg *msg;

		chunk.data.data = data;
		chunk.data.len = i * 350; /* the first one is empty */
		ASSERT_OK(rpc_msg_new(&chunk.base, &msg));
		memcpy(stream + total, msg->data, msg->len);
		total += msg->len;
		free(msg);
	}
	for (size_t piece = 1; piece <= total; piece++) {
		struct rpc_reader reader = {};
		size_t found = 0, bytes = 0;

		for (size_t at = 0; at < total; at += piece) {
			const uint8_t *p = stream + at, *body;
			size_t len = MIN(piece, total - at), body_len;
			int r;

			while ((r = rpc_reader_next(&reader, &p, &len, &body, &body_len)) == 1) {
				ProtobufCMessage *message = NULL;

				ASSERT_OK(rpc_unpack(&arca__v1__input_chunk__descriptor, body,
						     body_len, &message));
				bytes += ((Arca__V1__InputChunk *)message)->data.len;
				found++;
				protobuf_c_message_free_unpacked(message, NULL);
			}
			ASSERT_EQ(r, 0);
		}
		ASSERT_EQ(found, 3);
		ASSERT_EQ(bytes, 1050);
		ASSERT_EQ(rpc_reader_pending(&reader), 0);
		rpc_reader_done(&reader);
	}
}

TEST(reader_refuses_large_and_compressed)
{
	static const uint8_t large[] = {0, 0x00, 0x40, 0x00, 0x01}, squeezed[] = {1, 0, 0, 0, 1};
	struct rpc_reader reader = {};
	const uint8_t *p = large, *body;
	size_t len = sizeof(large), body_len = 0;

	ASSERT_ERROR(rpc_reader_next(&reader, &p, &len, &body, &body_len), EMSGSIZE);
	rpc_reader_done(&reader);
	p = squeezed;
	len = sizeof(squeezed);
	ASSERT_ERROR(rpc_reader_next(&reader, &p, &len, &body, &body_len), ENOTSUP);
	rpc_reader_done(&reader);
}

/* Goal: a message that is small on the wire cannot be huge in memory. */
TEST(unpack_is_bounded)
{
	size_t len = 2 * 1000 * 1000;
	_cleanup_free_ uint8_t *body = malloc(len);
	ProtobufCMessage *message = NULL;

	for (size_t i = 0; i < len; i += 2) {
		body[i] = 0x12; /* ListResponse.rows, a million of them, all empty */
		body[i + 1] = 0;
	}
	ASSERT_ERROR(rpc_unpack(&arca__v1__list_response__descriptor, body, len, &message),
		     EBADMSG);
	ASSERT(!message);
	ASSERT_OK(rpc_unpack(&arca__v1__list_response__descriptor, body, 2000, &message));
	ASSERT_EQ(((Arca__V1__ListResponse *)message)->n_rows, 1000);
	protobuf_c_message_free_unpacked(message, NULL);
}

TEST(msg_refuses_what_is_too_large)
{
	_cleanup_free_ uint8_t *data = calloc(1, RPC_MESSAGE_MAX);
	Arca__V1__InputChunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct rpc_msg *msg = NULL;

	chunk.data.data = data;
	chunk.data.len = RPC_MESSAGE_MAX;
	ASSERT_ERROR(rpc_msg_new(&chunk.base, &msg), EMSGSIZE);
	ASSERT(!msg);
}

TEST(text_survives_percent_encoding)
{
	char encoded[3 * RPC_TEXT_MAX + 1], text[RPC_TEXT_MAX];
	size_t n = rpc_text_encode("a\303\266 100%\n", encoded);

	encoded[n] = '\0';
	ASSERT_STREQ(encoded, "a%C3%B6 100%25%0A");
	rpc_text_decode(encoded, n, text);
	ASSERT_STREQ(text, "a\303\266 100%\n");
	rpc_text_decode("%zz%4%00%", 9, text);
	ASSERT_STREQ(text, "%zz%4 %");
}

TEST(text_is_cut)
{
	char encoded[3 * RPC_TEXT_MAX], text[RPC_TEXT_MAX], huge[3 * RPC_TEXT_MAX];

	memset(huge, '%', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	ASSERT_EQ(rpc_text_encode(huge, encoded), 3 * (RPC_TEXT_MAX - 1));
	rpc_text_decode(huge, sizeof(huge) - 1, text);
	ASSERT_EQ(strlen(text), RPC_TEXT_MAX - 1);
}

TEST(status_is_a_small_number)
{
	ASSERT_EQ(rpc_status_parse("0", 1), RPC_OK);
	ASSERT_EQ(rpc_status_parse("14", 2), RPC_UNAVAILABLE);
	ASSERT_EQ(rpc_status_parse("17", 2), RPC_UNKNOWN);
	ASSERT_EQ(rpc_status_parse("", 0), RPC_UNKNOWN);
	ASSERT_EQ(rpc_status_parse("-1", 2), RPC_UNKNOWN);
	ASSERT_EQ(rpc_status_parse("000", 3), RPC_UNKNOWN);
}
