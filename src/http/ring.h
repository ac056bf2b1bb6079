/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h - a byte ring between two threads; its users hold the lock */
#pragma once

#include <stddef.h>

struct http_ring {
	char *data; /* owned; allocated at the first push */
	size_t cap, head, len;
};

void http_ring_done(struct http_ring *ring);
size_t http_ring_push(struct http_ring *ring, const void *data, size_t len, size_t max);
size_t http_ring_pop(struct http_ring *ring, void *data, size_t len);
