/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library.c - shared libraries that are loaded when they are first needed
 *
 * The relocations of a library, and of those that it brings along, are memory that an idle daemon
 * has for nothing. Headers check the types; only the addresses are found at run time.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>

/**
 * library_load() - Load a library and find its functions
 * @names:     File names, the preferred one first
 * @n_names:   At least one
 * @symbols:   What to find
 * @n_symbols: How many
 * @table:     Struct of function pointers; complete on success
 * @err:       Filled on failure
 *
 * It is never unloaded.
 *
 * Return: 0, -ENOENT if there is no such library, -ENOSYS if it lacks a symbol
 */
int library_load(const char *const *names, size_t n_names, const struct library_symbol *symbols,
		 size_t n_symbols, void *table, struct err *err)
{
	void *library = NULL;

	for (size_t i = 0; i < n_names && !library; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		(void)err_user(err, ERR_INTERNAL, "cannot load %s", names[0]);
		return -ENOENT;
	}
	for (size_t i = 0; i < n_symbols; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol) {
			(void)err_user(err, ERR_INTERNAL, "%s is too old: no %s", names[0],
				       symbols[i].name);
			return -ENOSYS;
		}
		*(void **)((char *)table + symbols[i].offset) = symbol;
	}
	return 0;
}
