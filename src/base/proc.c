/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - what /proc says of a process */
#include "base/proc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define PROC_STAT_MAX 4096 /* /proc/<pid>/stat, bytes */

/**
 * proc_start_ticks() - When a process started
 * @pid:       Process
 * @ret_ticks: Clock ticks since boot (proc(5), field 22); set on success
 *
 * With the pid it names a process for good: pids come again, at another time.
 *
 * Return: 0, -ESRCH if there is no such process or it is dead, or negative errno
 */
int proc_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	_cleanup_free_ char *path = str_format("/proc/%d/stat", (int)pid), *text = NULL;
	unsigned long long ticks;
	const char *p;
	char state;
	int r;

	if (!path)
		return -ENOMEM;
	r = fs_read_file(path, PROC_STAT_MAX, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	p = strrchr(text, ')'); /* the program's name may hold anything */
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu",
			 &state, &ticks) != 2)
		return -EBADMSG;
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	*ret_ticks = ticks;
	return 0;
}
