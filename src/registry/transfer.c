/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c - one HTTP exchange on libcurl
 *
 * DOC: Theory of operation
 *
 * A transfer is an easy handle with what its answer said. Headers are read block by block: each
 * status line (of a redirect, say) begins anew. Redirects are followed for bodies only
 * (transfer_follow()); libcurl drops our Authorization where the host changes, and https never
 * leads to http.
 *
 * Hostile: the answer. Bounded: headers TRANSFER_HEADERS_MAX, bodies by their sinks, redirects,
 * and silence (less than REGISTRY_SPEED_MIN bytes a second, see transfer_patience()).
 */
#include "registry/transfer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define TRANSFER_CONNECT_TIMEOUT_MS 15000L
#define TRANSFER_SECOND_PATIENCE 4 /* what later attempts get: a part of the first one's */
#define TRANSFER_REDIRECTS_MAX 10L
#define TRANSFER_BUFFER_BYTES (512L * 1024)
#define TRANSFER_POLL_MS 100
#define TRANSFER_PAUSE_MS 250
#define TRANSFER_RETRY_AFTER_MAX_S 30
#define TRANSFER_SYSTEM_CAS "/etc/ssl/certs"

#define SET(t, option, value) (t)->rg->curl->easy_setopt((t)->easy, option, value)

/**
 * registry_reply_done() - Free what a reply holds
 * @reply: Empty afterwards
 */
void registry_reply_done(struct registry_reply *reply)
{
	free(reply->location);
	free(reply->link);
	free(reply->data);
	*reply = (struct registry_reply){};
}

/**
 * transfer_init() - A handle for one exchange after the other
 * @t:   Filled; transfer_done() in any case
 * @rg:  Conversation
 * @err: Filled on failure
 *
 * Return: 0 or -ENOMEM
 */
int transfer_init(struct transfer *t, struct registry *rg, struct err *err)
{
	*t = (struct transfer){.rg = rg};
	t->easy = rg->curl->easy_init();
	return t->easy ? 0 : err_oom(err);
}

static void transfer_reset(struct transfer *t)
{
	if (t->headers)
		t->rg->curl->slist_free_all(t->headers);
	t->headers = NULL;
	registry_challenge_done(&t->challenge);
	registry_reply_done(&t->reply);
	buf_reset(&t->body);
	t->header_bytes = 0;
	t->headed = false;
	t->retry_after_s = 0;
	t->content_start = 0;
	t->failure = 0;
	t->err = (struct err){};
	t->upload = NULL;
	t->upload_len = 0;
	t->file = (struct registry_file){};
	*t->words = '\0';
}

/**
 * transfer_done() - End it, also in the middle
 * @t: Transfer
 */
void transfer_done(struct transfer *t)
{
	if (!t->easy)
		return;
	transfer_reset(t);
	buf_done(&t->body);
	(void)t->rg->curl->multi_remove_handle(t->rg->multi, t->easy); /* may not be in it */
	t->rg->curl->easy_cleanup(t->easy);
	t->easy = NULL;
}

static bool header_is(const char *line, size_t len, const char *name, const char **ret_value)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	*ret_value = line + n + 1 + strspn(line + n + 1, " \t");
	return true;
}

static void header_number(const char *text, uint64_t *ret)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%.*s", (int)strspn(text, "0123456789"), text);
	(void)str_u64(digits, UINT64_MAX, ret); /* or it stays */
}

static int header_read(struct transfer *t, const char *line, size_t len)
{
	struct registry_reply *reply = &t->reply;
	uint64_t n = 0;
	const char *v;

	if (len == 0) {
		t->headed = true;
	} else if (strncmp(line, "HTTP/", 5) == 0) {
		t->headed = false;
		registry_challenge_done(&t->challenge);
		registry_reply_done(reply);
		v = strchr(line, ' ');
		reply->status = v ? strtol(v, NULL, 10) : 0;
	} else if (header_is(line, len, "Content-Type", &v)) {
		(void)snprintf(reply->type, sizeof(reply->type), "%.*s", (int)strcspn(v, "; \t"),
			       v);
	} else if (header_is(line, len, "Docker-Content-Digest", &v)) {
		(void)snprintf(reply->digest, sizeof(reply->digest), "%s", v);
	} else if (header_is(line, len, "Location", &v)) {
		free(reply->location);
		reply->location = strdup(v);
		return reply->location ? 0 : -ENOMEM;
	} else if (header_is(line, len, "Link", &v)) {
		free(reply->link);
		reply->link = strdup(v);
		return reply->link ? 0 : -ENOMEM;
	} else if (header_is(line, len, "Range", &v)) {
		v = strchr(v, '-');
		if (v)
			header_number(v + 1, &reply->range_end);
	} else if (header_is(line, len, "Content-Range", &v)) {
		header_number(v + strcspn(v, "0123456789"), &t->content_start);
	} else if (header_is(line, len, "Retry-After", &v)) {
		header_number(v, &n);
		t->retry_after_s = (unsigned int)MIN(n, (uint64_t)TRANSFER_RETRY_AFTER_MAX_S);
	} else if (header_is(line, len, "WWW-Authenticate", &v)) {
		return registry_challenge_add(v, &t->challenge);
	}
	return 0;
}

static size_t transfer_on_header(char *data, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	size_t len = size * n;
	_cleanup_free_ char *line = strndup(data, len);
	int r = line ? 0 : -ENOMEM;

	t->header_bytes += len;
	if (t->header_bytes > TRANSFER_HEADERS_MAX)
		r = err_user(&t->err, ERR_INVALID, "the registry's headers have more than %d bytes",
			     TRANSFER_HEADERS_MAX);
	if (r == 0) {
		line[strcspn(line, "\r\n")] = '\0';
		r = header_read(t, line, strlen(line));
	}
	if (r < 0)
		t->failure = r;
	return r < 0 ? 0 : len;
}

static size_t transfer_on_body(char *data, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	int r = t->sink(t, data, size * n);

	if (r < 0)
		t->failure = r;
	return r < 0 ? 0 : size * n;
}

static size_t transfer_on_read_file(char *data, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	ssize_t got = pread(t->file.fd, data, MIN(size * n, t->file.len), (off_t)t->file.at);

	if (got < 0 || (got == 0 && t->file.len > 0)) {
		t->failure = got < 0 ? -errno : -EIO; /* somebody cut our file */
		return CURL_READFUNC_ABORT;
	}
	t->file.at += (uint64_t)got;
	t->file.len -= (uint64_t)got;
	if (t->file.sent)
		t->file.sent(t->file.user, (uint64_t)got);
	return (size_t)got;
}

static size_t transfer_on_read(char *data, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	size_t len = MIN(size * n, t->upload_len);

	memcpy(data, t->upload, len);
	t->upload += len;
	t->upload_len -= len;
	return len;
}

static int transfer_sink_reply(struct transfer *t, const void *data, size_t len)
{
	if (t->body.len + len > REGISTRY_DOCUMENT_MAX)
		return err_user(&t->err, ERR_INVALID,
				"the registry's answer has more than %u bytes",
				REGISTRY_DOCUMENT_MAX);
	buf_add(&t->body, data, len);
	return t->body.failed ? -ENOMEM : 0;
}

static void transfer_trust(struct transfer *t)
{
	const struct registry *rg = t->rg;
	const struct registry_endpoint *e = &rg->endpoints.list[rg->endpoint];

	if (!e->verify) {
		SET(t, CURLOPT_SSL_VERIFYPEER, 0L);
		SET(t, CURLOPT_SSL_VERIFYHOST, 0L);
		/* all the system's CAs would be read for nothing: 50 ms a connection */
		SET(t, CURLOPT_CAINFO, NULL);
		SET(t, CURLOPT_CAPATH, NULL);
	} else if (rg->ca_path) {
		SET(t, CURLOPT_CAINFO, rg->ca_path);
		SET(t, CURLOPT_CAPATH, TRANSFER_SYSTEM_CAS); /* beside those of the system */
	}
	if (rg->certs.cert) {
		SET(t, CURLOPT_SSLCERT, rg->certs.cert);
		SET(t, CURLOPT_SSLKEY, rg->certs.key);
	}
}

/* Which hosts need no proxy is libcurl's to decide, because of redirects; it knows neither ports
 * nor stars, so a host that we find in the list is named to it. Like Go's clients we reach this
 * machine directly. */
static int transfer_proxies(struct transfer *t, const char *url)
{
	const struct registry_options *o = t->rg->options;
	const char *proxy = str_starts(url, "https:") ? o->https_proxy : o->http_proxy;
	_cleanup_free_ char *direct = NULL;
	char host[256];
	bool bypassed = registry_proxy_is_bypassed(o->no_proxy, url, host, sizeof(host));

	direct = str_format("localhost,127.0.0.0/8,::1,%s,%s", bypassed ? host : "",
			    o->no_proxy ?: "");
	if (!direct)
		return -ENOMEM;
	if (proxy)
		SET(t, CURLOPT_PROXY, proxy);
	SET(t, CURLOPT_NOPROXY, direct);
	return 0;
}

static unsigned int transfer_silence_s(const struct registry *rg)
{
	return rg->options->silence_s ?: REGISTRY_SILENCE_S;
}

/**
 * registry_gain_min() - When an attempt that broke was worth something
 * @rg: Conversation
 *
 * Return: bytes that the slowest transfer brings in the time of a silence; with fewer, an attempt
 * counts as failed
 */
uint64_t registry_gain_min(const struct registry *rg)
{
	return (uint64_t)REGISTRY_SPEED_MIN * transfer_silence_s(rg);
}

/**
 * transfer_patience() - How long it may bring next to nothing
 * @t:      Begun
 * @failed: How many attempts in a row have failed before
 *
 * All of it for the first, a quarter for those that follow: what drips is given up after twice the
 * silence, give or take the pauses, and not after five times.
 */
void transfer_patience(struct transfer *t, unsigned int failed)
{
	unsigned int s = transfer_silence_s(t->rg);

	if (failed > 0)
		s = MAX(s / TRANSFER_SECOND_PATIENCE, 1u);
	SET(t, CURLOPT_LOW_SPEED_LIMIT, (long)REGISTRY_SPEED_MIN);
	SET(t, CURLOPT_LOW_SPEED_TIME, (long)s);
}

/**
 * transfer_begin() - Say what is asked; the exchange begins with transfer_run() or the multi
 * @t:      Transfer that is not under way
 * @method: HTTP method
 * @url:    Whole URL
 *
 * The answer's body goes to t->sink, or into t->body where there is none.
 *
 * Return: 0 or -ENOMEM
 */
int transfer_begin(struct transfer *t, const char *method, const char *url)
{
	transfer_reset(t);
	t->rg->curl->easy_reset(t->easy);
	if (!t->sink)
		t->sink = transfer_sink_reply;
	SET(t, CURLOPT_URL, url);
	SET(t, CURLOPT_CUSTOMREQUEST, method);
	if (str_eq(method, "HEAD"))
		SET(t, CURLOPT_NOBODY, 1L);
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_PRIVATE, t);
	SET(t, CURLOPT_ERRORBUFFER, t->words);
	SET(t, CURLOPT_USERAGENT, "arca/" ARCA_VERSION);
	SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(t, CURLOPT_PIPEWAIT, 1L);
	SET(t, CURLOPT_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
	SET(t, CURLOPT_CONNECTTIMEOUT_MS, TRANSFER_CONNECT_TIMEOUT_MS);
	transfer_patience(t, 0);
	SET(t, CURLOPT_HEADERFUNCTION, transfer_on_header);
	SET(t, CURLOPT_HEADERDATA, t);
	SET(t, CURLOPT_WRITEFUNCTION, transfer_on_body);
	SET(t, CURLOPT_WRITEDATA, t);
	transfer_trust(t);
	return transfer_proxies(t, url);
}

/**
 * transfer_header() - One more line of the request's head
 * @t:   Begun
 * @fmt: printf style: "Name: value"
 *
 * Return: 0 or -ENOMEM
 */
int transfer_header(struct transfer *t, const char *fmt, ...)
{
	_cleanup_buf_ struct buf line = {};
	struct curl_slist *longer;
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(&line, (size_t)n + 1))
		return -ENOMEM;
	va_start(ap, fmt);
	(void)vsnprintf(line.data, (size_t)n + 1, fmt, ap); /* it fits */
	va_end(ap);
	longer = t->rg->curl->slist_append(t->headers, line.data);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(line.data, (size_t)n);
	if (!longer)
		return -ENOMEM;
	t->headers = longer;
	SET(t, CURLOPT_HTTPHEADER, longer);
	return 0;
}

/**
 * transfer_body() - What the request carries
 * @t:    Begun
 * @data: Bytes, borrowed until the exchange is over
 * @len:  How many
 */
void transfer_body(struct transfer *t, const void *data, size_t len)
{
	t->upload = data;
	t->upload_len = len;
	SET(t, CURLOPT_UPLOAD, 1L);
	SET(t, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len);
	SET(t, CURLOPT_READFUNCTION, transfer_on_read);
	SET(t, CURLOPT_READDATA, t);
	(void)transfer_header(t, "Expect:"); /* then libcurl waits for a 100 */
}

/**
 * transfer_file() - The request carries a part of a file
 * @t:    Begun
 * @file: Copied; its descriptor is borrowed until the exchange is over
 */
void transfer_file(struct transfer *t, const struct registry_file *file)
{
	t->file = *file;
	SET(t, CURLOPT_UPLOAD, 1L);
	SET(t, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
	SET(t, CURLOPT_INFILESIZE_LARGE, (curl_off_t)file->len);
	SET(t, CURLOPT_READFUNCTION, transfer_on_read_file);
	SET(t, CURLOPT_READDATA, t);
	(void)transfer_header(t, "Expect:"); /* then libcurl waits for a 100 */
}

/**
 * transfer_follow() - Go where the answer points
 * @t: Begun
 */
void transfer_follow(struct transfer *t)
{
	const char *base = registry_base(t->rg);

	SET(t, CURLOPT_FOLLOWLOCATION, 1L);
	SET(t, CURLOPT_MAXREDIRS, TRANSFER_REDIRECTS_MAX);
	SET(t, CURLOPT_REDIR_PROTOCOLS_STR, str_starts(base, "http:") ? "http,https" : "https");
}

/**
 * transfer_verdict() - libcurl's verdict, and what it lets pass
 * @t:    Transfer that is over
 * @code: libcurl's verdict
 *
 * A connection that closes amid the headers is an answer without a body to libcurl.
 *
 * Return: the verdict
 */
CURLcode transfer_verdict(const struct transfer *t, CURLcode code)
{
	return code == CURLE_OK && !t->headed ? CURLE_PARTIAL_FILE : code;
}

/**
 * transfer_run() - The whole exchange
 * @t:	      Begun
 * @ret_code: libcurl's verdict; set on success
 * @err:      Filled on failure
 *
 * Return: 0, -ECANCELED, or negative errno of libcurl itself
 */
int transfer_run(struct transfer *t, CURLcode *ret_code, struct err *err)
{
	struct registry *rg = t->rg;
	bool done = false;
	int running;

	if (rg->curl->multi_add_handle(rg->multi, t->easy) != CURLM_OK)
		return err_oom(err);
	while (!done) {
		CURLMsg *message;
		int left;

		if (cancel_fired(rg->cancel)) {
			(void)rg->curl->multi_remove_handle(rg->multi, t->easy); /* it is in it */
			return err_sys(err, -ECANCELED, "the transfer was given up");
		}
		(void)rg->curl->multi_perform(rg->multi, &running); /* the message tells */
		while ((message = rg->curl->multi_info_read(rg->multi, &left)))
			if (message->msg == CURLMSG_DONE && message->easy_handle == t->easy) {
				*ret_code = transfer_verdict(t, message->data.result);
				done = true;
			}
		if (!done)
			(void)rg->curl->multi_poll(rg->multi, NULL, 0, TRANSFER_POLL_MS, NULL);
	}
	(void)rg->curl->multi_remove_handle(rg->multi, t->easy); /* it is in it */
	return 0;
}

/* What a proxy said to a CONNECT; 0: nothing, or yes. */
static long transfer_refused_by_proxy(const struct transfer *t)
{
	long status = 0;

	(void)t->rg->curl->easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &status); /* or 0 */
	return status >= 300 ? status : 0;
}

static const char *transfer_proxy_reason(long status)
{
	switch (status) {
	case 403:
		return "Forbidden";
	case 407:
		return "Proxy Authentication Required";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "the proxy makes no connection";
	}
}

static const char *transfer_reason(const struct transfer *t, CURLcode code)
{
	if (transfer_refused_by_proxy(t))
		return transfer_proxy_reason(transfer_refused_by_proxy(t));
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY: /* libcurl's words may have the proxy's password */
		return "proxyconnect tcp: dial tcp: lookup: no such host";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "tls: failed to verify certificate: x509: certificate signed by unknown "
		       "authority";
	case CURLE_COULDNT_CONNECT:
		return "dial tcp: connect: connection refused";
	case CURLE_COULDNT_RESOLVE_HOST:
		return "dial tcp: lookup: no such host";
	case CURLE_TOO_MANY_REDIRECTS:
		return "stopped after 10 redirects";
	case CURLE_OPERATION_TIMEDOUT:
		if (strstr(t->words, "too slow"))
			return "the registry sends next to nothing";
		return "net/http: request canceled (Client.Timeout exceeded while awaiting data)";
	case CURLE_SSL_CONNECT_ERROR: /* GnuTLS's words, then OpenSSL's */
		return strstr(t->words, "unexpected TLS packet") ||
				       strstr(t->words, "wrong version")
			       ? "http: server gave HTTP response to HTTPS client"
			       : t->words;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
		return "unexpected EOF";
	default:
		return *t->words ? t->words : t->rg->curl->easy_strerror(code);
	}
}

/**
 * transfer_fail() - Why there was no answer, in the manner of Go's HTTP client
 * @t:      Transfer that is over
 * @code:   libcurl's verdict
 * @method: HTTP method
 * @url:    Whole URL; a query is left out, it may hold secrets
 * @err:    Filled
 *
 * Return: negative errno
 */
int transfer_fail(struct transfer *t, CURLcode code, const char *method, const char *url,
		  struct err *err)
{
	if (t->failure < 0) {
		if (!t->err.kind)
			return err_sys(err, t->failure, "cannot take the registry's answer");
		if (err)
			*err = t->err;
		return t->failure;
	}
	return err_user(err, ERR_INTERNAL, "%c%s \"%.*s\": %s", method[0],
			str_eq(method, "HEAD")	? "ead"
			: str_eq(method, "GET") ? "et"
						: method + 1,
			(int)strcspn(url, "?"), url, transfer_reason(t, code));
}

/**
 * transfer_is_passing() - Whether the same request may do better in a while
 * @t:    Transfer that is over
 * @code: libcurl's verdict
 *
 * Return: the answer
 */
bool transfer_is_passing(const struct transfer *t, CURLcode code)
{
	long refused = transfer_refused_by_proxy(t);

	if (t->failure < 0 || (refused >= 400 && refused < 500))
		return false;
	switch (code) {
	case CURLE_OK:
		return t->reply.status == 429 || t->reply.status == 500 ||
		       (t->reply.status >= 502 && t->reply.status <= 504);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_WEIRD_SERVER_REPLY:
		return true;
	default:
		return false;
	}
}

/**
 * transfer_pause() - Before the same is tried again
 * @rg:		   Conversation
 * @attempt:	   How many have failed; the pause doubles with each
 * @retry_after_s: What the registry asked for, seconds; 0: nothing
 * @err:	   Filled on failure
 *
 * Return: 0 or -ECANCELED
 */
int transfer_pause(struct registry *rg, unsigned int attempt, unsigned int retry_after_s,
		   struct err *err)
{
	int64_t ms = (int64_t)TRANSFER_PAUSE_MS << MIN(attempt, 5u);
	int64_t end_ns =
		clock_monotonic_ns() + MAX(ms, (int64_t)retry_after_s * 1000) * NSEC_PER_MSEC;
	struct timespec step = {.tv_nsec = 50 * NSEC_PER_MSEC};

	while (clock_monotonic_ns() < end_ns) {
		if (cancel_fired(rg->cancel))
			return err_sys(err, -ECANCELED, "the transfer was given up");
		(void)nanosleep(&step, NULL); /* shorter does no harm */
	}
	return 0;
}
