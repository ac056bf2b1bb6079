/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h - what a machine must be to run an image: "linux/arm64/v8" */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define PLATFORM_WORD_MAX 64
#define PLATFORM_TEXT_MAX (3 * PLATFORM_WORD_MAX)

struct image;

struct platform {
	char os[PLATFORM_WORD_MAX], architecture[PLATFORM_WORD_MAX], variant[PLATFORM_WORD_MAX];
};

/* {"os":"linux","architecture":"arm64"}, as most of the API has it. ERR_INVALID. */
int platform_parse_json(const char *text, struct platform *ret, struct err *err);
/* "linux/arm64/v8", "arm64", "linux", as the CLI's --platform has it. ERR_INVALID. */
int platform_parse(const char *text, struct platform *ret, struct err *err);
void platform_of_image(const struct image *image, struct platform *ret);
/* This machine: with the variant that names its processor's level */
void platform_of_host(struct platform *ret);

/* Text as "os/architecture[/variant]" */
void platform_format(const struct platform *p, char ret[static PLATFORM_TEXT_MAX]);
/* Whether `have`, of an image, is what was asked for. What an image does not say fits all. */
bool platform_fits(const struct platform *wanted, const struct platform *have);
/* Whether this machine's processor runs it */
bool platform_runs_here(const struct platform *p);
/* ERR_NOT_FOUND in dockerd's words unless the image fits */
int platform_check_image(const struct platform *wanted, const struct image *image, const char *ref,
			 struct err *err);
