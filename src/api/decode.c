/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - request bodies and query values, with dockerd's words for what is wrong
 *
 * DOC: Theory of operation
 *
 * A body is hostile text. It is bounded by http/, its nesting is checked here before the
 * (recursive) parser sees it, it must be one value with nothing behind, and keys that occur twice
 * keep the last value, as Go's decoder does.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/str.h"

#define DECODE_DEPTH_MAX 200
#define DECODE_BODY_MAX MIB(4)

/* Brackets outside of strings; true if they nest too deep for the parser's stack. */
static bool decode_too_deep(const char *text, size_t len)
{
	unsigned int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > DECODE_DEPTH_MAX)
				return true;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return false;
}

/**
 * api_json_parse() - Parse one JSON value
 * @text:      Text
 * @len:       Its length
 * @ret_value: Set to a new reference
 * @err:       Filled on failure, always ERR_INVALID
 *
 * Return: 0 or <0
 */
int api_json_parse(const char *text, size_t len, json_t **ret_value, struct err *err)
{
	json_error_t at;
	json_t *value;
	size_t rest;

	if (decode_too_deep(text, len))
		return err_user(err, ERR_INVALID, "invalid JSON: exceeded max depth");
	value = json_loadb(text, len, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &at);
	if (!value)
		return err_user(err, ERR_INVALID, "invalid JSON: %s",
				json_error_code(&at) == json_error_premature_end_of_input
					? "unexpected EOF"
					: at.text);
	rest = (size_t)at.position;
	while (rest < len && strchr(" \t\r\n", text[rest]) && text[rest])
		rest++;
	if (rest < len) {
		json_decref(value);
		return err_user(err, ERR_INVALID, "unexpected content after JSON");
	}
	*ret_value = value;
	return 0;
}

static int decode_check_type(struct http_req *req, size_t len)
{
	const char *type = http_header(req, "Content-Type");
	size_t n;

	if (!type)
		type = "";
	if (!*type && len == 0)
		return 0;
	if (!*type)
		return err_user(&req->err, ERR_INVALID,
				"malformed Content-Type header (): mime: no media type");
	n = strcspn(type, "; \t");
	if (n != strlen("application/json") || strncasecmp(type, "application/json", n) != 0)
		return err_user(&req->err, ERR_INVALID,
				"unsupported Content-Type header (%s): must be 'application/json'",
				type);
	return 0;
}

/**
 * api_body_json() - The request's body as a JSON object
 * @req:      Request
 * @ret_body: Set to a new reference; NULL if there is no body, or it is null
 *
 * Return: 0 or <0 with req->err filled
 */
int api_body_json(struct http_req *req, json_t **ret_body)
{
	json_t *value = NULL;
	const char *text;
	size_t len;
	int r;

	r = http_body_all(req, DECODE_BODY_MAX, &text, &len);
	if (r < 0)
		return r;
	r = decode_check_type(req, len);
	if (r < 0)
		return r;
	if (len == 0) {
		*ret_body = NULL;
		return 0;
	}
	if (strspn(text, " \t\r\n") == len)
		return err_user(&req->err, ERR_INVALID,
				"invalid JSON: got EOF while reading request body");
	r = api_json_parse(text, len, &value, &req->err);
	if (r < 0)
		return r;
	if (!json_is_object(value) && !json_is_null(value)) {
		json_decref(value);
		return err_user(&req->err, ERR_INVALID,
				"invalid JSON: json: cannot unmarshal into an object");
	}
	if (json_is_null(value)) {
		json_decref(value);
		value = NULL;
	}
	*ret_body = value;
	return 0;
}

/**
 * api_query_int() - A number in the query
 * @req:       Request
 * @key:       Name
 * @missing:   Value if it is absent or empty
 * @ret_value: Set on success
 *
 * Return: 0 or <0 with req->err filled
 */
int api_query_int(struct http_req *req, const char *key, int missing, int *ret_value)
{
	const char *text = http_query(req, key);
	int64_t value = missing;

	if (!str_empty(text) && (str_i64(text, &value) < 0 || value < INT_MIN || value > INT_MAX))
		return err_user(
			&req->err, ERR_INVALID,
			"invalid value for %s: strconv.Atoi: parsing \"%s\": invalid syntax", key,
			text);
	*ret_value = (int)value;
	return 0;
}

/**
 * api_query_uint() - A number that must be there and not negative
 * @req:       Request
 * @key:       Name
 * @ret_value: Set on success
 *
 * Return: 0 or <0 with req->err filled
 */
int api_query_uint(struct http_req *req, const char *key, unsigned int *ret_value)
{
	const char *text = http_query(req, key);
	uint64_t value;

	if (str_u64(text ? text : "", UINT_MAX, &value) < 0)
		return err_user(&req->err, ERR_INVALID,
				"invalid value for %s: strconv.ParseUint: parsing \"%s\": invalid "
				"syntax",
				key, text ? text : "");
	*ret_value = (unsigned int)value;
	return 0;
}
