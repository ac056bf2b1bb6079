/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_stream.c - calls as the rest of the daemon sees them: streams, and unary on top of them
 *
 * The functions of client.h run on any thread and only touch what client->lock guards; the
 * client_stream_* ones run on the loop thread. A unary call is a stream whose messages land in a
 * struct unary that the waiting thread and the stream share; whoever comes last frees it.
 */
#include "rpc/client_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

static void stream_free(struct rpc_stream *stream)
{
	rpc_queue_clear(&stream->queue);
	rpc_reader_done(&stream->reader);
	free(stream->text);
	free(stream->path);
	free(stream);
}
DEFINE_CLEANUP(struct rpc_stream *, stream_free)

/**
 * client_stream_end() - Take a stream out of its client, tell its owner, free it
 * @stream: Stream
 * @status: How the call ended
 * @text:   The same in words; may belong to @stream
 */
void client_stream_end(struct rpc_stream *stream, enum rpc_status status, const char *text)
{
	struct rpc_client *client = stream->client;

	if (stream->id)
		HASH_DEL(client->by_id, stream);
	pthread_mutex_lock(&client->lock);
	if (stream->asked)
		DL_DELETE2(client->dirty, stream, dirty_prev, dirty_next);
	DL_DELETE(client->streams, stream);
	stream->asked = 0;
	stream->ended = true; /* keeps it off the lists, whatever `closed` asks of it */
	pthread_mutex_unlock(&client->lock);
	stream->ops.closed(stream->user, status, text);
	stream_free(stream);
}

/**
 * client_stream_apply() - Do on the loop thread what was asked of a stream
 * @client: Client
 * @stream: Stream, taken off the dirty list
 * @asked:  enum stream_ask bits
 */
void client_stream_apply(struct rpc_client *client, struct rpc_stream *stream, unsigned int asked)
{
	int r;

	if (asked & STREAM_ASK_CANCEL) {
		if (stream->id)
			(void)nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE,
							stream->id, NGHTTP2_CANCEL);
		client_stream_end(stream, RPC_CANCELLED, "cancelled");
		return;
	}
	if (!stream->id) {
		r = client_submit(client, stream);
		if (r < 0)
			client_stream_end(stream, RPC_UNAVAILABLE, strerror(-r));
		return;
	}
	if (stream->deferred) {
		stream->deferred = false;
		/* fails only for a stream that is closing */
		(void)nghttp2_session_resume_data(client->session, stream->id);
	}
}

/* Makes a stream and hands it to the loop thread; *@ret_stream is set before anything runs. */
static int stream_start(struct rpc_client *client, const char *method,
			const ProtobufCMessage *first, bool only_first,
			const ProtobufCMessageDescriptor *reply_type,
			const struct rpc_stream_ops *ops, void *user,
			struct rpc_stream **ret_stream)
{
	_cleanup_(stream_freep) struct rpc_stream *stream = calloc(1, sizeof(*stream));
	struct rpc_msg *msg;
	bool wake;
	int r;

	if (!stream)
		return -ENOMEM;
	stream->client = client;
	stream->type = reply_type;
	stream->ops = *ops;
	stream->user = user;
	stream->status = -1;
	stream->send_closed = only_first;
	stream->path = strdup(method);
	if (!stream->path)
		return -ENOMEM;
	if (first) {
		r = rpc_msg_new(first, &msg);
		if (r < 0)
			return r;
		rpc_queue_push(&stream->queue, msg);
	}
	pthread_mutex_lock(&client->lock);
	if (client->dead) {
		pthread_mutex_unlock(&client->lock);
		return -EPIPE;
	}
	*ret_stream = stream;
	DL_APPEND(client->streams, stream);
	wake = client_mark(TAKE_PTR(stream), STREAM_ASK_OPEN);
	pthread_mutex_unlock(&client->lock);
	if (wake)
		(void)client_wake(client, false); /* without memory, the next one brings it along */
	return 0;
}

/**
 * rpc_stream_open() - Begin a streaming call of any kind
 * @client:	Client
 * @method:	"/package.Service/Method"
 * @first:	First message, or NULL
 * @reply_type:	Type of the messages that come back
 * @ops:	Callbacks, copied; they run on the loop thread
 * @user:	Their first argument
 * @ret_stream:	The stream, valid until ops->closed returned; set before any callback runs
 *
 * Return: 0, -EPIPE when the connection ended, -EMSGSIZE or -ENOMEM; no callback runs then
 */
int rpc_stream_open(struct rpc_client *client, const char *method, const ProtobufCMessage *first,
		    const ProtobufCMessageDescriptor *reply_type, const struct rpc_stream_ops *ops,
		    void *user, struct rpc_stream **ret_stream)
{
	return stream_start(client, method, first, false, reply_type, ops, user, ret_stream);
}

/**
 * rpc_stream_send() - Queue one message
 * @stream:  Stream whose `closed` did not run yet
 * @message: Message, stays the caller's
 *
 * Return: 0; -EAGAIN when more than RPC_STREAM_QUEUE_MAX bytes wait for the agent (nothing was
 * queued, `writable` will be called); -EPIPE when our side of the stream ended; -EMSGSIZE; -ENOMEM
 */
int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *message)
{
	struct rpc_client *client = stream->client;
	_cleanup_free_ struct rpc_msg *msg = NULL;
	bool wake = false;
	int r;

	r = rpc_msg_new(message, &msg);
	if (r < 0)
		return r;
	pthread_mutex_lock(&client->lock);
	if (stream->ended || stream->send_closed || (stream->asked & STREAM_ASK_CANCEL)) {
		r = -EPIPE;
	} else if (stream->queue.bytes > 0 &&
		   stream->queue.bytes + msg->len > RPC_STREAM_QUEUE_MAX) {
		stream->want_writable = true;
		r = -EAGAIN;
	} else {
		rpc_queue_push(&stream->queue, TAKE_PTR(msg));
		wake = client_mark(stream, STREAM_ASK_SEND);
	}
	pthread_mutex_unlock(&client->lock);
	if (wake)
		(void)client_wake(client, false); /* as in stream_start() */
	return r;
}

static void stream_ask(struct rpc_stream *stream, unsigned int ask)
{
	struct rpc_client *client = stream->client;
	bool wake = false;

	pthread_mutex_lock(&client->lock);
	if (!stream->ended && (!stream->send_closed || (ask & STREAM_ASK_CANCEL))) {
		stream->send_closed = true;
		wake = client_mark(stream, ask);
	}
	pthread_mutex_unlock(&client->lock);
	if (wake)
		(void)client_wake(client, false); /* as in stream_start() */
}

/**
 * rpc_stream_close_send() - No more messages from us, after those that are queued
 * @stream: Stream whose `closed` did not run yet
 */
void rpc_stream_close_send(struct rpc_stream *stream)
{
	stream_ask(stream, STREAM_ASK_SEND);
}

/**
 * rpc_stream_cancel() - End the call with RPC_CANCELLED
 * @stream: Stream whose `closed` did not run yet; it follows, later, on the loop thread
 */
void rpc_stream_cancel(struct rpc_stream *stream)
{
	stream_ask(stream, STREAM_ASK_CANCEL);
}

/* A unary call. The waiting thread gives up by setting abandoned, under the lock. */
struct unary {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done, abandoned;
	enum rpc_status status;
	unsigned int replies;
	ProtobufCMessage *reply; /* owned */
	char text[RPC_TEXT_MAX];
};

static void unary_free(struct unary *unary)
{
	if (unary->reply)
		protobuf_c_message_free_unpacked(unary->reply, NULL);
	pthread_cond_destroy(&unary->cond);
	pthread_mutex_destroy(&unary->lock);
	free(unary);
}
DEFINE_CLEANUP(struct unary *, unary_free)

static struct unary *unary_new(void)
{
	struct unary *unary = calloc(1, sizeof(*unary));
	pthread_condattr_t attr;

	if (!unary)
		return NULL;
	pthread_mutex_init(&unary->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&unary->cond, &attr);
	pthread_condattr_destroy(&attr);
	return unary;
}

static void unary_on_message(void *user, ProtobufCMessage *message)
{
	struct unary *unary = user;

	unary->replies++;
	if (unary->reply)
		protobuf_c_message_free_unpacked(message, NULL);
	else
		unary->reply = message;
}

static void unary_on_closed(void *user, enum rpc_status status, const char *text)
{
	struct unary *unary = user;
	bool abandoned;

	pthread_mutex_lock(&unary->lock);
	unary->status = status;
	(void)snprintf(unary->text, sizeof(unary->text), "%s", text); /* cutting is fine */
	if (status == RPC_OK && unary->replies != 1) {
		unary->status = RPC_INTERNAL;
		(void)snprintf(unary->text, sizeof(unary->text), "%u answers instead of one",
			       unary->replies);
	}
	unary->done = true;
	abandoned = unary->abandoned;
	pthread_cond_signal(&unary->cond);
	pthread_mutex_unlock(&unary->lock);
	if (abandoned)
		unary_free(unary);
}

/* Return: whether the call ended in time; if not, it was cancelled and @unary is its stream's. */
static bool unary_wait(struct unary *unary, struct rpc_stream *stream, unsigned int timeout_ms)
{
	int64_t until = clock_monotonic_ns() + timeout_ms * NSEC_PER_MSEC;
	struct timespec ts = {until / NSEC_PER_SEC, until % NSEC_PER_SEC};
	bool done;
	int r = 0;

	pthread_mutex_lock(&unary->lock);
	while (!unary->done && r == 0)
		r = timeout_ms ? pthread_cond_timedwait(&unary->cond, &unary->lock, &ts)
			       : pthread_cond_wait(&unary->cond, &unary->lock);
	done = unary->done;
	if (!done) {
		unary->abandoned = true;
		rpc_stream_cancel(stream); /* lives: `closed` waits for our lock */
	}
	pthread_mutex_unlock(&unary->lock);
	return done;
}

static enum err_kind unary_err_kind(enum rpc_status status)
{
	switch (status) {
	case RPC_INVALID_ARGUMENT:
		return ERR_INVALID;
	case RPC_NOT_FOUND:
		return ERR_NOT_FOUND;
	case RPC_ALREADY_EXISTS:
	case RPC_FAILED_PRECONDITION:
		return ERR_CONFLICT;
	case RPC_PERMISSION_DENIED:
		return ERR_FORBIDDEN;
	case RPC_UNIMPLEMENTED:
		return ERR_NOT_IMPLEMENTED;
	case RPC_UNAVAILABLE:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

/**
 * rpc_call() - Unary call, blocking
 * @client:	Client
 * @method:	"/package.Service/Method"
 * @request:	Request, stays the caller's
 * @reply_type:	Type of the answer
 * @timeout_ms:	Milliseconds to wait; 0 = as long as the connection lives
 * @ret_reply:	The answer, freed with protobuf_c_message_free_unpacked(); may be NULL
 * @err:	Filled on failure, also where the return value is positive
 *
 * Any thread but the loop's.
 *
 * Return: 0; a positive enum rpc_status that the agent answered (RPC_UNAVAILABLE: the channel is
 * gone); -ETIMEDOUT; or another negative errno
 */
int rpc_call(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *reply_type, unsigned int timeout_ms,
	     ProtobufCMessage **ret_reply, struct err *err)
{
	static const struct rpc_stream_ops ops = {.message = unary_on_message,
						  .closed = unary_on_closed};
	_cleanup_(unary_freep) struct unary *unary = unary_new();
	struct rpc_stream *stream;
	int r;

	assert(!loop_on_thread(client->loop));
	if (!unary)
		return err_oom(err);
	r = stream_start(client, method, request, true, reply_type, &ops, unary, &stream);
	if (r == -EPIPE) {
		(void)err_user(err, ERR_UNAVAILABLE, "the agent's channel is gone");
		return RPC_UNAVAILABLE;
	}
	if (r < 0)
		return err_sys(err, r, "cannot call %s", method);
	if (!unary_wait(unary, stream, timeout_ms)) {
		(void)TAKE_PTR(unary);
		return err_sys(err, -ETIMEDOUT, "no answer to %s", method);
	}
	if (unary->status != RPC_OK) {
		(void)err_user(err, unary_err_kind(unary->status), "%s", unary->text);
		return (int)unary->status;
	}
	if (ret_reply)
		*ret_reply = TAKE_PTR(unary->reply);
	return 0;
}
