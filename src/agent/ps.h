/* SPDX-License-Identifier: Apache-2.0 */
/* ps.h - columns of ps(1), from /proc */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PS_COLUMNS_MAX 32
#define PS_CELL_MAX 4096

/* One process, read once for all of its cells. */
struct ps_process {
	int64_t pid, ppid, pgrp, session, tty, nice, priority, threads;
	int64_t utime, stime, start_ticks; /* USER_HZ */
	int64_t vsize_bytes, rss_pages;
	uid_t uid;
	gid_t gid;
	char state;
	char comm[64], args[PS_CELL_MAX];
};

struct ps_clock {
	int64_t now_s, uptime_s, total_kib; /* wall clock, since boot, memory */
};

struct ps_column; /* how to print one field */

int ps_parse_args(char *const *args, size_t n, const struct ps_column **columns, size_t *ret_n);
const char *ps_title(const struct ps_column *column);
void ps_cell(const struct ps_column *column, const struct ps_process *p,
	     const struct ps_clock *clock, char out[static PS_CELL_MAX]);
int ps_parse_stat(const char *text, struct ps_process *p);
int ps_read(pid_t pid, struct ps_process *ret_process);
void ps_read_clock(struct ps_clock *clock);
