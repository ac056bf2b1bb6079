/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http2.c - the HTTP/2 session as both sides set it up, and getting its bytes out
 *
 * Output is pulled: nghttp2 makes a frame only when there is room for it, so what waits for a peer
 * that does not read is its queue of control frames (bounded by RPC_BACKLOG_MAX and nghttp2's own
 * limits on acknowledgements) and one buffer. Small frames are gathered, a large one is written
 * from where nghttp2 made it: one call sends everything that the last round of the loop queued.
 */
#include "rpc/http2.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/util.h"

#define OUT_COPY_MAX KIB(4)	     /* a larger frame is not copied */
#define OUT_HEADER_BLOCK_MAX KIB(32) /* of our own; nghttp2 wants a limit */

static ssize_t session_frame_size(nghttp2_session *session UNUSED, uint8_t type UNUSED,
				  int32_t stream_id UNUSED, int32_t connection_window,
				  int32_t stream_window, uint32_t frame_max, void *user UNUSED)
{
	ssize_t n = MIN(connection_window, stream_window);

	return MAX(1, MIN(n, (ssize_t)MIN(frame_max, (uint32_t)RPC_FRAME_MAX)));
}

static int session_make(bool server, nghttp2_session_callbacks *callbacks, void *user,
			nghttp2_session **ret_session)
{
	nghttp2_option *option;
	int r;

	if (nghttp2_option_new(&option) != 0)
		return -ENOMEM;
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_settings(option, 16);
	nghttp2_option_set_max_outbound_ack(option, 1000);
	nghttp2_option_set_max_send_header_block_length(option, OUT_HEADER_BLOCK_MAX);
	nghttp2_option_set_peer_max_concurrent_streams(option, RPC_CALLS_MAX);
	nghttp2_option_set_server_fallback_rfc7540_priorities(option, 0);
	nghttp2_option_set_no_auto_window_update(option, server); /* a handler decides */
	/* A daemon may give up many calls at once; it is not the agent's enemy. */
	nghttp2_option_set_stream_reset_rate_limit(option, 100000, 10000);
	if (server)
		r = nghttp2_session_server_new2(ret_session, callbacks, user, option);
	else
		r = nghttp2_session_client_new2(ret_session, callbacks, user, option);
	nghttp2_option_del(option);
	return r == 0 ? 0 : -ENOMEM;
}

/**
 * rpc_session_new() - Make a session and queue its SETTINGS
 * @server:	 Which side
 * @callbacks:	 What to call; its frame size callback is set here; stays the caller's
 * @user:	 Their last argument
 * @ret_session: The session, owned by the caller
 *
 * Return: 0, or -ENOMEM
 */
int rpc_session_new(bool server, nghttp2_session_callbacks *callbacks, void *user,
		    nghttp2_session **ret_session)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, RPC_WINDOW_STREAM},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, RPC_FRAME_MAX},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RPC_HEADERS_MAX},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RPC_CALLS_MAX},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, /* the client's last: a server may not say it */
	};
	nghttp2_session *session;
	int r;

	nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks,
								       session_frame_size);
	r = session_make(server, callbacks, user, &session);
	if (r < 0)
		return r;
	r = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
				    ARRAY_SIZE(settings) - (server ? 1 : 0));
	if (r == 0)
		r = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
							  RPC_WINDOW_CONNECTION);
	if (r != 0) {
		nghttp2_session_del(session);
		return -ENOMEM; /* the only way in which they fail here */
	}
	*ret_session = session;
	return 0;
}

/**
 * rpc_header_is() - Compare a header's name or value
 * @text: Bytes
 * @len:  How many
 * @want: A string
 *
 * Return: whether they are the same
 */
bool rpc_header_is(const uint8_t *text, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(text, want, len) == 0;
}

/**
 * rpc_out_reset() - Forget what was not sent; before its session is freed or replaced
 * @out: Output
 */
void rpc_out_reset(struct rpc_out *out)
{
	out->start = out->end = 0;
	out->frame = NULL;
	out->frame_len = 0;
}

/**
 * rpc_out_add() - Put bytes of our own in front of the session's
 * @out:  Output, empty but for other such bytes
 * @data: Bytes
 * @len:  How many
 */
void rpc_out_add(struct rpc_out *out, const void *data, size_t len)
{
	assert(out->frame_len == 0 && len <= sizeof(out->buf) - out->end);
	memcpy(out->buf + out->end, data, len);
	out->end += len;
}

/**
 * rpc_out_pending() - Whether bytes wait that the descriptor did not take
 * @out: Output
 *
 * Return: the answer
 */
bool rpc_out_pending(const struct rpc_out *out)
{
	return out->end > out->start || out->frame_len > 0;
}

/* Gathers frames until the buffer is full, a large frame comes, or there are no more. */
static int out_fill(struct rpc_out *out, nghttp2_session *session)
{
	for (;;) {
		if (out->frame_len == 0 && session) {
			ssize_t n = nghttp2_session_mem_send(session, &out->frame);

			if (n < 0)
				return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
			out->frame_len = (size_t)n;
		}
		if (out->frame_len == 0 || out->frame_len > OUT_COPY_MAX ||
		    out->frame_len > sizeof(out->buf) - out->end)
			return 0;
		memcpy(out->buf + out->end, out->frame, out->frame_len);
		out->end += out->frame_len;
		out->frame_len = 0;
	}
}

static void out_advance(struct rpc_out *out, size_t n)
{
	size_t copied = MIN(n, out->end - out->start);

	out->start += copied;
	if (out->start == out->end)
		out->start = out->end = 0;
	out->frame += n - copied;
	out->frame_len -= n - copied;
}

/**
 * rpc_out_flush() - Write until nothing is left or the descriptor takes no more
 * @out:     Output
 * @session: Session that makes frames, or NULL
 * @fd:	     Non-blocking descriptor; SIGPIPE must be ignored
 *
 * Return: 0, also when bytes are left (rpc_out_pending()); or negative errno
 */
int rpc_out_flush(struct rpc_out *out, nghttp2_session *session, int fd)
{
	for (;;) {
		struct iovec iov[2];
		int n = 0, r;
		ssize_t sent;

		r = out_fill(out, session);
		if (r < 0)
			return r;
		if (out->end > out->start)
			iov[n++] = (struct iovec){out->buf + out->start, out->end - out->start};
		if (out->frame_len > 0)
			iov[n++] = (struct iovec){(void *)out->frame, out->frame_len};
		if (n == 0)
			return 0;
		sent = writev(fd, iov, n);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN ? 0 : -errno;
		}
		out_advance(out, (size_t)sent);
	}
}
