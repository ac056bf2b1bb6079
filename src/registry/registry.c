/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - a conversation with a registry: addresses, tokens, documents
 *
 * DOC: Theory of operation
 *
 *	trying endpoint 0, 1, ... -> settled on the first that answers
 *
 * A call is tried until it has an answer that is worth telling: where an address does not answer
 * (or a mirror has not got it) the next one is asked; a 401 is met once with what it asks for
 * (token.c); what may pass by itself (5xx, 429, a broken connection) is tried again with growing
 * pauses. Once settled, a conversation does not change its address: documents and blobs come from
 * one place.
 *
 * Threads: the caller's alone.
 */
#include "registry/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/transfer.h"

#define REGISTRY_DENIED                                                                            \
	"{\"errors\":[{\"code\":\"DENIED\","                                                       \
	"\"message\":\"requested access to the resource is denied\"}]}"

DEFINE_CLEANUP(struct registry *, registry_close)

static unsigned int registry_attempts(const struct registry *rg)
{
	return rg->options->attempts ?: REGISTRY_ATTEMPTS;
}

static void registry_forget_certs(struct registry *rg)
{
	registry_certs_done(&rg->certs);
	cleanup_close(&rg->ca_fd);
	rg->ca_fd = -EBADF;
	free(TAKE_PTR(rg->ca_path));
}

/* libcurl takes CAs as a file: one in memory, for as long as the conversation. */
static int registry_write_cas(struct registry *rg, struct err *err)
{
	int r;

	if (!rg->certs.ca)
		return 0;
	rg->ca_fd = memfd_create("registry-cas", MFD_CLOEXEC);
	if (rg->ca_fd < 0)
		return err_sys(err, -errno, "cannot keep the registry's certificates");
	r = fs_write_all(rg->ca_fd, rg->certs.ca, strlen(rg->certs.ca));
	if (r < 0)
		return err_sys(err, r, "cannot keep the registry's certificates");
	rg->ca_path = str_format("/proc/self/fd/%d", rg->ca_fd);
	return rg->ca_path ? 0 : err_oom(err);
}

/* The address in use changed: so did whom to trust, and what a token is good for. */
static int registry_use_endpoint(struct registry *rg, size_t i, struct err *err)
{
	const char *host = strstr(rg->endpoints.list[i].base, "://") + 3;
	_cleanup_free_ char *name = strndup(host, strcspn(host, "/"));
	int r;

	rg->endpoint = i;
	registry_forget_certs(rg);
	free(TAKE_PTR(rg->authorization));
	if (!name)
		return err_oom(err);
	if (!str_starts(rg->endpoints.list[i].base, "https:"))
		return 0;
	r = registry_certs_find(rg->options->certs_dir, name, &rg->certs, err);
	return r < 0 ? r : registry_write_cas(rg, err);
}

/**
 * registry_open() - Begin a conversation; nothing is sent yet
 * @spec: With whom, about what
 * @ret:  registry_close(); set on success
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int registry_open(const struct registry_spec *spec, struct registry **ret, struct err *err)
{
	_cleanup_(registry_closep) struct registry *rg = calloc(1, sizeof(*rg));
	int r;

	if (!rg)
		return err_oom(err);
	rg->ca_fd = -EBADF;
	r = curl_load(&rg->curl, err);
	if (r < 0)
		return r;
	rg->options = spec->options;
	rg->actions = spec->actions;
	rg->cancel = spec->cancel;
	rg->domain = strdup(spec->domain);
	rg->path = strdup(spec->path);
	rg->also = spec->also ? strdup(spec->also) : NULL;
	rg->multi = rg->curl->multi_init();
	if (!rg->domain || !rg->path || !rg->multi || (spec->also && !rg->also) ||
	    registry_auth_copy(spec->auth, &rg->auth) < 0)
		return err_oom(err);
	r = registry_endpoints_find(spec->options, spec->domain, &rg->endpoints, err);
	if (r == 0)
		r = registry_use_endpoint(rg, 0, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(rg);
	return 0;
}

/**
 * registry_close() - End a conversation
 * @rg: Conversation or NULL
 */
void registry_close(struct registry *rg)
{
	if (!rg)
		return;
	if (rg->multi)
		(void)rg->curl->multi_cleanup(rg->multi); /* it is ours */
	registry_forget_certs(rg);
	registry_auth_done(&rg->auth);
	registry_endpoints_done(&rg->endpoints);
	if (rg->authorization)
		explicit_bzero(rg->authorization, strlen(rg->authorization));
	if (rg->identity)
		explicit_bzero(rg->identity, strlen(rg->identity));
	free(rg->identity);
	free(rg->authorization);
	free(rg->also);
	free(rg->path);
	free(rg->domain);
	free(rg);
}

/**
 * registry_identity_token() - What a token service gave at login
 * @rg: Conversation
 *
 * Return: text, borrowed, or NULL
 */
const char *registry_identity_token(const struct registry *rg)
{
	return rg->identity;
}

/**
 * registry_base() - The address in use
 * @rg: Conversation
 *
 * Return: "https://host:port", borrowed
 */
const char *registry_base(const struct registry *rg)
{
	return rg->endpoints.list[rg->endpoint].base;
}

/**
 * registry_url() - The whole URL of a call
 * @rg:   Conversation
 * @path: As registry_call has it
 *
 * Return: heap text; NULL without memory
 */
char *registry_url(const struct registry *rg, const char *path)
{
	if (strstr(path, "://"))
		return strdup(path);
	if (*path == '/')
		return str_format("%s%s", registry_base(rg), path);
	return str_format("%s/v2/%s/%s", registry_base(rg), rg->path, path);
}

/**
 * registry_is_own() - Whether our Authorization may go there
 * @rg:  Conversation
 * @url: Whole URL
 *
 * Return: true for the registry itself, false for where it points us
 */
bool registry_is_own(const struct registry *rg, const char *url)
{
	const char *base = registry_base(rg);
	size_t n = strlen(base);

	return strncmp(url, base, n) == 0 && (url[n] == '/' || !url[n]);
}

static int call_prepare(struct transfer *t, const struct registry_call *call, const char *url)
{
	struct registry *rg = t->rg;
	int r = transfer_begin(t, call->method, url);

	if (str_eq(call->method, "GET") || str_eq(call->method, "HEAD"))
		transfer_follow(t);
	if (rg->authorization && registry_is_own(rg, url))
		r |= transfer_header(t, "Authorization: %s", rg->authorization);
	if (call->accept)
		r |= transfer_header(t, "Accept: %s", call->accept);
	if (call->content_type)
		r |= transfer_header(t, "Content-Type: %s", call->content_type);
	if (call->file)
		transfer_file(t, call->file);
	else if (call->body || str_eq(call->method, "POST") || str_eq(call->method, "PUT"))
		transfer_body(t, call->body ?: "", call->body_len);
	return r;
}

/* Relative ones are the registry's own. */
static int call_absolute_location(struct registry *rg, struct registry_reply *reply)
{
	char *absolute;

	if (!reply->location || strstr(reply->location, "://"))
		return 0;
	absolute = str_format("%s%s%s", registry_base(rg), *reply->location == '/' ? "" : "/",
			      reply->location);
	if (!absolute)
		return -ENOMEM;
	free(reply->location);
	reply->location = absolute;
	return 0;
}

static int call_take_reply(struct transfer *t, struct registry_reply *ret_reply, struct err *err)
{
	struct registry_reply *reply = &t->reply;

	if (reply->status == 401 && t->challenge.error &&
	    str_eq(t->challenge.error, "insufficient_scope")) {
		/* who we are is fine, what we want is not */
		reply->status = 403;
		buf_reset(&t->body);
		buf_adds(&t->body, REGISTRY_DENIED);
	}
	reply->len = t->body.len;
	reply->data = buf_steal(&t->body);
	if (!reply->data || call_absolute_location(t->rg, reply) < 0)
		return err_oom(err);
	*ret_reply = *reply;
	*reply = (struct registry_reply){};
	return 0;
}

/* Whether another address may know better. */
static bool call_try_next(const struct registry *rg, const struct transfer *t, CURLcode code)
{
	const struct registry_endpoint *e = &rg->endpoints.list[rg->endpoint];

	if (rg->settled || rg->endpoint + 1 >= rg->endpoints.n || t->failure < 0)
		return false;
	return code != CURLE_OK || (e->mirror && t->reply.status >= 400);
}

/* Which request failed, before why. dockerd asks for manifests by HEAD first. */
static int call_name_error(const struct registry_call *call, const char *url, int r,
			   struct err *err)
{
	struct err why = err ? *err : (struct err){};

	if (!why.kind)
		return r;
	return err_user(err, why.kind, "%s \"%.*s\": %.700s",
			str_starts(call->path, "manifests/") ? "Head"
			: str_eq(call->method, "GET")	     ? "Get"
							     : call->method,
			(int)strcspn(url, "?"), url, why.msg);
}

/* What one address says in the end, after tokens and second attempts. */
static int call_ask(struct transfer *t, const struct registry_call *call, CURLcode *ret_code,
		    struct err *err)
{
	struct registry *rg = t->rg;
	bool authorized = false;
	unsigned int failed = call->failed;
	CURLcode code;
	int r;

	for (;;) {
		_cleanup_free_ char *url = registry_url(rg, call->path);

		if (!url || call_prepare(t, call, url) < 0)
			return err_oom(err);
		transfer_patience(t, failed);
		r = transfer_run(t, &code, err);
		if (r < 0)
			return r;
		if (code == CURLE_OK && t->reply.status == 401 && !authorized &&
		    t->challenge.scheme != REGISTRY_SCHEME_NONE && registry_is_own(rg, url)) {
			authorized = true;
			r = registry_authorize(rg, &t->challenge, err);
			if (r < 0)
				return call_name_error(call, url, r, err);
			continue;
		}
		if (call->file || !transfer_is_passing(t, code) ||
		    ++failed >= registry_attempts(rg))
			break;
		log_debug("registry: %s %s: %s, attempt %u", call->method, call->path,
			  code == CURLE_OK ? "the server is not well" : "broken", failed);
		r = transfer_pause(rg, failed, t->retry_after_s, err);
		if (r < 0)
			return r;
	}
	*ret_code = code;
	return 0;
}

/**
 * registry_call() - One request and its answer
 * @rg:	       Conversation
 * @call:      Request; its body may be sent more than once
 * @ret_reply: registry_reply_done(); set on success
 * @err:       Why nobody answered, in the manner of Go's HTTP client
 *
 * Return: 0 whatever the answer's status is, or negative errno
 */
int registry_call(struct registry *rg, const struct registry_call *call,
		  struct registry_reply *ret_reply, struct err *err)
{
	_cleanup_(transfer_done) struct transfer t = {};
	struct err first = {};
	CURLcode code = CURLE_OK;
	int r = transfer_init(&t, rg, err);

	while (r == 0) {
		struct err why = {};

		r = call_ask(&t, call, &code, &why);
		if (r == 0 && code == CURLE_OK && !call_try_next(rg, &t, code)) {
			rg->settled = true;
			return call_take_reply(&t, ret_reply, err);
		}
		if (r == 0 && code != CURLE_OK) {
			/* whom nobody has heard of yet is not there at all */
			_cleanup_free_ char *url =
				registry_url(rg, rg->settled ? call->path : "/v2/");

			(void)transfer_fail(&t, code, rg->settled ? call->method : "GET", url ?: "",
					    &why);
		}
		/* of "no TLS" and "nobody there", the last address's words are the plainer ones */
		if (why.kind && (first.kind == ERR_NONE || code != CURLE_OK))
			first = why;
		if (r == -ECANCELED || r == -ENOMEM || !call_try_next(rg, &t, code)) {
			if (err && first.kind)
				*err = first;
			return r < 0 ? r : -EIO;
		}
		r = registry_use_endpoint(rg, rg->endpoint + 1, err);
	}
	return r;
}
