/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_log_read.c - GET logs: from a snapshot of the files, then following the writer
 *
 * DOC: Theory of operation
 *
 * A reader opens every file of the log under its lock, oldest first, and so owns a snapshot that
 * rotation cannot disturb. A following reader is registered with the log: at each rotation it is
 * handed the new file, so it misses nothing however slow its client is, up to
 * LOG_READER_FILES_MAX files; past that the ones in the middle are lost to it and that is logged.
 * It waits on log->changed and ends when the process has ended and everything was delivered, when
 * the query's time is over, or when its client left.
 *
 * Times and details are put before a line, not before each of its records: dockerd cuts long lines
 * into records and so do we, but the reader sees the line as it was.
 *
 * Threads: one reader belongs to one thread; log->lock guards fds[], n_fds and cancelled.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/container_log_impl.h"
#include "core/container_log_tail.h"

#define LOG_READ_CHUNK (64 * 1024)
#define LOG_WRITE_CHUNK (32 * 1024)

struct log_reader {
	struct container_log *log; /* a reference */
	struct container_log_query query;
	int fds[LOG_READER_FILES_MAX]; /* owned; oldest first, the last one is being written */
	size_t n_fds;
	size_t at;	/* index in fds of the file being read */
	uint64_t pos;	/* in it */
	uint64_t end;	/* of the last file, when not following */
	uint64_t run;	/* the run that is followed */
	bool following; /* registered with the log */
	bool cancelled, overrun;
	struct log_reader *next; /* in log->followers */
	struct buf in, out;	 /* raw file bytes; answer on its way */
	size_t in_at;		 /* first byte of in not yet taken */
	struct log_line line;
	bool inside[LOG_STREAMS]; /* the stream's last record had no newline */
};

/* The follower after this one, for the writer. */
struct log_reader *log_reader_next(struct log_reader *follower)
{
	return follower->next;
}

/* The log was rotated to a new file; called by the writer under the lock. */
void log_reader_rotated(struct log_reader *follower, int fd)
{
	int copy;

	if (follower->n_fds == LOG_READER_FILES_MAX) {
		if (follower->at > 0) { /* give back what was read */
			for (size_t i = 0; i < follower->at; i++)
				cleanup_close(&follower->fds[i]);
			memmove(follower->fds, follower->fds + follower->at,
				(follower->n_fds - follower->at) * sizeof(int));
			follower->n_fds -= follower->at;
			follower->at = 0;
		} else {
			follower->n_fds--;
			cleanup_close(&follower->fds[follower->n_fds]);
			follower->overrun = true;
		}
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0) {
		follower->overrun = true;
		return;
	}
	follower->fds[follower->n_fds++] = copy;
}

/* Open all files of the log, oldest first; under the lock. */
static int log_reader_open_files(struct log_reader *reader)
{
	struct container_log *log = reader->log;
	unsigned int i = MIN(log->options.max_files, LOG_READER_FILES_MAX / 2U);

	while (i-- > 0) {
		_cleanup_free_ char *name = log_file_name(log, i);
		int fd;

		if (!name)
			return -ENOMEM;
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			reader->fds[reader->n_fds++] = fd;
		else if (errno != ENOENT || i == 0)
			return -errno;
	}
	return 0;
}

/**
 * log_reader_free() - End a reader
 * @reader: Reader or NULL
 */
void log_reader_free(struct log_reader *reader)
{
	struct container_log *log;
	struct log_reader **p;

	if (!reader)
		return;
	log = reader->log;
	pthread_mutex_lock(&log->lock);
	for (p = &log->followers; *p; p = &(*p)->next) {
		if (*p == reader) {
			*p = reader->next;
			break;
		}
	}
	log_unref_locked(log);
	for (size_t i = 0; i < reader->n_fds; i++)
		cleanup_close(&reader->fds[i]);
	buf_done(&reader->in);
	buf_done(&reader->out);
	buf_done(&reader->line.text);
	free(reader);
}
DEFINE_CLEANUP(struct log_reader *, log_reader_free)

/**
 * log_reader_new() - Take a snapshot of a log, and begin to follow it if asked to
 * @log:   Log
 * @query: What to read, copied
 * @ret:   The reader; set on success
 * @err:   Filled on failure
 *
 * Return: 0, or negative errno
 */
int log_reader_new(struct container_log *log, const struct container_log_query *query,
		   struct log_reader **ret, struct err *err)
{
	_cleanup_(log_reader_freep) struct log_reader *reader = NULL;
	struct log_reader *made;
	size_t n_fds;
	int r;

	if (log->options.discard)
		return err_user(err, ERR_NOT_IMPLEMENTED,
				"configured logging driver does not support reading");
	made = calloc(1, sizeof(*made));
	if (!made)
		return err_oom(err);
	made->query = *query;
	pthread_mutex_lock(&log->lock);
	made->log = log;
	log->refs++;
	reader = made;
	r = log_reader_open_files(reader);
	n_fds = reader->n_fds; /* a rotation may add more from now on */
	reader->end = log->size;
	reader->run = log->run;
	if (r == 0 && query->follow && log->live) {
		reader->following = true;
		reader->next = log->followers;
		log->followers = reader;
	}
	pthread_mutex_unlock(&log->lock);
	if (r < 0)
		return err_sys(err, r, "cannot read the log %s", log->path);
	if (query->tail >= 0) {
		r = log_tail_find(reader->fds, n_fds, reader->end, (uint64_t)query->tail,
				  &reader->at, &reader->pos);
		if (r < 0)
			return err_sys(err, r, "cannot read the log %s", log->path);
	}
	*ret = TAKE_PTR(reader);
	return 0;
}

static void log_reader_on_cancel(void *user)
{
	struct log_reader *reader = user;

	pthread_mutex_lock(&reader->log->lock);
	reader->cancelled = true;
	pthread_cond_broadcast(&reader->log->changed);
	pthread_mutex_unlock(&reader->log->lock);
}

/* How far the current file may be read: UINT64_MAX if it is no longer written. */
static uint64_t log_reader_limit(struct log_reader *reader, int *ret_fd, bool *ret_last)
{
	struct container_log *log = reader->log;
	uint64_t limit = UINT64_MAX;

	pthread_mutex_lock(&log->lock);
	*ret_fd = reader->fds[reader->at];
	*ret_last = reader->at == reader->n_fds - 1;
	if (*ret_last)
		limit = reader->following ? log->size : reader->end;
	if (reader->overrun)
		log_warn("a reader of %s was too slow and missed rotated files", log->path);
	reader->overrun = false;
	pthread_mutex_unlock(&log->lock);
	return limit;
}

/* Read on. 1: something was read; 0: nothing is there now. */
static int log_reader_fill(struct log_reader *reader)
{
	for (;;) {
		uint64_t limit;
		bool last;
		ssize_t n;
		int fd;

		limit = log_reader_limit(reader, &fd, &last);
		if (reader->pos < limit) {
			buf_consume(&reader->in, reader->in_at);
			reader->in_at = 0;
			if (!buf_reserve(&reader->in, LOG_READ_CHUNK))
				return -ENOMEM;
			n = pread(fd, reader->in.data + reader->in.len,
				  MIN(LOG_READ_CHUNK, limit - reader->pos), (off_t)reader->pos);
			if (n < 0)
				return -errno;
			reader->pos += (uint64_t)n;
			reader->in.len += (size_t)n;
			if (n > 0)
				return 1;
		}
		if (last)
			return 0;
		pthread_mutex_lock(&reader->log->lock);
		cleanup_close(&reader->fds[reader->at]);
		reader->fds[reader->at++] = -EBADF;
		pthread_mutex_unlock(&reader->log->lock);
		reader->pos = 0;
	}
}

static int log_reader_flush(struct log_reader *reader, log_write_fn write, void *user)
{
	int r = 0;

	if (reader->out.failed)
		r = -ENOMEM;
	else if (reader->out.len)
		r = write(user, reader->out.data, reader->out.len);
	buf_reset(&reader->out);
	return r;
}

/* Format the decoded record into the answer. */
static void log_reader_put(struct log_reader *reader)
{
	const struct log_line *line = &reader->line;
	bool *inside = &reader->inside[line->stream - 1];
	struct buf *out = &reader->out;
	size_t head = out->len, size;

	if (reader->query.mux)
		buf_add(out, (char[8]){(char)line->stream}, 8);
	if (!*inside && reader->query.timestamps) {
		time_t sec = (time_t)(line->at_ns / NSEC_PER_SEC);
		char text[CLOCK_RFC3339_MAX];
		struct tm tm;

		gmtime_r(&sec, &tm);
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm); /* fits */
		buf_addf(out, "%s.%09lldZ ", text, (long long)(line->at_ns % NSEC_PER_SEC));
	}
	if (!*inside && reader->query.details)
		buf_add(out, " ", 1); /* no attributes, then the space dockerd puts after them */
	buf_add(out, line->text.data, line->text.len);
	*inside = line->text.len > 0 && line->text.data[line->text.len - 1] != '\n';
	if (reader->query.mux && !out->failed) {
		size = out->len - head - 8;
		out->data[head + 4] = (char)(size >> 24);
		out->data[head + 5] = (char)(size >> 16);
		out->data[head + 6] = (char)(size >> 8);
		out->data[head + 7] = (char)size;
	}
}

/* Deliver the whole records that were read. 1: the query's time is over. */
static int log_reader_deliver(struct log_reader *reader, log_write_fn write, void *user)
{
	const struct container_log_query *q = &reader->query;
	int r;

	for (;;) {
		const char *at = reader->in.data + reader->in_at;
		size_t left = reader->in.len - reader->in_at, len;
		const char *nl = left ? memchr(at, '\n', left) : NULL;

		if (!nl) {
			if (left > LOG_RECORD_MAX)
				reader->in_at = reader->in.len;
			return 0;
		}
		len = (size_t)(nl - at) + 1;
		reader->in_at += len;
		r = log_line_decode(at, len, &reader->line);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			continue; /* not ours */
		if (q->since_ns && reader->line.at_ns < q->since_ns)
			continue;
		if (q->until_ns && reader->line.at_ns > q->until_ns)
			return 1;
		if (!(reader->line.stream == 2 ? q->err : q->out))
			continue;
		log_reader_put(reader);
		if (reader->out.len >= LOG_WRITE_CHUNK) {
			r = log_reader_flush(reader, write, user);
			if (r < 0)
				return r;
		}
	}
}

/* Wait until there is more to read. 1: nothing will come. */
static int log_reader_wait(struct log_reader *reader)
{
	struct container_log *log = reader->log;
	struct timespec until = {
		.tv_sec = (time_t)(reader->query.until_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(reader->query.until_ns % NSEC_PER_SEC),
	};
	int r = 0;

	pthread_mutex_lock(&log->lock);
	while (!reader->cancelled && r == 0) {
		if (reader->at < reader->n_fds - 1 || reader->pos < log->size)
			break;
		if (!log->live || log->run != reader->run)
			r = 1;
		else if (!reader->query.until_ns)
			pthread_cond_wait(&log->changed, &log->lock);
		else if (pthread_cond_timedwait(&log->changed, &log->lock, &until) == ETIMEDOUT)
			r = 1;
	}
	if (reader->cancelled)
		r = -ECANCELED;
	pthread_mutex_unlock(&log->lock);
	return r;
}

static int log_reader_loop(struct log_reader *reader, log_write_fn write, void *user)
{
	int r, done = 0;

	while (!done) {
		r = log_reader_fill(reader);
		if (r < 0)
			return r;
		if (r > 0) {
			done = log_reader_deliver(reader, write, user);
			if (done < 0)
				return done;
			continue;
		}
		r = log_reader_flush(reader, write, user);
		if (r < 0)
			return r;
		if (!reader->following)
			return 0;
		done = log_reader_wait(reader);
		if (done < 0)
			return done;
	}
	return log_reader_flush(reader, write, user);
}

/**
 * log_reader_run() - Deliver what the query asks for
 * @reader: Reader
 * @write:  Receives the answer; blocking
 * @user:   Its argument
 * @err:    Filled on failure
 *
 * Return: 0, -ECANCELED if the client left, what @write returned, or negative errno
 */
int log_reader_run(struct log_reader *reader, log_write_fn write, void *user, struct err *err)
{
	struct cancel_watch watch;
	int r;

	if (cancel_watch_add(reader->query.cancel, &watch, log_reader_on_cancel, reader))
		r = -ECANCELED;
	else
		r = log_reader_loop(reader, write, user);
	cancel_watch_remove(reader->query.cancel, &watch);
	if (r < 0)
		return err_sys(err, r, "reading the log %s", reader->log->path);
	return 0;
}

/**
 * container_log_read() - Answer GET logs
 * @log:   Log
 * @query: What is wanted
 * @write: Receives the answer; called with length 0 first, once nothing but the client can fail
 * @user:  Its argument
 * @err:   Filled on failure
 *
 * Blocks: on the client, and when following until the process has ended.
 *
 * Return: 0, -ECANCELED if the client left, what @write returned, or negative errno
 */
int container_log_read(struct container_log *log, const struct container_log_query *query,
		       log_write_fn write, void *user, struct err *err)
{
	_cleanup_(log_reader_freep) struct log_reader *reader = NULL;
	int r;

	r = log_reader_new(log, query, &reader, err);
	if (r < 0)
		return r;
	r = write(user, "", 0);
	if (r < 0)
		return r;
	return log_reader_run(reader, write, user, err);
}
