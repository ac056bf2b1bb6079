/* SPDX-License-Identifier: Apache-2.0 */
/* test-container_log.c - nothing lost, nothing twice: appending, killing, rotating, reading */
#include "core/container_log.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/container_log_line.h"
#include "test.h"

#define T0 1700000000100000000LL /* 2023-11-14T22:13:20.1Z */

static char *scratch_dir(void)
{
	char *dir = strdup("/tmp/arca-test-log-XXXXXX");

	return mkdtemp(dir);
}

static void scratch_remove(char **dir)
{
	if (*dir)
		(void)fs_remove_tree(*dir);
	free(*dir);
}
#define _cleanup_scratch_ __attribute__((cleanup(scratch_remove)))

static void log_closep(struct container_log **log)
{
	container_log_close(*log);
}
#define _cleanup_log_ __attribute__((cleanup(log_closep)))

static struct container_log *open_log(const char *dir, uint64_t max_size, unsigned int max_files)
{
	_cleanup_free_ char *path = str_format("%s/x-json.log", dir);
	struct container_log_options options = {.max_size_bytes = max_size, .max_files = max_files};
	struct container_log *log = NULL;
	struct err err = {0};

	if (container_log_open(path, &options, false, &log, &err) < 0)
		printf("# %s\n", err.msg);
	return log;
}

static int collect(void *user, const void *data, size_t len)
{
	buf_add(user, data, len);
	return 0;
}

/* The log as text; "" where there is none. */
static const char *read_log(struct container_log *log, struct container_log_query q,
			    struct buf *out)
{
	struct err err = {0};

	if (!q.out && !q.err)
		q.out = q.err = true;
	buf_reset(out);
	buf_adds(out, "");
	if (container_log_read(log, &q, collect, out, &err) < 0)
		return err.msg[0] ? strdup(err.msg) : "failed";
	return out->data;
}
#define ALL ((struct container_log_query){.tail = -1})

static int put(struct container_log *log, int stream, uint64_t offset, const char *text)
{
	return container_log_append(log, stream, offset, T0, text, strlen(text));
}

/* Goal: the file holds what dockerd would have written, and any byte gives valid JSON. */
TEST(record_is_dockers)
{
	_cleanup_buf_ struct buf out = {0};

	log_line_encode(&out, 1, "2023-11-14T22:13:20.1Z", "a\"\\\t<>&\n", 8);
	ASSERT_STREQ(out.data, "{\"log\":\"a\\\"\\\\\\u0009\\u003c\\u003e\\u0026\\n\","
			       "\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.1Z\"}\n");
	buf_reset(&out);
	log_line_encode(&out, 2, "T", "\xff\xc3\xa9\xe2\x80\xa8\xed\xa0\x80", 9);
	ASSERT_STREQ(out.data, "{\"log\":\"\\ufffd\xc3\xa9\\u2028\\ufffd\\ufffd\\ufffd\","
			       "\"stream\":\"stderr\",\"time\":\"T\"}\n");
}

TEST(record_reads_back_and_counts_the_bytes)
{
	_cleanup_buf_ struct buf out = {0};
	struct log_line line = {0};
	unsigned char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	log_line_encode(&out, 2, "2023-11-14T22:13:20.1Z", all, 256);
	ASSERT_OK(log_line_decode(out.data, out.len, &line));
	ASSERT_EQ(line.bytes, 256);
	ASSERT_EQ(line.stream, 2);
	ASSERT_EQ(line.at_ns, T0);
	ASSERT_EQ(line.text.len, 128 + 128 * 3);
	ASSERT(memcmp(line.text.data, all, 128) == 0);
	buf_reset(&out);
	log_line_encode(&out, 1, "2023-11-14T22:13:20.1Z", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7);
	ASSERT_OK(log_line_decode(out.data, out.len, &line));
	ASSERT_EQ(line.bytes, 7); /* a real U+FFFD is three bytes */
	buf_done(&line.text);
}

TEST(record_of_another_writer)
{
	struct log_line line = {0};
	const char *text = " { \"attrs\" : {\"a\":\"}\",\"b\":[1,\"]\"]} , \"n\":null,"
			   "\"time\":\"2023-11-14T22:13:20.100000000Z\",\"stream\":\"stderr\","
			   "\"log\":\"\\ud83d\\ude00\\/x\\n\"}\n";

	ASSERT_OK(log_line_decode(text, strlen(text), &line));
	ASSERT_STREQ(line.text.data, "\xf0\x9f\x98\x80/x\n");
	ASSERT_EQ(line.bytes, 7);
	ASSERT_EQ(line.at_ns, T0);
	ASSERT_EQ(line.stream, 2);
	ASSERT_OK(log_line_decode("{}", 2, &line));
	buf_done(&line.text);
}

TEST(record_that_is_none_is_refused)
{
	static const char *const bad[] = {
		"",
		"{",
		"x",
		"{\"log\":\"a\"",
		"{\"log\":\"a}",
		"{\"log\":\"\\ud800\"}",
		"{\"log\":\"\\u12\"}",
		"{\"log\":\"\\x\"}",
		"{\"log\"}",
		"{\"log\":}x",
		"{\"log\":\"a\"}{",
		"{\"time\":\"yesterday\"}",
		"{\"log\":\"a\",}",
		"{\"log\":\"\\ud800\\u0041\"}",
		"{\"a\":[1,2}",
	};
	struct log_line line = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (log_line_decode(bad[i], strlen(bad[i]), &line) == 0)
			TEST_FAIL("taken: %s", bad[i]);
	}
	buf_done(&line.text);
}

/* Goal: lines come out as they went in, in order over both streams, partial ones joined. */
TEST(lines_of_two_streams)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0};

	ASSERT(log);
	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "one\ntw"));
	ASSERT_EQ(container_log_durable(log), 4);
	ASSERT_OK(put(log, 2, 6, "err\n"));
	ASSERT_EQ(container_log_durable(log), 4);
	ASSERT_STREQ(read_log(log, ALL, &out), "one\nerr\n");
	ASSERT_OK(put(log, 1, 10, "o\nx"));
	ASSERT_EQ(container_log_durable(log), 12);
	ASSERT_STREQ(read_log(log, ALL, &out), "one\nerr\ntwo\n");
	ASSERT_OK(container_log_finish(log));
	ASSERT_EQ(container_log_durable(log), 13);
	ASSERT_STREQ(read_log(log, ALL, &out), "one\nerr\ntwo\nx");
	ASSERT_STREQ(read_log(log, (struct container_log_query){.tail = -1, .err = true}, &out),
		     "err\n");
}

/* Goal: what the log has already is ignored, whole or in part, per stream. */
TEST(overlap_is_written_once)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0};

	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "abc\nde"));
	ASSERT_OK(put(log, 2, 6, "E\n"));
	ASSERT_OK(put(log, 1, 2, "c\nde"));
	ASSERT_OK(put(log, 2, 6, "E\n"));
	ASSERT_OK(put(log, 1, 8, "f\n"));
	ASSERT_STREQ(read_log(log, ALL, &out), "abc\nE\ndef\n");
	ASSERT_EQ(container_log_durable(log), 10);
	ASSERT_ERROR(container_log_append(log, 3, 10, T0, "x", 1), EINVAL);
	ASSERT_ERROR(container_log_append(log, 1, UINT64_MAX, T0, "x", 1), EINVAL);
}

TEST(long_line_is_cut_but_no_character_is)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf in = {0}, out = {0};
	_cleanup_free_ char *path = str_format("%s/x-json.log", dir);
	_cleanup_free_ char *raw = NULL;
	size_t raw_len;

	for (int i = 0; i < 20001; i++)
		buf_adds(&in, i == 0 ? "x" : "\xc3\xa9");
	buf_adds(&in, "\n");
	container_log_restart(log);
	for (size_t at = 0; at < in.len; at += 1000) /* cuts characters, too */
		ASSERT_OK(
			container_log_append(log, 1, at, T0, in.data + at, MIN(1000, in.len - at)));
	ASSERT_STREQ(read_log(log, ALL, &out), in.data);
	ASSERT_EQ(out.len, in.len);
	ASSERT_OK(fs_read_file(path, 1 << 20, &raw, &raw_len));
	ASSERT(!strstr(raw, "\\ufffd"));
	ASSERT_EQ(container_log_durable(log), in.len);
}

/* Goal: an unfinished line does not hold the acknowledgement back for ever. */
TEST(held_line_is_flushed_behind_much_output)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_free_ char *line = malloc(1025);
	uint64_t at = 3;

	memset(line, 'x', 1024);
	line[1023] = '\n';
	line[1024] = '\0';
	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "> "));
	for (int i = 0; i < 200; i++, at += 1024) {
		ASSERT_OK(put(log, 2, at, line));
		ASSERT_EQ(container_log_durable(log), 0);
	}
	for (int i = 0; i < 56; i++, at += 1024)
		ASSERT_OK(put(log, 2, at, line));
	ASSERT_EQ(container_log_durable(log), at);
}

/* Goal: nor behind few bytes in many chunks, for each of which the agent pays as well. */
TEST(held_line_is_flushed_behind_many_chunks)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	uint64_t at = 2;

	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "> "));
	for (int i = 0; i < 4096; i++, at++)
		ASSERT_OK(put(log, 2, at, i % 2 ? "x" : "\n"));
	ASSERT(container_log_durable(log) >= at - 1);
}

#define PIECES 7
static const struct {
	int stream;
	const char *text;
} pieces[PIECES] = {
	{1, "one\ntw"}, {2, "err"},  {1, "o\n\xff\xfe\xe2"}, {2, "or\nmore"}, {1, "\x82\xac<\n"},
	{2, "\n"},	{1, "last"},
};
#define PIECES_OUT "one\ntwo\nerror\n\xef\xbf\xbd\xef\xbf\xbd\xe2\x82\xac<\nmore\nlast"

/* What the agent does after a resume: everything not acknowledged, again. */
static void replay(struct container_log *log, uint64_t from)
{
	uint64_t at = 0;

	for (int i = 0; i < PIECES; i++) {
		size_t len = strlen(pieces[i].text), cut = from > at ? MIN(from - at, len) : 0;

		if (cut < len)
			(void)put(log, pieces[i].stream, at + cut, pieces[i].text + cut);
		at += len;
	}
}

static int copy_file(const char *from, const char *to, size_t len)
{
	_cleanup_free_ char *data = NULL;
	size_t have;
	int r = fs_read_file(from, 1 << 20, &data, &have);

	return r < 0 ? r : fs_write_file(to, data, MIN(len, have), 0600);
}

/*
 * Goal: killed between any two bytes of any write, the log ends up with every byte once.
 * The side file is the one before the batch, the log has any part of what the batch wrote.
 */
TEST(kill_at_any_byte)
{
	_cleanup_scratch_ char *dir = scratch_dir(), *dead = scratch_dir();
	_cleanup_free_ char *path = str_format("%s/x-json.log", dir);
	_cleanup_free_ char *side = str_format("%s/x-json.log.offset", dir);
	_cleanup_free_ char *dead_path = str_format("%s/x-json.log", dead);
	_cleanup_free_ char *dead_side = str_format("%s/x-json.log.offset", dead);
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0}, once = {0};
	uint64_t at = 0;
	int tried = 0;

	container_log_restart(log);
	for (int i = 0; i < PIECES; i++) {
		_cleanup_free_ char *before = NULL;
		struct stat was, is;
		size_t before_len;

		ASSERT_OK(stat(path, &was));
		ASSERT_OK(fs_read_file(side, 4096, &before, &before_len));
		ASSERT_OK(put(log, pieces[i].stream, at, pieces[i].text));
		at += strlen(pieces[i].text);
		ASSERT_OK(stat(path, &is));
		for (off_t len = was.st_size; len <= is.st_size; len++, tried++) {
			_cleanup_log_ struct container_log *again = NULL;
			struct stat st;

			ASSERT_OK(copy_file(path, dead_path, (size_t)len));
			/* the side file names the inode of the log */
			ASSERT_OK(stat(dead_path, &st));
			memcpy(before + 16, &(uint64_t){st.st_ino}, 8);
			uint64_t sum = 0;
			for (size_t w = 0; w < before_len / 8 - 1; w++)
				sum = sum * 31 + ((uint64_t *)before)[w];
			memcpy(before + before_len - 8, &sum, 8);
			ASSERT_OK(fs_write_file(dead_side, before, before_len, 0600));
			again = open_log(dead, 0, 1);
			ASSERT(again);
			replay(again, container_log_durable(again));
			(void)container_log_finish(again);
			read_log(again, ALL, &once);
			/* lines of the two streams may be ordered otherwise; bytes per stream not
			 */
			for (int s = 1; s <= 2; s++) {
				struct container_log_query q = {
					.tail = -1, .out = s == 1, .err = s == 2};

				read_log(again, q, &out);
				if (!str_eq(out.data, s == 1 ? "one\ntwo\n\xef\xbf\xbd\xef\xbf\xbd"
							       "\xe2\x82\xac<\nlast"
							     : "error\nmore\n"))
					TEST_FAIL("piece %d, %ld of %ld bytes: stream %d is \"%s\"",
						  i, (long)len, (long)is.st_size, s, out.data);
			}
		}
	}
	ASSERT(tried > 300);
	(void)container_log_finish(log);
	ASSERT_STREQ(read_log(log, ALL, &out), PIECES_OUT);
}

/* Goal: killed twice, the second time while the first one's overlap is still being skipped. */
TEST(kill_again_while_resuming)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_free_ char *side = str_format("%s/x-json.log.offset", dir);
	_cleanup_free_ char *before = NULL;
	_cleanup_buf_ struct buf out = {0};
	struct container_log *log = open_log(dir, 0, 1);
	size_t before_len;

	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "a\n"));
	ASSERT_OK(fs_read_file(side, 4096, &before, &before_len));
	ASSERT_OK(put(log, 1, 2, "b\nc\nd\n"));
	container_log_close(log);
	ASSERT_OK(fs_write_file(side, before, before_len, 0600));
	log = open_log(dir, 0, 1);
	ASSERT_EQ(container_log_durable(log), 2);
	ASSERT_OK(put(log, 1, 2, "b\nc")); /* part of what is skipped */
	ASSERT_EQ(container_log_durable(log), 5);
	container_log_close(log);
	log = open_log(dir, 0, 1);
	ASSERT_EQ(container_log_durable(log), 5);
	ASSERT_OK(put(log, 1, 5, "\nd\ne\n"));
	ASSERT_STREQ(read_log(log, ALL, &out), "a\nb\nc\nd\ne\n");
	container_log_close(log);
}

/* Goal: a side file of zeros, of garbage or of another log is not believed. */
TEST(bad_side_file_is_not_believed)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_free_ char *side = str_format("%s/x-json.log.offset", dir);
	_cleanup_buf_ struct buf out = {0};
	struct container_log *log = open_log(dir, 0, 1);

	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "a\n"));
	container_log_close(log);
	ASSERT_OK(fs_write_file(side, "garbage", 7, 0600));
	log = open_log(dir, 0, 1);
	ASSERT(log);
	ASSERT_EQ(container_log_durable(log), 0);
	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "b\n"));
	ASSERT_STREQ(read_log(log, ALL, &out), "a\nb\n");
	container_log_close(log);
}

TEST(rotation_keeps_max_files)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 1000, 3);
	_cleanup_free_ char *two = str_format("%s/x-json.log.2", dir);
	_cleanup_free_ char *three = str_format("%s/x-json.log.3", dir);
	_cleanup_buf_ struct buf out = {0};
	struct stat st;
	uint64_t at = 0;
	char *end;

	container_log_restart(log);
	for (int i = 0; i < 1000; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "line %d\n", i);
		ASSERT_OK(put(log, 1, at, text));
		at += strlen(text);
	}
	ASSERT_OK(stat(two, &st));
	ASSERT(st.st_size >= 1000 && st.st_size < 1100);
	ASSERT(stat(three, &st) < 0);
	read_log(log, ALL, &out);
	ASSERT(str_ends(out.data, "line 998\nline 999\n"));
	ASSERT(strtol(out.data + 5, &end, 10) > 900);
	ASSERT_STREQ(read_log(log, (struct container_log_query){.tail = 2}, &out),
		     "line 998\nline 999\n");
	read_log(log, (struct container_log_query){.tail = 20}, &out);
	ASSERT(str_starts(out.data, "line 980\n"));
}

TEST(tail)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0}, in = {0};

	container_log_restart(log);
	ASSERT_STREQ(read_log(log, (struct container_log_query){.tail = 5}, &out), "");
	for (int i = 0; i < 40000; i++)
		buf_addf(&in, "%d\n", i);
	ASSERT_OK(container_log_append(log, 1, 0, T0, in.data, in.len));
	ASSERT_STREQ(read_log(log, (struct container_log_query){.tail = 0}, &out), "");
	ASSERT_STREQ(read_log(log, (struct container_log_query){.tail = 1}, &out), "39999\n");
	read_log(log, (struct container_log_query){.tail = 30000}, &out);
	ASSERT(str_starts(out.data, "10000\n10001\n"));
	read_log(log, (struct container_log_query){.tail = 40000}, &out);
	ASSERT_EQ(out.len, in.len);
	read_log(log, (struct container_log_query){.tail = 1000000}, &out);
	ASSERT_EQ(out.len, in.len);
}

/* Goal: a line of many records counts as one. */
TEST(tail_counts_lines_not_records)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0}, in = {0};

	container_log_restart(log);
	buf_adds(&in, "first\n");
	for (int i = 0; i < 50000; i++)
		buf_adds(&in, "x");
	buf_adds(&in, "\nlast\n");
	ASSERT_OK(container_log_append(log, 1, 0, T0, in.data, in.len));
	read_log(log, (struct container_log_query){.tail = 2}, &out);
	ASSERT_EQ(out.len, 50001 + 5);
}

TEST(times)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0};
	struct container_log_query q = {.tail = -1, .timestamps = true};
	struct container_log_query plain = {.tail = -1};

	container_log_restart(log);
	ASSERT_OK(container_log_append(log, 1, 0, T0, "a\n", 2));
	ASSERT_OK(container_log_append(log, 1, 2, T0 + 1, "b\n", 2));
	ASSERT_OK(container_log_append(log, 1, 4, T0 + NSEC_PER_SEC, "c\n", 2));
	ASSERT_STREQ(read_log(log, q, &out), "2023-11-14T22:13:20.100000000Z a\n"
					     "2023-11-14T22:13:20.100000001Z b\n"
					     "2023-11-14T22:13:21.100000000Z c\n");
	plain.since_ns = T0 + 1;
	ASSERT_STREQ(read_log(log, plain, &out), "b\nc\n");
	plain.until_ns = T0 + 2;
	ASSERT_STREQ(read_log(log, plain, &out), "b\n");
	plain.since_ns = 0;
	plain.details = true;
	ASSERT_STREQ(read_log(log, plain, &out), " a\n b\n");
}

/* Goal: a clock that a guest has set ahead does not hide its lines from --until now. */
TEST(impossible_time_becomes_now)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0};
	struct container_log_query q = {.tail = -1};

	container_log_restart(log);
	ASSERT_OK(container_log_append(log, 1, 0, INT64_MAX, "a\n", 2));
	ASSERT_OK(container_log_append(log, 1, 2, -5, "b\n", 2));
	q.until_ns = clock_realtime_ns();
	q.since_ns = q.until_ns - 10 * NSEC_PER_SEC;
	ASSERT_STREQ(read_log(log, q, &out), "a\nb\n");
}

TEST(frames)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0};

	container_log_restart(log);
	ASSERT_OK(put(log, 2, 0, "hello\n"));
	ASSERT_OK(put(log, 1, 6, "x\n"));
	read_log(log, (struct container_log_query){.tail = -1, .mux = true}, &out);
	ASSERT_EQ(out.len, 8 + 6 + 8 + 2);
	ASSERT(memcmp(out.data, "\2\0\0\0\0\0\0\6hello\n\1\0\0\0\0\0\0\2x\n", 24) == 0);
}

struct follow {
	struct container_log *log;
	struct container_log_query query;
	struct buf out;
	int r;
	unsigned int slow_us;
};

static int collect_slowly(void *user, const void *data, size_t len)
{
	struct follow *f = user;

	if (f->slow_us && len)
		(void)usleep(f->slow_us);
	buf_add(&f->out, data, len);
	return 0;
}

static void *follow_thread(void *user)
{
	struct follow *f = user;
	struct err err = {0};

	f->r = container_log_read(f->log, &f->query, collect_slowly, f, &err);
	return NULL;
}

/* Goal: following has no gap across rotations, even for a slow reader, and ends with the process.
 */
/* As many files as it takes: a reader that is late by more than what is kept loses lines. */
TEST(follow_across_rotation)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 2000, 1000);
	_cleanup_buf_ struct buf in = {0};
	struct follow f = {.log = log, .slow_us = 200};
	pthread_t thread;
	uint64_t at = 0;

	f.query = (struct container_log_query){.out = true, .follow = true, .tail = -1};
	container_log_restart(log);
	ASSERT_OK(pthread_create(&thread, NULL, follow_thread, &f));
	for (int i = 0; i < 2000; i++) {
		size_t was = in.len;

		buf_addf(&in, "line %d\n", i);
		ASSERT_OK(container_log_append(log, 1, at, T0, in.data + was, in.len - was));
		at = in.len;
		if (i % 50 == 0)
			(void)usleep(1000);
	}
	ASSERT_OK(container_log_finish(log));
	pthread_join(thread, NULL);
	ASSERT_OK(f.r);
	ASSERT_STREQ(f.out.data, in.data);
	buf_done(&f.out);
}

TEST(follow_is_cancelled)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	struct cancel cancel;
	struct follow f = {.log = log};
	pthread_t thread;

	cancel_init(&cancel);
	f.query = (struct container_log_query){
		.out = true, .follow = true, .tail = -1, .cancel = &cancel};
	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "a\n"));
	ASSERT_OK(pthread_create(&thread, NULL, follow_thread, &f));
	(void)usleep(20000);
	cancel_fire(&cancel);
	pthread_join(thread, NULL);
	ASSERT_ERROR(f.r, ECANCELED);
	ASSERT_STREQ(f.out.data, "a\n");
	buf_done(&f.out);
	cancel_done(&cancel);
}

/* Goal: following a container that does not run, or past `until`, ends. */
TEST(follow_ends)
{
	_cleanup_scratch_ char *dir = scratch_dir();
	_cleanup_log_ struct container_log *log = open_log(dir, 0, 1);
	_cleanup_buf_ struct buf out = {0};
	struct container_log_query q = {.tail = -1, .follow = true};

	ASSERT_STREQ(read_log(log, q, &out), "");
	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "a\n"));
	q.until_ns = clock_realtime_ns() + 50 * NSEC_PER_MSEC;
	ASSERT_STREQ(read_log(log, q, &out), "a\n");
	ASSERT(clock_realtime_ns() >= q.until_ns);
}

TEST(discarding_log_cannot_be_read)
{
	struct container_log_options options = {.discard = true};
	_cleanup_log_ struct container_log *log = NULL;
	struct container_log_query q = {.out = true, .tail = -1};
	struct err err = {0};

	ASSERT_OK(container_log_open("/nonexistent/x", &options, false, &log, &err));
	container_log_restart(log);
	ASSERT_OK(put(log, 1, 0, "a\nb"));
	ASSERT_EQ(container_log_durable(log), 3);
	ASSERT_OK(container_log_finish(log));
	ASSERT(container_log_read(log, &q, collect, NULL, &err) < 0);
	ASSERT_EQ(err.kind, ERR_NOT_IMPLEMENTED);
	ASSERT_STREQ(err.msg, "configured logging driver does not support reading");
}

TEST(log_that_cannot_be_opened)
{
	struct container_log_options options = {.max_files = 1};
	struct container_log *log = NULL;
	struct err err = {0};

	ASSERT_ERROR(container_log_open("/nonexistent/x", &options, false, &log, &err), ENOENT);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT(!log);
}

TEST_MAIN()
