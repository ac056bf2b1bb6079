/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.c - what registries say of errors (distribution-spec 1.1, Error Codes), as dockerd
 * prints it
 *
 * Hostile: the body.
 */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "registry/transfer.h"

#define ERRORS_SHOWN_MAX 4

/* "MANIFEST_UNKNOWN" -> "manifest unknown" */
static size_t errors_add_code(const char *code, char *out, size_t size)
{
	size_t n = 0;

	for (; *code && n + 1 < size; code++)
		out[n++] = *code == '_' ? ' ' : (char)tolower((unsigned char)*code);
	out[n] = '\0';
	return n;
}

static size_t errors_add(const json_t *error, char *out, size_t size)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	size_t n;

	if (!code || size < 8)
		return 0;
	n = errors_add_code(code, out, size);
	if (!str_empty(message) && n + 3 < size)
		n += (size_t)snprintf(out + n, size - n, ": %.*s", (int)MIN(size - n - 3, 400u),
				      message);
	return MIN(n, size - 1);
}

/**
 * registry_error_text() - The errors in a body, as text
 * @reply: Answer
 * @out:   Receives "code: message", several on lines of their own; "" if the body has none
 * @size:  Bytes of @out
 */
void registry_error_text(const struct registry_reply *reply, char *out, size_t size)
{
	_cleanup_(json_decrefp) json_t *doc =
		reply->data ? json_loadb(reply->data, reply->len, 0, NULL) : NULL;
	const json_t *errors = json_object_get(doc, "errors");
	const char *details = json_string_value(json_object_get(doc, "details"));
	size_t n = 0;

	*out = '\0';
	for (size_t i = 0; i < MIN(json_array_size(errors), (size_t)ERRORS_SHOWN_MAX); i++) {
		if (n && n + 2 < size)
			out[n++] = '\n';
		n += errors_add(json_array_get(errors, i), out + n, size - n);
	}
	if (n == 0 && details)						    /* of token services */
		(void)snprintf(out, size, "unauthorized: %.400s", details); /* cutting is fine */
}

static enum err_kind errors_kind(long status)
{
	switch (status) {
	case 400:
		return ERR_INVALID;
	case 401:
		return ERR_UNAUTHORIZED;
	case 403:
		return ERR_FORBIDDEN;
	case 404:
		return ERR_NOT_FOUND;
	case 429:
	case 503:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

/* RFC 9110 15, as far as registries and their proxies go. */
static const char *errors_phrase(long status)
{
	static const struct {
		long status;
		const char *phrase;
	} phrases[] = {
		{500, " Internal Server Error"}, {501, " Not Implemented"},
		{502, " Bad Gateway"},		 {503, " Service Unavailable"},
		{504, " Gateway Timeout"},	 {507, " Insufficient Storage"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "";
}

/**
 * registry_error() - An answer that is no success, as an error
 * @rg:	   Conversation
 * @call:  What was asked
 * @reply: The answer
 * @err:   Filled: the registry's own words, or its status
 *
 * Return: negative errno
 */
int registry_error(const struct registry *rg, const struct registry_call *call,
		   const struct registry_reply *reply, struct err *err)
{
	_cleanup_free_ char *url = registry_url(rg, call->path);
	enum err_kind kind = errors_kind(reply->status);
	char words[512];

	registry_error_text(reply, words, sizeof(words));
	if (*words && reply->status < 500)
		return err_user(err, kind, "%s", words);
	if (reply->status == 429)
		return err_user(err, kind, "toomanyrequests: the registry limits requests");
	return err_user(err, kind, "received unexpected HTTP status: %ld%s for %s \"%.*s\"",
			reply->status, errors_phrase(reply->status), call->method,
			url ? (int)strcspn(url, "?") : 0, url ?: "");
}
