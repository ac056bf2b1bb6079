/* SPDX-License-Identifier: Apache-2.0 */
/* filters.h - the `filters` query parameter: {"k":{"v":true}} and {"k":["v"]}; unknown keys refused
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* text NULL or "": NULL object. known: NULL-terminated key names. ret_filters: object key -> array
 * of strings; new reference. Errors: ERR_INVALID "invalid filter" / "invalid filter 'x'" as dockerd
 * says it. */
int filters_parse(const char *text, const char *const *known, json_t **ret_filters,
		  struct err *err);
bool filters_has(const json_t *filters, const char *key);
/* true if key is absent or one of its values equals value */
bool filters_match(const json_t *filters, const char *key, const char *value);
/* the same, and a value may be a POSIX extended regular expression that matches */
bool filters_match_pattern(const json_t *filters, const char *key, const char *text);
/* label filters: every given "k" or "k=v" must hold in labels (object); key "label" or "label!"
 * (none may hold) */
bool filters_match_labels(const json_t *filters, const char *key, const json_t *labels);
/* "true", "1", "false", "0", once; ret untouched if the key is absent. ERR_INVALID in dockerd's
 * words. */
int filters_bool(const json_t *filters, const char *key, bool *ret, struct err *err);
