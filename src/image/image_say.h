/* SPDX-License-Identifier: Apache-2.0 */
/* image_say.h - progress lines of pulls and pushes */
#pragma once

#include "image/image.h"

struct image_say {
	image_progress_fn progress;
	void *user;
};

int image_say_json(const struct image_say *say, json_t *line /* reference stolen */);
int image_say(const struct image_say *say, const char *id, const char *status);
int image_say_progress(const struct image_say *say, const char *id, const char *status,
		       uint64_t current, uint64_t total);
