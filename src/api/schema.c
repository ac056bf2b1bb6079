/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - check a request body against a table of fields
 *
 * DOC: Theory of operation
 *
 * Go's decoder is what Docker's clients are tested against: null fits everything, unknown fields
 * are no error, keys match without regard to case, and a wrong type is told with its path. So
 * schema_check() also renames keys to their proper spelling; what follows can look them up exactly.
 * Recursion is bounded by the tables.
 */
#include "api/schema.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define SCHEMA_PATH_MAX 256

struct schema_walk {
	const char *name; /* Go's name of the outermost type */
	char path[SCHEMA_PATH_MAX];
	struct err *err;
};

static const char *const schema_go_types[] = {
	[SCHEMA_ANY] = "any",
	[SCHEMA_STRING] = "string",
	[SCHEMA_BOOL] = "bool",
	[SCHEMA_INT] = "int",
	[SCHEMA_INT64] = "int64",
	[SCHEMA_UINT16] = "uint16",
	[SCHEMA_UINT64] = "uint64",
	[SCHEMA_STRINGS] = "[]string",
	[SCHEMA_STRSLICE] = "[]string",
	[SCHEMA_STRING_MAP] = "map[string]string",
	[SCHEMA_OBJECT] = "struct",
	[SCHEMA_OBJECTS] = "[]struct",
	[SCHEMA_OBJECT_MAP] = "map[string]struct",
	[SCHEMA_ARRAY_MAP] = "map[string][]struct",
};

static const char *schema_json_type(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	default:
		return "number";
	}
}

static int schema_refuse(struct schema_walk *w, const json_t *value, const char *type)
{
	char number[32] = "";

	if (json_is_integer(value))
		(void)snprintf(number, sizeof(number), " %lld",
			       (long long)json_integer_value(value));
	else if (json_is_real(value))
		(void)snprintf(number, sizeof(number), " %g", json_real_value(value));
	return err_user(w->err, ERR_INVALID,
			"invalid JSON: json: cannot unmarshal %s%s into Go struct field %s.%s of "
			"type %s",
			schema_json_type(value), number, w->name, w->path, type);
}

static bool schema_fits_number(enum schema_type type, const json_t *value)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value))
		return false;
	return type == SCHEMA_INT64 || type == SCHEMA_INT ||
	       (type == SCHEMA_UINT16 && n >= 0 && n <= UINT16_MAX) ||
	       (type == SCHEMA_UINT64 && n >= 0);
}

static int schema_check_strings(struct schema_walk *w, json_t *value)
{
	size_t i;
	json_t *item;

	json_array_foreach (value, i, item)
		if (!json_is_string(item) && !json_is_null(item))
			return schema_refuse(w, item, "string");
	return 0;
}

static int schema_check_string_map(struct schema_walk *w, json_t *value)
{
	const char *key;
	json_t *item;

	json_object_foreach (value, key, item)
		if (!json_is_string(item) && !json_is_null(item))
			return schema_refuse(w, item, "string");
	return 0;
}

static int schema_walk_object(struct schema_walk *w, const struct schema_field *fields,
			      json_t *object);

static int schema_walk_items(struct schema_walk *w, const struct schema_field *fields,
			     json_t *array)
{
	size_t i;
	json_t *item;
	int r = 0;

	json_array_foreach (array, i, item)
		if (r == 0 && !json_is_null(item))
			r = json_is_object(item) ? schema_walk_object(w, fields, item)
						 : schema_refuse(w, item, "struct");
	return r;
}

static int schema_walk_map(struct schema_walk *w, const struct schema_field *fields, bool of_arrays,
			   json_t *map)
{
	const char *key;
	json_t *item;

	json_object_foreach (map, key, item) {
		int r;

		if (json_is_null(item))
			continue;
		if (of_arrays)
			r = json_is_array(item) ? schema_walk_items(w, fields, item)
						: schema_refuse(w, item, "[]struct");
		else
			r = json_is_object(item) ? schema_walk_object(w, fields, item)
						 : schema_refuse(w, item, "struct");
		if (r < 0)
			return r;
	}
	return 0;
}

static int schema_check_value(struct schema_walk *w, const struct schema_field *field,
			      json_t *value)
{
	const char *type = schema_go_types[field->type];

	if (json_is_null(value))
		return 0;
	switch (field->type) {
	case SCHEMA_ANY:
		return 0;
	case SCHEMA_STRING:
		return json_is_string(value) ? 0 : schema_refuse(w, value, type);
	case SCHEMA_BOOL:
		return json_is_boolean(value) ? 0 : schema_refuse(w, value, type);
	case SCHEMA_INT:
	case SCHEMA_INT64:
	case SCHEMA_UINT16:
	case SCHEMA_UINT64:
		return schema_fits_number(field->type, value) ? 0 : schema_refuse(w, value, type);
	case SCHEMA_STRSLICE:
		if (json_is_string(value))
			return 0;
		__attribute__((fallthrough));
	case SCHEMA_STRINGS:
		return json_is_array(value) ? schema_check_strings(w, value)
					    : schema_refuse(w, value, type);
	case SCHEMA_STRING_MAP:
		return json_is_object(value) ? schema_check_string_map(w, value)
					     : schema_refuse(w, value, type);
	case SCHEMA_OBJECT:
		return json_is_object(value) ? schema_walk_object(w, field->fields, value)
					     : schema_refuse(w, value, type);
	case SCHEMA_OBJECTS:
		return json_is_array(value) ? schema_walk_items(w, field->fields, value)
					    : schema_refuse(w, value, type);
	case SCHEMA_OBJECT_MAP:
	case SCHEMA_ARRAY_MAP:
		return json_is_object(value)
			       ? schema_walk_map(w, field->fields, field->type == SCHEMA_ARRAY_MAP,
						 value)
			       : schema_refuse(w, value, type);
	}
	return 0;
}

/* The value of a field, whatever the case of its key; the key is put right. Not NULL on return
 * means it is there. */
static json_t *schema_find(json_t *object, const char *name)
{
	json_t *exact = json_object_get(object, name), *value;
	const char *key;

	if (exact)
		return exact;
	json_object_foreach (object, key, value)
		if (strcasecmp(key, name) == 0) {
			json_incref(value);
			(void)json_object_del(object, key); /* it was just there */
			return json_object_set_new(object, name, value) == 0 ? value : NULL;
		}
	return NULL;
}

static int schema_walk_object(struct schema_walk *w, const struct schema_field *fields,
			      json_t *object)
{
	size_t len = strlen(w->path);

	for (; fields && fields->name; fields++) {
		json_t *value = schema_find(object, fields->name);
		int r;

		if (!value)
			continue;
		(void)snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len ? "." : "",
			       fields->name); /* the tables are shallow */
		r = schema_check_value(w, fields, value);
		if (r < 0)
			return r;
		w->path[len] = '\0';
	}
	return 0;
}

/**
 * schema_check() - Check an object's fields
 * @fields: Table
 * @name:   Go's name of the type, for the message
 * @object: Object; its keys get their proper spelling
 * @err:    Filled on failure
 *
 * Return: 0, or <0 if a field has the wrong type
 */
int schema_check(const struct schema_field *fields, const char *name, json_t *object,
		 struct err *err)
{
	struct schema_walk w = {.name = name, .err = err};

	return schema_walk_object(&w, fields, object);
}
