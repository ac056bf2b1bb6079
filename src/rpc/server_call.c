/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_call.c - the calls of one session: from HTTP/2 streams to handlers and back
 *
 * A call exists from the first header to the end of its stream. Its handler hears of it when the
 * headers are complete and name a method, gets its messages, and hears `closed` at the end. It is
 * answered by response headers, messages and trailers; or by trailers alone where it is finished
 * before any message.
 *
 * Flow control: the connection's window is given back at once, so that a stalled call never costs
 * the others anything. The stream's window is given back as bytes are handled; for a method with
 * manual_consume, the contents of a message's `bytes` fields are held until rpc_server_consume().
 * A message that is larger than HOLD_MAX is not held: it could not arrive otherwise.
 */
#include "rpc/server_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/util.h"

#define HOLD_MAX KIB(256)

static struct server_call *call_of(struct rpc_server_call *call)
{
	return container_of(call, struct server_call, pub);
}

static struct server_call *call_find(struct rpc_server *server, int32_t id)
{
	return nghttp2_session_get_stream_user_data(server->session, id);
}

/* Takes a call out of its session, tells the handler, frees it. */
static void call_end(struct server_call *call)
{
	DL_DELETE(call->pub.server->calls, call);
	call->finished = true;
	if (call->ready && call->pub.method->closed)
		call->pub.method->closed(&call->pub);
	rpc_queue_clear(&call->queue);
	rpc_reader_done(&call->reader);
	free(call->text);
	free(call);
}

/* Gives back to the stream's window what nobody holds. */
static void call_give_back(struct server_call *call)
{
	size_t keep = call->held, give;

	if (call->pub.method->manual_consume && call->reader.want <= HOLD_MAX)
		keep += rpc_reader_pending(&call->reader);
	give = call->unacked - MIN(keep, call->unacked);
	if (give == 0)
		return;
	call->unacked -= give;
	/* fails only without memory, which ends the session at the next frame */
	(void)nghttp2_session_consume_stream(call->pub.server->session, call->id, give);
}

/* Bytes in the `bytes` fields of a message, not of those inside it. */
static size_t message_payload(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	size_t total = 0;

	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const void *member = (const char *)message + field->offset;

		if (field->type == PROTOBUF_C_TYPE_BYTES && field->quantifier_offset == 0 &&
		    field->label != PROTOBUF_C_LABEL_REPEATED)
			total += ((const ProtobufCBinaryData *)member)->len;
	}
	return total;
}

static void call_deliver(struct server_call *call, const uint8_t *body, size_t len)
{
	const struct rpc_method *method = call->pub.method;
	ProtobufCMessage *message;

	if (rpc_unpack(method->request_type, body, len, &message) < 0) {
		rpc_server_finish(&call->pub, RPC_INVALID_ARGUMENT, "malformed request message");
		return;
	}
	call->messages++;
	if (method->manual_consume && len <= HOLD_MAX)
		call->held += message_payload(message);
	method->message(&call->pub, message);
	protobuf_c_message_free_unpacked(message, NULL);
}

static int server_on_data(nghttp2_session *session, uint8_t flags UNUSED, int32_t id,
			  const uint8_t *data, size_t len, void *user)
{
	struct server_call *call = call_find(user, id);
	const uint8_t *body;
	size_t body_len;
	int r;

	if (nghttp2_session_consume_connection(session, len) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (!call || !call->ready)
		return 0;
	call->unacked += len;
	while (!call->finished) {
		r = rpc_reader_next(&call->reader, &data, &len, &body, &body_len);
		if (r == 1)
			call_deliver(call, body, body_len);
		else if (r == -EMSGSIZE)
			rpc_server_finish(&call->pub, RPC_RESOURCE_EXHAUSTED, "message too large");
		else if (r < 0)
			rpc_server_finish(&call->pub,
					  r == -ENOTSUP ? RPC_UNIMPLEMENTED : RPC_INTERNAL,
					  "cannot read the request message");
		if (r <= 0)
			break;
	}
	call_give_back(call);
	return 0;
}

static int server_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct rpc_server *server = user;
	struct server_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = calloc(1, sizeof(*call));
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
	call->pub.server = server;
	call->id = frame->hd.stream_id;
	DL_APPEND(server->calls, call);
	(void)nghttp2_session_set_stream_user_data(session, call->id, call); /* it exists */
	return 0;
}

static const struct rpc_method *server_method(const struct rpc_server *server, const uint8_t *path,
					      size_t len)
{
	for (const struct rpc_method *m = server->methods; m->path; m++)
		if (rpc_header_is(path, len, m->path))
			return m;
	return NULL;
}

static int server_on_header(nghttp2_session *session UNUSED, const nghttp2_frame *frame,
			    const uint8_t *name, size_t name_len, const uint8_t *value,
			    size_t value_len, uint8_t flags UNUSED, void *user)
{
	static const char type[] = "application/grpc";
	struct server_call *call = call_find(user, frame->hd.stream_id);

	if (!call || call->ready)
		return 0;
	call->header_bytes += name_len + value_len + 32; /* as RFC 9113 counts them */
	if (call->header_bytes > RPC_HEADERS_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (rpc_header_is(name, name_len, ":path"))
		call->pub.method = server_method(user, value, value_len);
	else if (rpc_header_is(name, name_len, ":method"))
		call->is_post = rpc_header_is(value, value_len, "POST");
	else if (rpc_header_is(name, name_len, "content-type"))
		call->is_grpc =
			value_len >= sizeof(type) - 1 && memcmp(value, type, sizeof(type) - 1) == 0;
	return 0;
}

static void call_refuse_http(struct server_call *call, const char *status)
{
	const nghttp2_nv headers[] = {
		{.name = (uint8_t *)":status",
		 .value = (uint8_t *)status,
		 .namelen = 7,
		 .valuelen = 3},
	};

	call->finished = true;
	call->responded = true;
	(void)nghttp2_submit_response(call->pub.server->session, call->id, headers, 1, NULL);
}

static void call_on_headers(struct server_call *call)
{
	if (!call->is_post) {
		call_refuse_http(call, "405");
	} else if (!call->is_grpc) {
		call_refuse_http(call, "415");
	} else if (!call->pub.method) {
		rpc_server_finish(&call->pub, RPC_UNIMPLEMENTED, "unknown method");
	} else {
		call->ready = true;
	}
}

static void call_on_half_closed(struct server_call *call)
{
	call->remote_closed = true;
	if (!call->ready || call->finished)
		return;
	if (rpc_reader_pending(&call->reader) > 0)
		rpc_server_finish(&call->pub, RPC_INVALID_ARGUMENT, "incomplete request message");
	else if (call->pub.method->half_closed)
		call->pub.method->half_closed(&call->pub);
	else if (call->messages == 0)
		rpc_server_finish(&call->pub, RPC_INVALID_ARGUMENT, "no request message");
}

static int server_on_frame(nghttp2_session *session UNUSED, const nghttp2_frame *frame, void *user)
{
	struct server_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = call_find(user, frame->hd.stream_id);
	if (!call)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		call_on_headers(call);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		call_on_half_closed(call);
	return 0;
}

/* A call that was answered while the client still sends: it need not go on. */
static int server_on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct server_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = call_find(user, frame->hd.stream_id);
	if (call && !call->remote_closed)
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->id,
						NGHTTP2_NO_ERROR);
	return 0;
}

static int server_on_close(nghttp2_session *session UNUSED, int32_t id, uint32_t error UNUSED,
			   void *user)
{
	struct server_call *call = call_find(user, id);

	if (call)
		call_end(call);
	return 0;
}

static size_t call_trailers(const struct server_call *call, char digits[static 4],
			    char text[static 3 * RPC_TEXT_MAX], nghttp2_nv trailers[static 2])
{
	size_t n = 0;

	trailers[n++] = (nghttp2_nv){
		.name = (uint8_t *)"grpc-status",
		.namelen = 11,
		.value = (uint8_t *)digits,
		.valuelen = (size_t)snprintf(digits, 4, "%u", (unsigned int)call->status % 100),
	};
	if (call->text)
		trailers[n++] = (nghttp2_nv){
			.name = (uint8_t *)"grpc-message",
			.namelen = 12,
			.value = (uint8_t *)text,
			.valuelen = rpc_text_encode(call->text, text),
		};
	return n;
}

/* Hands the next piece of a call's queue to nghttp2; the trailers follow the last. */
static ssize_t server_read_queue(nghttp2_session *session, int32_t id, uint8_t *buf, size_t size,
				 uint32_t *flags, nghttp2_data_source *source, void *user UNUSED)
{
	struct server_call *call = source->ptr;
	char digits[4], text[3 * RPC_TEXT_MAX];
	nghttp2_nv trailers[2];
	size_t n = rpc_queue_read(&call->queue, buf, size);

	if (!call->queue.head && call->finished) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, id, trailers,
					   call_trailers(call, digits, text, trailers)) != 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		return (ssize_t)n;
	}
	if (n == 0) {
		call->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (call->want_writable && call->queue.bytes < RPC_STREAM_QUEUE_MAX / 2) {
		call->want_writable = false;
		if (call->pub.method->writable)
			call->pub.method->writable(&call->pub);
	}
	return (ssize_t)n;
}

static int call_respond(struct server_call *call)
{
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = server_read_queue};
	nghttp2_nv headers[4] = {
		RPC_NV(":status", "200"),
		RPC_NV("content-type", "application/grpc"),
	};
	char digits[4], text[3 * RPC_TEXT_MAX];
	bool trailers_only = call->finished && !call->queue.head;
	size_t n = 2;
	int r;

	if (trailers_only)
		n += call_trailers(call, digits, text, headers + n);
	r = nghttp2_submit_response(call->pub.server->session, call->id, headers, n,
				    trailers_only ? NULL : &provider);
	if (r != 0)
		return -ENOMEM;
	call->responded = true;
	return 0;
}

/* New data or the end: the headers go first, then nghttp2 asks for more. */
static int call_kick(struct server_call *call)
{
	if (!call->responded)
		return call_respond(call);
	if (call->deferred) {
		call->deferred = false;
		/* fails only for a stream that is closing */
		(void)nghttp2_session_resume_data(call->pub.server->session, call->id);
	}
	return 0;
}

/**
 * rpc_server_send() - Queue one message
 * @call:    Call whose `closed` did not run yet
 * @message: Message, stays the caller's
 *
 * Return: 0; -EAGAIN when more than RPC_STREAM_QUEUE_MAX bytes wait for the client (nothing was
 * queued, `writable` will be called); -EPIPE when the call was finished or its session retired;
 * -EMSGSIZE; -ENOMEM
 */
int rpc_server_send(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	struct server_call *c = call_of(call);
	struct rpc_msg *msg;
	size_t len = protobuf_c_message_get_packed_size(message) + RPC_PREFIX_LEN;
	int r;

	if (c->finished || !call->server->session)
		return -EPIPE;
	if (c->queue.bytes > 0 && c->queue.bytes + len > RPC_STREAM_QUEUE_MAX) {
		c->want_writable = true;
		return -EAGAIN;
	}
	r = rpc_msg_new(message, &msg);
	if (r < 0)
		return r;
	rpc_queue_push(&c->queue, msg);
	return call_kick(c);
}

/**
 * rpc_server_finish() - End a call, after what was sent
 * @call:   Call; nothing happens if it was finished already
 * @status: gRPC status
 * @text:   The same in words, or NULL
 */
void rpc_server_finish(struct rpc_server_call *call, enum rpc_status status, const char *text)
{
	struct server_call *c = call_of(call);

	if (c->finished || !call->server->session)
		return;
	c->finished = true;
	c->status = status;
	if (text && *text)
		c->text = strdup(text); /* without memory, the status alone must do */
	if (call_kick(c) < 0)
		(void)nghttp2_submit_rst_stream(call->server->session, NGHTTP2_FLAG_NONE, c->id,
						NGHTTP2_INTERNAL_ERROR);
}

/**
 * rpc_server_reply() - Send one message and end the call with RPC_OK
 * @call:    Call
 * @message: Message, stays the caller's
 */
void rpc_server_reply(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	struct server_call *c = call_of(call);
	struct rpc_msg *msg;

	if (c->finished || !call->server->session)
		return;
	if (rpc_msg_new(message, &msg) < 0) {
		rpc_server_finish(call, RPC_RESOURCE_EXHAUSTED, "the answer is too large");
		return;
	}
	rpc_queue_push(&c->queue, msg);
	rpc_server_finish(call, RPC_OK, NULL);
}

/**
 * rpc_server_consume() - Give payload bytes of a manual_consume call back to flow control
 * @call:  Call whose `closed` did not run yet
 * @bytes: How many bytes of `bytes` fields were dealt with; more than there were is all of them
 */
void rpc_server_consume(struct rpc_server_call *call, size_t bytes)
{
	struct server_call *c = call_of(call);

	c->held -= MIN(bytes, c->held);
	if (call->server->session)
		call_give_back(c);
}

/**
 * server_session_new() - Begin a session
 * @server: Server without one
 *
 * Return: 0, or -ENOMEM
 */
int server_session_new(struct rpc_server *server)
{
	nghttp2_session_callbacks *callbacks;
	int r;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, server_on_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, server_on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, server_on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, server_on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, server_on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, server_on_close);
	r = rpc_session_new(true, callbacks, server, &server->session);
	nghttp2_session_callbacks_del(callbacks);
	return r;
}

/**
 * server_session_end() - Close every call and drop the session with what it had not sent
 * @server: Server, with a session or without
 */
void server_session_end(struct rpc_server *server)
{
	nghttp2_session *session = server->session;

	server->session = NULL; /* handlers' sends are refused from here */
	rpc_out_reset(&server->out);
	while (server->calls)
		call_end(server->calls);
	if (session)
		nghttp2_session_del(session);
}
