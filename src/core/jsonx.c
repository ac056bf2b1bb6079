/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonx.c - short reads and writes of jansson objects
 *
 * Readers give Go's zero value for what is absent or of another type. Writers return 0 or -ENOMEM,
 * so that a builder can OR their results together and look once.
 */
#include "core/jsonx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/**
 * jx_str() - A string member
 * @object: Object or NULL
 * @key:    Member
 *
 * Return: borrowed text, "" if it is not there
 */
const char *jx_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/**
 * jx_int() - An integer member
 * @object: Object or NULL
 * @key:    Member
 *
 * Return: the number, 0 if it is not there
 */
int64_t jx_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/**
 * jx_bool() - A boolean member
 * @object: Object or NULL
 * @key:    Member
 *
 * Return: the value, false if it is not there
 */
bool jx_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/**
 * jx_len() - Size of an array or object member
 * @object: Object or NULL
 * @key:    Member
 *
 * Return: number of elements, 0 if it is not there
 */
size_t jx_len(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_array(value) ? json_array_size(value) : json_object_size(value);
}

/**
 * jx_empty() - Whether a member has Go's zero value
 * @object: Object or NULL
 * @key:    Member
 *
 * Return: true for absent, null, "", 0, false, and collections without elements
 */
bool jx_empty(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		return json_object_size(value) == 0;
	case JSON_ARRAY:
		return json_array_size(value) == 0;
	case JSON_STRING:
		return json_string_length(value) == 0;
	case JSON_INTEGER:
		return json_integer_value(value) == 0;
	case JSON_REAL:
		return json_real_value(value) == 0;
	case JSON_TRUE:
		return false;
	default:
		return true;
	}
}

/**
 * jx_set() - Set a member
 * @object: Object
 * @key:    Member
 * @value:  New value, reference stolen; NULL (allocation failed) is an error
 *
 * Return: 0 or -ENOMEM
 */
int jx_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new_nocheck(object, key, value) < 0 ? -ENOMEM : 0;
}

/**
 * jx_set_str() - Set a string member
 * @object: Object
 * @key:    Member
 * @value:  Text; bytes that are not UTF-8 are refused by jansson and become ""
 *
 * Return: 0 or -ENOMEM
 */
int jx_set_str(json_t *object, const char *key, const char *value)
{
	json_t *text = json_string(value);

	return jx_set(object, key, text ? text : json_string(""));
}

/**
 * jx_set_int() - Set an integer member
 * @object: Object
 * @key:    Member
 * @value:  Number
 *
 * Return: 0 or -ENOMEM
 */
int jx_set_int(json_t *object, const char *key, int64_t value)
{
	return jx_set(object, key, json_integer(value));
}

/**
 * jx_set_bool() - Set a boolean member
 * @object: Object
 * @key:    Member
 * @value:  Value
 *
 * Return: 0 or -ENOMEM
 */
int jx_set_bool(json_t *object, const char *key, bool value)
{
	return jx_set(object, key, json_boolean(value));
}

/**
 * jx_share() - Set a member to a value that stays where it is, too
 * @object: Object
 * @key:    Member
 * @value:  Immutable value; NULL gives JSON null
 *
 * Return: 0 or -ENOMEM
 */
int jx_share(json_t *object, const char *key, const json_t *value)
{
	return jx_set(object, key, value ? json_incref((json_t *)value) : json_null());
}

/**
 * jx_add_str() - Append a string
 * @array: Array
 * @value: Text
 *
 * Return: 0 or -ENOMEM
 */
int jx_add_str(json_t *array, const char *value)
{
	return json_array_append_new(array, json_string(value)) < 0 ? -ENOMEM : 0;
}

/**
 * jx_addf() - Append formatted text
 * @array: Array or NULL (nothing happens)
 * @fmt:   Format
 *
 * Return: 0 or -ENOMEM
 */
int jx_addf(json_t *array, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	if (!array)
		return 0;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return jx_add_str(array, text);
}

/**
 * jx_parse() - JSON text of our own making (the database's)
 * @text: Text or NULL
 *
 * Return: new reference; NULL if it is no JSON
 */
json_t *jx_parse(const char *text)
{
	return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

/**
 * jx_text() - Compact JSON text
 * @json: Value; NULL gives "null"
 *
 * Return: heap string or NULL
 */
char *jx_text(const json_t *json)
{
	return json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("null");
}
