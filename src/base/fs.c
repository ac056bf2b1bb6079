/* SPDX-License-Identifier: Apache-2.0 */
/* fs.c - files and directories of the daemon's own roots; never a guest's or an image's paths */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define FS_COPY_BYTES (256 * 1024)

/**
 * fs_write_all() - Write everything, whatever write(2) splits it into
 * @fd:	  Blocking descriptor
 * @data: Bytes
 * @len:  How many
 *
 * Return: 0, or negative errno (part may be written)
 */
int fs_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/**
 * fs_pwrite_all() - Write everything at an offset
 * @fd:	    File
 * @data:   Bytes
 * @len:    How many
 * @offset: Where, bytes
 *
 * Return: 0, or negative errno (part may be written)
 */
int fs_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

/**
 * fs_read_full() - Read until @len bytes or the end
 * @fd:	  Blocking descriptor
 * @data: Receives the bytes
 * @len:  How many at most
 *
 * Return: bytes read (less than @len only at the end), or negative errno
 */
ssize_t fs_read_full(int fd, void *data, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)data + got, len - got);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/**
 * fs_read_file() - A whole file in memory
 * @path:     File
 * @max:      Largest size accepted, bytes
 * @ret_data: Heap bytes with a NUL behind them, owned by the caller; set on success
 * @ret_len:  Bytes without the NUL; may be NULL
 *
 * Return: 0, -EFBIG above @max, or negative errno
 */
int fs_read_file(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *data = NULL;
	size_t cap = 4096, len = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	for (;;) {
		char *bigger = realloc(data, cap + 1);
		ssize_t n;

		if (!bigger)
			return -ENOMEM;
		data = bigger;
		n = fs_read_full(fd, data + len, cap - len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
		if (len < cap)
			break;
		cap *= 2;
	}
	data[len] = '\0';
	*ret_data = TAKE_PTR(data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

/**
 * fs_write_file() - Replace a file atomically: readers and crashes see the old or the new bytes
 * @path: File; "<path>.tmp" beside it is used and renamed
 * @data: Bytes
 * @len:  How many
 * @mode: Permission bits
 *
 * Return: 0, or negative errno with the old file untouched
 */
int fs_write_file(const char *path, const void *data, size_t len, mode_t mode)
{
	_cleanup_free_ char *tmp = str_format("%s.tmp", path);
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!tmp)
		return -ENOMEM;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = fs_write_all(fd, data, len);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(tmp); /* leave nothing half-made */
	return r;
}

/**
 * fs_mkdir_p() - Make a directory and its parents
 * @path: Directory
 * @mode: Permission bits of what is created
 *
 * Return: 0 (also if it was there), or negative errno
 */
int fs_mkdir_p(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(copy, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(copy, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int fs_remove_entry(const char *path, const struct stat *st UNUSED, int type UNUSED,
			   struct FTW *ftw UNUSED)
{
	return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

/**
 * fs_remove_tree() - Remove a file or a directory with all below it; does not follow symlinks
 * @path: What to remove
 *
 * Return: 0 (also if it was not there), or negative errno
 */
int fs_remove_tree(const char *path)
{
	int r = nftw(path, fs_remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	if (r > 0)
		return -r;
	if (r < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}

/**
 * fs_exists() - Whether something is at @path
 * @path: Path, symlinks followed
 *
 * Return: the answer; false if it cannot be told
 */
bool fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* One range by hand: copy_file_range(2) refuses two file systems that do not know each other. */
static int copy_range_plain(int from_fd, int to_fd, off_t at, off_t end)
{
	_cleanup_free_ char *buf = malloc(FS_COPY_BYTES);

	if (!buf)
		return -ENOMEM;
	while (at < end) {
		ssize_t n = pread(from_fd, buf, (size_t)MIN(end - at, (off_t)FS_COPY_BYTES), at), w;

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		for (ssize_t done = 0; done < n; done += w) {
			w = pwrite(to_fd, buf + done, (size_t)(n - done), at + done);
			if (w < 0)
				return -errno;
		}
		at += n;
	}
	return 0;
}

static int copy_range(int from_fd, int to_fd, off_t at, off_t end)
{
	off_t in = at, out = at;

	while (in < end) {
		ssize_t n = copy_file_range(from_fd, &in, to_fd, &out, (size_t)(end - in), 0);

		if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL))
			return copy_range_plain(from_fd, to_fd, in, end);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
	}
	return 0;
}

/**
 * fs_copy_sparse() - Copy a file, holes as holes; shares blocks where the filesystem can
 * @from_fd: Source, read from its start
 * @to_fd:   Empty file, written from its start
 *
 * Return: 0, or negative errno
 */
int fs_copy_sparse(int from_fd, int to_fd)
{
	off_t end, at = 0;

	if (ioctl(to_fd, FICLONE, from_fd) == 0)
		return 0;
	end = lseek(from_fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	if (ftruncate(to_fd, end) < 0)
		return -errno;
	while (at < end) {
		off_t data = lseek(from_fd, at, SEEK_DATA), hole;
		int r;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(from_fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		r = copy_range(from_fd, to_fd, data, hole);
		if (r < 0)
			return r;
		at = hole;
	}
	return 0;
}
