/* SPDX-License-Identifier: Apache-2.0 */
/* container_streams.c - attach and logs */
#include <errno.h>
#include <unistd.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/streams.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/stdio.h"

#define STREAMS_MUX_VERSION 142 /* the first to name the multiplexed type */

/**
 * streams_content_type() - Type of a stream of output
 * @req: Request
 * @mux: Whether stdout and stderr are framed
 *
 * Return: the type
 */
const char *streams_content_type(const struct http_req *req, bool mux)
{
	return mux && req->api_version >= STREAMS_MUX_VERSION
		       ? "application/vnd.docker.multiplexed-stream"
		       : "application/vnd.docker.raw-stream";
}

/**
 * streams_hijack_type() - Type of a stream on a connection that is taken over
 * @req: Request
 * @mux: Whether stdout and stderr are framed
 *
 * dockerd names the multiplexed type only to clients that ask for an upgrade.
 *
 * Return: the type
 */
const char *streams_hijack_type(struct http_req *req, bool mux)
{
	return streams_content_type(req, mux && http_header(req, "Upgrade"));
}

/**
 * streams_hijack() - Take the connection over; stdio_attach.ready of the handlers
 * @user: struct streams_hijack
 */
void streams_hijack(void *user)
{
	struct streams_hijack *h = user;

	if (http_hijack(h->req, h->content_type, &h->attach.fd) < 0)
		h->attach.fd = -EBADF;
}

/* POST /containers/{id}/attach -> 101 | 200 | 400 | 404 | 409 */
int api_container_attach(struct api *api, struct http_req *req)
{
	const char *id = http_var(req, "id");
	struct streams_hijack h = {.req = req};
	bool tty;
	int r;

	r = container_is_tty(api->core->containers, id, &tty, &req->err);
	if (r < 0)
		return r;
	h.content_type = streams_hijack_type(req, !tty);
	h.attach = (struct stdio_attach){
		.fd = -EBADF,
		.in = http_query_bool(req, "stdin", false),
		.out = http_query_bool(req, "stdout", false),
		.err = http_query_bool(req, "stderr", false),
		.replay_log = http_query_bool(req, "logs", false),
		.stream = http_query_bool(req, "stream", false),
		.mux = !tty,
		.detach_keys = http_query(req, "detachKeys"),
		.cancel = &req->gone,
		.ready = streams_hijack,
		.user = &h,
	};
	if (str_empty(h.attach.detach_keys))
		h.attach.detach_keys = NULL; /* Docker's default */
	r = container_attach(api->core->containers, id, &h.attach, &req->err);
	cleanup_close(&h.attach.fd);
	return MIN(r, 0);
}

struct logs_answer {
	struct http_req *req;
	const char *content_type;
	bool begun;
};

static int logs_write(void *user, const void *data, size_t len)
{
	struct logs_answer *answer = user;
	int r;

	if (!answer->begun) {
		r = http_stream_begin(answer->req, 200, answer->content_type);
		if (r < 0)
			return r;
		answer->begun = true;
	}
	return len ? http_stream_write(answer->req, data, len) : 0;
}

static int logs_time(struct http_req *req, const char *key, int64_t *ret_ns)
{
	const char *text = http_query(req, key);

	if (str_empty(text))
		return 0;
	if (clock_parse_timestamp(text, clock_realtime_ns(), ret_ns) < 0)
		return err_user(&req->err, ERR_INVALID, "invalid value for \"%s\": %s", key, text);
	return 0;
}

static int logs_query(struct http_req *req, struct container_log_query *query)
{
	const char *tail = http_query(req, "tail");
	int r;

	query->out = http_query_bool(req, "stdout", false);
	query->err = http_query_bool(req, "stderr", false);
	query->follow = http_query_bool(req, "follow", false);
	query->timestamps = http_query_bool(req, "timestamps", false);
	query->details = http_query_bool(req, "details", false);
	query->cancel = &req->gone;
	query->tail = -1;
	if (!str_empty(tail) && (str_i64(tail, &query->tail) < 0 || query->tail < 0))
		query->tail = -1; /* "all", and what dockerd takes for it */
	if (!query->out && !query->err)
		return err_user(&req->err, ERR_INVALID,
				"Bad parameters: you must choose at least one stream");
	r = logs_time(req, "since", &query->since_ns);
	return r < 0 ? r : logs_time(req, "until", &query->until_ns);
}

/* GET /containers/{id}/logs -> 200 | 400 | 404 | 501 */
int api_container_logs(struct api *api, struct http_req *req)
{
	const char *id = http_var(req, "id");
	struct logs_answer answer = {.req = req};
	struct container_log_query query = {0};
	bool tty;
	int r;

	r = logs_query(req, &query);
	if (r < 0)
		return r;
	r = container_is_tty(api->core->containers, id, &tty, &req->err);
	if (r < 0)
		return r;
	query.mux = !tty;
	answer.content_type = streams_content_type(req, !tty);
	return container_logs(api->core->containers, id, &query, logs_write, &answer, &req->err);
}
