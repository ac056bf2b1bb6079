/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ps.c - columns of ps(1), from /proc
 *
 * `docker top` hands over ps's own arguments, and there is no ps in the VM. The option sets that
 * people use are answered here in procps's words; anything else is refused rather than guessed.
 * The daemon needs a PID column, so one is there in any case. Names and arguments are the
 * container's, hostile: control characters become '?'.
 */
#include "agent/ps.h"

#include <fcntl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/util.h"

#define PS_HZ 100 /* USER_HZ on every Linux we run */

typedef void (*ps_print_fn)(const struct ps_process *p, const struct ps_clock *c, char *out);

struct ps_column {
	const char *name, *alias, *title; /* as -o takes it, as ps prints it */
	ps_print_fn print;
};

static void ps_number(char *out, int64_t n)
{
	(void)snprintf(out, PS_CELL_MAX, "%" PRId64, n); /* fits */
}

static void ps_pid(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->pid);
}

static void ps_ppid(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->ppid);
}

static void ps_pgid(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->pgrp);
}

static void ps_sid(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->session);
}

static void ps_uid(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->uid);
}

static void ps_gid(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->gid);
}

/* The host's ps would use the host's names; root is the same everywhere. */
static void ps_user(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	if (p->uid == 0)
		strcpy(out, "root");
	else
		ps_uid(p, c, out);
}

static void ps_group(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	if (p->gid == 0)
		strcpy(out, "root");
	else
		ps_gid(p, c, out);
}

static int64_t ps_cpu_s(const struct ps_process *p)
{
	return (p->utime + p->stime) / PS_HZ;
}

static int64_t ps_elapsed_s(const struct ps_process *p, const struct ps_clock *c)
{
	return MAX(c->uptime_s - p->start_ticks / PS_HZ, 0);
}

/* procps's C: per cent of its life that it spent on a CPU. */
static int64_t ps_permille(const struct ps_process *p, const struct ps_clock *c)
{
	int64_t elapsed = ps_elapsed_s(p, c);

	return elapsed ? MIN((p->utime + p->stime) * 1000 / PS_HZ / elapsed, 999000) : 0;
}

static void ps_c(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	ps_number(out, MIN(ps_permille(p, c) / 10, 99));
}

static void ps_pcpu(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	int64_t m = ps_permille(p, c);

	(void)snprintf(out, PS_CELL_MAX, "%" PRId64 ".%" PRId64, m / 10, m % 10); /* fits */
}

static void ps_rss(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->rss_pages * (sysconf(_SC_PAGESIZE) / 1024));
}

static void ps_vsz(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->vsize_bytes / 1024);
}

static void ps_pmem(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	int64_t kib = p->rss_pages * (sysconf(_SC_PAGESIZE) / 1024);
	int64_t m = c->total_kib ? kib * 1000 / c->total_kib : 0;

	(void)snprintf(out, PS_CELL_MAX, "%" PRId64 ".%" PRId64, m / 10, m % 10); /* fits */
}

static void ps_start(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	time_t start = c->now_s - ps_elapsed_s(p, c);
	struct tm tm;

	(void)gmtime_r(&start, &tm);
	(void)strftime(out, PS_CELL_MAX, c->now_s - start < 86400 ? "%H:%M" : "%b%d", &tm);
}

static void ps_lstart(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	time_t start = c->now_s - ps_elapsed_s(p, c);
	struct tm tm;

	(void)gmtime_r(&start, &tm);
	(void)strftime(out, PS_CELL_MAX, "%a %b %e %H:%M:%S %Y", &tm);
}

/* Seconds as [dd-]hh:mm:ss; @short_form leaves out the hours that are not there. */
static void ps_duration(char *out, int64_t s, bool short_form)
{
	int64_t d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60;

	s %= 60;
	if (d)
		(void)snprintf(out, PS_CELL_MAX,
			       "%02" PRId64 "-%02" PRId64 ":%02" PRId64 ":%02" PRId64, d, h, m, s);
	else if (h || !short_form)
		(void)snprintf(out, PS_CELL_MAX, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, h, m, s);
	else
		(void)snprintf(out, PS_CELL_MAX, "%02" PRId64 ":%02" PRId64, m, s);
}

static void ps_time(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_duration(out, ps_cpu_s(p), false);
}

/* The BSD form: minutes and seconds, however many. */
static void ps_bsd_time(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	(void)snprintf(out, PS_CELL_MAX, "%" PRId64 ":%02" PRId64, ps_cpu_s(p) / 60,
		       ps_cpu_s(p) % 60);
}

static void ps_etime(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	ps_duration(out, ps_elapsed_s(p, c), true);
}

static void ps_etimes(const struct ps_process *p, const struct ps_clock *c, char *out)
{
	ps_number(out, ps_elapsed_s(p, c));
}

static void ps_tty(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	unsigned int major_number = major((dev_t)p->tty), minor_number = minor((dev_t)p->tty);

	if (major_number >= 136 && major_number < 144)
		(void)snprintf(out, PS_CELL_MAX, "pts/%u",
			       minor_number + (major_number - 136) * 256); /* fits */
	else
		strcpy(out, "?");
}

static void ps_stat(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	*out++ = p->state;
	if (p->nice < 0)
		*out++ = '<';
	if (p->nice > 0)
		*out++ = 'N';
	if (p->session == p->pid)
		*out++ = 's';
	if (p->threads > 1)
		*out++ = 'l';
	*out = '\0';
}

static void ps_state(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	out[0] = p->state;
	out[1] = '\0';
}

static void ps_nice(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->nice);
}

static void ps_pri(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, 39 - p->priority);
}

static void ps_nlwp(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	ps_number(out, p->threads);
}

static void ps_comm(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	(void)snprintf(out, PS_CELL_MAX, "%s", p->comm); /* fits */
}

static void ps_args(const struct ps_process *p, const struct ps_clock *c UNUSED, char *out)
{
	if (p->args[0])
		(void)snprintf(out, PS_CELL_MAX, "%s", p->args); /* fits */
	else
		(void)snprintf(out, PS_CELL_MAX, "[%s]", p->comm); /* fits */
}

static const struct ps_column ps_columns[] = {
	{"pid", "tgid", "PID", ps_pid},
	{"ppid", NULL, "PPID", ps_ppid},
	{"pgid", "pgrp", "PGID", ps_pgid},
	{"sid", "sess", "SID", ps_sid},
	{"user", "euser", "USER", ps_user},
	{"ruser", "uname", "RUSER", ps_user},
	{"uid", "euid", "UID", ps_uid},
	{"group", "egroup", "GROUP", ps_group},
	{"gid", "egid", "GID", ps_gid},
	{"c", NULL, "C", ps_c},
	{"pcpu", "%cpu", "%CPU", ps_pcpu},
	{"pmem", "%mem", "%MEM", ps_pmem},
	{"vsz", "vsize", "VSZ", ps_vsz},
	{"rss", "rssize", "RSS", ps_rss},
	{"stime", "start_time", "STIME", ps_start},
	{"start", "bsdstart", "START", ps_start},
	{"lstart", NULL, "STARTED", ps_lstart},
	{"time", "cputime", "TIME", ps_time},
	{"bsdtime", NULL, "TIME", ps_bsd_time},
	{"etime", NULL, "ELAPSED", ps_etime},
	{"etimes", NULL, "ELAPSED", ps_etimes},
	{"tty", "tname", "TTY", ps_tty},
	{"tt", NULL, "TT", ps_tty},
	{"stat", NULL, "STAT", ps_stat},
	{"s", "state", "S", ps_state},
	{"ni", "nice", "NI", ps_nice},
	{"pri", NULL, "PRI", ps_pri},
	{"nlwp", "thcount", "NLWP", ps_nlwp},
	{"comm", "ucmd", "COMMAND", ps_comm},
	{"args", "command", "COMMAND", ps_args},
	{"cmd", NULL, "CMD", ps_args},
	/* the same, under the titles of -f and aux */
	{"-fuid", NULL, "UID", ps_user},
	{"-ucmd", NULL, "CMD", ps_comm},
};

static const struct {
	const char *args, *columns;
} ps_formats[] = {
	{"-ef", "-fuid,pid,ppid,c,stime,tty,time,cmd"},
	{"-f", "-fuid,pid,ppid,c,stime,tty,time,cmd"},
	{"aux", "user,pid,pcpu,pmem,vsz,rss,tty,stat,start,bsdtime,args"},
	{"u", "user,pid,pcpu,pmem,vsz,rss,tty,stat,start,bsdtime,args"},
	{"ax", "pid,tty,stat,bsdtime,args"},
	{"x", "pid,tty,stat,bsdtime,args"},
	{"-e", "pid,tty,time,-ucmd"},
	{"-l", "s,uid,pid,ppid,c,pri,ni,vsz,tty,time,-ucmd"},
	{"-el", "s,uid,pid,ppid,c,pri,ni,vsz,tty,time,-ucmd"},
};

static const struct ps_column *ps_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(ps_columns); i++) {
		const struct ps_column *c = &ps_columns[i];

		if (strlen(c->name) == len && strncasecmp(c->name, name, len) == 0)
			return c;
		if (c->alias && strlen(c->alias) == len && strncasecmp(c->alias, name, len) == 0)
			return c;
	}
	return NULL;
}

static int ps_add(const char *list, const struct ps_column **columns, size_t *n)
{
	while (*list) {
		size_t len = strcspn(list, ", "), name = strcspn(list, ", =");
		const struct ps_column *c = len ? ps_find(list, name) : NULL;

		if (len && (!c || *n == PS_COLUMNS_MAX))
			return -EINVAL;
		if (c)
			columns[(*n)++] = c;
		list += len + strspn(list + len, ", ");
	}
	return 0;
}

/* Options that choose processes: all of the container are shown whatever they say. */
static bool ps_is_selection(const char *arg)
{
	static const char *const all[] = {"-e", "-A", "-a", "-x", "a", "x", "ax", "-ww", "-w", "w"};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (str_eq(arg, all[i]))
			return true;
	}
	return false;
}

static int ps_add_format(const char *arg, const struct ps_column **columns, size_t *n)
{
	const char *plain = arg[0] == '-' && str_eq(arg, "-aux") ? arg + 1 : arg;

	for (size_t i = 0; i < ARRAY_SIZE(ps_formats); i++) {
		if (str_eq(plain, ps_formats[i].args))
			return ps_add(ps_formats[i].columns, columns, n);
	}
	return -EINVAL;
}

/* Return: what follows -o (or o, --format), if @arg is that; *ret_more: it is the next argument */
static const char *ps_format_list(const char *arg, bool *ret_more)
{
	static const char *const names[] = {"-o", "--format=", "o"};
	static const char *const joined[] = {"-eo", "-axo", "axo", "-Ao"};

	*ret_more = str_eq(arg, "--format");
	for (size_t i = 0; i < ARRAY_SIZE(joined); i++)
		*ret_more = *ret_more || str_eq(arg, joined[i]);
	if (*ret_more)
		return "";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!str_starts(arg, names[i]))
			continue;
		*ret_more = str_eq(arg, names[i]) && !str_ends(arg, "=");
		return arg + strlen(names[i]);
	}
	return NULL;
}

/**
 * ps_parse_args() - Which columns arguments of ps(1) ask for
 * @args:    Arguments, none for -ef
 * @n:	     How many
 * @columns: Receives PS_COLUMNS_MAX at most
 * @ret_n:   How many; set on success
 *
 * Return: 0, or -EINVAL for what we do not know
 */
int ps_parse_args(char *const *args, size_t n, const struct ps_column **columns, size_t *ret_n)
{
	size_t count = 0;
	bool more, pid = false;
	int r;

	for (size_t i = 0; i < n; i++) {
		const char *list = ps_format_list(args[i], &more);

		if (list && more && ++i == n)
			return -EINVAL;
		if (list)
			r = ps_add(more ? args[i] : list, columns, &count);
		else
			r = ps_add_format(args[i], columns, &count);
		if (r < 0 && !ps_is_selection(args[i]))
			return r;
	}
	if (!count && ps_add_format("-ef", columns, &count) < 0)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		pid = pid || columns[i]->print == ps_pid;
	if (!pid)
		return -EINVAL;
	*ret_n = count;
	return 0;
}

/**
 * ps_title() - Heading of a column
 * @column: Column
 *
 * Return: static text
 */
const char *ps_title(const struct ps_column *column)
{
	return column->title;
}

/**
 * ps_cell() - What a column says about a process
 * @column: Column
 * @p:	    Process
 * @clock:  When
 * @out:    Receives printable text
 */
void ps_cell(const struct ps_column *column, const struct ps_process *p,
	     const struct ps_clock *clock, char out[static PS_CELL_MAX])
{
	column->print(p, clock, out);
	for (unsigned char *s = (unsigned char *)out; *s; s++) {
		if (*s < 0x20 || *s == 0x7f)
			*s = '?';
	}
}

/**
 * ps_parse_stat() - /proc/PID/stat
 * @text: Its contents; the name in it may hold anything, parentheses and newlines too
 * @p:	  Its fields are set on success
 *
 * Return: 0 or -EINVAL
 */
int ps_parse_stat(const char *text, struct ps_process *p)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	long long f[22];
	size_t len;

	if (!open || !close || close < open || !close[1] || !close[2])
		return -EINVAL;
	len = MIN((size_t)(close - open - 1), sizeof(p->comm) - 1);
	if (sscanf(close + 3,
		   " %lld %lld %lld %lld %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %lld %lld %lld "
		   "%*d %lld %lld %lld",
		   &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &f[7], &f[8], &f[9], &f[10],
		   &f[11]) != 12)
		return -EINVAL;
	p->pid = strtoll(text, NULL, 10);
	memcpy(p->comm, open + 1, len);
	p->comm[len] = '\0';
	p->state = close[2];
	p->ppid = f[0];
	p->pgrp = f[1];
	p->session = f[2];
	p->tty = f[3];
	p->utime = f[4];
	p->stime = f[5];
	p->priority = f[6];
	p->nice = f[7];
	p->threads = f[8];
	p->start_ticks = f[9];
	p->vsize_bytes = f[10];
	p->rss_pages = f[11];
	return 0;
}

static int ps_read_text(pid_t pid, const char *file, char *text, size_t size, size_t *ret_len)
{
	_cleanup_free_ char *path = str_format("/proc/%d/%s", pid, file);
	_cleanup_close_ int fd = -EBADF;
	ssize_t n;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = fs_read_full(fd, text, size - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret_len = (size_t)n;
	return 0;
}

static int64_t ps_status_id(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	/* real, then effective */
	at = at ? at + strlen(key) : "0 0";
	at += strspn(at, " \t");
	at += strspn(at, "0123456789");
	return strtoll(at, NULL, 10);
}

/**
 * ps_read() - Read one process
 * @pid:	 In our pid namespace
 * @ret_process: Set on success
 *
 * Return: 0, or negative errno (-ENOENT, -ESRCH: gone)
 */
int ps_read(pid_t pid, struct ps_process *ret_process)
{
	char text[PS_CELL_MAX];
	size_t len;
	int r;

	r = ps_read_text(pid, "stat", text, sizeof(text), &len);
	if (r == 0)
		r = ps_parse_stat(text, ret_process);
	if (r == 0)
		r = ps_read_text(pid, "status", text, sizeof(text), &len);
	if (r < 0)
		return r;
	ret_process->uid = (uid_t)ps_status_id(text, "\nUid:");
	ret_process->gid = (gid_t)ps_status_id(text, "\nGid:");
	r = ps_read_text(pid, "cmdline", ret_process->args, sizeof(ret_process->args), &len);
	if (r < 0)
		return r;
	while (len && !ret_process->args[len - 1])
		len--;
	for (size_t i = 0; i < len; i++) {
		if (!ret_process->args[i])
			ret_process->args[i] = ' ';
	}
	return 0;
}

/**
 * ps_read_clock() - The times that columns are counted from
 * @clock: Filled
 */
void ps_read_clock(struct ps_clock *clock)
{
	struct sysinfo info = {0};

	(void)sysinfo(&info); /* cannot fail with a good address */
	clock->now_s = time(NULL);
	clock->uptime_s = info.uptime;
	clock->total_kib = (int64_t)(info.totalram * info.mem_unit / 1024);
}
