/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resp.c - whole answers and streamed ones
 *
 * DOC: Theory of operation
 *
 * A whole answer becomes a libmicrohttpd response on the handler's thread; the connection's thread
 * queues it. A streamed answer goes through a ring (HTTP_RING_MAX) from which libmicrohttpd's
 * content reader, on the connection's thread, takes what is there: so a write leaves at once, and a
 * slow client blocks the handler. libmicrohttpd cannot answer before the body is in: a handler that
 * streams while it still reads goes around it (direct.c), or its answer is kept until then
 * (HTTP_EARLY_ANSWER_MAX).
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/impl.h"

/**
 * http_resp_header() - Add a header to the answer that will follow
 * @req:   Request
 * @name:  Header name
 * @value: Its value
 */
void http_resp_header(struct http_req *req, const char *name, const char *value)
{
	struct buf *headers = &req->impl->headers;

	buf_add(headers, name, strlen(name) + 1);
	buf_add(headers, value, strlen(value) + 1);
}

/**
 * resp_add_headers() - Put what http_resp_header() collected into a response
 * @impl:     Request
 * @response: Response
 */
void resp_add_headers(const struct http_req_impl *impl, struct MHD_Response *response)
{
	const char *at = impl->headers.data;
	const char *end = at ? at + impl->headers.len : NULL;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		/* Refused are only names and values with control characters: better left out. */
		(void)MHD_add_response_header(response, at, value);
		at = value + strlen(value) + 1;
	}
}

static int resp_answer(struct http_req *req, unsigned int status, const char *content_type,
		       struct MHD_Response *response)
{
	struct http_req_impl *impl = req->impl;

	if (!response)
		return err_oom(&req->err);
	if (content_type)
		http_resp_header(req, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	resp_add_headers(impl, response);
	pthread_mutex_lock(&impl->lock);
	impl->response = response;
	impl->status = status;
	impl->answer = HTTP_ANSWER_WHOLE;
	pthread_cond_broadcast(&impl->changed);
	pthread_mutex_unlock(&impl->lock);
	req->answered = true;
	return 0;
}

/**
 * http_resp_empty() - Answer without a body
 * @req:    Request
 * @status: HTTP status
 *
 * Return: 0
 */
int http_resp_empty(struct http_req *req, unsigned int status)
{
	return resp_answer(req, status, NULL,
			   MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT));
}

/**
 * http_resp_data() - Answer with a copy of some bytes
 * @req:	  Request
 * @status:	  HTTP status
 * @content_type: Content-Type, or NULL
 * @data:	  Bytes
 * @len:	  How many
 *
 * Return: 0
 */
int http_resp_data(struct http_req *req, unsigned int status, const char *content_type,
		   const void *data, size_t len)
{
	return resp_answer(
		req, status, content_type,
		MHD_create_response_from_buffer(len, (void *)data, MHD_RESPMEM_MUST_COPY));
}

/**
 * http_resp_steal() - Answer with bytes that are given away
 * @req:	  Request
 * @status:	  HTTP status
 * @content_type: Content-Type, or NULL
 * @data:	  Bytes; freed with free(), also on failure
 * @len:	  How many
 *
 * Return: 0
 */
int http_resp_steal(struct http_req *req, unsigned int status, const char *content_type, char *data,
		    size_t len)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(data);
	return resp_answer(req, status, content_type, response);
}

/**
 * http_stream_begin() - Send the headers of a streamed answer
 * @req:	  Request in STREAM mode, not answered yet
 * @status:	  HTTP status
 * @content_type: Content-Type, or NULL
 *
 * Return: 0, or -EPIPE if the client left
 */
int http_stream_begin(struct http_req *req, unsigned int status, const char *content_type)
{
	struct http_req_impl *impl = req->impl;
	bool broken;

	if (content_type)
		http_resp_header(req, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	pthread_mutex_lock(&impl->lock);
	impl->status = status;
	impl->answer = HTTP_ANSWER_STREAM;
	impl->direct = !impl->in_ended && direct_possible(impl);
	broken = impl->broken;
	pthread_cond_broadcast(&impl->changed);
	pthread_mutex_unlock(&impl->lock);
	req->answered = true;
	watch_streaming(impl);
	if (broken)
		return -EPIPE;
	return impl->direct ? direct_begin(impl, status) : 0;
}

/**
 * http_stream_write() - Send bytes of a streamed answer
 * @req:  Request
 * @data: Bytes
 * @len:  How many
 *
 * Blocks while the client is slow.
 *
 * Return: 0, -EPIPE once the client left, -ENOBUFS if more than HTTP_EARLY_ANSWER_MAX was written
 * before the body was in
 */
int http_stream_write(struct http_req *req, const void *data, size_t len)
{
	struct http_req_impl *impl = req->impl;
	int r = 0;

	if (impl->direct)
		return len > 0 ? direct_write(impl, data, len) : 0;
	pthread_mutex_lock(&impl->lock);
	while (len > 0 && r == 0) {
		size_t n = 0;

		if (!impl->broken)
			n = http_ring_push(&impl->out, data, len,
					   impl->in_ended ? HTTP_RING_MAX : HTTP_EARLY_ANSWER_MAX);
		data = (const char *)data + n;
		len -= n;
		if (n > 0)
			pthread_cond_broadcast(&impl->changed);
		else if (impl->broken)
			r = -EPIPE;
		else if (!impl->in_ended || impl->out.cap == 0)
			r = -ENOBUFS;
		else
			pthread_cond_wait(&impl->changed, &impl->lock);
	}
	pthread_mutex_unlock(&impl->lock);
	return r;
}

/* libmicrohttpd wants bytes: wait for some. Connection's thread. */
static ssize_t resp_stream_read(void *cls, uint64_t pos UNUSED, char *data, size_t max)
{
	struct http_req_impl *impl = cls;
	ssize_t n;

	pthread_mutex_lock(&impl->lock);
	while (impl->out.len == 0 && !impl->handler_done && !impl->broken)
		pthread_cond_wait(&impl->changed, &impl->lock);
	n = (ssize_t)http_ring_pop(&impl->out, data, max);
	if (n > 0)
		pthread_cond_broadcast(&impl->changed);
	else
		n = impl->broken ? MHD_CONTENT_READER_END_WITH_ERROR
				 : MHD_CONTENT_READER_END_OF_STREAM;
	pthread_mutex_unlock(&impl->lock);
	return n;
}

/**
 * resp_stream_response() - The response that reads from the ring
 * @impl: Request whose handler began to stream
 *
 * Return: response, or NULL if memory ran out
 */
struct MHD_Response *resp_stream_response(struct http_req_impl *impl)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_RING_MAX,
						     resp_stream_read, impl, NULL);
	if (response)
		resp_add_headers(impl, response);
	return response;
}
