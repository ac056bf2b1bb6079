/* SPDX-License-Identifier: Apache-2.0 */
/* images_stream.h - what handlers of images share: streams of lines, platforms */
#pragma once

#include <jansson.h>

#include "api/api.h"

int images_stream_line(void *user /* request */, json_t *line /* borrowed */);
int images_stream_error(struct http_req *req, int r);
int images_platform_text(const char *text, char **ret, struct err *err);

/* registry.c: POST /images/create with fromImage */
int api_image_pull(struct api *api, struct http_req *req, const char *name);
