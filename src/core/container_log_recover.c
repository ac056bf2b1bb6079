/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_log_recover.c - what a log holds after the daemon that wrote it was killed
 *
 * A batch is: write to the log, then pwrite to the side file; a rotation is: batch, rename, create,
 * side file. Whatever the instant of the kill, the log is therefore what the side file says plus at
 * most one batch. That tail is read here: its whole records are counted per stream (they come again
 * from the agent and must be skipped), a half-written last one is cut off.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "core/container_log_impl.h"

#define LOG_TAIL_MAX (8 * 1024 * 1024) /* one batch is far below; more was not written by us */

/* Load the side file; 0 without one that can be believed. */
static int log_side_read(struct container_log *log, struct log_side *ret_side)
{
	struct log_side side;
	ssize_t n = pread(log->offset_fd, &side, sizeof(side), 0);

	if (n < 0)
		return -errno;
	if (n != sizeof(side) || side.magic != LOG_SIDE_MAGIC || side.check != log_side_sum(&side))
		return 0;
	*ret_side = side;
	return 1;
}

/* Length of the whole records in data, whose contents are added to the streams' skip. */
static size_t log_count_tail(struct container_log *log, const char *data, size_t len)
{
	_cleanup_buf_ struct buf none = {0};
	struct log_line line = {0};
	size_t at = 0;

	while (at < len) {
		const char *nl = memchr(data + at, '\n', len - at);

		if (!nl)
			break;
		if (log_line_decode(data + at, (size_t)(nl - data) - at, &line) == 0)
			log->streams[line.stream - 1].skip += line.bytes;
		at = (size_t)(nl - data) + 1;
	}
	buf_done(&line.text);
	return at;
}

/* Read the log from `from` to its end; count if asked to; cut a half record. */
static int log_mend_tail(struct container_log *log, uint64_t from, bool count)
{
	_cleanup_free_ char *data = NULL;
	size_t len = (size_t)(log->size - from), whole;
	ssize_t n;

	if (len == 0)
		return 0;
	data = malloc(len);
	if (!data)
		return -ENOMEM;
	n = pread(log->fd, data, len, (off_t)from);
	if (n < 0)
		return -errno;
	len = (size_t)n;
	if (count) {
		whole = log_count_tail(log, data, len);
	} else {
		const char *nl = memrchr(data, '\n', len);

		whole = nl ? (size_t)(nl - data) + 1 : 0;
	}
	if (whole < len || from + whole < log->size) {
		if (ftruncate(log->fd, (off_t)(from + whole)) < 0)
			return -errno;
		log->size = from + whole;
	}
	return 0;
}

/**
 * log_recover() - Find out what an opened log holds; called before anybody else sees it
 * @log: Log with both files open
 *
 * Return: 0, or negative errno
 */
int log_recover(struct container_log *log)
{
	struct log_side side = {0};
	struct stat st;
	uint64_t from;
	int r, known;

	if (fstat(log->fd, &st) < 0)
		return -errno;
	log->size = (uint64_t)st.st_size;
	log->ino = st.st_ino;
	known = log_side_read(log, &side);
	if (known < 0)
		return known;
	from = side.ino == log->ino && side.size <= log->size ? side.size : 0;
	if (side.size > log->size)
		from = log->size; /* the machine went down, or somebody emptied the file */
	if (known && log->size - from <= LOG_TAIL_MAX) {
		log->run = side.run;
		log->next = side.durable;
		for (int i = 0; i < LOG_STREAMS; i++) {
			log->streams[i].have = log->streams[i].written = side.written[i];
			log->streams[i].skip = side.skip[i];
		}
		r = log_mend_tail(log, from, true);
	} else {
		if (known)
			log_warn("%s is not the file that was written; resuming without it",
				 log->path);
		from = log->size > LOG_RECORD_MAX ? log->size - LOG_RECORD_MAX : 0;
		r = log_mend_tail(log, from, false);
	}
	if (r < 0)
		return r;
	return log_side_write(log);
}
