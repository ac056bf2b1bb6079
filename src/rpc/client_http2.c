/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_http2.c - the client's HTTP/2 session: requests out, headers and messages in
 *
 * Everything here runs on the loop thread. Streams are found by their HTTP/2 id, never by a
 * pointer that nghttp2 keeps, so one that ended early is simply not found any more. A callback
 * that fails leaves the reason in client->failure and ends the connection.
 */
#include "rpc/client_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static int http2_fail(struct rpc_client *client, int r)
{
	client->failure = r;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static struct rpc_stream *http2_find(struct rpc_client *client, int32_t id)
{
	struct rpc_stream *stream;

	HASH_FIND_INT(client->by_id, &id, stream);
	return stream;
}

static int http2_on_header(nghttp2_session *session UNUSED, const nghttp2_frame *frame,
			   const uint8_t *name, size_t name_len, const uint8_t *value,
			   size_t value_len, uint8_t flags UNUSED, void *user)
{
	struct rpc_client *client = user;
	struct rpc_stream *stream = http2_find(client, frame->hd.stream_id);
	char text[RPC_TEXT_MAX];

	if (!stream)
		return 0;
	stream->header_bytes += name_len + value_len + 32; /* as RFC 9113 counts them */
	if (stream->header_bytes > RPC_HEADERS_MAX)
		return http2_fail(client, -EPROTO);
	if (rpc_header_is(name, name_len, ":status")) {
		stream->http_status = rpc_header_is(value, value_len, "200") ? 200 : 500;
	} else if (rpc_header_is(name, name_len, "grpc-status")) {
		stream->status = rpc_status_parse((const char *)value, value_len);
	} else if (rpc_header_is(name, name_len, "grpc-message")) {
		rpc_text_decode((const char *)value, value_len, text);
		free(stream->text);
		stream->text = strdup(text);
	}
	return 0;
}

/* The messages of one chunk. A cancelled stream lives until its cancel was applied. */
static int http2_on_data(nghttp2_session *session UNUSED, uint8_t flags UNUSED, int32_t id,
			 const uint8_t *data, size_t len, void *user)
{
	struct rpc_client *client = user;
	struct rpc_stream *stream = http2_find(client, id);
	int r;

	if (!stream)
		return 0;
	for (;;) {
		ProtobufCMessage *message;
		const uint8_t *body;
		size_t body_len;

		r = rpc_reader_next(&stream->reader, &data, &len, &body, &body_len);
		if (r == 0)
			return 0;
		if (r == 1)
			r = rpc_unpack(stream->type, body, body_len, &message);
		if (r < 0)
			return http2_fail(client, r == -ENOMEM ? r : -EPROTO);
		stream->ops.message(stream->user, message);
	}
}

static enum rpc_status http2_status(const struct rpc_stream *stream, uint32_t error_code,
				    const char **ret_text)
{
	*ret_text = stream->text ? stream->text : "";
	if (stream->status == RPC_OK && rpc_reader_pending(&stream->reader) > 0) {
		*ret_text = "the agent's last message is incomplete";
		return RPC_INTERNAL;
	}
	if (stream->status >= 0)
		return (enum rpc_status)stream->status;
	switch (error_code) {
	case NGHTTP2_CANCEL:
		*ret_text = "cancelled by the agent";
		return RPC_CANCELLED;
	case NGHTTP2_REFUSED_STREAM:
		*ret_text = "refused by the agent";
		return RPC_UNAVAILABLE;
	case NGHTTP2_NO_ERROR:
		*ret_text = "the agent's answer has no status";
		return stream->http_status == 200 ? RPC_UNKNOWN : RPC_INTERNAL;
	default:
		*ret_text = nghttp2_http2_strerror(error_code);
		return RPC_INTERNAL;
	}
}

static int http2_on_close(nghttp2_session *session UNUSED, int32_t id, uint32_t error_code,
			  void *user)
{
	struct rpc_stream *stream = http2_find(user, id);
	enum rpc_status status;
	const char *text;

	if (!stream)
		return 0;
	status = http2_status(stream, error_code, &text);
	client_stream_end(stream, status, text);
	return 0;
}

/* The agent is done. If we are not, the rest of what we send is of no use to it. */
static int http2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	int32_t id = frame->hd.stream_id;

	if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || !http2_find(user, id))
		return 0;
	if (nghttp2_session_get_stream_local_close(session, id) == 0)
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
	return 0;
}

/* A request that could not be sent: GOAWAY came first. */
static int http2_on_not_sent(nghttp2_session *session UNUSED, const nghttp2_frame *frame,
			     int error UNUSED, void *user)
{
	struct rpc_stream *stream = http2_find(user, frame->hd.stream_id);

	if (stream && frame->hd.type == NGHTTP2_HEADERS)
		client_stream_end(stream, RPC_UNAVAILABLE, "the agent takes no more calls");
	return 0;
}

/* Hands the next piece of a stream's queue to nghttp2. */
static ssize_t http2_read_queue(nghttp2_session *session UNUSED, int32_t id, uint8_t *buf,
				size_t size, uint32_t *flags, nghttp2_data_source *source UNUSED,
				void *user)
{
	struct rpc_client *client = user;
	struct rpc_stream *stream = http2_find(client, id);
	bool writable;
	size_t n;

	if (!stream)
		return NGHTTP2_ERR_DEFERRED; /* ended; its RST_STREAM is on the way */
	pthread_mutex_lock(&client->lock);
	n = rpc_queue_read(&stream->queue, buf, size);
	if (!stream->queue.head && stream->send_closed)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	writable = stream->want_writable && stream->queue.bytes < RPC_STREAM_QUEUE_MAX / 2;
	if (writable)
		stream->want_writable = false;
	pthread_mutex_unlock(&client->lock);
	if (n == 0 && !(*flags & NGHTTP2_DATA_FLAG_EOF)) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (writable && stream->ops.writable)
		stream->ops.writable(stream->user);
	return (ssize_t)n;
}

/**
 * client_session_new() - Make the client's session
 * @client: Client; its session is set
 *
 * Return: 0, or -ENOMEM
 */
int client_session_new(struct rpc_client *client)
{
	nghttp2_session_callbacks *callbacks;
	int r;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, http2_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http2_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, http2_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, http2_on_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, http2_on_not_sent);
	r = rpc_session_new(false, callbacks, client, &client->session);
	nghttp2_session_callbacks_del(callbacks);
	return r;
}

/**
 * client_session_feed() - Hand incoming bytes to the session
 * @client: Client that found the agent's answer
 * @data:   Bytes
 * @len:    How many
 *
 * Return: 0, or negative errno: the connection is of no more use
 */
int client_session_feed(struct rpc_client *client, const uint8_t *data, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(client->session, data, len);

	if (client->failure)
		return client->failure;
	if (n < 0)
		return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
	return 0;
}

/**
 * client_submit() - Put a stream's request into the session
 * @client: Client
 * @stream: Stream that was not submitted; gets its id
 *
 * Return: 0, or negative errno
 */
int client_submit(struct rpc_client *client, struct rpc_stream *stream)
{
	nghttp2_data_provider provider = {.read_callback = http2_read_queue};
	const nghttp2_nv headers[] = {
		RPC_NV(":method", "POST"),
		RPC_NV(":scheme", "http"),
		{.name = (uint8_t *)":path",
		 .namelen = 5,
		 .value = (uint8_t *)stream->path,
		 .valuelen = strlen(stream->path)},
		RPC_NV(":authority", "agent"),
		RPC_NV("content-type", "application/grpc"),
		RPC_NV("te", "trailers"),
	};
	int32_t id = nghttp2_submit_request(client->session, NULL, headers, ARRAY_SIZE(headers),
					    &provider, NULL);

	if (id < 0)
		return id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ECONNRESET; /* out of stream ids */
	stream->id = id;
	HASH_ADD_INT(client->by_id, id, stream);
	return 0;
}
