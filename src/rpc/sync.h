/* SPDX-License-Identifier: Apache-2.0 */
/* sync.h - finding the start of a connection in a channel that may carry old bytes */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rpc/client.h" /* RPC_TOKEN_LEN */

#define RPC_NONCE_LEN 16
#define RPC_SYNC_LEN (RPC_TOKEN_LEN + RPC_NONCE_LEN) /* a preamble, or the answer to it */

/* Looks for one fixed byte string in a stream that arrives in pieces. */
struct rpc_scan {
	uint8_t needle[RPC_SYNC_LEN];
	size_t len;
	uint8_t tail[RPC_SYNC_LEN]; /* the last bytes seen, fewer than len */
	size_t tail_len;
};

void rpc_sync_key(const unsigned char *token, uint8_t ret_key[static RPC_TOKEN_LEN]);
void rpc_sync_answer(const uint8_t nonce[static RPC_NONCE_LEN],
		     uint8_t ret_answer[static RPC_SYNC_LEN]);

void rpc_scan_set(struct rpc_scan *scan, const uint8_t *needle, size_t len);
size_t rpc_scan_feed(struct rpc_scan *scan, const uint8_t *data, size_t len);
