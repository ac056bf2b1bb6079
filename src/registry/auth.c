/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.c - credentials as clients send them, challenges as registries do
 *
 * Pure functions over texts. Secrets are cleared when they are freed; they are never logged and
 * never part of an error. Hostile: challenges.
 */
#include "registry/auth.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <nettle/base64.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "registry/hosts.h"

#define CHALLENGE_PARAM_MAX 4096 /* one name or value, bytes */

static void auth_free_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

/**
 * registry_auth_done() - Forget credentials
 * @auth: Empty afterwards
 */
void registry_auth_done(struct registry_auth *auth)
{
	auth_free_secret(&auth->username);
	auth_free_secret(&auth->password);
	auth_free_secret(&auth->identity_token);
	auth_free_secret(&auth->registry_token);
}

/**
 * registry_auth_is_empty() - Whether nobody asks
 * @auth: Credentials or NULL
 *
 * Return: the answer
 */
bool registry_auth_is_empty(const struct registry_auth *auth)
{
	return !auth || (str_empty(auth->username) && str_empty(auth->identity_token) &&
			 str_empty(auth->registry_token));
}

static int auth_take(char **field, const char *text)
{
	if (str_empty(text))
		return 0;
	auth_free_secret(field); /* of a client that says it twice */
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

/**
 * registry_auth_copy() - The same credentials once more
 * @from:     Credentials or NULL
 * @ret_auth: Empty; filled
 *
 * Return: 0 or -ENOMEM
 */
int registry_auth_copy(const struct registry_auth *from, struct registry_auth *ret_auth)
{
	int r;

	if (!from)
		return 0;
	r = auth_take(&ret_auth->username, from->username) |
	    auth_take(&ret_auth->password, from->password) |
	    auth_take(&ret_auth->identity_token, from->identity_token) |
	    auth_take(&ret_auth->registry_token, from->registry_token);
	if (r == 0)
		return 0;
	registry_auth_done(ret_auth);
	return -ENOMEM;
}

/* "auth" of config.json: base64 of name:password */
static int auth_take_pair(struct registry_auth *auth, const char *text)
{
	size_t len = strlen(text), n = BASE64_DECODE_LENGTH(len);
	_cleanup_free_ char *pair = malloc(n + 1);
	struct base64_decode_ctx ctx;
	char *colon;
	int r = 0;

	if (!pair)
		return -ENOMEM;
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &n, (uint8_t *)pair, len, text) ||
	    !base64_decode_final(&ctx))
		return -EINVAL;
	pair[n] = '\0';
	colon = strchr(pair, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	r = auth_take(&auth->username, pair) | auth_take(&auth->password, colon + 1);
	explicit_bzero(pair, n);
	return r ? -ENOMEM : 0;
}

static int auth_from_object(const json_t *doc, const char *header, struct registry_auth *ret_auth,
			    struct err *err)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	const char *pair;
	int r;

	if (!json_is_object(doc))
		return err_user(err, ERR_INVALID, "invalid %s header: no JSON object", header);
	r = auth_take(&auth.username, json_string_value(json_object_get(doc, "username"))) |
	    auth_take(&auth.password, json_string_value(json_object_get(doc, "password"))) |
	    auth_take(&auth.identity_token,
		      json_string_value(json_object_get(doc, "identitytoken"))) |
	    auth_take(&auth.registry_token,
		      json_string_value(json_object_get(doc, "registrytoken")));
	if (r)
		return err_oom(err);
	pair = json_string_value(json_object_get(doc, "auth"));
	if (!auth.username && !str_empty(pair)) {
		r = auth_take_pair(&auth, pair);
		if (r == -ENOMEM)
			return err_oom(err);
		if (r < 0)
			return err_user(err, ERR_INVALID,
					"invalid %s header: auth is no name and password", header);
	}
	*ret_auth = auth;
	auth = (struct registry_auth){};
	return 0;
}

/**
 * registry_auth_from_json() - Docker's AuthConfig
 * @text:     JSON object
 * @len:      Bytes
 * @ret_auth: Filled on success
 * @err:      ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int registry_auth_from_json(const char *text, size_t len, struct registry_auth *ret_auth,
			    struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = json_loadb(text, len, 0, NULL);

	return auth_from_object(doc, "X-Registry-Auth", ret_auth, err);
}

/* The JSON in a header: base64 in either alphabet, padded or not. *ret_doc is NULL if it is none.
 */
static int auth_decode(const char *header, const char *name, json_t **ret_doc, struct err *err)
{
	size_t len = strlen(header), n;
	_cleanup_free_ char *text = NULL, *plain = NULL;
	struct base64_decode_ctx ctx;
	bool good;

	if (len > REGISTRY_AUTH_HEADER_MAX)
		return err_user(err, ERR_INVALID, "invalid %s header: too long", name);
	plain = malloc(len + 4);
	text = malloc(BASE64_DECODE_LENGTH(len + 3) + 1);
	if (!plain || !text)
		return err_oom(err);
	while (len > 0 && header[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++)
		plain[i] = header[i] == '-' ? '+' : header[i] == '_' ? '/' : header[i];
	while (len % 4)
		plain[len++] = '=';
	n = BASE64_DECODE_LENGTH(len);
	base64_decode_init(&ctx);
	good = base64_decode_update(&ctx, &n, (uint8_t *)text, len, plain) &&
	       base64_decode_final(&ctx);
	if (good)
		*ret_doc = json_loadb(text, n, 0, NULL);
	explicit_bzero(text, BASE64_DECODE_LENGTH(len));
	explicit_bzero(plain, len);
	return good ? 0 : err_user(err, ERR_INVALID, "invalid %s header: no base64", name);
}

/**
 * registry_auth_parse() - X-Registry-Auth
 * @header:   Its value, base64 in either alphabet, padded or not; NULL or "" is nobody
 * @ret_auth: Filled on success
 * @err:      ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int registry_auth_parse(const char *header, struct registry_auth *ret_auth, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	int r;

	if (str_empty(header)) {
		*ret_auth = (struct registry_auth){};
		return 0;
	}
	r = auth_decode(header, "X-Registry-Auth", &doc, err);
	return r < 0 ? r : auth_from_object(doc, "X-Registry-Auth", ret_auth, err);
}

/* The key as the CLI writes it goes first, then whatever stands for the same registry. */
static const json_t *auth_find(json_t *doc, const char *domain)
{
	json_t *value = json_object_get(doc, str_eq(domain, REGISTRY_DOCKER_IO) ? REGISTRY_HUB_KEY
										: domain);
	const char *key;

	if (value)
		return value;
	json_object_foreach (doc, key, value) {
		_cleanup_free_ char *of = *key ? registry_domain(key) : NULL;

		if (of && str_eq(of, domain))
			return value;
	}
	return NULL;
}

/**
 * registry_auth_parse_config() - X-Registry-Config: credentials for several registries
 * @header:   Its value, base64 of an object of AuthConfigs; NULL or "" is nobody
 * @domain:   "docker.io", "host:5000": whose are wanted
 * @ret_auth: Filled on success; nobody if the registry has none
 * @err:      ERR_INVALID
 *
 * Keys are names of hosts, or addresses with a scheme and a path.
 *
 * Return: 0 or negative errno
 */
int registry_auth_parse_config(const char *header, const char *domain,
			       struct registry_auth *ret_auth, struct err *err)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	const json_t *entry;
	int r = 0;

	if (!str_empty(header))
		r = auth_decode(header, "X-Registry-Config", &doc, err);
	if (r == 0 && !str_empty(header) && !json_is_object(doc))
		r = err_user(err, ERR_INVALID, "invalid X-Registry-Config header: no JSON object");
	if (r < 0)
		return r;
	entry = doc ? auth_find(doc, domain) : NULL;
	if (entry)
		return auth_from_object(entry, "X-Registry-Config", ret_auth, err);
	*ret_auth = (struct registry_auth){};
	return 0;
}

/**
 * registry_auth_basic() - Name and password as an Authorization
 * @auth: Credentials
 *
 * Return: heap text, to be cleared by the caller; NULL without memory
 */
char *registry_auth_basic(const struct registry_auth *auth)
{
	_cleanup_free_ char *pair = str_format("%s:%s", auth->username ?: "", auth->password ?: "");
	size_t len = pair ? strlen(pair) : 0;
	char *text = pair ? malloc(sizeof("Basic ") + BASE64_ENCODE_RAW_LENGTH(len)) : NULL;

	if (!text)
		return NULL;
	memcpy(text, "Basic ", 6);
	base64_encode_raw(text + 6, len, (const uint8_t *)pair);
	text[6 + BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
	explicit_bzero(pair, len);
	return text;
}

/**
 * registry_challenge_done() - Forget a challenge
 * @challenge: Empty afterwards
 */
void registry_challenge_done(struct registry_challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	free(challenge->error);
	*challenge = (struct registry_challenge){};
}

static const char *challenge_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == ',')
		p++;
	return p;
}

static bool challenge_is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *challenge_token(const char *p, char out[static CHALLENGE_PARAM_MAX])
{
	size_t n = 0;

	while (challenge_is_token(*p)) {
		if (n + 1 < CHALLENGE_PARAM_MAX)
			out[n++] = *p;
		p++;
	}
	out[n] = '\0';
	return p;
}

/* A token or a quoted string; what is too long is cut. */
static const char *challenge_value(const char *p, char out[static CHALLENGE_PARAM_MAX])
{
	size_t n = 0;

	if (*p != '"')
		return challenge_token(p, out);
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (n + 1 < CHALLENGE_PARAM_MAX)
			out[n++] = *p;
	}
	out[n] = '\0';
	return *p ? p + 1 : p;
}

static int challenge_set(struct registry_challenge *c, const char *name, const char *value)
{
	char **field = strcasecmp(name, "realm") == 0	  ? &c->realm
		       : strcasecmp(name, "service") == 0 ? &c->service
		       : strcasecmp(name, "scope") == 0	  ? &c->scope
		       : strcasecmp(name, "error") == 0	  ? &c->error
							  : NULL;
	char *copy;

	if (!field)
		return 0;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static enum registry_scheme challenge_scheme(const char *name)
{
	return strcasecmp(name, "Bearer") == 0	? REGISTRY_SCHEME_BEARER
	       : strcasecmp(name, "Basic") == 0 ? REGISTRY_SCHEME_BASIC
						: REGISTRY_SCHEME_NONE;
}

static void challenge_keep_better(struct registry_challenge *best, struct registry_challenge *c)
{
	/* a bearer challenge that does not say where to get a token is none */
	if (c->scheme > best->scheme && (c->scheme != REGISTRY_SCHEME_BEARER || c->realm)) {
		registry_challenge_done(best);
		*best = *c;
		*c = (struct registry_challenge){};
	}
	registry_challenge_done(c);
}

/**
 * registry_challenge_add() - Look at one WWW-Authenticate header
 * @header: Its value: any number of challenges
 * @ret:    The best seen so far; replaced where this header has a better one
 *
 * Return: 0 or -ENOMEM
 */
int registry_challenge_add(const char *header, struct registry_challenge *ret)
{
	char name[CHALLENGE_PARAM_MAX], value[CHALLENGE_PARAM_MAX];
	struct registry_challenge c = {};
	const char *p = challenge_space(header);
	int r = 0;

	while (*p && r == 0) {
		const char *after = challenge_token(p, name);

		if (after == p) { /* what no grammar has */
			p++;
			continue;
		}
		p = after;
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p == '=') {
			p = challenge_value(p + 1, value);
			r = challenge_set(&c, name, value);
		} else { /* the next challenge's scheme */
			challenge_keep_better(ret, &c);
			c.scheme = challenge_scheme(name);
		}
		p = challenge_space(p);
	}
	challenge_keep_better(ret, &c);
	return r;
}
