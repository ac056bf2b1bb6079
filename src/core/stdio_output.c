/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio_output.c - output on its way to the attached clients
 *
 * DOC: Theory of operation
 *
 * All clients of a process share one list of chunks, and each has a cursor in it. A chunk keeps
 * the agent's message it came in, so its bytes are not copied again; it goes when the last client
 * that wants it has sent it. A client that lags by more than STDIO_CLIENT_WINDOW holds back the
 * acknowledgement, the agent then stops reading the process, and so the list is bounded by the
 * window plus what the agent may send unacknowledged. Small chunks are gathered while a client
 * lags, so that a program that writes bytes does not cost a message each.
 *
 * Bytes are not memory: stdout and stderr in turns cannot be gathered, and a hostile agent's
 * message may hold much around few new bytes. So the list's memory is counted too: from
 * STDIO_COST_HOLD on no client has a window, and STDIO_COST_MAX, which an agent that counts its own
 * bookkeeping cannot reach, ends the streams (stdio.c).
 *
 * All functions are called under io->lock.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent.pb-c.h"
#include "base/util.h"
#include "core/stdio_impl.h"

#define CHUNK_OWN_MIN 64
#define CHUNK_OVERHEAD 64	   /* of the allocator, for a chunk and its bytes */
#define CHUNK_MESSAGE_OVERHEAD 256 /* of an unpacked message */

static void chunk_set_cost(struct stdio *io, struct stdio_chunk *chunk, size_t cost)
{
	io->cost = io->cost - chunk->cost + cost;
	chunk->cost = cost;
}

static void chunk_free(struct stdio *io, struct stdio_chunk *chunk)
{
	chunk_set_cost(io, chunk, 0);
	if (chunk->message)
		protobuf_c_message_free_unpacked(chunk->message, NULL);
	free(chunk->own);
	free(chunk);
}

/* Whether a client is to be sent a chunk. */
bool stdio_client_wants(const struct stdio_client *c, const struct stdio_chunk *chunk)
{
	return chunk->stream == 2 ? c->attach->err : c->attach->out;
}

static unsigned int chunk_wanted(const struct stdio *io, const struct stdio_chunk *chunk)
{
	const struct stdio_client *c;
	unsigned int n = 0;

	DL_FOREACH (io->clients, c)
		n += stdio_client_wants(c, chunk);
	return n;
}

/* Have room for @len bytes in a chunk of our own. */
static bool chunk_reserve(struct stdio *io, struct stdio_chunk *chunk, size_t len)
{
	size_t cap = MAX(chunk->cap, (size_t)CHUNK_OWN_MIN);
	char *own;

	while (cap < len)
		cap *= 2;
	if (cap > chunk->cap) {
		own = realloc(chunk->own, cap);
		if (!own)
			return false;
		chunk->data = chunk->own = own;
		chunk->cap = cap;
	}
	chunk_set_cost(io, chunk, sizeof(*chunk) + CHUNK_OVERHEAD + cap);
	return true;
}

/* Keep the message that the bytes are in, unless they are few or not all that is in it. */
static bool chunk_take_message(struct stdio *io, struct stdio_chunk *chunk,
			       ProtobufCMessage *message, size_t len)
{
	const Arca__V1__OutputChunk *output = ((Arca__V1__ProcessEvent *)message)->output;

	if (len < STDIO_SMALL_MAX || message->n_unknown_fields || output->base.n_unknown_fields)
		return false;
	chunk->message = message;
	chunk_set_cost(io, chunk,
		       sizeof(*chunk) + CHUNK_OVERHEAD + CHUNK_MESSAGE_OVERHEAD + output->data.len);
	return true;
}

/* Add to the youngest chunk, if nobody has begun to send it. */
static bool stdio_gather(struct stdio *io, int stream, const void *data, size_t len)
{
	struct stdio_chunk *last = io->chunks ? io->chunks->prev : NULL;

	if (!last || !last->own || last->frozen || last->stream != stream ||
	    last->len + len > STDIO_GATHER_MAX || last->refs != chunk_wanted(io, last) ||
	    !chunk_reserve(io, last, last->len + len))
		return false;
	memcpy(last->own + last->len, data, len);
	last->len += len;
	return true;
}

static void stdio_wake_locked(struct stdio_client *c)
{
	uint64_t one = 1;

	if (!c->asleep)
		return;
	c->asleep = false;
	(void)!write(c->wake_fd, &one, sizeof(one)); /* can only be full, which wakes as well */
}

void stdio_wake_all_locked(struct stdio *io)
{
	struct stdio_client *c;

	DL_FOREACH (io->clients, c)
		stdio_wake_locked(c);
}

/**
 * stdio_push() - Hand output to all clients that want it
 * @io:	     Process
 * @message: The agent's message that holds @data, owned by the list from now on
 * @stream:  1 or 2
 * @offset:  Of @data
 * @data:    Bytes
 * @len:     How many
 */
void stdio_push(struct stdio *io, ProtobufCMessage *message, int stream, uint64_t offset,
		const void *data, size_t len)
{
	struct stdio_chunk *chunk = NULL, want = {.stream = stream};
	struct stdio_client *c;

	want.refs = chunk_wanted(io, &want);
	if (want.refs && !stdio_gather(io, stream, data, len))
		chunk = calloc(1, sizeof(*chunk));
	if (chunk) {
		chunk->stream = stream;
		chunk->offset = offset;
		chunk->len = len;
		chunk->refs = want.refs;
		chunk->data = data;
		if (chunk_take_message(io, chunk, message, len)) {
			message = NULL;
		} else if (chunk_reserve(io, chunk, len)) {
			memcpy(chunk->own, data, len);
		} else {
			free(chunk); /* no memory: the clients miss it */
			chunk = NULL;
		}
	}
	if (chunk) {
		DL_APPEND(io->chunks, chunk);
		DL_FOREACH (io->clients, c) {
			if (!stdio_client_wants(c, chunk))
				continue;
			if (!c->cursor)
				c->cursor = chunk;
			stdio_wake_locked(c);
		}
	}
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

/**
 * stdio_client_advance() - The chunk under the cursor was sent: go to the next
 * @c: Client with a cursor
 */
void stdio_client_advance(struct stdio_client *c)
{
	struct stdio_chunk *chunk = c->cursor, *next = chunk->next;

	while (next && !stdio_client_wants(c, next))
		next = next->next;
	c->cursor = next;
	c->sent = 0;
	if (--chunk->refs == 0) {
		DL_DELETE(c->io->chunks, chunk);
		chunk_free(c->io, chunk);
	}
}

/**
 * stdio_client_join() - Register a client: it gets all output from now on
 * @io: Process
 * @c:	Client
 */
void stdio_client_join(struct stdio *io, struct stdio_client *c)
{
	if (io->chunks)
		io->chunks->prev->frozen = true; /* what it holds is older than the client */
	c->io = io;
	stdio_ref_locked(io);
	DL_APPEND(io->clients, c);
}

/**
 * stdio_client_leave() - Forget a client and what was waiting for it
 * @io: Process
 * @c:	Client
 */
void stdio_client_leave(struct stdio *io, struct stdio_client *c)
{
	while (c->cursor)
		stdio_client_advance(c);
	DL_DELETE(io->clients, c);
	if (io->held)
		stdio_ack_soon_locked(io);
}

/**
 * stdio_clients_hold() - Offset up to which the clients let output be acknowledged
 * @io: Process
 *
 * Return: the offset, UINT64_MAX if none lags
 */
uint64_t stdio_clients_hold(const struct stdio *io)
{
	uint64_t window = io->cost > STDIO_COST_HOLD ? 0 : STDIO_CLIENT_WINDOW;
	const struct stdio_client *c;
	uint64_t hold = UINT64_MAX;

	DL_FOREACH (io->clients, c) {
		if (c->cursor)
			hold = MIN(hold, c->cursor->offset + window);
	}
	return hold;
}
