/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - one gRPC connection to an agent: its descriptor, its life and its thread
 *
 * DOC: Theory of operation
 *
 *     SYNCING -> OPEN -> ENDED
 *
 * A client is born SYNCING: the preamble, HTTP/2's preface and whatever is asked of it go out at
 * once, and incoming bytes are thrown away until the agent's answer (sync.c). It ends when the
 * channel does, when the agent breaks the protocol, or by rpc_client_free(). Then every stream is
 * closed with RPC_UNAVAILABLE, and new calls are refused with it.
 *
 * HTTP/2 is spoken on the loop thread only. Other threads put packed messages into a stream's
 * queue and flags into stream->asked, mark the stream dirty, and post one flush for however many
 * of these gather before the loop thread gets to it; so they leave in one write. client->lock
 * covers only that hand-over and is never held while a callback runs.
 *
 * A stream is freed on the loop thread right after its `closed` ran. The client's memory goes with
 * the last reference: a flush that was posted may come after rpc_client_free().
 *
 * Hostile: every incoming byte. Limits: SYNC_SKIP_MAX before the answer, RPC_MESSAGE_MAX and
 * RPC_UNPACK_MAX per message, RPC_HEADERS_MAX per header block, one message in pieces per stream
 * that we opened, RPC_BACKLOG_MAX frames the agent does not read, RPC_STREAM_QUEUE_MAX per stream.
 */
#include "rpc/client_priv.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/util.h"

#define SYNC_SKIP_MAX MIB(8) /* old bytes in front of the answer */
#define CLIENT_READ_SIZE KIB(64)
#define CLIENT_READS_MAX 4    /* per event, so that other descriptors get their turn */
#define CLIENT_FLUSHES_MAX 16 /* likewise, while `writable` keeps producing */

static void client_unref(struct rpc_client *client)
{
	unsigned int refs;

	pthread_mutex_lock(&client->lock);
	refs = --client->refs;
	pthread_mutex_unlock(&client->lock);
	if (refs > 0)
		return;
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* Loop thread, outside of the session's callbacks. */
static void client_end(struct rpc_client *client, int reason)
{
	const char *why = reason ? strerror(-reason) : "closed";
	struct rpc_stream *stream;

	if (!client->watch)
		return;
	loop_fd_remove(client->watch);
	client->watch = NULL;
	(void)close(client->fd); /* nobody left to tell */
	client->fd = -EBADF;
	rpc_out_reset(&client->out);
	pthread_mutex_lock(&client->lock);
	client->dead = true;
	while ((stream = client->streams)) {
		char text[128];

		pthread_mutex_unlock(&client->lock);
		(void)snprintf(text, sizeof(text), "the agent's channel is gone: %s", why);
		client_stream_end(stream, RPC_UNAVAILABLE, text);
		pthread_mutex_lock(&client->lock);
	}
	pthread_mutex_unlock(&client->lock);
	nghttp2_session_del(client->session);
	client->session = NULL;
	if (client->closed)
		client->closed(client->user, reason);
}

static void client_watch(struct rpc_client *client)
{
	int events = POLLIN | (rpc_out_pending(&client->out) ? POLLOUT : 0);

	if (events == client->events)
		return;
	loop_fd_set(client->watch, events);
	client->events = events;
}

static struct rpc_stream *client_take_dirty(struct rpc_client *client, unsigned int *ret_asked)
{
	struct rpc_stream *stream;

	pthread_mutex_lock(&client->lock);
	stream = client->dirty;
	if (stream) {
		DL_DELETE2(client->dirty, stream, dirty_prev, dirty_next);
		*ret_asked = stream->asked;
		stream->asked = 0;
	}
	pthread_mutex_unlock(&client->lock);
	return stream;
}

/* Does what was asked and sends what can be sent. */
static int client_flush(struct rpc_client *client)
{
	for (unsigned int i = 0; i < CLIENT_FLUSHES_MAX; i++) {
		struct rpc_stream *stream;
		unsigned int asked;
		int r;

		while ((stream = client_take_dirty(client, &asked)))
			client_stream_apply(client, stream, asked);
		r = rpc_out_flush(&client->out, client->session, client->fd);
		if (client->failure)
			return client->failure;
		if (r < 0)
			return r;
		if (nghttp2_session_get_outbound_queue_size(client->session) > RPC_BACKLOG_MAX)
			return -EPROTO;
		if (!nghttp2_session_want_read(client->session) &&
		    !nghttp2_session_want_write(client->session))
			return -EPROTO; /* it said GOAWAY, or was told so for what it sent */
		pthread_mutex_lock(&client->lock);
		stream = client->dirty;
		pthread_mutex_unlock(&client->lock);
		if (!stream)
			return 0;
	}
	return client_wake(client, true);
}

static int client_feed(struct rpc_client *client, const uint8_t *data, size_t len)
{
	size_t used = 0;

	if (!client->synced) {
		used = rpc_scan_feed(&client->scan, data, len);
		if (used == 0) {
			client->skipped += len;
			return client->skipped > SYNC_SKIP_MAX ? -EPROTO : 0;
		}
		client->synced = true;
	}
	return used < len ? client_session_feed(client, data + used, len - used) : 0;
}

static int client_read(struct rpc_client *client)
{
	uint8_t buf[CLIENT_READ_SIZE];

	for (unsigned int i = 0; i < CLIENT_READS_MAX; i++) {
		ssize_t n = read(client->fd, buf, sizeof(buf));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		r = client_feed(client, buf, (size_t)n);
		if (r < 0)
			return r;
		if ((size_t)n < sizeof(buf))
			return 0;
	}
	return 0;
}

static void client_on_event(void *user, int events)
{
	struct rpc_client *client = user;
	int r = 0;

	client->busy = true;
	if (events & ~POLLOUT)
		r = client_read(client);
	if (r == 0 && (events & POLLERR))
		r = -EIO; /* libuv watches no longer, whatever read() found */
	if (r == 0)
		r = client_flush(client);
	client->busy = false;
	if (r < 0)
		client_end(client, r);
	else
		client_watch(client);
}

static void client_on_flush(void *user)
{
	struct rpc_client *client = user;
	int r;

	pthread_mutex_lock(&client->lock);
	client->posted = false;
	pthread_mutex_unlock(&client->lock);
	if (client->watch) {
		client->busy = true;
		r = client_flush(client);
		client->busy = false;
		if (r < 0)
			client_end(client, r);
		else
			client_watch(client);
	}
	client_unref(client);
}

/**
 * client_mark() - Ask something of a stream; client->lock held
 * @stream: Stream
 * @ask:    enum stream_ask bits
 *
 * Return: whether the loop thread must be woken: client_wake() after the lock was given back
 */
bool client_mark(struct rpc_stream *stream, unsigned int ask)
{
	struct rpc_client *client = stream->client;

	if (!stream->asked)
		DL_APPEND2(client->dirty, stream, dirty_prev, dirty_next);
	stream->asked |= ask;
	if (client->posted)
		return false;
	if (loop_on_thread(client->loop) && client->busy)
		return false;
	client->posted = true;
	client->refs++;
	return true;
}

/**
 * client_wake() - Have the loop thread flush
 * @client: Client
 * @post:   Post one now, not on behalf of client_mark()
 *
 * Return: 0, or -ENOMEM
 */
int client_wake(struct rpc_client *client, bool post)
{
	int r;

	if (post) {
		pthread_mutex_lock(&client->lock);
		if (client->posted) {
			pthread_mutex_unlock(&client->lock);
			return 0;
		}
		client->posted = true;
		client->refs++;
		pthread_mutex_unlock(&client->lock);
	}
	r = loop_post(client->loop, client_on_flush, client);
	if (r < 0) {
		pthread_mutex_lock(&client->lock);
		client->posted = false;
		pthread_mutex_unlock(&client->lock);
		client_unref(client);
	}
	return r;
}

struct client_start {
	struct rpc_client *client;
	int r;
};

static void client_on_start(void *user)
{
	struct client_start *start = user;
	struct rpc_client *client = start->client;

	start->r = loop_fd_add(client->loop, client->fd, POLLIN, client_on_event, client,
			       &client->watch);
	if (start->r < 0)
		return;
	client->events = POLLIN;
	/* A channel that fails already is reported like one that fails later. */
	client->busy = true;
	start->r = client_flush(client);
	client->busy = false;
	if (start->r < 0) {
		client->failure = start->r;
		(void)client_wake(client, true); /* that flush ends it */
	} else {
		client_watch(client);
	}
	start->r = 0;
}

static int client_preamble(struct rpc_client *client, const unsigned char *token)
{
	uint8_t preamble[RPC_SYNC_LEN], answer[RPC_SYNC_LEN];
	uint8_t *nonce = preamble + RPC_TOKEN_LEN;

	rpc_sync_key(token, preamble);
	if (getrandom(nonce, RPC_NONCE_LEN, 0) != RPC_NONCE_LEN)
		return -errno;
	rpc_sync_answer(nonce, answer);
	rpc_scan_set(&client->scan, answer, sizeof(answer));
	rpc_out_add(&client->out, preamble, sizeof(preamble));
	return 0;
}

/**
 * rpc_client_new() - Start a connection on a channel
 * @loop:	Loop whose thread does the work; outlives the client
 * @fd:		Connected non-blocking stream socket; the client's on success
 * @token:	What the agent's last Hello was given (RPC_TOKEN_LEN bytes), or NULL for an agent
 *		that was never given one
 * @closed:	Called once on the loop thread when the connection ended, after every stream's
 *		`closed`: with 0 by rpc_client_free(), else a negative errno, -EPROTO for an agent
 *		that broke the protocol. May be NULL
 * @user:	Its argument
 * @ret_client:	The client, owned by the caller; set before @closed can run
 *
 * Returns without waiting for the agent; calls may follow at once and are sent along. Any thread.
 *
 * Return: 0, or negative errno
 */
int rpc_client_new(struct loop *loop, int fd, const unsigned char *token, rpc_closed_fn closed,
		   void *user, struct rpc_client **ret_client)
{
	struct rpc_client *client = calloc(1, sizeof(*client));
	struct client_start start = {.client = client};
	int r;

	if (!client)
		return -ENOMEM;
	client->loop = loop;
	client->closed = closed;
	client->user = user;
	client->fd = fd;
	client->refs = 1;
	pthread_mutex_init(&client->lock, NULL);
	r = client_preamble(client, token);
	if (r == 0)
		r = client_session_new(client);
	if (r == 0) {
		*ret_client = client;
		r = loop_call(loop, client_on_start, &start);
	}
	if (r == 0)
		r = start.r;
	if (r < 0) {
		*ret_client = NULL;
		if (client->session)
			nghttp2_session_del(client->session);
		client_unref(client);
	}
	return r;
}

static void client_on_free(void *user)
{
	client_end(user, 0);
}

/**
 * rpc_client_free() - End the connection
 * @client: Client or NULL; any thread, but not inside one of its callbacks
 *
 * Ends every call with RPC_UNAVAILABLE: callbacks have run when this returns. No other thread may
 * begin a call on @client meanwhile; those that wait in rpc_call() are let go.
 * The caller must not hold a lock that one of the callbacks takes.
 */
void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	/* Out of memory here would leave a connection that nobody owns. */
	while (loop_call(client->loop, client_on_free, client) < 0)
		(void)poll(NULL, 0, 10);
	client_unref(client);
}
