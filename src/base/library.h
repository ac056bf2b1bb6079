/* SPDX-License-Identifier: Apache-2.0 */
/* library.h - shared libraries that are loaded when they are first needed */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct library_symbol {
	const char *name;
	size_t offset; /* of its address in the table */
};

int library_load(const char *const *names, size_t n_names, const struct library_symbol *symbols,
		 size_t n_symbols, void *table, struct err *err);
