/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.c - unix sockets in a folder, however long its path is
 *
 * A socket's address holds 107 bytes; an exec-root may be longer. The folder is opened and named
 * through /proc/self/fd, which is short.
 */
#include "vm/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

/* One connection is in use; the others wait while a dead daemon's is noticed. */
#define SOCK_BACKLOG 4

static int sock_address(int dir_fd, const char *name, struct sockaddr_un *address)
{
	int n;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", dir_fd,
		     name);
	return n < 0 || (size_t)n >= sizeof(address->sun_path) ? -ENAMETOOLONG : 0;
}

static int sock_open(const char *dir, const char *name, int *ret_dir_fd,
		     struct sockaddr_un *ret_address)
{
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, r;

	if (dir_fd < 0)
		return -errno;
	r = sock_address(dir_fd, name, ret_address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_dir_fd = TAKE_FD(dir_fd);
	return fd;
}

/**
 * sock_listen() - Make a listening socket; connections may come before anybody accepts
 * @dir:    Folder
 * @name:   File in it, must not exist
 * @ret_fd: The socket, owned by the caller; set on success
 *
 * Return: 0, or negative errno
 */
int sock_listen(const char *dir, const char *name, int *ret_fd)
{
	_cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
	struct sockaddr_un address;

	fd = sock_open(dir, name, &dir_fd, &address);
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (listen(fd, SOCK_BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/**
 * sock_connect() - Connect, and leave the descriptor non-blocking
 * @dir:    Folder
 * @name:   File in it
 * @ret_fd: The connected socket, owned by the caller; set on success
 *
 * Return: 0, or negative errno
 */
int sock_connect(const char *dir, const char *name, int *ret_fd)
{
	_cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
	struct sockaddr_un address;

	fd = sock_open(dir, name, &dir_fd, &address);
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno; /* -EAGAIN: the backlog is full */
	*ret_fd = TAKE_FD(fd);
	return 0;
}
