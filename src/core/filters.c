/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filters.c - the `filters` query parameter
 *
 * DOC: Theory of operation
 *
 * Hostile text from an API client, in two shapes: {"key":{"value":true}} (the current one; the
 * boolean says nothing) and {"key":["value"]} (older clients). Both become key -> array of strings.
 * A key that the endpoint does not know is refused, never ignored: a prune with a filter that is
 * not understood must not remove everything. No state.
 */
#include "core/filters.h"

#include <errno.h>
#include <stdio.h>
#include <regex.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define FILTERS_DEPTH_MAX 3
#define FILTERS_REGEX_BYTES_MAX 512

static void filters_json_decref(json_t **json)
{
	json_decref(*json);
}

/* The parser recurses: look first. Brackets inside of strings may refuse odd but legal values. */
static bool filters_too_deep(const char *text)
{
	unsigned int depth = 0;
	bool in_string = false;

	for (; *text; text++) {
		if (in_string && *text == '\\' && text[1])
			text++;
		else if (*text == '"')
			in_string = !in_string;
		else if (!in_string && (*text == '{' || *text == '['))
			depth++;
		else if (!in_string && (*text == '}' || *text == ']') && depth > 0)
			depth--;
		if (depth > FILTERS_DEPTH_MAX)
			return true;
	}
	return false;
}

/* One key's values, from either shape; NULL if it is neither. */
static json_t *filters_values(json_t *given)
{
	_cleanup_(filters_json_decref) json_t *values = json_array();
	const char *key;
	json_t *item;
	size_t i;

	if (!values)
		return NULL;
	if (json_is_object(given)) {
		json_object_foreach (given, key, item)
			if (!json_is_boolean(item) ||
			    json_array_append_new(values, json_string(key)) < 0)
				return NULL;
	} else if (json_is_array(given)) {
		json_array_foreach (given, i, item)
			if (!json_is_string(item) || json_array_append(values, item) < 0)
				return NULL;
	} else {
		return NULL;
	}
	return TAKE_PTR(values);
}

static bool filters_known(const char *const *known, const char *key)
{
	for (; *known; known++)
		if (str_eq(*known, key))
			return true;
	return false;
}

/**
 * filters_parse() - Parse a `filters` parameter
 * @text:	 JSON text, NULL or ""
 * @known:	 Keys that the endpoint understands, NULL-terminated
 * @ret_filters: Set to an object of arrays of strings, new reference; NULL if @text is empty
 * @err:	 Filled on failure, in dockerd's words
 *
 * Return: 0 or <0
 */
int filters_parse(const char *text, const char *const *known, json_t **ret_filters, struct err *err)
{
	_cleanup_(filters_json_decref) json_t *given = NULL;
	_cleanup_(filters_json_decref) json_t *filters = NULL;
	const char *key;
	json_t *value;

	if (str_empty(text)) {
		*ret_filters = NULL;
		return 0;
	}
	if (!filters_too_deep(text))
		given = json_loads(text, 0, NULL);
	if (!json_is_object(given))
		return err_user(err, ERR_INVALID, "invalid filter");
	filters = json_object();
	json_object_foreach (given, key, value) {
		json_t *values = filters_values(value);

		if (!values)
			return err_user(err, ERR_INVALID, "invalid filter");
		if (json_object_set_new(filters, key, values) < 0)
			return err_oom(err);
		if (!filters_known(known, key))
			return err_user(err, ERR_INVALID, "invalid filter '%s'", key);
	}
	*ret_filters = TAKE_PTR(filters);
	return 0;
}

/**
 * filters_has() - Whether a key was given with at least one value
 * @filters: From filters_parse(), or NULL
 * @key:     Key
 *
 * Return: the answer
 */
bool filters_has(const json_t *filters, const char *key)
{
	return json_array_size(json_object_get(filters, key)) > 0;
}

/**
 * filters_match() - Whether a value passes one key
 * @filters: From filters_parse(), or NULL
 * @key:     Key
 * @value:   Value; NULL equals nothing
 *
 * Return: true if the key was not given, or one of its values equals @value
 */
bool filters_match(const json_t *filters, const char *key, const char *value)
{
	const json_t *values = json_object_get(filters, key);
	const json_t *item;
	size_t i;

	if (json_array_size(values) == 0)
		return true;
	json_array_foreach (values, i, item)
		if (value && str_eq(json_string_value(item), value))
			return true;
	return false;
}

/**
 * filters_match_pattern() - Whether a text equals or matches one of a key's values
 * @filters: From filters_parse(), or NULL
 * @key:     Key
 * @text:    Text
 *
 * Return: the answer; true if the key is absent
 */
bool filters_match_pattern(const json_t *filters, const char *key, const char *text)
{
	json_t *values = json_object_get(filters, key), *item;
	size_t i;

	if (json_array_size(values) == 0)
		return true;
	json_array_foreach (values, i, item) {
		const char *pattern = json_string_value(item);
		regex_t regex;
		bool match;

		if (str_eq(pattern, text))
			return true;
		if (strlen(pattern) > FILTERS_REGEX_BYTES_MAX ||
		    regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
			continue;
		match = regexec(&regex, text, 0, NULL, 0) == 0;
		regfree(&regex);
		if (match)
			return true;
	}
	return false;
}

/* "k" holds if the label is there, "k=v" if it has that value. */
static bool filters_label_holds(const char *wanted, const json_t *labels)
{
	const char *eq = strchr(wanted, '=');
	const char *value;
	size_t len = eq ? (size_t)(eq - wanted) : strlen(wanted);

	value = json_string_value(json_object_getn(labels, wanted, len));
	return value && (!eq || str_eq(eq + 1, value));
}

/**
 * filters_match_labels() - Whether labels pass one key
 * @filters: From filters_parse(), or NULL
 * @key:     "label": all must hold; "label!": none may
 * @labels:  Object of strings, or NULL
 *
 * Return: the answer; true if the key was not given
 */
bool filters_match_labels(const json_t *filters, const char *key, const json_t *labels)
{
	const json_t *values = json_object_get(filters, key);
	bool negated = str_ends(key, "!");
	const json_t *item;
	size_t i;

	json_array_foreach (values, i, item)
		if (filters_label_holds(json_string_value(item), labels) == negated)
			return false;
	return true;
}

/**
 * filters_bool() - The truth of one key
 * @filters: From filters_parse(), or NULL
 * @key:     Key
 * @ret:     Set if the key was given
 * @err:     ERR_INVALID in dockerd's words
 *
 * Return: 0 or <0
 */
int filters_bool(const json_t *filters, const char *key, bool *ret, struct err *err)
{
	const json_t *values = json_object_get(filters, key), *item;
	const char *text = json_string_value(json_array_get(values, 0));
	char given[200] = "";
	size_t i, len = 0;

	if (!text)
		return 0;
	if (json_array_size(values) == 1 && (str_eq(text, "true") || str_eq(text, "1"))) {
		*ret = true;
		return 0;
	}
	if (json_array_size(values) == 1 && (str_eq(text, "false") || str_eq(text, "0"))) {
		*ret = false;
		return 0;
	}
	json_array_foreach (values, i, item) /* cut where it is full */
		len += (size_t)snprintf(given + MIN(len, sizeof(given) - 1),
					sizeof(given) - MIN(len, sizeof(given) - 1), "%s%s",
					i ? " " : "", json_string_value(item));
	return err_user(err, ERR_INVALID, "invalid filter '%s=[%s]'", key, given);
}
