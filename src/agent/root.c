/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - paths inside a container's root, resolved so that none leads out of it
 *
 * The root's contents are hostile: any component may be a symlink to anywhere. openat2() with
 * RESOLVE_IN_ROOT treats the root as / for absolute links and "..", and refuses magic links.
 *
 * Images ship links to what does not exist yet (/etc/resolv.conf -> ../run/systemd/resolve/...).
 * Docker makes what such a link names, inside the root; so do the root_make_*() here. The kernel
 * has no call for that, so root_follow() turns the path into one without links, as text, and what
 * it names is then made with openat2() all the same: should the text be wrong, because somebody
 * moved a link meanwhile, the root is still not left.
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
#include "base/str.h"

#define ROOT_LINKS_MAX 40 /* as many as the kernel follows */

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

/* @path: "" or "/a/b", without links in front of the last name. Return: length, 0: not a link */
static ssize_t root_read_link(int root_fd, const char *path, char ret[static PATH_MAX])
{
	_cleanup_close_ int fd = root_open(root_fd, path, O_PATH | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd; /* whoever makes it will see */
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return 0;
	n = readlinkat(fd, "", ret, PATH_MAX);
	if (n < 0)
		return -errno;
	if (n == PATH_MAX)
		return -ENAMETOOLONG;
	ret[n] = '\0';
	return n;
}

/* Adds the next name of @rest to @done. Return: >0 if @link was filled with what it stands for */
static ssize_t root_follow_name(int root_fd, char done[static PATH_MAX], const char *name,
				size_t name_len, char link[static PATH_MAX])
{
	size_t len = strlen(done);
	ssize_t n;

	if (name_len == 0 || (name_len == 1 && name[0] == '.'))
		return 0;
	if (name_len == 2 && strncmp(name, "..", 2) == 0) {
		char *slash = strrchr(done, '/');

		if (slash)
			*slash = '\0';
		return 0;
	}
	if (len + 1 + name_len >= PATH_MAX)
		return -ENAMETOOLONG;
	done[len] = '/';
	memcpy(done + len + 1, name, name_len);
	done[len + 1 + name_len] = '\0';
	n = root_read_link(root_fd, done, link);
	if (n > 0)
		done[link[0] == '/' ? 0 : len] = '\0';
	return n;
}

/*
 * The path that @path stands for once its links are followed, dangling ones too; what does not
 * exist is an ordinary name. "" is the root.
 */
static int root_follow(int root_fd, const char *path, char ret_done[static PATH_MAX])
{
	_cleanup_free_ char *todo = strdup(path);
	char done[PATH_MAX] = "", link[PATH_MAX];
	unsigned int links = 0;
	const char *at = todo;

	if (!todo)
		return -ENOMEM;
	while (*at) {
		size_t len = strcspn(at, "/");
		ssize_t n = root_follow_name(root_fd, done, at, len, link);

		if (n < 0)
			return (int)n;
		at += len;
		if (n > 0) {
			char *longer =
				++links > ROOT_LINKS_MAX ? NULL : str_format("%s%s", link, at);

			if (!longer)
				return links > ROOT_LINKS_MAX ? -ELOOP : -ENOMEM;
			free(todo);
			at = todo = longer;
		}
		at += *at == '/';
	}
	strcpy(ret_done, done);
	return 0;
}

/* mkdir -p of a path without links. */
static int root_make_path(int root_fd, char path[static PATH_MAX], mode_t mode, int *ret_fd)
{
	_cleanup_close_ int parent = root_open(root_fd, "/", O_PATH | O_DIRECTORY);
	size_t at = 0;

	while (parent >= 0 && path[at]) {
		size_t from = at + 1, end = from + strcspn(path + from, "/");
		char after = path[end];
		int fd;

		path[end] = '\0';
		fd = root_open(root_fd, path, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT) {
			/* The new name goes below the parent we hold. */
			if (mkdirat(parent, path + from, mode) < 0)
				return -errno;
			fd = root_open(root_fd, path, O_PATH | O_DIRECTORY);
		}
		(void)close(parent); /* O_PATH */
		parent = fd;
		path[end] = after;
		at = end;
	}
	if (parent < 0)
		return parent;
	*ret_fd = TAKE_FD(parent);
	return 0;
}

/**
 * root_make_directory() - mkdir -p below @root_fd
 * @root_fd: Directory
 * @path:    Wanted directory; what a dangling link in it names is made, inside the root
 * @mode:    Of what is made
 * @ret_fd:  O_PATH descriptor of it, owned by the caller; set on success
 *
 * Return: 0 or negative errno
 */
int root_make_directory(int root_fd, const char *path, mode_t mode, int *ret_fd)
{
	char real[PATH_MAX];
	int fd, r;

	fd = root_open(root_fd, path, O_PATH | O_DIRECTORY);
	if (fd >= 0 || fd != -ENOENT) {
		if (fd >= 0)
			*ret_fd = fd;
		return fd < 0 ? fd : 0;
	}
	r = root_follow(root_fd, path, real);
	return r < 0 ? r : root_make_path(root_fd, real, mode, ret_fd);
}

/**
 * root_make_file() - Make sure there is something that is no directory to bind a file over
 * @root_fd: Directory
 * @path:    Wanted file; what a dangling link in it names is made, inside the root
 * @mode:    Of what is made
 * @ret_fd:  O_PATH descriptor of it, owned by the caller; set on success
 *
 * Return: 0 or negative errno
 */
int root_make_file(int root_fd, const char *path, mode_t mode, int *ret_fd)
{
	_cleanup_close_ int parent = -EBADF, made = -EBADF;
	char real[PATH_MAX], *slash;
	int fd, r;

	fd = root_open(root_fd, path, O_PATH);
	if (fd == -ENOENT) {
		r = root_follow(root_fd, path, real);
		if (r < 0)
			return r;
		slash = strrchr(real, '/');
		if (!slash)
			return -EISDIR; /* "x/..": the root itself */
		*slash = '\0';
		r = root_make_path(root_fd, real, 0755, &parent);
		if (r < 0)
			return r;
		made = openat(parent, slash + 1,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (made < 0)
			return -errno;
		*slash = '/';
		fd = root_open(root_fd, real, O_PATH);
	}
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}
