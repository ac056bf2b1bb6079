/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_log_tail.c - `logs --tail n`, read from the end so that its cost does not grow with
 * the log
 *
 * A line may be several records, of which only the last ends in a newline; records of the two
 * streams may lie between them. Going backwards, a record begins another line if it ends in a
 * newline, or if it is the newest of its stream.
 */
#include "core/container_log_tail.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "core/container_log_line.h"

#define TAIL_WINDOW (256 * 1024)

struct tail {
	uint64_t lines, found;
	bool seen[LOG_STREAMS];
	struct log_line line;
	char *window; /* owned, TAIL_WINDOW */
};

/* Whether one more record backwards still belongs to the tail. */
static bool tail_takes(struct tail *t, const char *record, size_t len)
{
	bool *seen;

	if (log_line_decode(record, len, &t->line) < 0)
		return true; /* the reader skips it as well */
	seen = &t->seen[t->line.stream - 1];
	if (!*seen || (t->line.text.len && t->line.text.data[t->line.text.len - 1] == '\n')) {
		if (t->found == t->lines)
			return false;
		t->found++;
	}
	*seen = true;
	return true;
}

/* Go backwards through window[0..len); *at: where the tail begins so far. False: it is found. */
static bool tail_scan(struct tail *t, size_t first, size_t len, size_t *at)
{
	size_t end = len;

	while (end > first) {
		const char *nl =
			end - first > 1 ? memrchr(t->window + first, '\n', end - first - 1) : NULL;
		size_t start = nl ? (size_t)(nl - t->window) + 1 : first;

		if (!tail_takes(t, t->window + start, end - start)) {
			*at = end;
			return false;
		}
		end = start;
	}
	*at = first;
	return true;
}

/* One file backwards from end. 1: found, at *ret_pos; 0: all of it belongs to the tail. */
static int tail_file(struct tail *t, int fd, uint64_t end, uint64_t *ret_pos)
{
	while (end > 0) {
		uint64_t start = end > TAIL_WINDOW ? end - TAIL_WINDOW : 0;
		size_t len = (size_t)(end - start), first = 0, at;
		ssize_t n = pread(fd, t->window, len, (off_t)start);

		if (n < 0)
			return -errno;
		if ((size_t)n < len)
			return -EIO;
		if (start > 0) {
			const char *nl = memchr(t->window, '\n', len);

			/* no record is that long; if one is, it is not ours and is skipped */
			first = nl && (size_t)(nl - t->window) + 1 < len
					? (size_t)(nl - t->window) + 1
					: 0;
		}
		if (!tail_scan(t, first, len, &at)) {
			*ret_pos = start + at;
			return 1;
		}
		end = start + first;
	}
	return 0;
}

/**
 * log_tail_find() - Find where the last lines of a log begin
 * @fds:     The log's files, oldest first
 * @n_fds:   At least 1
 * @end:     Length of the last one
 * @lines:   How many lines are wanted
 * @ret_at:  Which file they begin in; set on success
 * @ret_pos: Where in it; set on success
 *
 * Return: 0, or negative errno
 */
int log_tail_find(const int *fds, size_t n_fds, uint64_t end, uint64_t lines, size_t *ret_at,
		  uint64_t *ret_pos)
{
	_cleanup_free_ char *window = malloc(TAIL_WINDOW);
	struct tail t = {.lines = lines, .window = window};
	uint64_t pos = 0;
	size_t at = n_fds;
	int r = 0;

	if (!window)
		return -ENOMEM;
	while (r == 0 && at-- > 0) {
		struct stat st;

		if (at < n_fds - 1) {
			if (fstat(fds[at], &st) < 0)
				r = -errno;
			end = (uint64_t)st.st_size;
		}
		if (r == 0)
			r = tail_file(&t, fds[at], end, &pos);
	}
	buf_done(&t.line.text);
	if (r < 0)
		return r;
	*ret_at = r > 0 ? at : 0;
	*ret_pos = r > 0 ? pos : 0;
	return 0;
}
