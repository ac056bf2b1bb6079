/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-oci.c - any bytes as index, manifest and config; and as a Dockerfile instruction */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/image_changes.h"
#include "image/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fuzz_change(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = strndup((const char *)data, len);
	_cleanup_(json_decrefp) json_t *config = json_object();
	const char *change = text;

	if (text)
		(void)image_changes_apply(config, &change, 1, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	_cleanup_free_ struct oci_desc *descs = NULL;
	struct oci_manifest manifest;
	struct oci_config config;
	struct err err = {};
	size_t n;

	fuzz_change(data, len);
	if (oci_parse((const char *)data, len, "document", &doc, &err) < 0)
		return 0;
	if (oci_manifest_read(doc, &manifest, &err) == 0)
		for (size_t i = 0; i < manifest.layers_n; i++)
			(void)oci_layer_type(manifest.layers[i].media_type);
	if (oci_index_read(doc, &descs, &n, &err) == 0)
		for (size_t i = 0; i < n; i++)
			(void)oci_platform_score(descs[i].platform, NULL);
	(void)oci_config_read(doc, &config, &err);
	return 0;
}
