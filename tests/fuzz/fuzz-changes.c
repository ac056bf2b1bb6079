/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-changes.c - any text as Dockerfile instructions; what is accepted makes a config of the
 * right shape */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/image_changes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_texts(const json_t *array)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (array, i, entry)
		if (!json_is_string(entry))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = strndup((const char *)data, len);
	const char *changes[] = {"ENV A=a B=", text};
	json_t *config = json_object();
	const char *dir;

	if (text && image_changes_apply(config, changes, 2, NULL) == 0) {
		check_texts(json_object_get(config, "Env"));
		check_texts(json_object_get(config, "Cmd"));
		check_texts(json_object_get(config, "Entrypoint"));
		dir = json_string_value(json_object_get(config, "WorkingDir"));
		if (dir && (*dir != '/' || strstr(dir, "/../") || strstr(dir, "//")))
			abort();
	}
	json_decref(config);
	return 0;
}
