/* SPDX-License-Identifier: Apache-2.0 */
/* glob.h - patterns as Go's path.Match has them, which is what Docker's filters mean */
#pragma once

#include <stdbool.h>

bool glob_match(const char *pattern, const char *name);
bool glob_valid(const char *pattern);
