/* SPDX-License-Identifier: Apache-2.0 */
/* spec_util.c - filling protobuf-c messages whose every part is on the heap */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/spec.h"

/**
 * spec_put() - Set a string field that still has its default
 * @field: Field
 * @text:  Text, copied; "" and NULL leave the default
 *
 * Return: 0 or -ENOMEM
 */
int spec_put(char **field, const char *text)
{
	char *copy;

	if (!text || !*text)
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*field = copy;
	return 0;
}

/**
 * spec_add_string() - Append to a repeated string field
 * @field: Field
 * @n:	   Its count
 * @text:  Text, copied
 *
 * Return: 0 or -ENOMEM
 */
int spec_add_string(char ***field, size_t *n, const char *text)
{
	char **grown = reallocarray(*field, *n + 1, sizeof(char *));

	if (!grown)
		return -ENOMEM;
	*field = grown;
	grown[*n] = strdup(text);
	if (!grown[*n])
		return -ENOMEM;
	(*n)++;
	return 0;
}

/**
 * spec_put_strv() - Append a JSON array of strings
 * @field: Field
 * @n:	   Its count
 * @list:  Array, or anything else for none
 *
 * Return: 0 or -ENOMEM
 */
int spec_put_strv(char ***field, size_t *n, const json_t *list)
{
	json_t *item;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, item)
		r |= spec_add_string(field, n, json_string_value(item));
	return r ? -ENOMEM : 0;
}

/**
 * spec_add() - Append a message to a repeated field
 * @field: Field
 * @n:	   Its count
 * @size:  Size of the message
 *
 * Return: the message, for its init function; NULL without memory
 */
void *spec_add(void ***field, size_t *n, size_t size)
{
	void **grown = reallocarray(*field, *n + 1, sizeof(void *));
	void *item;

	if (!grown)
		return NULL;
	*field = grown;
	item = calloc(1, size);
	if (item)
		grown[(*n)++] = item;
	return item;
}

/**
 * spec_bytes() - A copy of some bytes
 * @field: Field, empty
 * @data:  Bytes
 * @len:   How many; 0 leaves it empty
 *
 * Return: 0 or -ENOMEM
 */
int spec_bytes(ProtobufCBinaryData *field, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	field->data = malloc(len);
	if (!field->data)
		return -ENOMEM;
	memcpy(field->data, data, len);
	field->len = len;
	return 0;
}
