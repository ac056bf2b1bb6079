/* SPDX-License-Identifier: Apache-2.0 */
/* images_json.h - images in the words of the Engine API */
#pragma once

#include <jansson.h>

struct image;
struct images_usage;

json_t *images_json_summary(const struct image *image, const struct images_usage *usage,
			    unsigned int api_version);
json_t *images_json_inspect(const struct image *image, unsigned int api_version);
