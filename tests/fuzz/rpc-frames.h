/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc-frames.h - turns a fuzzer's input into bytes on the agent's channel
 *
 * An input that starts with 'f' is a list of frames, each written as type, flags, stream id and
 * length (one byte each) and that many bytes of body; so mutations keep HTTP/2's framing. Any other
 * input is taken as it is, without its first byte.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAMES_MAX 100000 /* fits into a socket's buffer */

static inline void frames_expand(const uint8_t *data, size_t len, struct buf *b)
{
	uint8_t mode = len > 0 ? *data : 0;

	if (len == 0)
		return;
	data++;
	len--;
	if (mode != 'f') {
		buf_add(b, data, len < FRAMES_MAX ? len : FRAMES_MAX);
		return;
	}
	while (len >= 4 && b->len < FRAMES_MAX) {
		size_t n = data[3] < len - 4 ? data[3] : len - 4;
		uint8_t head[9] = {0, 0, (uint8_t)n, data[0], data[1], 0, 0, 0, data[2]};

		buf_add(b, head, sizeof(head));
		buf_add(b, data + 4, n);
		data += 4 + n;
		len -= 4 + n;
	}
}
