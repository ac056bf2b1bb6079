/* SPDX-License-Identifier: Apache-2.0 */
/* jsonx.h - short reads and writes of jansson objects, as the managers need them */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

const char *jx_str(const json_t *object, const char *key);
int64_t jx_int(const json_t *object, const char *key);
bool jx_bool(const json_t *object, const char *key);
bool jx_empty(const json_t *object, const char *key);
size_t jx_len(const json_t *object, const char *key);
int jx_set(json_t *object, const char *key, json_t *value);
int jx_set_str(json_t *object, const char *key, const char *value);
int jx_set_int(json_t *object, const char *key, int64_t value);
int jx_set_bool(json_t *object, const char *key, bool value);
int jx_share(json_t *object, const char *key, const json_t *value);
int jx_add_str(json_t *array, const char *value);
int jx_addf(json_t *array, const char *fmt, ...) PRINTF(2, 3);
json_t *jx_parse(const char *text);
char *jx_text(const json_t *json);
