/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - paths inside a container's root, resolved so that none leads out of it
 *
 * The root's contents are hostile: any component may be a symlink to anywhere. openat2() with
 * RESOLVE_IN_ROOT treats the root as / for absolute links and "..", and refuses magic links.
 */
#include "agent/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/**
 * root_open() - open(2) with @root_fd as /
 * @root_fd: Directory
 * @path:    Path, absolute or not; resolved below @root_fd either way
 * @flags:   O_*; O_CLOEXEC is added
 *
 * Return: descriptor owned by the caller, or negative errno
 */
int root_open(int root_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	long fd;

	do {
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN); /* a rename raced with a ".." */
	return fd < 0 ? -errno : (int)fd;
}

/**
 * root_make_directory() - mkdir -p below @root_fd
 * @root_fd: Directory
 * @path:    Wanted directory
 * @mode:    Of what is made
 * @ret_fd:  O_PATH descriptor of it, owned by the caller; set on success
 *
 * Return: 0 or negative errno
 */
int root_make_directory(int root_fd, const char *path, mode_t mode, int *ret_fd)
{
	_cleanup_close_ int parent = -EBADF;
	char part[PATH_MAX];
	size_t at = 0;
	int fd;

	fd = root_open(root_fd, path, O_PATH | O_DIRECTORY);
	if (fd >= 0 || fd != -ENOENT) {
		if (fd >= 0)
			*ret_fd = fd;
		return fd < 0 ? fd : 0;
	}
	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	strcpy(part, path);
	parent = root_open(root_fd, "/", O_PATH | O_DIRECTORY);
	while (parent >= 0) {
		size_t from = at + strspn(path + at, "/"), end = from + strcspn(path + from, "/");

		if (from == end) {
			*ret_fd = TAKE_FD(parent);
			return 0;
		}
		part[end] = '\0';
		fd = root_open(root_fd, part, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT) {
			/* The new name goes below the parent we hold, links in it included. */
			if (mkdirat(parent, part + from, mode) < 0)
				return -errno;
			fd = root_open(root_fd, part, O_PATH | O_DIRECTORY);
		}
		(void)close(parent); /* O_PATH */
		parent = fd;
		part[end] = path[end];
		at = end;
	}
	return parent;
}

/**
 * root_make_file() - Make sure there is something that is no directory to bind a file over
 * @root_fd: Directory
 * @path:    Wanted file
 * @mode:    Of what is made
 * @ret_fd:  O_PATH descriptor of it, owned by the caller; set on success
 *
 * Return: 0 or negative errno
 */
int root_make_file(int root_fd, const char *path, mode_t mode, int *ret_fd)
{
	_cleanup_close_ int parent = -EBADF;
	_cleanup_free_ char *dir = NULL;
	const char *slash = strrchr(path, '/');
	int fd, made, r;

	fd = root_open(root_fd, path, O_PATH);
	if (fd == -ENOENT) {
		dir = slash && slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
		if (!dir)
			return -ENOMEM;
		r = root_make_directory(root_fd, dir, 0755, &parent);
		if (r < 0)
			return r;
		made = openat(parent, slash ? slash + 1 : path,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (made < 0)
			return -errno;
		(void)close(made); /* empty */
		fd = root_open(root_fd, path, O_PATH);
	}
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}
