/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - a server's life, and what handlers ask about their request
 *
 * DOC: Theory of operation
 *
 * A server is one libmicrohttpd daemon per listening socket (thread per connection) and one watcher
 * thread (watch.c). http_server_stop() refuses new requests, fires `gone` of those in flight and
 * waits for their handlers; only then may libmicrohttpd be torn down, because it joins connection
 * threads that wait for handlers. If a handler does not end, the server is abandoned: it leaks,
 * which only a process about to exit will do.
 */
#include "http/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "http/impl.h"

#define STOP_POLL_US 5000

/**
 * http_server_new() - Create a server that listens nowhere yet
 * @hooks:	What it calls; copied
 * @user:	Given to every request
 * @ret_server: Set on success; http_server_free()
 *
 * Return: 0 or a negative errno
 */
int http_server_new(const struct http_hooks *hooks, void *user, struct http_server **ret_server)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->hooks = *hooks;
	server->user = user;
	pthread_mutex_init(&server->lock, NULL);
	cancel_init(&server->stopped);
	r = watch_start(server);
	if (r < 0) {
		http_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

/* libmicrohttpd's own words: about clients that misbehave, so only for debugging. */
static void server_log(void *cls UNUSED, const char *fmt, va_list ap)
{
	char text[512];

	if (log_get_level() > LOG_DEBUG)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cutting is fine */
	text[strcspn(text, "\n")] = '\0';
	log_debug("http: %s", text);
}

/**
 * http_server_listen() - Serve one more listening socket
 * @server:   Server
 * @listener: Socket; becomes the server's on success
 * @tls:      Certificates if listener.tls
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int http_server_listen(struct http_server *server, struct http_listener listener,
		       const struct http_tls *tls, struct err *err)
{
	struct http_listening *l = &server->listening[server->n_listening];
	unsigned int flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			     MHD_USE_POLL | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG | MHD_USE_ITC;
	struct MHD_OptionItem tls_options[4] = {{MHD_OPTION_END, 0, NULL}};

	if (server->n_listening == HTTP_LISTENERS_MAX)
		return err_sys(err, -EMFILE, "cannot listen on more than %d sockets",
			       HTTP_LISTENERS_MAX);
	*l = (struct http_listening){.server = server, .tls = listener.tls};
	if (listener.tls) {
		flags |= MHD_USE_TLS;
		tls_options[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
							 (void *)tls->cert_pem};
		tls_options[1] =
			(struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)tls->key_pem};
		tls_options[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
		if (tls->ca_pem) {
			tls_options[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0,
								 (void *)tls->ca_pem};
			tls_options[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
			l->client_certificates = true;
		}
	}
	l->mhd = MHD_start_daemon(
		flags, 0, NULL, NULL, conn_access, l, MHD_OPTION_EXTERNAL_LOGGER, server_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, listener.fd, MHD_OPTION_NOTIFY_COMPLETED, conn_completed,
		l, MHD_OPTION_NOTIFY_CONNECTION, conn_notify, l, MHD_OPTION_URI_LOG_CALLBACK,
		conn_request_line, l, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)HTTP_REQUEST_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_HEADER_MEMORY_MAX, MHD_OPTION_THREAD_STACK_SIZE,
		(size_t)HTTP_STACK_BYTES, MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
	if (!l->mhd)
		return err_sys(err, -EINVAL, listener.tls ? "cannot serve TLS" : "cannot serve");
	server->n_listening++;
	return 0;
}

static void server_wake_all(struct http_server *server, bool cut)
{
	struct http_conn *conn, *next;

	pthread_mutex_lock(&server->lock);
	HASH_ITER (hh, server->conns, conn, next) {
		pthread_mutex_lock(&conn->lock);
		if (conn->active) {
			cancel_fire(&conn->active->req.gone);
			if (cut)
				(void)shutdown(conn->fd, SHUT_RDWR); /* may be dead already */
		}
		pthread_mutex_unlock(&conn->lock);
	}
	pthread_mutex_unlock(&server->lock);
}

static bool server_idle(struct http_server *server)
{
	struct http_conn *conn, *next;
	bool idle = true;

	pthread_mutex_lock(&server->lock);
	HASH_ITER (hh, server->conns, conn, next) {
		pthread_mutex_lock(&conn->lock);
		idle = idle && !conn->active;
		pthread_mutex_unlock(&conn->lock);
	}
	pthread_mutex_unlock(&server->lock);
	return idle;
}

static bool server_wait_idle(struct http_server *server, int timeout_ms)
{
	int64_t end = clock_monotonic_ns() + timeout_ms * NSEC_PER_MSEC;

	while (!server_idle(server)) {
		if (clock_monotonic_ns() > end)
			return false;
		(void)usleep(STOP_POLL_US); /* an early return is fine */
	}
	return true;
}

/**
 * http_server_stop() - Stop serving
 * @server: Server or NULL
 *
 * Fires every request's `gone`, waits for the handlers (HTTP_STOP_TIMEOUT_MS, then cuts their
 * connections and waits a little more), and closes all connections and listening sockets.
 *
 * Return: false if a handler did not end: what handlers use must not be freed
 */
bool http_server_stop(struct http_server *server)
{
	if (!server || server->stopping)
		return !server || !server->abandoned;
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_mutex_unlock(&server->lock);
	for (size_t i = 0; i < server->n_listening; i++) {
		int fd = MHD_quiesce_daemon(server->listening[i].mhd);

		cleanup_close(&fd);
	}
	cancel_fire(&server->stopped);
	server_wake_all(server, false);
	if (!server_wait_idle(server, HTTP_STOP_TIMEOUT_MS)) {
		server_wake_all(server, true);
		if (!server_wait_idle(server, HTTP_STOP_TIMEOUT_MS / 4)) {
			log_warn("http: a request does not end; leaving it behind");
			server->abandoned = true;
			return false;
		}
	}
	for (size_t i = 0; i < server->n_listening; i++)
		MHD_stop_daemon(server->listening[i].mhd);
	server->n_listening = 0;
	return true;
}

/**
 * http_server_free() - Free a server; stops it if that was not done
 * @server: Server or NULL
 */
void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	if (server->n_listening > 0 && !server->abandoned)
		(void)http_server_stop(server); /* looked at next */
	if (server->abandoned)
		return;
	watch_stop(server);
	cancel_done(&server->stopped);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

/**
 * http_query() - A query parameter
 * @req: Request
 * @key: Name
 *
 * Return: its first value, or NULL
 */
const char *http_query(struct http_req *req, const char *key)
{
	return http_target_query(&req->impl->target, key);
}

/**
 * http_query_all() - All values of a repeated query parameter
 * @req:    Request
 * @key:    Name
 * @values: Filled, in the order of the request
 * @max:    At most this many
 *
 * Return: how many there are, which may be more than @max
 */
size_t http_query_all(struct http_req *req, const char *key, const char **values, size_t max)
{
	const struct http_target *target = &req->impl->target;
	size_t n = 0;

	for (size_t i = 0; i < target->n_params; i++) {
		if (!str_eq(target->params[i].key, key))
			continue;
		if (n < max)
			values[n] = target->params[i].value;
		n++;
	}
	return n;
}

/**
 * http_query_bool() - A boolean query parameter, as Docker reads it
 * @req:     Request
 * @key:     Name
 * @missing: Answer if it is absent
 *
 * Return: its value
 */
bool http_query_bool(struct http_req *req, const char *key, bool missing)
{
	const char *value = http_query(req, key);

	return value ? str_bool(value) : missing;
}

/**
 * http_header() - A request header
 * @req:  Request
 * @name: Name; case does not matter
 *
 * Return: its first value, or NULL
 */
const char *http_header(struct http_req *req, const char *name)
{
	return MHD_lookup_connection_value(req->impl->mhd, MHD_HEADER_KIND, name);
}

/**
 * http_var() - A path variable
 * @req:  Request
 * @name: Name in the route's pattern
 *
 * Return: its value, or "" if the pattern has none of that name
 */
const char *http_var(struct http_req *req, const char *name)
{
	for (size_t i = 0; i < req->n_vars; i++)
		if (str_eq(req->vars[i].name, name))
			return req->vars[i].value;
	return "";
}

/**
 * http_stopping() - What fires when the server stops, but not when the client leaves
 * @req: Request
 *
 * For operations that dockerd finishes although nobody waits for them any more.
 *
 * Return: cancel, valid until the request ends
 */
struct cancel *http_stopping(struct http_req *req)
{
	return &req->impl->conn->listening->server->stopped;
}
