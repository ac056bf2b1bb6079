/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-api-json.c - any bytes as a body (create, update, exec) or as filters; the first byte says
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/schema.h"
#include "base/cleanup.h"
#include "core/filters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void filters(const char *text)
{
	static const char *const known[] = {"label", "label!", "name", "status", NULL};
	json_t *parsed = NULL;
	struct err err = {0};

	if (filters_parse(text, known, &parsed, &err) < 0) {
		assert(!parsed && err.kind == ERR_INVALID);
		return;
	}
	(void)filters_match(parsed, "name", "x");
	(void)filters_match_labels(parsed, "label", parsed);
	(void)filters_match_labels(parsed, "label!", NULL);
	json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct schema_field *const schemas[] = {
		schema_container_create,
		schema_container_update,
		schema_exec_create,
		schema_exec_start,
	};
	_cleanup_free_ char *text = NULL;
	json_t *body = NULL;
	struct err err = {0};

	if (len == 0)
		return 0;
	text = strndup((const char *)data + 1, len - 1);
	if (data[0] == 'f') {
		filters(text);
		return 0;
	}
	/* not cut at a NUL */
	if (api_json_parse((const char *)data + 1, len - 1, &body, &err) < 0) {
		assert(!body && err.kind == ERR_INVALID);
		return 0;
	}
	if (json_is_object(body) &&
	    schema_check(schemas[data[0] % ARRAY_SIZE(schemas)], "Body", body, &err) < 0)
		assert(err.kind == ERR_INVALID && strstr(err.msg, "cannot unmarshal"));
	json_decref(body);
	return 0;
}
