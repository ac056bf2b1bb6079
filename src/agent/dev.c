/* SPDX-License-Identifier: Apache-2.0 */
/* dev.c - what is in a container's /dev besides mounts */
#include "agent/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/root.h"
#include "agent/words.h"
#include "base/cleanup.h"
#include "base/str.h"

#define DEV_DEPTH_MAX 4

/**
 * dev_populate() - The nodes and links that every container has
 * @dev_fd: Empty /dev
 *
 * Return: 0 or negative errno
 */
int dev_populate(int dev_fd)
{
	static const struct {
		const char *name;
		unsigned int major, minor;
	} nodes[] = {{"null", 1, 3},   {"zero", 1, 5},	  {"full", 1, 7},
		     {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
	static const struct {
		const char *name, *target;
	} links[] = {{"fd", "/proc/self/fd"},	    {"stdin", "/proc/self/fd/0"},
		     {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
		     {"core", "/proc/kcore"},	    {"ptmx", "pts/ptmx"}};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (mknodat(dev_fd, nodes[i].name, S_IFCHR | 0666,
			    makedev(nodes[i].major, nodes[i].minor)) < 0 &&
		    errno != EEXIST)
			return -errno;
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (symlinkat(links[i].target, dev_fd, links[i].name) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* What is there already: fine if it is that very device, an image's symlink or file is not. */
static int dev_check_node(int parent_fd, const char *name, mode_t type, dev_t rdev)
{
	struct stat st;

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != type || (type != S_IFIFO && st.st_rdev != rdev))
		return -EEXIST;
	return 0;
}

static int dev_make_node(int root_fd, const Arca__V1__Device *d)
{
	_cleanup_close_ int parent = -EBADF;
	_cleanup_free_ char *dir = NULL;
	const char *slash = strrchr(d->path, '/');
	mode_t type = S_IFCHR;
	dev_t rdev;
	int r;

	if (!slash || !slash[1])
		return -EINVAL;
	if (str_eq(d->type, "b"))
		type = S_IFBLK;
	else if (str_eq(d->type, "p"))
		type = S_IFIFO;
	else if (!str_eq(d->type, "c") && !str_eq(d->type, "u"))
		return -EINVAL;
	dir = slash > d->path ? strndup(d->path, (size_t)(slash - d->path)) : strdup("/");
	if (!dir)
		return -ENOMEM;
	r = root_make_directory(root_fd, dir, 0755, &parent);
	if (r < 0)
		return r;
	rdev = makedev(d->major, d->minor);
	if (mknodat(parent, slash + 1, type | (d->mode & 07777), rdev) < 0) {
		if (errno != EEXIST)
			return -errno;
		r = dev_check_node(parent, slash + 1, type, rdev);
		if (r < 0)
			return r;
	}
	if (fchmodat(parent, slash + 1, d->mode & 07777, 0) < 0 ||
	    fchownat(parent, slash + 1, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* Copy the VM's device nodes: what "all devices" means in a VM. */
static int dev_copy_all(int from_fd /* owned */, int to_fd, unsigned int depth)
{
	static const char *const skip[] = {".", "..", "pts", "shm", "mqueue", "console", "fd"};
	_cleanup_closedir_ DIR *dir = fdopendir(from_fd);
	struct dirent *e;

	if (!dir) {
		(void)close(from_fd); /* a directory */
		return -errno;
	}
	while ((e = readdir(dir))) {
		_cleanup_close_ int sub_to = -EBADF;
		bool skipped = depth >= DEV_DEPTH_MAX;
		struct stat st;

		for (size_t i = 0; i < ARRAY_SIZE(skip); i++)
			skipped = skipped || str_eq(e->d_name, skip[i]);
		if (skipped || fstatat(from_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(from_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (sub < 0)
				continue;
			(void)mkdirat(to_fd, e->d_name, 0755); /* opened next */
			sub_to = openat(to_fd, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
			(void)dev_copy_all(sub, sub_to, depth + 1); /* as many as there are */
		} else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
			/* Standard nodes are there already. */
			if (mknodat(to_fd, e->d_name, st.st_mode, st.st_rdev) < 0 &&
			    errno != EEXIST)
				return -errno;
		}
	}
	return 0;
}

/**
 * dev_add() - Nodes beyond the standard ones
 * @root_fd: Container's root, its mounts made
 * @spec:    Devices asked for; privileged: all of the VM
 * @err:     Filled on failure
 *
 * Before pivot_root: the agent's own /dev is still at /dev.
 *
 * Return: 0 or negative errno
 */
int dev_add(int root_fd, const Arca__V1__ContainerSpec *spec, struct err *err)
{
	int r;

	if (spec->privileged) {
		_cleanup_close_ int to = root_open(root_fd, "/dev", O_PATH | O_DIRECTORY);
		int from = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (to < 0 || from < 0) {
			if (from >= 0)
				(void)close(from); /* a directory */
			return err_sys(err, to < 0 ? to : -errno, "cannot open /dev");
		}
		r = dev_copy_all(from, to, 0);
		if (r < 0)
			return err_sys(err, r, "cannot copy the devices");
	}
	for (size_t i = 0; i < spec->n_devices; i++) {
		const Arca__V1__Device *d = spec->devices[i];

		r = dev_make_node(root_fd, d);
		if (r < 0)
			return err_user(err, ERR_INVALID, "cannot make the device %s: %s", d->path,
					words_errno(r));
	}
	return 0;
}
