/* SPDX-License-Identifier: Apache-2.0 */
/* container_log_line.h - one json-file record: bytes <-> {"log":...,"stream":...,"time":...} */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define LOG_STREAMS 2	       /* 1 stdout (and a TTY), 2 stderr */
#define LOG_PIECE_MAX 16384    /* content bytes of one record, as dockerd cuts long lines */
#define LOG_RECORD_MAX 1048576 /* a longer record in a file is not ours and is skipped */

struct log_line {
	int stream; /* 1 or 2 */
	int64_t at_ns;
	struct buf text; /* the process's bytes, invalid UTF-8 as U+FFFD; reused */
	uint64_t bytes;	 /* how many bytes the process wrote for it */
};

void log_line_encode(struct buf *out, int stream, const char *time, const void *data, size_t len);
int log_line_decode(const char *record, size_t len, struct log_line *line);
size_t log_utf8_len(const unsigned char *s, size_t len);
