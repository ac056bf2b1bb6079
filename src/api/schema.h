/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the types of a request body's fields, and dockerd's words when one is wrong */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

enum schema_type {
	SCHEMA_ANY,
	SCHEMA_STRING,
	SCHEMA_BOOL,
	SCHEMA_INT,
	SCHEMA_INT64,
	SCHEMA_UINT16,
	SCHEMA_UINT64,
	SCHEMA_STRINGS,	   /* array of strings */
	SCHEMA_STRSLICE,   /* the same, or one string */
	SCHEMA_STRING_MAP, /* object of strings */
	SCHEMA_OBJECT,	   /* fields below */
	SCHEMA_OBJECTS,	   /* array of them */
	SCHEMA_OBJECT_MAP, /* object of them */
	SCHEMA_ARRAY_MAP,  /* object of arrays of them */
};

struct schema_field {
	const char *name; /* NULL ends the table */
	enum schema_type type;
	const struct schema_field *fields; /* of the objects; NULL: any */
};

extern const struct schema_field schema_container_config[]; /* create's own fields */
extern const struct schema_field schema_container_create[]; /* and HostConfig, NetworkingConfig */
extern const struct schema_field schema_container_update[];
extern const struct schema_field schema_network_create[];
extern const struct schema_field schema_network_connect[];
extern const struct schema_field schema_network_disconnect[];
extern const struct schema_field schema_endpoint[]; /* EndpointSettings */
extern const struct schema_field schema_exec_create[];
extern const struct schema_field schema_exec_start[];

int schema_check(const struct schema_field *fields, const char *name, json_t *object,
		 struct err *err);
