/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.h - find the program a process names */
#pragma once

#include "base/err.h"

int lookup_program(const char *name, char *const *env, char **ret_path, struct err *err);
