/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - an HTTP/1.1 server on libmicrohttpd; knows nothing of Docker
 *
 * A handler runs straight-line on its connection's thread (or, for routes that stream, on a thread
 * of the request's own beside it: the handler cannot tell). It reads the body, then answers in
 * exactly one of three ways: a whole response (http_resp_*), a stream (http_stream_begin ...
 * return), or a hijacked connection. If it returns < 0 before answering, the server calls the error
 * hook, which renders req->err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"

struct http_server;
struct http_req_impl;

#define HTTP_BODY_MAX (16 * 1024 * 1024) /* a whole JSON body, bytes */
#define HTTP_PATH_VARS 4

struct http_req {
	const char *method;	  /* "GET" */
	const char *path;	  /* decoded, version prefix included */
	struct err err;		  /* filled by whoever returns < 0 */
	struct cancel gone;	  /* fires when the client left */
	unsigned int api_version; /* 1.47 -> 147; set by the router */
	struct {
		const char *name; /* borrowed: from the route's pattern */
		char *value;	  /* owned by the request */
	} vars[HTTP_PATH_VARS];
	size_t n_vars;
	bool answered;
	void *user; /* borrowed: what the server was given */
	struct http_req_impl *impl;
};

enum http_mode {
	HTTP_INLINE, /* body is buffered (HTTP_BODY_MAX, else 413/400) before the handler runs;
			answers with http_resp_* */
	HTTP_STREAM, /* handler may read the body piecewise, stream the answer, or hijack */
};

struct http_hooks {
	/* Headers are in: choose the mode; sets vars, api_version and *ret_route. <0: rendered by
	 * error, at once. */
	int (*route)(struct http_req *req, enum http_mode *ret_mode, void **ret_route);
	int (*handle)(struct http_req *req, void *route);
	void (*error)(struct http_req *req); /* answer req->err with http_resp_* */
};

struct http_listener {
	int fd;	  /* listening socket, becomes the server's */
	bool tls; /* needs tls_* below */
};
struct http_tls {
	const char *cert_pem, *key_pem; /* file contents */
	const char *ca_pem;		/* not NULL: client certificates are required */
};

int http_server_new(const struct http_hooks *hooks, void *user, struct http_server **ret_server);
int http_server_listen(struct http_server *server, struct http_listener listener,
		       const struct http_tls *tls, struct err *err);
bool http_server_stop(struct http_server *server); /* fires every request's `gone`, waits for
						      handlers, at most a few seconds */
void http_server_free(struct http_server *server);

/* Request. Returned strings live as long as the request. */
const char *http_query(struct http_req *req, const char *key); /* first value or NULL */
size_t http_query_all(struct http_req *req, const char *key, const char **values,
		      size_t max); /* repeated keys */
bool http_query_bool(struct http_req *req, const char *key, bool missing);
const char *http_header(struct http_req *req, const char *name);
const char *http_var(struct http_req *req,
		     const char *name); /* path variable; "" if the pattern has none */
/* Fires when the server stops, but not when the client leaves: for what must be finished anyway. */
struct cancel *http_stopping(struct http_req *req);
/* Body. STREAM mode: up to len bytes, 0 at the end, <0 (-ECONNRESET) if it stopped halfway. */
ssize_t http_body_read(struct http_req *req, void *data, size_t len);
/* Whole body, both modes; NUL-terminated, borrowed. <0 with req->err filled when over max or
 * broken. */
int http_body_all(struct http_req *req, size_t max, const char **ret_data, size_t *ret_len);

/* Whole responses. Headers are added before. Return 0. */
void http_resp_header(struct http_req *req, const char *name, const char *value);
int http_resp_empty(struct http_req *req, unsigned int status);
int http_resp_data(struct http_req *req, unsigned int status, const char *content_type,
		   const void *data, size_t len);
int http_resp_steal(struct http_req *req, unsigned int status, const char *content_type,
		    char *data /* owned, free() */, size_t len);

/* Streams (STREAM mode): begin sends the headers at once; write blocks while the client is slow,
 * -EPIPE once it left. Each write leaves at once. The stream ends when the handler returns;
 * returning < 0 after begin just ends it. */
int http_stream_begin(struct http_req *req, unsigned int status, const char *content_type);
int http_stream_write(struct http_req *req, const void *data, size_t len);

/*
 * Hijack (STREAM mode): 101 if the client sent Upgrade, else 200 with the same bytes. ret_fd: a
 * blocking socket (or socketpair end) for both directions, owned by the caller and closed by it
 * before it returns from the handler; bytes the client sent early come first; its half-close reads
 * as EOF; shutdown(SHUT_WR) half-closes towards it.
 */
int http_hijack(struct http_req *req, const char *content_type, int *ret_fd);
