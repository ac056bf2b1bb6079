/* SPDX-License-Identifier: Apache-2.0 */
/* http2.h - the HTTP/2 session as both sides set it up, and getting its bytes out */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_WINDOW_STREAM (1024 * 1024)		/* what one stream may have under way */
#define RPC_WINDOW_CONNECTION (4 * 1024 * 1024) /* what all of them may */
#define RPC_FRAME_MAX (64 * 1024)
#define RPC_HEADERS_MAX (16 * 1024) /* names and values of one header block */
#define RPC_CALLS_MAX 1024	    /* at a time, on one connection */
#define RPC_BACKLOG_MAX 8192	    /* frames that wait for a peer that does not read */
#define RPC_OUT_SIZE (16 * 1024)    /* small frames that leave in one write */

/* Bytes on their way to the descriptor: gathered small frames, then one large frame in place. */
struct rpc_out {
	uint8_t buf[RPC_OUT_SIZE];
	size_t start, end;
	const uint8_t *frame; /* borrowed: from the session, until its next frame is asked for */
	size_t frame_len;
};

#define RPC_NV(n, v)                                                                               \
	((nghttp2_nv){.name = (uint8_t *)(n),                                                      \
		      .value = (uint8_t *)(v),                                                     \
		      .namelen = sizeof(n) - 1,                                                    \
		      .valuelen = sizeof(v) - 1,                                                   \
		      .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE})

int rpc_session_new(bool server, nghttp2_session_callbacks *callbacks, void *user,
		    nghttp2_session **ret_session);
bool rpc_header_is(const uint8_t *text, size_t len, const char *want);

void rpc_out_reset(struct rpc_out *out);
void rpc_out_add(struct rpc_out *out, const void *data, size_t len);
bool rpc_out_pending(const struct rpc_out *out);
int rpc_out_flush(struct rpc_out *out, nghttp2_session *session, int fd);
