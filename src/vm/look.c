/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c - VMs as somebody sees them who did not start them: their records, their processes' taps
 *
 * Nothing is changed and no VM is talked to, so a daemon may be at work meanwhile. A VM of the pool
 * has no record before a container has it, a template has none at all: such are known by their
 * taps' holders.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "vm/sandbox.h"

#define LOOK_FDINFO_MAX KIB(4)
#define LOOK_CMDLINE_MAX KIB(64)

/**
 * vm_look() - Every VM that has a record
 * @run_dir: <exec-root>/vm; none there is no VM
 * @fn:	     Called for each; <0 ends the walk
 * @user:    Its argument
 *
 * Return: 0, what @fn returned, or negative errno
 */
int vm_look(const char *run_dir, vm_look_fn fn, void *user)
{
	_cleanup_closedir_ DIR *dir = opendir(run_dir);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *path = str_format("%s/%s", run_dir, entry->d_name);
		struct sandbox_record record;
		struct vm_seen seen;
		int r;

		if (!path)
			return -ENOMEM;
		if (entry->d_name[0] == '.' || sandbox_record_read(path, &record) < 0)
			continue;
		seen = (struct vm_seen){.name = entry->d_name,
					.pid = record.pid,
					.alive = sandbox_is_alive(path),
					.nic = record.nic};
		r = fn(user, &seen);
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * vm_has_tap() - Whether a process has a tap open, by what the kernel says
 * @pid:  Process
 * @name: Tap
 *
 * In the lines of a tap's descriptor in /proc/<pid>/fdinfo "iff:" is its name (drivers/net/tun.c).
 *
 * Return: the answer; false also where it may not be asked
 */
bool vm_has_tap(pid_t pid, const char *name)
{
	_cleanup_free_ char *path = str_format("/proc/%d/fdinfo", (int)pid);
	_cleanup_free_ char *line = str_format("iff:\t%s\n", name);
	_cleanup_closedir_ DIR *dir = path ? opendir(path) : NULL;
	struct dirent *entry;

	while (line && dir && (entry = readdir(dir))) {
		_cleanup_free_ char *file = str_format("%s/%s", path, entry->d_name);
		_cleanup_free_ char *text = NULL;

		if (file && entry->d_name[0] != '.' &&
		    fs_read_file(file, LOOK_FDINFO_MAX, &text, NULL) == 0 && strstr(text, line))
			return true;
	}
	return false;
}

/**
 * vm_find_tap() - Who has a tap open
 * @name: Tap
 *
 * Goes through all processes.
 *
 * Return: its pid, 0 if nobody has
 */
pid_t vm_find_tap(const char *name)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;

	while (dir && (entry = readdir(dir)))
		if (str_u64(entry->d_name, INT_MAX, &pid) == 0 && vm_has_tap((pid_t)pid, name))
			return (pid_t)pid;
	return 0;
}

/**
 * vm_is_below() - Whether the command line of a VM names a folder or what is in it
 * @pid: Process
 * @dir: Folder, as the daemon was told it
 *
 * Return: the answer
 */
bool vm_is_below(pid_t pid, const char *dir)
{
	_cleanup_free_ char *path = str_format("/proc/%d/cmdline", (int)pid), *text = NULL;
	_cleanup_free_ char *below = str_format("%s/", dir);
	size_t len = 0;

	return path && below && fs_read_file(path, LOOK_CMDLINE_MAX, &text, &len) == 0 &&
	       memmem(text, len, below, strlen(below));
}
