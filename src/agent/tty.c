/* SPDX-License-Identifier: Apache-2.0 */
/* tty.c - a terminal of the container's own devpts */
#include "agent/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/report.h"
#include "base/cleanup.h"

/* /dev/console of the container is its init's terminal. */
static int tty_bind_console(int slave)
{
	_cleanup_close_ int tree = -EBADF, file = -EBADF;

	file = open("/dev/console", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0 && errno != EEXIST)
		return -errno;
	tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -errno;
	if (move_mount(tree, "", AT_FDCWD, "/dev/console", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/**
 * tty_resize() - Set a terminal's size
 * @fd:	  Either end
 * @rows: Lines
 * @cols: Columns
 *
 * Return: 0 or negative errno
 */
int tty_resize(int fd, uint32_t rows, uint32_t cols)
{
	struct winsize size = {.ws_row = (unsigned short)MIN(rows, UINT16_MAX),
			       .ws_col = (unsigned short)MIN(cols, UINT16_MAX)};

	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/**
 * tty_open() - Make a terminal, make it ours and stdio's, hand its master to the agent
 * @report_fd:	Way to the agent
 * @rows:	Lines, 0 = leave
 * @cols:	Columns
 * @is_console: Also show it as /dev/console
 *
 * The caller is a session leader inside the container.
 *
 * Return: 0 or negative errno
 */
int tty_open(int report_fd, uint32_t rows, uint32_t cols, bool is_console)
{
	_cleanup_close_ int master = -EBADF, slave = -EBADF;
	int unlock = 0, r;

	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (master < 0)
		return -errno;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	/* By the master, not by a name that the container could have moved. */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	if (rows && cols) {
		r = tty_resize(slave, rows, cols);
		if (r < 0)
			return r;
	}
	if (is_console) {
		r = tty_bind_console(slave);
		if (r < 0)
			return r;
	}
	r = report_send(report_fd, REPORT_TTY, master);
	if (r < 0)
		return r;
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++) {
		if (dup2(slave, fd) < 0)
			return -errno;
	}
	return 0;
}
