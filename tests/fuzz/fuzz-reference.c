/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-reference.c - any text as an image name; what is accepted must survive its own forms */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = strndup((const char *)data, len);
	_cleanup_reference_ struct reference ref = {}, again = {}, familiar = {};
	_cleanup_free_ char *canonical = NULL, *short_form = NULL, *twice = NULL;

	if (!text || reference_parse(text, &ref, NULL) < 0)
		return 0;
	canonical = reference_canonical(&ref);
	short_form = reference_familiar(&ref);
	if (!canonical || !short_form)
		return 0;
	/* both forms mean the same name */
	if (strlen(canonical) <= REFERENCE_TEXT_MAX && reference_parse(canonical, &again, NULL) < 0)
		abort();
	if (strlen(short_form) > REFERENCE_TEXT_MAX)
		return 0;
	if (reference_parse(short_form, &familiar, NULL) < 0)
		abort();
	twice = reference_canonical(&familiar);
	if (twice && !str_eq(twice, canonical))
		abort();
	return 0;
}
