/* SPDX-License-Identifier: Apache-2.0 */
/* image_changes.h - Dockerfile instructions applied to an image's config (import, commit) */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/* config: the "config" object of an image; changed in place, half-changed on failure. */
int image_changes_apply(json_t *config, const char *const *changes, size_t n, struct err *err);
