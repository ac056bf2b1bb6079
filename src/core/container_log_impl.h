/* SPDX-License-Identifier: Apache-2.0 */
/* container_log_impl.h - what the files container_log*.c share; nobody else includes it */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "core/container_log.h"
#include "core/container_log_line.h"

/* What may queue up at the agent behind an unfinished line; each chunk costs some more. */
#define LOG_HOLD_MAX (256 * 1024)
#define LOG_HOLD_CHUNK 64
#define LOG_READER_FILES_MAX 256 /* rotated files a slow follower may pin */

struct log_reader;

/* One of the process's streams. Offsets are in the agent's count over both. */
struct log_stream {
	uint64_t have;	       /* bytes of this stream below it are in the file or in partial */
	uint64_t written;      /* ... are in the file */
	uint64_t skip;	       /* the next so many bytes are in the file too (found at open) */
	struct buf partial;    /* begun line, not in the file */
	uint64_t partial_at;   /* offset of its first byte */
	uint64_t partial_cost; /* what came since */
	int64_t partial_ns;    /* when its last bytes came */
};

struct container_log {
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t changed;
	unsigned int refs;
	struct container_log_options options; /* immutable */
	char *path, *offset_path;	      /* owned, immutable */
	bool tty;			      /* immutable */
	int fd, offset_fd;		      /* the current file, the side file; -EBADF: discard */
	uint64_t size, ino;		      /* of the current file */
	uint64_t run;			      /* which run of the container the offsets count in */
	uint64_t next;			      /* end of everything seen in this run */
	struct log_stream streams[LOG_STREAMS];
	struct buf out;		      /* encoded records on their way to the file */
	bool live;		      /* a process may still write */
	bool failing;		      /* the last write failed, and that was said */
	struct log_reader *followers; /* borrowed: they remove themselves */
};

/* The side file: one record, written in one piece after each batch. */
#define LOG_SIDE_MAGIC 0x3161637261676f6cULL
struct log_side {
	uint64_t magic;
	uint64_t run, ino, size, durable;
	uint64_t written[LOG_STREAMS], skip[LOG_STREAMS];
	uint64_t check; /* sum of all before */
};

uint64_t log_side_sum(const struct log_side *side);
int log_side_write(struct container_log *log);
int log_recover(struct container_log *log);
char *log_file_name(const struct container_log *log, unsigned int i);
void log_reader_rotated(struct log_reader *follower, int fd);
struct log_reader *log_reader_next(struct log_reader *follower);

/* Reading (container_log_read.c); a reader holds a reference on its log. */
int log_reader_new(struct container_log *log, const struct container_log_query *query,
		   struct log_reader **ret, struct err *err);
int log_reader_run(struct log_reader *reader, log_write_fn write, void *user, struct err *err);
void log_reader_free(struct log_reader *reader);

void log_unref_locked(struct container_log *log);
