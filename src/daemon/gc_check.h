/* SPDX-License-Identifier: Apache-2.0 */
/* gc_check.h - arcad --gc-check: is the image store consistent? */
#pragma once

#include "base/err.h"

struct options;

int gc_check_run(const struct options *opts, struct err *err);
