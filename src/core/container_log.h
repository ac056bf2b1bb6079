/* SPDX-License-Identifier: Apache-2.0 */
/* container_log.h - a container's log: json-file lines, rotation, durable offset, reading and
 * following */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"

struct container_log;

struct container_log_options {
	uint64_t max_size_bytes; /* 0: unlimited */
	unsigned int max_files;	 /* >= 1 */
	bool discard;		 /* driver "none": nothing is kept, logs says so */
};

/* path: <id>-json.log; beside it <path>.offset, which makes resume exact after kill -9 */
int container_log_open(const char *path, const struct container_log_options *options, bool tty,
		       struct container_log **ret, struct err *err);
void container_log_close(struct container_log *log);
/* Unfinished lines go to the file as they are. */
int container_log_flush(struct container_log *log);
/* Loop thread. offset: of data[0] in the agent's count; bytes below what the log already has are
 * ignored (resume overlap). */
int container_log_append(struct container_log *log, int stream, uint64_t offset, int64_t at_ns,
			 const void *data, size_t len);
int container_log_finish(
	struct container_log *log); /* process ended: flush partial lines, wake followers to end */
void container_log_restart(struct container_log *log); /* a new run of the container: offsets start
							  at 0 again; stdio_start() calls it */
void container_log_resume(
	struct container_log *log); /* the run goes on after a daemon restart; stdio_resume() */
uint64_t
container_log_durable(const struct container_log *
			      log); /* first offset NOT yet in the file: what may be acknowledged */

struct container_log_query {
	bool out, err, follow, timestamps, mux, details;
	int64_t since_ns, until_ns; /* 0: open */
	int64_t tail;		    /* -1: all */
	struct cancel *cancel;
};
/* Streams the answer of GET logs through write (blocking, <0 stops). The first call has len 0: the
 * answer can begin, no error of the query follows. */
typedef int (*log_write_fn)(void *user, const void *data, size_t len);
int container_log_read(struct container_log *log, const struct container_log_query *query,
		       log_write_fn write, void *user, struct err *err);
