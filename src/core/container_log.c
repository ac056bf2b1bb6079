/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_log.c - a container's log file: appending, rotating, and knowing what is durable
 *
 * DOC: Theory of operation
 *
 * Output arrives in chunks that carry an offset in one count over stdout and stderr. Each stream
 * is cut into lines; a line becomes one record, an unfinished line waits in `partial` until its
 * end, LOG_PIECE_MAX bytes, LOG_HOLD_MAX of further output, or the end of the process.
 *
 * container_log_durable() is the offset below which every byte of both streams is in the file: the
 * smaller of `next` and where the unfinished lines begin. Only that is acknowledged to the agent,
 * so a daemon killed at any instant finds the rest at the agent. What is in the file above it must
 * not be written twice; therefore the side file <path>.offset holds, per stream, the offset up to
 * which it is written, and is updated by one pwrite after each write to the log. What a killed
 * daemon wrote between those two calls is counted from the log itself when it is opened
 * (container_log_recover.c) and skipped when it comes again.
 *
 * "Durable" means it survives the daemon, not the machine: the VM dies with the machine anyway.
 *
 * Threads: appending runs on the loop thread, reading on any other; one lock, held for one write
 * at most. A full disk loses the records that did not fit, says so once, and stalls nobody.
 */
#include "core/container_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "core/container_log_impl.h"

/* Release the lock, and the log with its last user. */
void log_unref_locked(struct container_log *log)
{
	bool last = --log->refs == 0;

	pthread_mutex_unlock(&log->lock);
	if (!last)
		return;
	for (int i = 0; i < LOG_STREAMS; i++)
		buf_done(&log->streams[i].partial);
	buf_done(&log->out);
	cleanup_close(&log->fd);
	cleanup_close(&log->offset_fd);
	pthread_cond_destroy(&log->changed);
	pthread_mutex_destroy(&log->lock);
	free(log->path);
	free(log->offset_path);
	free(log);
}

/* Name of the i-th oldest file: 0 the current, then path.1, path.2, ... NULL without memory. */
char *log_file_name(const struct container_log *log, unsigned int i)
{
	return i ? str_format("%s.%u", log->path, i) : strdup(log->path);
}

static uint64_t log_durable_locked(const struct container_log *log)
{
	uint64_t durable = log->next;

	for (int i = 0; i < LOG_STREAMS; i++) {
		if (log->streams[i].partial.len)
			durable = MIN(durable, log->streams[i].partial_at);
	}
	return durable;
}

uint64_t log_side_sum(const struct log_side *side)
{
	const uint64_t *words = (const uint64_t *)side;
	uint64_t sum = 0;

	for (size_t i = 0; i < offsetof(struct log_side, check) / sizeof(*words); i++)
		sum = sum * 31 + words[i];
	return sum;
}

/* Record in the side file what the log file now holds. */
int log_side_write(struct container_log *log)
{
	struct log_side side = {
		.magic = LOG_SIDE_MAGIC,
		.run = log->run,
		.ino = log->ino,
		.size = log->size,
		.durable = log_durable_locked(log),
	};

	for (int i = 0; i < LOG_STREAMS; i++) {
		side.written[i] = log->streams[i].written;
		side.skip[i] = log->streams[i].skip;
	}
	side.check = log_side_sum(&side);
	return fs_pwrite_all(log->offset_fd, &side, sizeof(side), 0);
}

static void log_complain(struct container_log *log, int r, const char *what)
{
	if (!log->failing)
		log_error("%s %s: %s", what, log->path, strerror(-r));
	log->failing = true;
}

/* Write the encoded records; on failure they are lost and the file stays whole. */
static int log_flush(struct container_log *log)
{
	int r = 0;

	if (log->out.failed)
		r = -ENOMEM;
	else if (log->out.len)
		r = fs_pwrite_all(log->fd, log->out.data, log->out.len, (off_t)log->size);
	if (r < 0) {
		log_complain(log, r, "lost output on its way to");
		(void)!ftruncate(log->fd, (off_t)log->size); /* or the next record overwrites */
	} else if (log->out.len) {
		log->size += log->out.len;
		log->failing = false;
	}
	buf_reset(&log->out);
	return r;
}

/* Shift the names up and begin a new file; on failure go on with the old one. */
static int log_rotate(struct container_log *log)
{
	struct log_reader *follower;
	struct stat st;
	int fd, r = 0;

	for (unsigned int i = log->options.max_files - 1; i > 0 && r == 0; i--) {
		_cleanup_free_ char *from = log_file_name(log, i - 1);
		_cleanup_free_ char *to = log_file_name(log, i);

		if (!from || !to)
			r = -ENOMEM;
		else if (rename(from, to) < 0 && errno != ENOENT)
			r = -errno;
	}
	if (r == 0 && log->options.max_files == 1 && unlink(log->path) < 0 && errno != ENOENT)
		r = -errno;
	if (r < 0)
		return r;
	fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		(void)close(fd); /* empty and new */
		return r;
	}
	for (follower = log->followers; follower; follower = log_reader_next(follower))
		log_reader_rotated(follower, fd);
	cleanup_close(&log->fd);
	log->fd = fd;
	log->size = 0;
	log->ino = st.st_ino;
	return log_side_write(log);
}

/* Make room if the current file is full; what is encoded goes to the old file. */
static int log_make_room(struct container_log *log)
{
	int r;

	if (!log->options.max_size_bytes || log->size + log->out.len < log->options.max_size_bytes)
		return 0;
	r = log_flush(log);
	if (r == 0)
		r = log_side_write(log);
	if (r == 0)
		r = log_rotate(log);
	if (r < 0)
		log_complain(log, r, "cannot rotate");
	return r;
}

/* Encode one piece: what is held of its line, and data. written: end offset of data. */
static void log_put(struct container_log *log, int stream, const char *time, const char *data,
		    size_t len, uint64_t written)
{
	struct log_stream *st = &log->streams[stream - 1];

	(void)log_make_room(log); /* said; the file just grows */
	if (st->partial.len) {
		buf_add(&st->partial, data, len);
		log_line_encode(&log->out, stream, time, st->partial.data, st->partial.len);
		buf_reset(&st->partial);
	} else {
		log_line_encode(&log->out, stream, time, data, len);
	}
	st->written = written;
}

/* Whether the last character of a piece wants bytes that have not come. */
static bool log_char_open(const char *data, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)data[len - back];

		if ((c & 0xc0) == 0x80)
			continue;
		return (c >= 0xf0 && back < 4) || (c >= 0xe0 && back < 3) ||
		       (c >= 0xc0 && back < 2);
	}
	return false;
}

/*
 * How much of data completes a piece of the stream's line: up to a newline, or where the piece is
 * full (moved a little so that no character is split). 0: all of it has to wait.
 */
static size_t log_cut(const struct log_stream *st, const char *data, size_t len)
{
	size_t room = st->partial.len < LOG_PIECE_MAX ? LOG_PIECE_MAX - st->partial.len : 1;
	const char *nl = memchr(data, '\n', MIN(len, room));
	size_t n;

	if (nl)
		return (size_t)(nl - data) + 1;
	if (len < room)
		return 0;
	for (n = room; n < len && n < room + 3; n++) {
		if (((unsigned char)data[n] & 0xc0) != 0x80)
			break;
	}
	if (n < len || st->partial.len + n >= LOG_PIECE_MAX + 3)
		return n;
	return log_char_open(data, n) ? 0 : n;
}

static void log_take(struct container_log *log, int stream, uint64_t offset, int64_t at_ns,
		     const char *data, size_t len)
{
	struct log_stream *st = &log->streams[stream - 1];
	char time[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(at_ns, time);
	while (len) {
		size_t n = log_cut(st, data, len);

		if (n == 0) {
			if (!st->partial.len) {
				st->partial_at = offset;
				st->partial_cost = 0;
			}
			buf_add(&st->partial, data, len);
			st->partial_ns = at_ns;
			log->next = MAX(log->next, offset + len);
			return;
		}
		log_put(log, stream, time, data, n, offset + n);
		log->next = MAX(log->next, offset + n);
		data += n;
		len -= n;
		offset += n;
	}
}

static void log_put_partial(struct container_log *log, int stream)
{
	struct log_stream *st = &log->streams[stream - 1];
	char time[CLOCK_RFC3339_MAX];

	if (!st->partial.len)
		return;
	clock_format_rfc3339(st->partial_ns, time);
	log_put(log, stream, time, NULL, 0, st->have);
}

/* An agent's clock is a guest's: only a plausible time is kept. */
static int64_t log_time(int64_t at_ns)
{
	int64_t now = clock_realtime_ns();

	return at_ns > 0 && at_ns <= now ? at_ns : now;
}

static int log_append_locked(struct container_log *log, int stream, uint64_t offset, int64_t at_ns,
			     const char *data, size_t len)
{
	struct log_stream *st = &log->streams[stream - 1];
	uint64_t end = offset + len, drop = 0, skip, durable = log_durable_locked(log);
	int r = 0, r2;

	if (offset < st->have)
		drop = MIN(len, st->have - offset);
	skip = MIN(len - drop, st->skip);
	if (skip) {
		st->skip -= skip;
		st->written = offset + drop + skip;
	}
	drop += skip;
	if (!log->options.discard && drop < len)
		log_take(log, stream, offset + drop, log_time(at_ns), data + drop, len - drop);
	st->have = MAX(st->have, end);
	log->next = MAX(log->next, end);
	if (log->options.discard)
		return 0;
	for (int i = 0; i < LOG_STREAMS; i++) {
		log->streams[i].partial_cost += len + LOG_HOLD_CHUNK;
		if (log->streams[i].partial.len && log->streams[i].partial_cost > LOG_HOLD_MAX)
			log_put_partial(log, i + 1);
	}
	if (log->out.len || log->out.failed)
		r = log_flush(log);
	else if (!skip && log_durable_locked(log) == durable)
		return 0;
	r2 = log_side_write(log);
	if (r2 < 0)
		log_complain(log, r2, "cannot note the offset of");
	pthread_cond_broadcast(&log->changed);
	return r < 0 ? r : r2;
}

/**
 * container_log_append() - Add output of the process
 * @log:    Log
 * @stream: 1 stdout or TTY, 2 stderr
 * @offset: Of data[0], in the agent's count over both streams
 * @at_ns:  When the agent read it; an impossible time is replaced by now
 * @data:   Bytes
 * @len:    How many
 *
 * Bytes that the log already has are ignored. Loop thread. On failure the data is lost and counts
 * as written: a full disk does not stop the container.
 *
 * Return: 0, or negative errno (already logged)
 */
int container_log_append(struct container_log *log, int stream, uint64_t offset, int64_t at_ns,
			 const void *data, size_t len)
{
	int r;

	if (stream < 1 || stream > LOG_STREAMS || offset > UINT64_MAX - len)
		return -EINVAL;
	pthread_mutex_lock(&log->lock);
	r = log_append_locked(log, stream, offset, at_ns, data, len);
	pthread_mutex_unlock(&log->lock);
	return r;
}

static int log_flush_partials(struct container_log *log)
{
	int r;

	if (log->options.discard)
		return 0;
	for (int i = 1; i <= LOG_STREAMS; i++)
		log_put_partial(log, i);
	if (!log->out.len && !log->out.failed)
		return 0;
	r = log_flush(log);
	if (r == 0)
		r = log_side_write(log);
	pthread_cond_broadcast(&log->changed);
	return r;
}

/**
 * container_log_flush() - Write unfinished lines as they are
 * @log: Log
 *
 * Return: 0, or negative errno
 */
int container_log_flush(struct container_log *log)
{
	int r;

	pthread_mutex_lock(&log->lock);
	r = log_flush_partials(log);
	pthread_mutex_unlock(&log->lock);
	return r;
}

/**
 * container_log_finish() - The process ended: write unfinished lines, let followers come to an end
 * @log: Log
 *
 * stdio calls it before it tells its owner of the exit.
 *
 * Return: 0, or negative errno
 */
int container_log_finish(struct container_log *log)
{
	int r;

	pthread_mutex_lock(&log->lock);
	r = log_flush_partials(log);
	log->live = false;
	pthread_cond_broadcast(&log->changed);
	pthread_mutex_unlock(&log->lock);
	return r;
}

/**
 * container_log_restart() - A new run of the container begins; offsets start at 0 again
 * @log: Log
 *
 * stdio_start() calls it.
 */
void container_log_restart(struct container_log *log)
{
	pthread_mutex_lock(&log->lock);
	(void)log_flush_partials(log); /* said; nothing is held after a finish */
	for (int i = 0; i < LOG_STREAMS; i++) {
		struct log_stream *st = &log->streams[i];

		buf_reset(&st->partial);
		st->have = st->written = st->skip = 0;
	}
	log->next = 0;
	log->run++;
	log->live = true;
	if (!log->options.discard)
		(void)log_side_write(log); /* the next append tries again */
	pthread_mutex_unlock(&log->lock);
}

/**
 * container_log_resume() - The run that was under way goes on (the daemon was restarted)
 * @log: Log
 *
 * stdio_resume() calls it.
 */
void container_log_resume(struct container_log *log)
{
	pthread_mutex_lock(&log->lock);
	log->live = true;
	pthread_mutex_unlock(&log->lock);
}

/**
 * container_log_durable() - First offset of this run that is not yet in the file
 * @log: Log
 *
 * Return: the offset; everything below it may be acknowledged
 */
uint64_t container_log_durable(const struct container_log *log)
{
	struct container_log *l = (struct container_log *)log; /* the lock is not the value */
	uint64_t durable;

	pthread_mutex_lock(&l->lock);
	durable = log_durable_locked(l);
	pthread_mutex_unlock(&l->lock);
	return durable;
}

static void log_unref(struct container_log *log)
{
	pthread_mutex_lock(&log->lock);
	log_unref_locked(log);
}
DEFINE_CLEANUP(struct container_log *, log_unref)

/**
 * container_log_open() - Open or make a container's log
 * @path:    The current file; rotated ones are <path>.1 and up, the side file <path>.offset
 * @options: Limits, copied
 * @tty:     Whether the process has a terminal
 * @ret:     The log, for container_log_close(); set on success
 * @err:     Filled on failure
 *
 * A record that a killed daemon left half-written is cut off.
 *
 * Return: 0, or negative errno
 */
int container_log_open(const char *path, const struct container_log_options *options, bool tty,
		       struct container_log **ret, struct err *err)
{
	_cleanup_(log_unrefp) struct container_log *log = calloc(1, sizeof(*log));
	int r;

	assert(options->max_files >= 1 || options->discard);
	if (!log)
		return err_oom(err);
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->changed, NULL);
	log->refs = 1;
	log->options = *options;
	log->options.max_files = MAX(options->max_files, 1U);
	log->tty = tty;
	log->fd = log->offset_fd = -EBADF;
	log->path = strdup(path);
	log->offset_path = str_format("%s.offset", path);
	if (!log->path || !log->offset_path)
		return err_oom(err);
	if (!options->discard) {
		log->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
		if (log->fd < 0)
			return err_sys(err, -errno, "cannot open the log %s", path);
		log->offset_fd = open(log->offset_path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
		if (log->offset_fd < 0)
			return err_sys(err, -errno, "cannot open %s", log->offset_path);
		r = log_recover(log);
		if (r < 0)
			return err_sys(err, r, "cannot read the log %s", path);
	}
	*ret = TAKE_PTR(log);
	return 0;
}

/**
 * container_log_close() - Let go of a log; readers still at work come to their end
 * @log: Log or NULL
 */
void container_log_close(struct container_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->live = false;
	pthread_cond_broadcast(&log->changed);
	log_unref_locked(log);
}
