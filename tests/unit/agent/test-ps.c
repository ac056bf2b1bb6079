/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ps.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "test.h"

TEST_MAIN()

static const struct ps_column *columns[PS_COLUMNS_MAX];
static size_t n_columns;

static int parse(size_t n, const char *a, const char *b)
{
	char *args[] = {(char *)a, (char *)b};

	return ps_parse_args(args, n, columns, &n_columns);
}

static const char *titles(void)
{
	static char text[512];

	text[0] = '\0';
	for (size_t i = 0; i < n_columns; i++) {
		strcat(text, i ? " " : "");
		strcat(text, ps_title(columns[i]));
	}
	return text;
}

/* Goal: the columns of ps -ef, docker top's default, and of what else people type. */
TEST(ps_knows_the_usual_options)
{
	ASSERT_OK(parse(0, NULL, NULL));
	ASSERT_STREQ(titles(), "UID PID PPID C STIME TTY TIME CMD");
	ASSERT_OK(parse(1, "-ef", NULL));
	ASSERT_STREQ(titles(), "UID PID PPID C STIME TTY TIME CMD");
	ASSERT_OK(parse(1, "aux", NULL));
	ASSERT_STREQ(titles(), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
	ASSERT_OK(parse(2, "-o", "pid,comm"));
	ASSERT_STREQ(titles(), "PID COMMAND");
	ASSERT_OK(parse(2, "-eo", "pid,%cpu,args"));
	ASSERT_STREQ(titles(), "PID %CPU COMMAND");
	ASSERT_OK(parse(1, "-opid,user", NULL));
	ASSERT_STREQ(titles(), "PID USER");
}

/* Goal: refused, not guessed; and no listing without a PID. */
TEST(ps_refuses_what_it_does_not_know)
{
	ASSERT_ERROR(parse(1, "--help", NULL), EINVAL);
	ASSERT_ERROR(parse(2, "-o", "pid,nonsense"), EINVAL);
	ASSERT_ERROR(parse(2, "-o", "comm"), EINVAL);
	ASSERT_ERROR(parse(1, "-o", NULL), EINVAL);
	ASSERT_ERROR(parse(1, "-Z", NULL), EINVAL);
	ASSERT_ERROR(parse(2, "-o",
			   "pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,"
			   "pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,pid,"
			   "pid,pid,pid"),
		     EINVAL);
}

/* Goal: a name with parentheses, spaces and newlines does not shift the fields. */
TEST(ps_stat_with_a_hostile_name)
{
	static const char rest[] = " S 7 8 9 34816 -1 4194304 1 2 3 4 150 50 0 0 20 0 3 0 12345 "
				   "8192000 321 0\n";
	struct ps_process p = {0};
	struct ps_clock clock = {.now_s = 1000000, .uptime_s = 323, .total_kib = 1000};
	char text[512], cell[PS_CELL_MAX];

	strcpy(text, "42 (a) R 1 (\n)");
	strcat(text, rest);
	ASSERT_OK(ps_parse_stat(text, &p));
	ASSERT_EQ(p.pid, 42);
	ASSERT_STREQ(p.comm, "a) R 1 (\n");
	ASSERT_EQ(p.state, 'S');
	ASSERT_EQ(p.ppid, 7);
	ASSERT_EQ(p.rss_pages, 321);
	ASSERT_OK(parse(2, "-o", "pid,tty,time,c,comm"));
	ps_cell(columns[1], &p, &clock, cell);
	ASSERT_STREQ(cell, "pts/0");
	ps_cell(columns[2], &p, &clock, cell);
	ASSERT_STREQ(cell, "00:00:02");
	ps_cell(columns[3], &p, &clock, cell);
	ASSERT_STREQ(cell, "1");
	ps_cell(columns[4], &p, &clock, cell);
	ASSERT_STREQ(cell, "a) R 1 (?");
	ASSERT_ERROR(ps_parse_stat("42 (x", &p), EINVAL);
	ASSERT_ERROR(ps_parse_stat("42 (x) S 1 2", &p), EINVAL);
	ASSERT_ERROR(ps_parse_stat("", &p), EINVAL);
}

/* Goal: a real process. */
TEST(ps_reads_this_process)
{
	struct ps_process p = {0};

	ASSERT_OK(ps_read(getpid(), &p));
	ASSERT_EQ(p.pid, getpid());
	ASSERT_EQ(p.ppid, getppid());
	ASSERT_EQ(p.uid, geteuid());
	ASSERT(strstr(p.args, "test-agent-ps"));
	ASSERT(ps_read(INT32_MAX, &p) < 0);
}
