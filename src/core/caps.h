/* SPDX-License-Identifier: Apache-2.0 */
/* caps.h - Linux capabilities by Docker's names */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CAPS_COUNT 41 /* CAP_CHOWN .. CAP_CHECKPOINT_RESTORE */
#define CAPS_ALL ((1ULL << CAPS_COUNT) - 1)

uint64_t caps_default(void);
int caps_from_name(const char *name, unsigned int *ret_cap);
const char *caps_name(unsigned int cap);
int caps_compute(const json_t *add, const json_t *drop, bool privileged, uint64_t *ret_caps,
		 struct err *err);
