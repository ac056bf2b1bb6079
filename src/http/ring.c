/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - a byte ring between two threads; its users hold the lock */
#include "http/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define HTTP_RING_MIN KIB(4)

/**
 * http_ring_done() - Free the bytes
 * @ring: Ring; becomes empty
 */
void http_ring_done(struct http_ring *ring)
{
	free(ring->data);
	*ring = (struct http_ring){0};
}

/* Make room for @len more, up to @max in all; fails quietly: the push is then shorter. */
static void http_ring_grow(struct http_ring *ring, size_t len, size_t max)
{
	size_t cap = ring->cap ? ring->cap : HTTP_RING_MIN;
	size_t first;
	char *data;

	while (cap < max && cap - ring->len < len)
		cap *= 2;
	if (cap > max)
		cap = max;
	if (cap <= ring->cap)
		return;
	data = malloc(cap);
	if (!data)
		return;
	first = MIN(ring->len, ring->cap - ring->head);
	if (ring->len) {
		memcpy(data, ring->data + ring->head, first);
		memcpy(data + first, ring->data, ring->len - first);
	}
	free(ring->data);
	ring->data = data;
	ring->cap = cap;
	ring->head = 0;
}

/**
 * http_ring_push() - Append bytes
 * @ring: Ring
 * @data: Bytes
 * @len:  How many
 * @max:  The ring may grow up to this capacity
 *
 * Return: how many were taken; less than @len when the ring is full (or memory is)
 */
size_t http_ring_push(struct http_ring *ring, const void *data, size_t len, size_t max)
{
	size_t n, tail, first;

	if (ring->cap - ring->len < len)
		http_ring_grow(ring, len, max);
	n = MIN(len, ring->cap - ring->len);
	if (n == 0)
		return 0;
	tail = (ring->head + ring->len) % ring->cap;
	first = MIN(n, ring->cap - tail);
	memcpy(ring->data + tail, data, first);
	memcpy(ring->data, (const char *)data + first, n - first);
	ring->len += n;
	return n;
}

/**
 * http_ring_pop() - Take bytes from the front
 * @ring: Ring
 * @data: Filled
 * @len:  At most this many
 *
 * Return: how many were there
 */
size_t http_ring_pop(struct http_ring *ring, void *data, size_t len)
{
	size_t n = MIN(len, ring->len), first;

	if (n == 0)
		return 0;
	first = MIN(n, ring->cap - ring->head);
	memcpy(data, ring->data + ring->head, first);
	memcpy((char *)data + first, ring->data, n - first);
	ring->head = (ring->head + n) % ring->cap;
	ring->len -= n;
	return n;
}
