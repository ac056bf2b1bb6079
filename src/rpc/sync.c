/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - re-synchronisation of a byte channel whose ends do not die together
 *
 * DOC: Theory of operation
 *
 * The channel is a virtio-serial port. It stays when the daemon dies: half a frame of the dead
 * daemon's may still be on its way to the agent, and bytes that the agent wrote to it are lost or
 * arrive at the next one. So a connection does not start with the first byte. The client opens it
 * with a preamble,
 *
 *     key (32 bytes) | nonce (16 bytes)
 *
 * and goes on with HTTP/2 at once. The agent looks for the key in everything that arrives, in the
 * middle of frames too. Where it finds it, it retires the old session, throws away what it had not
 * sent yet, answers
 *
 *     answer (32 bytes) | the nonce
 *
 * and speaks HTTP/2 from there. The client throws away everything up to that answer.
 *
 * The key is made from the token that the last Hello gave to the agent, so that nobody who merely
 * gets bytes into the channel (a process's stdin, say) can end a session. It is not the token
 * itself: Hello carries that, and an agent that is told the same token again must not take the
 * request for a preamble. An agent that was given no token yet listens for a constant.
 *
 * Hostile: on the client, everything. The search is linear in the bytes and keeps 47 of them.
 */
#include "rpc/sync.h"

#include <assert.h>
#include <string.h>

#include "base/util.h"

static const uint8_t sync_default_token[RPC_TOKEN_LEN] = {
	0x8e, 0x51, 0xc3, 0x0b, 0xf7, 0x96, 0x2d, 0xe8, 0x14, 0x7a, 0xd9,
	0x63, 0xbb, 0x05, 0xf0, 0x4c, 0x31, 0xea, 0x88, 0x5f, 0x02, 0xc6,
	0x9d, 0x77, 0xe1, 0x3b, 0xac, 0x50, 0x19, 0xd4, 0x6e, 0xf9,
};

static const uint8_t sync_answer[RPC_TOKEN_LEN] = {
	0xd2, 0x1f, 0x64, 0xb9, 0x0a, 0xe5, 0x73, 0x98, 0xcd, 0x46, 0x21,
	0xfe, 0x8b, 0x57, 0x3c, 0xa0, 0x95, 0x0e, 0xf3, 0x6a, 0xd8, 0x41,
	0xbc, 0x27, 0x10, 0xe9, 0x7d, 0xc2, 0x55, 0xaf, 0x86, 0x3e,
};

#define SYNC_KEY_MASK 0xa5 /* makes the key differ from the token, byte for byte */

/**
 * rpc_sync_key() - The bytes that a preamble starts with
 * @token:   RPC_TOKEN_LEN bytes, or NULL for the token of an agent that was never given one
 * @ret_key: Filled
 */
void rpc_sync_key(const unsigned char *token, uint8_t ret_key[static RPC_TOKEN_LEN])
{
	const uint8_t *from = token ? token : sync_default_token;

	for (size_t i = 0; i < RPC_TOKEN_LEN; i++)
		ret_key[i] = from[i] ^ SYNC_KEY_MASK;
}

/**
 * rpc_sync_answer() - The agent's answer to a preamble
 * @nonce:	The preamble's nonce
 * @ret_answer: Filled
 */
void rpc_sync_answer(const uint8_t nonce[static RPC_NONCE_LEN],
		     uint8_t ret_answer[static RPC_SYNC_LEN])
{
	memcpy(ret_answer, sync_answer, RPC_TOKEN_LEN);
	memcpy(ret_answer + RPC_TOKEN_LEN, nonce, RPC_NONCE_LEN);
}

/**
 * rpc_scan_set() - Choose what to look for
 * @scan:   Scan; the bytes it remembers stay, so that a match may begin in them
 * @needle: What to look for
 * @len:    Its length, 1 to RPC_SYNC_LEN bytes; the same on every call for one scan
 */
void rpc_scan_set(struct rpc_scan *scan, const uint8_t *needle, size_t len)
{
	assert(len > 0 && len <= sizeof(scan->needle));
	assert(scan->tail_len < len);
	memcpy(scan->needle, needle, len);
	scan->len = len;
}

static void scan_remember(struct rpc_scan *scan, const uint8_t *data, size_t len)
{
	size_t keep = scan->len - 1, old;

	if (len >= keep) {
		memcpy(scan->tail, data + len - keep, keep);
		scan->tail_len = keep;
		return;
	}
	old = MIN(scan->tail_len, keep - len);
	memmove(scan->tail, scan->tail + scan->tail_len - old, old);
	memcpy(scan->tail + old, data, len);
	scan->tail_len = old + len;
}

/**
 * rpc_scan_feed() - Look at the next bytes of the stream
 * @scan: Scan
 * @data: The bytes
 * @len:  How many
 *
 * Return: how many of @data's bytes were needed to complete a match (the rest was not looked at,
 * and what came before is forgotten), or 0 if there is no match yet
 */
size_t rpc_scan_feed(struct rpc_scan *scan, const uint8_t *data, size_t len)
{
	uint8_t seam[2 * RPC_SYNC_LEN];
	size_t head = MIN(len, scan->len - 1), seam_len = scan->tail_len + head;
	const uint8_t *at;

	if (seam_len >= scan->len) {
		memcpy(seam, scan->tail, scan->tail_len);
		memcpy(seam + scan->tail_len, data, head);
		at = memmem(seam, seam_len, scan->needle, scan->len);
		if (at) {
			size_t used = (size_t)(at - seam) + scan->len - scan->tail_len;

			scan->tail_len = 0;
			return used;
		}
	}
	at = len >= scan->len ? memmem(data, len, scan->needle, scan->len) : NULL;
	if (at) {
		scan->tail_len = 0;
		return (size_t)(at - data) + scan->len;
	}
	scan_remember(scan, data, len);
	return 0;
}
