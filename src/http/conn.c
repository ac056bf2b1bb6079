/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c - one request, from its first line to the next one's
 *
 * DOC: Theory of operation
 *
 * libmicrohttpd runs a thread per connection, and every function here runs on it, in this order:
 *
 *     conn_request_line()  the request object is made
 *     conn_access()	    headers are in: route; then once per piece of body; then once more when
 *			    the request is complete, which is where the answer is queued
 *     conn_completed()	    the answer is out, or the client is lost
 *
 * INLINE: the handler runs inside the last conn_access(). STREAM: it runs on a thread of its own,
 * started with the first byte of body or at completion; the connection's thread feeds it and waits
 * for its answer, and joins it in conn_completed(). So a request never outlives its connection's
 * thread.
 *
 * What one request costs in system calls: none beyond libmicrohttpd's own.
 *
 * Hostile: everything from the client. Limits: see impl.h. Errors that libmicrohttpd finds by
 * itself (a malformed or endless header, a bad chunk) are answered by it, with a 4xx and no JSON.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "http/impl.h"

static void conn_set_timeout(struct MHD_Connection *mhd, unsigned int seconds)
{
	(void)MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static void req_free(struct http_req_impl *impl)
{
	for (size_t i = 0; i < impl->req.n_vars; i++)
		free(impl->req.vars[i].value);
	if (impl->response)
		MHD_destroy_response(impl->response);
	http_target_done(&impl->target);
	http_ring_done(&impl->in);
	http_ring_done(&impl->out);
	buf_done(&impl->body);
	buf_done(&impl->direct_out);
	buf_done(&impl->headers);
	cancel_done(&impl->req.gone);
	pthread_cond_destroy(&impl->changed);
	pthread_mutex_destroy(&impl->lock);
	free(impl->raw_target);
	free(impl);
}

/* The handler has returned, or never ran. */
static void req_finish(struct http_req_impl *impl)
{
	watch_request(impl->conn, NULL);
	if (impl->answer == HTTP_ANSWER_HIJACK)
		hijack_done(impl); /* the connection may be gone after this */
	req_free(impl);
}

/* Run the handler; whatever happens, the request is answered afterwards. */
static void req_run(struct http_req_impl *impl)
{
	const struct http_hooks *hooks = &impl->conn->listening->server->hooks;
	struct http_req *req = &impl->req;
	int r = -EINVAL;

	if (!impl->refused)
		r = hooks->handle(req, impl->route);
	if (req->answered)
		return;
	if (r >= 0)
		(void)err_sys(&req->err, -EPROTO, "%s %s was not answered", req->method, req->path);
	else if (req->err.kind == ERR_NONE)
		(void)err_sys(&req->err, r, "%s %s failed", req->method, req->path);
	hooks->error(req);
}

static void *req_thread(void *arg)
{
	struct http_req_impl *impl = arg;

	req_run(impl);
	if (impl->direct)
		direct_end(impl);
	pthread_mutex_lock(&impl->lock);
	impl->handler_done = true;
	pthread_cond_broadcast(&impl->changed);
	pthread_mutex_unlock(&impl->lock);
	return NULL;
}

static void req_start_thread(struct http_req_impl *impl)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HTTP_STACK_BYTES);
	r = pthread_create(&impl->thread, &attr, req_thread, impl);
	pthread_attr_destroy(&attr);
	if (r == 0) {
		impl->threaded = true;
		return;
	}
	(void)err_user(&impl->req.err, ERR_UNAVAILABLE, "cannot start a thread: %s", strerror(r));
	impl->refused = true;
}

/* Answer now, although a body may follow: libmicrohttpd closes the connection afterwards. */
static enum MHD_Result req_answer(struct http_req_impl *impl)
{
	struct MHD_Response *response = impl->response;
	enum MHD_Result ok;

	switch (impl->answer) {
	case HTTP_ANSWER_WHOLE:
		impl->response = NULL;
		break;
	case HTTP_ANSWER_STREAM:
		response = resp_stream_response(impl);
		break;
	case HTTP_ANSWER_HIJACK:
		return hijack_answer(impl);
	case HTTP_ANSWER_NONE:
		return MHD_NO; /* out of memory while rendering an error */
	}
	if (!response)
		return MHD_NO;
	ok = MHD_queue_response(impl->mhd, impl->status, response);
	MHD_destroy_response(response);
	return ok;
}

/* The whole request is in: produce the answer. */
static enum MHD_Result req_complete(struct http_req_impl *impl)
{
	conn_set_timeout(impl->mhd, 0);
	body_end(impl, false);
	watch_complete(impl);
	if (impl->mode == HTTP_STREAM && !impl->threaded && !impl->refused)
		req_start_thread(impl);
	if (!impl->threaded) {
		req_run(impl);
		return req_answer(impl);
	}
	pthread_mutex_lock(&impl->lock);
	while ((impl->answer == HTTP_ANSWER_NONE || impl->direct) && !impl->handler_done)
		pthread_cond_wait(&impl->changed, &impl->lock);
	pthread_mutex_unlock(&impl->lock);
	return impl->direct ? MHD_NO : req_answer(impl); /* direct: it is out, close */
}

static bool req_expects_continue(struct http_req *req)
{
	const char *expect = http_header(req, MHD_HTTP_HEADER_EXPECT);

	return expect && strcasecmp(expect, "100-continue") == 0;
}

static bool req_body_announced(struct http_req *req, uint64_t *ret_bytes)
{
	const char *length = http_header(req, MHD_HTTP_HEADER_CONTENT_LENGTH);

	*ret_bytes = 0;
	if (length && str_u64(length, UINT64_MAX, ret_bytes) == 0)
		return *ret_bytes > 0;
	return http_header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* Headers are in: find the route. Refusals wait until the body was discarded, so that the client
 * reads them, unless it asked first or announced more than we would discard. */
static enum MHD_Result req_route(struct http_req_impl *impl)
{
	struct http_req *req = &impl->req;
	uint64_t bytes;
	bool has_body;
	int r;

	impl->routed = true;
	r = http_target_parse(impl->raw_target ? impl->raw_target : "", &impl->target);
	if (r < 0) {
		req->path = "/";
		(void)err_user(&req->err, ERR_INVALID, "malformed request target");
	} else {
		req->path = impl->target.path;
		r = impl->conn->listening->server->hooks.route(req, &impl->mode, &impl->route);
	}
	impl->refused = r < 0;
	has_body = req_body_announced(req, &bytes);
	if (!impl->refused && impl->mode == HTTP_INLINE && bytes > HTTP_BODY_MAX) {
		(void)err_user(&req->err, ERR_INVALID, "request body too large");
		impl->refused = true;
	}
	if (impl->refused) {
		impl->mode = HTTP_INLINE;
		if (has_body && (req_expects_continue(req) || bytes > HTTP_DISCARD_MAX)) {
			req_run(impl);
			return req_answer(impl);
		}
		return MHD_YES;
	}
	if (impl->mode == HTTP_STREAM && has_body) {
		conn_set_timeout(impl->mhd, 0); /* such a body comes as slowly as it likes */
		req_start_thread(impl);
	}
	return MHD_YES;
}

/**
 * conn_request_line() - A request begins; MHD_OPTION_URI_LOG_CALLBACK
 * @cls: Listening
 * @uri: Request target as it came, or NULL if there is none
 * @mhd: Connection
 *
 * Return: the request, which becomes libmicrohttpd's context, or NULL if memory ran out
 */
void *conn_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_listening *listening = cls;
	struct http_req_impl *impl;

	if (!info || !info->socket_context)
		return NULL;
	impl = calloc(1, sizeof(*impl));
	if (!impl)
		return NULL;
	impl->conn = info->socket_context;
	impl->mhd = mhd;
	impl->hijack.fd = -EBADF;
	impl->raw_target = strdup(uri ? uri : "");
	impl->req.impl = impl;
	impl->req.user = listening->server->user;
	cancel_init(&impl->req.gone);
	pthread_mutex_init(&impl->lock, NULL);
	pthread_cond_init(&impl->changed, NULL);
	conn_set_timeout(mhd, HTTP_REQUEST_TIMEOUT_S);
	return impl;
}

/**
 * conn_access() - Headers, body, completion; MHD_AccessHandlerCallback
 * @cls:      Listening
 * @mhd:      Connection
 * @url:      Unused: decoded by libmicrohttpd, we do that ourselves
 * @method:   Method
 * @version:  "HTTP/1.1"
 * @data:     Piece of body
 * @data_len: Its length; set to 0, all is taken
 * @context:  The request
 *
 * Return: MHD_YES, or MHD_NO to cut the connection
 */
enum MHD_Result conn_access(void *cls, struct MHD_Connection *mhd UNUSED, const char *url UNUSED,
			    const char *method, const char *version, const char *data,
			    size_t *data_len, void **context)
{
	struct http_listening *listening = cls;
	struct http_req_impl *impl = *context;

	if (!impl)
		return MHD_NO;
	if (!impl->routed) {
		impl->req.method = method;
		impl->http_1_1 = str_eq(version, MHD_HTTP_VERSION_1_1);
		watch_request(impl->conn, impl);
		return listening->server->stopping ? MHD_NO : req_route(impl);
	}
	if (*data_len > 0) {
		int r = body_receive(impl, data, *data_len);

		*data_len = 0;
		return r < 0 ? MHD_NO : MHD_YES;
	}
	return req_complete(impl);
}

/**
 * conn_completed() - A request is over for libmicrohttpd; MHD_OPTION_NOTIFY_COMPLETED
 * @cls:     Listening
 * @mhd:     Connection
 * @context: The request; becomes NULL
 * @code:    How it ended
 */
void conn_completed(void *cls UNUSED, struct MHD_Connection *mhd, void **context,
		    enum MHD_RequestTerminationCode code)
{
	struct http_req_impl *impl = *context;

	*context = NULL;
	if (!impl)
		return;
	body_end(impl, true);
	if (!impl->hijack.urh) {
		pthread_mutex_lock(&impl->lock);
		impl->broken = true; /* nothing more is sent, well or not */
		pthread_cond_broadcast(&impl->changed);
		pthread_mutex_unlock(&impl->lock);
		if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
			cancel_fire(&impl->req.gone);
	}
	if (impl->threaded)
		pthread_join(impl->thread, NULL);
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !impl->hijack.urh)
		conn_set_timeout(mhd, HTTP_IDLE_TIMEOUT_S);
	req_finish(impl);
}

/* Client certificates are verified inside the handshake, against the given authority. */
static void conn_require_certificate(struct MHD_Connection *mhd)
{
	static gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
						.data = (void *)GNUTLS_KP_TLS_WWW_CLIENT};
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (!info || !info->tls_session)
		return;
	gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert2(info->tls_session, &purpose, 1, 0);
}

static struct http_conn *conn_new(struct http_listening *listening, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return NULL;
	conn->listening = listening;
	conn->fd = info->connect_fd;
	pthread_mutex_init(&conn->lock, NULL);
	r = watch_add(conn);
	if (r < 0) /* works, but nobody will tell its handlers that the client left */
		log_warn("cannot watch a connection: %s", strerror(-r));
	return conn;
}

/**
 * conn_notify() - A connection begins or ends; MHD_OPTION_NOTIFY_CONNECTION
 * @cls:     Listening
 * @mhd:     Connection
 * @context: Our connection object
 * @code:    Which of the two
 *
 * Without memory the object stays NULL, and every request of the connection is refused.
 */
void conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
		 enum MHD_ConnectionNotificationCode code)
{
	struct http_listening *listening = cls;
	struct http_conn *conn = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		if (listening->client_certificates)
			conn_require_certificate(mhd);
		*context = conn_new(listening, mhd);
	} else if (conn) {
		watch_remove(conn);
		pthread_mutex_destroy(&conn->lock);
		free(conn);
		*context = NULL;
	}
}
