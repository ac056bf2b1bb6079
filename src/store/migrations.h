/* SPDX-License-Identifier: Apache-2.0 */
/* migrations.h - the steps from an empty database to today's; store.c runs them */
#pragma once

#include <stddef.h>

/* Step n brings user_version from n to n + 1. Landed steps are never edited, only followed. */
extern const char *const store_migrations[];
extern const size_t store_migrations_n;
