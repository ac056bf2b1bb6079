/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c - libarchive, loaded when an archive is first written, or bzip2 read
 *
 * Linked, it brings libxml2, ICU and libstdc++ along, 2 MB of an idle daemon's memory.
 */
#include "image/archive.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/library.h"
#include "base/util.h"

static const char *const archive_libraries[] = {"libarchive.so.13"};

#define SYMBOL(name)                                                                               \
	{                                                                                          \
		"archive_" #name, offsetof(struct archive_api, name)                               \
	}
static const struct library_symbol archive_symbols[] = {
	SYMBOL(entry_free),
	SYMBOL(entry_new),
	SYMBOL(entry_set_filetype),
	SYMBOL(entry_set_mtime),
	SYMBOL(entry_set_pathname),
	SYMBOL(entry_set_perm),
	SYMBOL(entry_set_size),
	SYMBOL(error_string),
	SYMBOL(read_data),
	SYMBOL(read_free),
	SYMBOL(read_new),
	SYMBOL(read_next_header),
	SYMBOL(read_open),
	SYMBOL(read_support_filter_bzip2),
	SYMBOL(read_support_format_raw),
	SYMBOL(set_error),
	SYMBOL(write_close),
	SYMBOL(write_data),
	SYMBOL(write_free),
	SYMBOL(write_header),
	SYMBOL(write_new),
	SYMBOL(write_open),
	SYMBOL(write_set_bytes_in_last_block),
	SYMBOL(write_set_format_pax_restricted),
};

static struct archive_api archive_functions;
static pthread_mutex_t archive_lock = PTHREAD_MUTEX_INITIALIZER;
static bool archive_loaded;

/**
 * archive_load() - The library, loaded now if it was not before
 * @ret_api: Its functions; set on success
 * @err:     Filled on failure
 *
 * Any thread.
 *
 * Return: 0 or negative errno
 */
int archive_load(const struct archive_api **ret_api, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&archive_lock);
	if (!archive_loaded)
		r = library_load(archive_libraries, ARRAY_SIZE(archive_libraries), archive_symbols,
				 ARRAY_SIZE(archive_symbols), &archive_functions, err);
	archive_loaded |= r == 0;
	pthread_mutex_unlock(&archive_lock);
	if (r == 0)
		*ret_api = &archive_functions;
	return r;
}
