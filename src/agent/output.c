/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c - what a process wrote and nobody acknowledged yet
 *
 * DOC: Theory of operation
 *
 * One count of bytes runs over stdout and stderr in the order in which they were read. Chunks keep
 * their time and stream, so a replay shows exactly what the first sending showed. Always
 *
 *	acked <= sent <= produced
 *
 * A chunk is dropped once all of it was acknowledged. When OUTPUT_COST_MAX is reached the owner
 * stops reading the process. Each chunk is charged its bookkeeping too: a process that writes
 * single bytes cannot make us keep more than it may.
 */
#include "agent/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/util.h"

struct output_chunk {
	struct output_chunk *next, *prev;
	uint64_t offset;
	int64_t at_ns;
	uint32_t stream;
	uint32_t len;
	unsigned char data[];
};

static void output_drop_first(struct output *o)
{
	struct output_chunk *c = o->chunks;

	DL_DELETE(o->chunks, c);
	o->cost -= sizeof(*c) + c->len;
	free(c);
}

/**
 * output_done() - Free everything kept
 * @o: Output, zero afterwards
 */
void output_done(struct output *o)
{
	while (o->chunks)
		output_drop_first(o);
	*o = (struct output){0};
}

/**
 * output_add() - Keep what was just read
 * @o:	    Output
 * @stream: 1 stdout, 2 stderr
 * @data:   Bytes, copied
 * @len:    1 to OUTPUT_CHUNK_MAX
 * @at_ns:  Wall clock of the read
 *
 * Return: 0, or -ENOMEM with nothing changed
 */
int output_add(struct output *o, uint32_t stream, const void *data, size_t len, int64_t at_ns)
{
	struct output_chunk *c = malloc(sizeof(*c) + len);

	if (!c)
		return -ENOMEM;
	c->offset = o->produced;
	c->at_ns = at_ns;
	c->stream = stream;
	c->len = (uint32_t)len;
	memcpy(c->data, data, len);
	DL_APPEND(o->chunks, c);
	o->cost += sizeof(*c) + len;
	o->produced += len;
	if (!o->next)
		o->next = c;
	return 0;
}

/**
 * output_ack() - The client has written everything below @offset: drop it
 * @o:	    Output
 * @offset: More than was sent counts as all that was sent; less than before is ignored
 */
void output_ack(struct output *o, uint64_t offset)
{
	offset = MIN(offset, o->sent);
	if (offset <= o->acked)
		return;
	o->acked = offset;
	while (o->chunks && o->chunks != o->next && o->chunks->offset + o->chunks->len <= offset)
		output_drop_first(o);
}

/**
 * output_rewind() - Go on sending from @from
 * @o:	  Output
 * @from: First byte wanted; below the acknowledged offset it begins there
 *
 * Return: 0, or -ERANGE if that byte was never produced
 */
int output_rewind(struct output *o, uint64_t from)
{
	struct output_chunk *c;

	if (from > o->produced)
		return -ERANGE;
	from = MAX(from, o->acked);
	o->next = NULL;
	DL_FOREACH (o->chunks, c) {
		if (c->offset + c->len > from) {
			o->next = c;
			break;
		}
	}
	o->sent = from;
	output_ack(o, from);
	return 0;
}

/**
 * output_peek() - What is to be sent next
 * @o:	      Output
 * @ret_view: Set when there is something
 *
 * Return: false when everything was sent
 */
bool output_peek(const struct output *o, struct output_view *ret_view)
{
	const struct output_chunk *c = o->next;
	size_t skip;

	if (!c)
		return false;
	skip = (size_t)(o->sent - c->offset);
	*ret_view = (struct output_view){
		.stream = c->stream,
		.offset = o->sent,
		.at_ns = c->at_ns,
		.data = c->data + skip,
		.len = c->len - skip,
	};
	return true;
}

/**
 * output_sent() - The view that output_peek() gave is on its way
 * @o:	 Output
 * @len: Its length
 */
void output_sent(struct output *o, size_t len)
{
	o->sent += len;
	if (o->next && o->sent >= o->next->offset + o->next->len)
		o->next = o->next->next;
}

/**
 * output_full() - Whether reading must stop until something is acknowledged
 * @o: Output
 *
 * Return: the answer
 */
bool output_full(const struct output *o)
{
	return o->cost + sizeof(struct output_chunk) + OUTPUT_CHUNK_MAX > OUTPUT_COST_MAX;
}
