/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.c - a container's root: EROFS below, ext4 above, overlay over both
 *
 * The two disks are mounted in the agent's own mount namespace only; the overlay is made as a
 * detached mount, whose descriptor goes to the process that will live in it. So nothing of the
 * container's root is ever visible among the agent's mounts.
 */
#include "agent/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/upper.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define ROOTFS_UPPER_SERIAL "upper" /* the one that a template has */
#define ROOTFS_SERIAL_MAX 64
#define ROOTFS_DISKS_MAX 32
#define ROOTFS_READ_AHEAD_KIB "1024"
#define ROOTFS_UNMOUNT_TRIES 500
#define ROOTFS_WAIT_MS 15000

/* Which disk is which. A disk behind a name may be another one in a clone; its serial stays. */
static struct rootfs_disk {
	char name[16], serial[ROOTFS_SERIAL_MAX];
} rootfs_disks[ROOTFS_DISKS_MAX];
static size_t rootfs_n_disks;
static size_t rootfs_n_boot; /* the first of them, which never go */

static const struct timespec rootfs_pause = {.tv_nsec = 2 * NSEC_PER_MSEC};

/* Return: whether the disk /sys/block/@name has a serial; @serial holds ROOTFS_SERIAL_MAX bytes */
static bool rootfs_read_serial(const char *name, char *serial)
{
	_cleanup_free_ char *path = str_format("/sys/block/%s/serial", name);
	_cleanup_close_ int fd = -EBADF;
	ssize_t n;

	if (!path)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = fs_read_full(fd, serial, ROOTFS_SERIAL_MAX - 1);
	if (n < 0)
		return false;
	serial[n] = '\0';
	serial[strcspn(serial, "\n")] = '\0';
	return true;
}

/* A request costs more than the bytes it brings: under emulation by far. */
static void rootfs_set_read_ahead(const char *name)
{
	_cleanup_free_ char *path = str_format("/sys/block/%s/queue/read_ahead_kb", name);
	_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -EBADF;

	(void)fs_write_all(fd, ROOTFS_READ_AHEAD_KIB, strlen(ROOTFS_READ_AHEAD_KIB));
}

static bool rootfs_is_of_boot(const char *name)
{
	for (size_t i = 0; i < rootfs_n_boot; i++) {
		if (str_eq(rootfs_disks[i].name, name))
			return true;
	}
	return false;
}

/* Ask every disk for its serial, but those that were there at boot. */
static void rootfs_scan_disks(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	struct dirent *e;

	rootfs_n_disks = rootfs_n_boot;
	while (dir && (e = readdir(dir)) && rootfs_n_disks < ROOTFS_DISKS_MAX) {
		struct rootfs_disk *d = &rootfs_disks[rootfs_n_disks];

		if (!str_starts(e->d_name, "vd") || strlen(e->d_name) >= sizeof(d->name) ||
		    rootfs_is_of_boot(e->d_name))
			continue;
		strcpy(d->name, e->d_name);
		if (!rootfs_read_serial(d->name, d->serial))
			continue;
		rootfs_set_read_ahead(d->name);
		rootfs_n_disks++;
	}
}

static const struct rootfs_disk *rootfs_known_disk(const char *serial, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(rootfs_disks[i].serial, serial))
			return &rootfs_disks[i];
	}
	return NULL;
}

/* One that was plugged in late may have gone since it was seen, and its name be another's. */
static const struct rootfs_disk *rootfs_late_disk(const char *serial)
{
	rootfs_scan_disks();
	return rootfs_known_disk(serial, rootfs_n_disks);
}

static int rootfs_find_disk(const char *serial, char **ret_device, struct err *err)
{
	const struct rootfs_disk *d = rootfs_known_disk(serial, rootfs_n_boot);

	if (!d)
		d = rootfs_late_disk(serial);
	if (!d)
		return err_sys(err, -ENODEV, "no disk with serial \"%s\"", serial);
	*ret_device = str_format("/dev/%s", d->name);
	return *ret_device ? 0 : err_oom(err);
}

/**
 * rootfs_boot() - Learn which disk is which: asking one takes a request to the device
 */
void rootfs_boot(void)
{
	(void)mkdir(ROOTFS_DIR, 0700); /* a failure shows at the first mount */
	rootfs_scan_disks();
	rootfs_n_boot = rootfs_n_disks;
	for (size_t i = 0; i < rootfs_n_disks; i++) {
		_cleanup_free_ char *device = str_format("/dev/%s", rootfs_disks[i].name);

		if (device && str_eq(rootfs_disks[i].serial, ROOTFS_UPPER_SERIAL))
			upper_boot(rootfs_disks[i].serial, device);
	}
}

static void rootfs_unmount_scope(struct rootfs *rootfs)
{
	(void)rootfs_unmount(rootfs); /* after a failed mount; it logs */
}

static int rootfs_make_target(const struct rootfs *rootfs, const char *name, const char *serial,
			      char **ret_target, char **ret_device, struct err *err)
{
	_cleanup_free_ char *target = str_format("%s/%s", rootfs->dir, name);
	int r;

	if (!target)
		return err_oom(err);
	r = rootfs_find_disk(serial, ret_device, err);
	if (r < 0)
		return r;
	if (mkdir(target, 0700) < 0)
		return err_sys(err, -errno, "cannot make %s", target);
	*ret_target = TAKE_PTR(target);
	return 0;
}

static int rootfs_mount_lower(const struct rootfs *rootfs, const char *serial, struct err *err)
{
	_cleanup_free_ char *device = NULL, *target = NULL;
	int r = rootfs_make_target(rootfs, "lower", serial, &target, &device, err);

	if (r < 0)
		return r;
	if (mount(device, target, "erofs", MS_RDONLY, NULL) < 0)
		return err_sys(err, -errno, "cannot mount the disk \"%s\" as erofs", serial);
	return 0;
}

static int rootfs_mount_upper(const struct rootfs *rootfs, const char *serial, struct err *err)
{
	_cleanup_free_ char *device = NULL, *target = NULL;
	int r = rootfs_make_target(rootfs, "upper", serial, &target, &device, err);

	return r < 0 ? r : upper_mount(serial, device, target, err);
}

/*
 * What / looks like is decided by the upper directory alone. Before its first use that one gets the
 * image's owner, mode and time; later they are the container's own. The overlay's first mount
 * leaves "work" in the work directory, so its absence tells the first use.
 */
static int rootfs_copy_root(const struct rootfs *rootfs, const char *upper, const char *work)
{
	_cleanup_free_ char *used = str_format("%s/work", work);
	_cleanup_free_ char *lower = str_format("%s/lower", rootfs->dir);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat want, have;

	if (!used || !lower)
		return -ENOMEM;
	if (fs_exists(used))
		return 0;
	if (stat(lower, &want) < 0 || stat(upper, &have) < 0)
		return -errno;
	times[1] = want.st_mtim;
	if ((want.st_uid != have.st_uid || want.st_gid != have.st_gid) &&
	    chown(upper, want.st_uid, want.st_gid) < 0)
		return -errno;
	if (want.st_mode != have.st_mode && chmod(upper, want.st_mode & 07777) < 0)
		return -errno;
	return utimensat(AT_FDCWD, upper, times, 0) < 0 ? -errno : 0;
}

static int rootfs_make_upper(const struct rootfs *rootfs, char **ret_upper, char **ret_work,
			     struct err *err)
{
	_cleanup_free_ char *upper = str_format("%s/upper/fs", rootfs->dir);
	_cleanup_free_ char *work = str_format("%s/upper/work", rootfs->dir);
	int r;

	if (!upper || !work)
		return err_oom(err);
	/* A disk may come with both: making them costs a clone 25 ms of its first 300. */
	if ((mkdir(upper, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(work, 0700) < 0 && errno != EEXIST))
		return err_sys(err, -errno, "cannot make the upper directories");
	r = rootfs_copy_root(rootfs, upper, work);
	if (r < 0)
		return err_sys(err, r, "cannot set up the upper directory");
	*ret_upper = TAKE_PTR(upper);
	*ret_work = TAKE_PTR(work);
	return 0;
}

static int rootfs_make_overlay(const struct rootfs *rootfs, const char *upper, const char *work,
			       int *ret_fd)
{
	_cleanup_free_ char *lower = str_format("%s/lower", rootfs->dir);
	_cleanup_close_ int fs = -EBADF;
	int fd;

	if (!lower)
		return -ENOMEM;
	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "overlay", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", lower, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", upper, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "workdir", work, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* The daemon has plugged the disks in; the kernel finds them in its own time. */
static void rootfs_wait_disks(const Arca__V1__ContainerSpec *spec)
{
	int64_t end_ns = clock_monotonic_ns() + ROOTFS_WAIT_MS * NSEC_PER_MSEC;

	while ((!rootfs_late_disk(spec->root_serial) || !rootfs_late_disk(spec->upper_serial)) &&
	       clock_monotonic_ns() < end_ns)
		(void)nanosleep(&rootfs_pause, NULL); /* a shorter one is fine */
}

/**
 * rootfs_mount() - Mount a container's disks and make its overlay
 * @spec:	Container; the id becomes part of paths and is checked
 * @ret_rootfs: Filled on success, ended with rootfs_unmount()
 * @err:	Filled on failure; nothing stays mounted
 *
 * Return: 0 or negative errno
 */
int rootfs_mount(const Arca__V1__ContainerSpec *spec, struct rootfs *ret_rootfs, struct err *err)
{
	_cleanup_(rootfs_unmount_scope) struct rootfs rootfs = {.mount_fd = -EBADF};
	_cleanup_free_ char *upper = NULL, *work = NULL;
	int r;

	if (!str_is_hex(spec->id))
		return err_user(err, ERR_INVALID, "bad container id \"%s\"", spec->id);
	rootfs.dir = str_format(ROOTFS_DIR "/%s", spec->id);
	if (!rootfs.dir)
		return err_oom(err);
	if (mkdir(rootfs.dir, 0700) < 0)
		return err_sys(err, -errno, "cannot make %s", rootfs.dir);
	if (!str_empty(spec->join_network))
		rootfs_wait_disks(spec);
	r = rootfs_mount_lower(&rootfs, spec->root_serial, err);
	if (r == 0)
		r = rootfs_mount_upper(&rootfs, spec->upper_serial, err);
	if (r == 0)
		r = rootfs_make_upper(&rootfs, &upper, &work, err);
	if (r < 0)
		return r;
	r = rootfs_make_overlay(&rootfs, upper, work, &rootfs.mount_fd);
	if (r < 0)
		return err_sys(err, r, "cannot make the overlay");
	*ret_rootfs = rootfs;
	rootfs = (struct rootfs){.mount_fd = -EBADF};
	return 0;
}

/* Before the unmounting, which is no such thing where a process that is just being made for another
 * container has a copy of the mount. */
static int rootfs_sync(const char *dir)
{
	_cleanup_free_ char *path = str_format("%s/upper", dir);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;

	if (fd < 0)
		return 0; /* it was not mounted */
	return syncfs(fd) < 0 ? -errno : 0;
}

/* The mounts of a namespace are dropped a little after its last process: try for a while. */
static int rootfs_unmount_disk(const char *dir, const char *name)
{
	_cleanup_free_ char *path = str_format("%s/%s", dir, name);
	_cleanup_close_ int fd = -EBADF;
	int r = 0;

	if (!path)
		return -ENOMEM;
	for (int i = 0; i < ROOTFS_UNMOUNT_TRIES; i++) {
		if (umount2(path, 0) == 0 || errno == EINVAL || errno == ENOENT) {
			(void)rmdir(path); /* on a tmpfs; may not be there */
			return 0;
		}
		r = -errno;
		(void)usleep(2000);
	}
	log_warn("cannot unmount %s: %s", path, strerror(-r));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && syncfs(fd) < 0)
		r = -errno;
	(void)umount2(path, MNT_DETACH); /* the best that is left */
	return r;
}

/**
 * rootfs_unmount() - Unmount both disks; their data is on disk afterwards
 * @rootfs: Empty afterwards
 *
 * Return: 0 or negative errno
 */
int rootfs_unmount(struct rootfs *rootfs)
{
	_cleanup_free_ char *dir = TAKE_PTR(rootfs->dir);
	int r, r1;

	if (rootfs->mount_fd >= 0)
		(void)close(rootfs->mount_fd); /* a mount, not a file */
	rootfs->mount_fd = -EBADF;
	if (!dir)
		return 0;
	r = rootfs_sync(dir);
	r1 = rootfs_unmount_disk(dir, "upper");
	r = r < 0 ? r : r1;
	r1 = rootfs_unmount_disk(dir, "lower");
	(void)rmdir(dir); /* on a tmpfs */
	return r < 0 ? r : r1;
}
