/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - what a process wrote and nobody acknowledged yet */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_COST_MAX (1024 * 1024) /* bytes kept per process, bookkeeping included */
#define OUTPUT_CHUNK_MAX (32 * 1024)

struct output_chunk;

struct output {
	struct output_chunk *chunks; /* owned, oldest first */
	struct output_chunk *next;   /* borrowed: first that has unsent bytes, or NULL */
	uint64_t produced, acked, sent;
	size_t cost;
};

/* Part of a chunk that was not sent yet. */
struct output_view {
	uint32_t stream;
	uint64_t offset;
	int64_t at_ns;
	const unsigned char *data; /* borrowed: until the next output_ack() */
	size_t len;
};

void output_done(struct output *o);
int output_add(struct output *o, uint32_t stream, const void *data, size_t len, int64_t at_ns);
void output_ack(struct output *o, uint64_t offset);
int output_rewind(struct output *o, uint64_t from);
bool output_peek(const struct output *o, struct output_view *ret_view);
void output_sent(struct output *o, size_t len);
bool output_full(const struct output *o);
