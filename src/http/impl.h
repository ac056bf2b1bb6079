/* SPDX-License-Identifier: Apache-2.0 */
/* impl.h - what the files of http/ share: server, connection, request */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <uthash.h>

#include "http/http.h"
#include "http/ring.h"
#include "http/target.h"

struct gnutls_session_int; /* what gnutls_session_t points to */

#define HTTP_LISTENERS_MAX 16
#define HTTP_CONNECTIONS_MAX 4096
#define HTTP_HEADER_MEMORY_MAX KIB(64) /* one connection's headers and read buffer */
#define HTTP_STACK_BYTES KIB(512)      /* a thread; only the pages it touches cost memory */
#define HTTP_RING_MAX KIB(64)	       /* a body's or an answer's bytes between two threads */
#define HTTP_EARLY_ANSWER_MAX MIB(16)  /* an answer streamed while the body still comes in */
#define HTTP_REQUEST_TIMEOUT_S 60      /* silence while headers or a JSON body come in */
#define HTTP_IDLE_TIMEOUT_S 600	       /* silence between two requests */
#define HTTP_STOP_TIMEOUT_MS 5000      /* handlers have this long to see `gone` */
#define HTTP_DISCARD_MAX MIB(64)       /* of a refused request's body: then the line is cut */

struct http_listening {
	struct http_server *server; /* borrowed */
	struct MHD_Daemon *mhd;	    /* owned */
	bool tls;
	bool client_certificates; /* required */
};

/* One client connection; libmicrohttpd's socket context. */
struct http_conn {
	struct http_listening *listening; /* borrowed */
	uint64_t serial;		  /* key in server->conns; never reused */
	int fd;				  /* borrowed: from libmicrohttpd */
	pthread_mutex_t lock;		  /* active, half_closed, hung_up */
	struct http_req_impl *active;	  /* borrowed: the request being served, or NULL */
	bool half_closed;		  /* client shut its writing side */
	bool hung_up;			  /* both directions are dead */
	UT_hash_handle hh;
};

struct http_server {
	struct http_hooks hooks;
	void *user; /* borrowed */
	struct http_listening listening[HTTP_LISTENERS_MAX];
	size_t n_listening;
	pthread_mutex_t lock; /* conns, next_serial, stopping; before a conn's lock */
	struct http_conn *conns;
	uint64_t next_serial;
	_Atomic bool stopping;
	struct cancel stopped; /* fires with it */
	bool abandoned;	       /* a handler did not end: nothing may be freed */
	int epoll_fd, wake_fd;
	pthread_t watcher;
	bool watching;
};

enum http_answer { HTTP_ANSWER_NONE, HTTP_ANSWER_WHOLE, HTTP_ANSWER_STREAM, HTTP_ANSWER_HIJACK };

struct http_hijack {
	char *content_type; /* owned */
	char *early;	    /* owned: bytes that came with the request's last packet */
	size_t early_len;
	int fd;				       /* borrowed: the client's socket */
	bool ready;			       /* fd is valid */
	struct MHD_UpgradeResponseHandle *urh; /* borrowed; NULL without Upgrade */
	struct http_pump *pump;		       /* owned, may be NULL */
};

struct http_req_impl {
	struct http_req req;
	struct http_conn *conn;	    /* borrowed: outlives the request */
	struct MHD_Connection *mhd; /* borrowed */
	char *raw_target;	    /* owned */
	struct http_target target;
	void *route;
	enum http_mode mode;
	bool routed;   /* the first access callback was handled */
	bool refused;  /* route failed: discard the body, then render req.err */
	bool threaded; /* a handler thread was started */
	pthread_t thread;
	struct buf body; /* INLINE, or read whole by http_body_all() */
	size_t body_at;	 /* INLINE: how much http_body_read() handed out */
	uint64_t discarded_bytes;
	bool complete; /* all of the request is in; under the connection's lock */

	bool http_1_1;
	struct buf direct_out; /* handler only: not on the wire yet */
	struct buf headers;    /* handler only: name\0value\0 ... for the answer */

	/* Below: under lock, told through changed. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct http_ring in; /* STREAM: body */
	bool in_ended, in_broken;
	bool in_unwanted;     /* discard the rest */
	bool direct;	      /* the handler's thread writes the answer itself */
	struct http_ring out; /* STREAM: answer */
	bool broken;	      /* the client will not get another byte */
	bool handler_done;
	enum http_answer answer;
	unsigned int status;
	struct MHD_Response *response; /* owned */
	struct http_hijack hijack;
};

/* conn.c */
enum MHD_Result conn_access(void *cls, struct MHD_Connection *mhd, const char *url,
			    const char *method, const char *version, const char *data,
			    size_t *data_len, void **context);
void *conn_request_line(void *cls, const char *uri, struct MHD_Connection *mhd);
void conn_completed(void *cls, struct MHD_Connection *mhd, void **context,
		    enum MHD_RequestTerminationCode code);
void conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
		 enum MHD_ConnectionNotificationCode code);

/* body.c */
int body_receive(struct http_req_impl *impl, const void *data, size_t len);
void body_end(struct http_req_impl *impl, bool broken);

/* resp.c */
void resp_add_headers(const struct http_req_impl *impl, struct MHD_Response *response);
struct MHD_Response *resp_stream_response(struct http_req_impl *impl);

/* direct.c */
bool direct_possible(struct http_req_impl *impl);
int direct_begin(struct http_req_impl *impl, unsigned int status);
int direct_write(struct http_req_impl *impl, const void *data, size_t len);
void direct_end(struct http_req_impl *impl);

/* hijack.c */
enum MHD_Result hijack_answer(struct http_req_impl *impl);
void hijack_done(struct http_req_impl *impl);

/* pump.c */
struct http_pump;
int pump_start(int net_fd, struct gnutls_session_int *tls, const void *early, size_t early_len,
	       int *ret_fd, struct http_pump **ret_pump);
void pump_join(struct http_pump *pump);

/* watch.c */
int watch_start(struct http_server *server);
void watch_stop(struct http_server *server);
int watch_add(struct http_conn *conn);
void watch_remove(struct http_conn *conn);
void watch_request(struct http_conn *conn, struct http_req_impl *impl);
void watch_complete(struct http_req_impl *impl);
void watch_streaming(struct http_req_impl *impl);
