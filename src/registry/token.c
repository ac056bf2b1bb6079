/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c - from a challenge to an Authorization
 *
 * Basic: name and password. Bearer: a token from the realm (distribution's token specification): by
 * GET with name and password or as nobody, by POST with the identity token where there is one
 * (OAuth 2 refresh). The realm is wherever the registry says, but credentials never go to plain
 * http unless the registry itself was reached so.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "registry/transfer.h"

static int token_set(struct registry *rg, char *authorization /* owned */, struct err *err)
{
	if (!authorization)
		return err_oom(err);
	if (rg->authorization)
		explicit_bzero(rg->authorization, strlen(rg->authorization));
	free(rg->authorization);
	rg->authorization = authorization;
	return 0;
}

static void token_add_param(struct registry *rg, struct buf *out, const char *name,
			    const char *value)
{
	char *escaped;

	if (str_empty(value))
		return;
	escaped = rg->curl->easy_escape(NULL, value, 0);
	if (!escaped) {
		out->failed = true;
		return;
	}
	buf_addf(out, "%s%s=%s", out->len ? "&" : "", name, escaped);
	rg->curl->free(escaped);
}

/* What we mean to do here, rather than what the challenge guesses. */
static void token_add_scopes(struct registry *rg, struct buf *out, const char *asked)
{
	char scope[1024];

	if (!*rg->path) {
		token_add_param(rg, out, "scope", asked);
		if (!rg->actions) {
			token_add_param(rg, out, "offline_token", "true");
			token_add_param(rg, out, "client_id", "docker");
		}
		return;
	}
	(void)snprintf(scope, sizeof(scope), "repository:%s:%s", rg->path,
		       rg->actions); /* names are shorter */
	token_add_param(rg, out, "scope", scope);
	if (rg->also) {
		(void)snprintf(scope, sizeof(scope), "repository:%s:pull", rg->also);
		token_add_param(rg, out, "scope", scope);
	}
}

static int token_read(struct registry *rg, const struct registry_reply *reply, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = json_loadb(reply->data, reply->len, 0, NULL);
	const char *token = json_string_value(json_object_get(doc, "token"));
	const char *refresh = json_string_value(json_object_get(doc, "refresh_token"));

	if (str_empty(token))
		token = json_string_value(json_object_get(doc, "access_token"));
	if (str_empty(token) || strpbrk(token, "\r\n"))
		return err_user(err, ERR_INTERNAL,
				"authorization server did not include a token "
				"in the response");
	if (!rg->actions && !str_empty(refresh)) {
		free(rg->identity);
		rg->identity = strdup(refresh);
	}
	return token_set(rg, str_format("Bearer %s", token), err);
}

static int token_refuse(const struct transfer *t, struct err *err)
{
	char words[512];

	registry_error_text(&t->reply, words, sizeof(words));
	if (t->reply.status == 401 || t->reply.status == 403)
		return err_user(err, ERR_UNAUTHORIZED, "%s",
				*words ? words : "unauthorized: incorrect username or password");
	return err_user(err, ERR_INTERNAL,
			"failed to fetch oauth token: unexpected status: %ld from the "
			"authorization server",
			t->reply.status);
}

static int token_exchange(struct transfer *t, const char *method, const char *url, struct err *err)
{
	CURLcode code;
	int r = transfer_run(t, &code, err);

	if (r < 0)
		return r;
	if (code != CURLE_OK)
		return transfer_fail(t, code, method, url, err);
	t->reply.len = t->body.len;
	t->reply.data = buf_steal(&t->body);
	if (!t->reply.data)
		return err_oom(err);
	if (t->reply.status != 200)
		return token_refuse(t, err);
	return token_read(t->rg, &t->reply, err);
}

static int token_get(struct registry *rg, const struct registry_challenge *c, struct err *err)
{
	_cleanup_(transfer_done) struct transfer t = {};
	_cleanup_buf_ struct buf query = {};
	_cleanup_free_ char *url = NULL, *basic = NULL;
	bool named = !str_empty(rg->auth.username);
	int r = transfer_init(&t, rg, err);

	if (r < 0)
		return r;
	token_add_param(rg, &query, "service", c->service);
	token_add_scopes(rg, &query, c->scope);
	if (named)
		token_add_param(rg, &query, "account", rg->auth.username);
	url = query.failed ? NULL
			   : str_format("%s%s%s", c->realm, strchr(c->realm, '?') ? "&" : "?",
					query.data ?: "");
	if (!url)
		return err_oom(err);
	if (transfer_begin(&t, "GET", url) < 0)
		return err_oom(err);
	transfer_follow(&t);
	if (named) {
		basic = registry_auth_basic(&rg->auth);
		if (!basic || transfer_header(&t, "Authorization: %s", basic) < 0)
			return err_oom(err);
		explicit_bzero(basic, strlen(basic));
	}
	return token_exchange(&t, "GET", url, err);
}

static int token_refresh(struct registry *rg, const struct registry_challenge *c, struct err *err)
{
	_cleanup_(transfer_done) struct transfer t = {};
	_cleanup_buf_ struct buf form = {};
	int r = transfer_init(&t, rg, err);

	if (r < 0)
		return r;
	token_add_param(rg, &form, "grant_type", "refresh_token");
	token_add_param(rg, &form, "service", c->service);
	token_add_param(rg, &form, "client_id", "arca");
	token_add_scopes(rg, &form, c->scope);
	token_add_param(rg, &form, "refresh_token", rg->auth.identity_token);
	if (form.failed)
		return err_oom(err);
	if (transfer_begin(&t, "POST", c->realm) < 0 ||
	    transfer_header(&t, "Content-Type: application/x-www-form-urlencoded") < 0)
		return err_oom(err);
	transfer_body(&t, form.data, form.len);
	r = token_exchange(&t, "POST", c->realm, err);
	explicit_bzero(form.data, form.len);
	return r;
}

/**
 * registry_authorize() - Meet a challenge
 * @rg:	       Conversation; gets its Authorization
 * @challenge: What a 401 asked for
 * @err:       ERR_UNAUTHORIZED where we have not got it, or it was not accepted
 *
 * Return: 0 or negative errno
 */
int registry_authorize(struct registry *rg, const struct registry_challenge *challenge,
		       struct err *err)
{
	bool plain;

	if (challenge->scheme == REGISTRY_SCHEME_BASIC) {
		if (str_empty(rg->auth.username))
			return err_user(err, ERR_INTERNAL, "no basic auth credentials");
		return token_set(rg, registry_auth_basic(&rg->auth), err);
	}
	if (!str_empty(rg->auth.registry_token))
		return token_set(rg, str_format("Bearer %s", rg->auth.registry_token), err);
	plain = str_starts(challenge->realm, "http://");
	if (!plain && !str_starts(challenge->realm, "https://"))
		return err_user(err, ERR_INTERNAL, "unsupported realm \"%.200s\" for a token",
				challenge->realm);
	if (plain && !registry_auth_is_empty(&rg->auth) &&
	    str_starts(registry_base(rg), "https:") && rg->endpoints.list[rg->endpoint].verify)
		return err_user(err, ERR_INTERNAL,
				"the registry wants credentials sent without TLS to %.200s",
				challenge->realm);
	if (!str_empty(rg->auth.identity_token))
		return token_refresh(rg, challenge, err);
	return token_get(rg, challenge, err);
}
