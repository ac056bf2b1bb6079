/* SPDX-License-Identifier: Apache-2.0 */
/* archive.h - libarchive, loaded when an archive is first written, or bzip2 read */
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/err.h"

/* The functions we call, under the names they have without "archive_". */
struct archive_api {
	__typeof__(&archive_entry_free) entry_free;
	__typeof__(&archive_entry_new) entry_new;
	__typeof__(&archive_entry_set_filetype) entry_set_filetype;
	__typeof__(&archive_entry_set_mtime) entry_set_mtime;
	__typeof__(&archive_entry_set_pathname) entry_set_pathname;
	__typeof__(&archive_entry_set_perm) entry_set_perm;
	__typeof__(&archive_entry_set_size) entry_set_size;
	__typeof__(&archive_error_string) error_string;
	__typeof__(&archive_read_data) read_data;
	__typeof__(&archive_read_free) read_free;
	__typeof__(&archive_read_new) read_new;
	__typeof__(&archive_read_next_header) read_next_header;
	__typeof__(&archive_read_open) read_open;
	__typeof__(&archive_read_support_filter_bzip2) read_support_filter_bzip2;
	__typeof__(&archive_read_support_format_raw) read_support_format_raw;
	__typeof__(&archive_set_error) set_error;
	__typeof__(&archive_write_close) write_close;
	__typeof__(&archive_write_data) write_data;
	__typeof__(&archive_write_free) write_free;
	__typeof__(&archive_write_header) write_header;
	__typeof__(&archive_write_new) write_new;
	__typeof__(&archive_write_open) write_open;
	__typeof__(&archive_write_set_bytes_in_last_block) write_set_bytes_in_last_block;
	__typeof__(&archive_write_set_format_pax_restricted) write_set_format_pax_restricted;
};

int archive_load(const struct archive_api **ret_api, struct err *err);
