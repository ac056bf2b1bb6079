/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upper.c - the ext4 disk that holds what a container writes
 *
 * DOC: Theory of operation
 *
 * Under emulation, mounting an ext4 for the first time takes a quarter of a container's start: all
 * of that kernel code is translated first. A VM's template is therefore saved with the master of
 * all upper disks mounted, read only, so that not a byte of it is written. A clone finds its own
 * disk behind the same device. If that disk was never mounted for writing, it equals the master
 * byte for byte, all that the kernel remembers of it is right, and a remount makes it writable. If
 * it was, its superblock says so: the first thing that a writable mount writes, and waits for, is a
 * superblock with a new time and state. So the superblock is read past the page cache and compared
 * with the one that boot saw; if they differ in one bit, the read-only mount is dropped (which
 * writes nothing) and the disk is mounted as if nothing had been there.
 *
 * A template without a formatted disk simply has nothing mounted.
 *
 * A VM may be killed at any time, and what its container wrote is to be there afterwards. Three
 * things decide how much of it: when the kernel begins to write a page back (boot.c: half a second
 * old, looked for every half second), how long a transaction stays open (commit=1, rounded up to
 * whole seconds), and whether a file's size may be on disk before its bytes. The last is what
 * dioread_nolock, the default, allows: blocks are allocated as unwritten, the size is committed
 * with them, and a machine lost before the second commit has a file of zeros. With dioread_lock a
 * commit waits for the data of what it commits. All of it only runs after a write: an idle VM stays
 * idle.
 */
#include "agent/upper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define UPPER_DIR "/run/upper"
#define UPPER_OPTIONS "noinit_itable,commit=1,dioread_lock"
#define UPPER_HEAD_BYTES 4096 /* holds the superblock, at 1024 */
#define UPPER_CACHED_BYTES (4 * 1024 * 1024)
#define UPPER_MAGIC_AT (1024 + 0x38)

static struct {
	bool mounted;
	char serial[64];
	unsigned char *head; /* owned, aligned for O_DIRECT */
} upper_ready;

static int upper_read_head(const char *device, unsigned char **ret_head)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	_cleanup_free_ void *head = NULL;

	if (fd < 0)
		return -errno;
	if (posix_memalign(&head, UPPER_HEAD_BYTES, UPPER_HEAD_BYTES) != 0)
		return -ENOMEM;
	if (pread(fd, head, UPPER_HEAD_BYTES, 0) != UPPER_HEAD_BYTES)
		return -EIO;
	*ret_head = TAKE_PTR(head);
	return 0;
}

/* Bitmaps and inode tables of the first groups: they stay in the cache that the mount uses. */
static void upper_read_ahead(const char *device)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *data = malloc(UPPER_CACHED_BYTES);

	if (fd >= 0 && data)
		(void)fs_read_full(fd, data, UPPER_CACHED_BYTES); /* it only saves time */
}

/**
 * upper_boot() - Mount the disk that clones will find changed or not
 * @serial: Its serial
 * @device: Its node
 *
 * A failure costs time later, nothing else.
 */
void upper_boot(const char *serial, const char *device)
{
	_cleanup_free_ unsigned char *head = NULL;

	if (strlen(serial) >= sizeof(upper_ready.serial) || upper_read_head(device, &head) < 0)
		return;
	if (head[UPPER_MAGIC_AT] != 0x53 || head[UPPER_MAGIC_AT + 1] != 0xef)
		return;
	(void)mkdir(UPPER_DIR, 0700); /* shows in the mount */
	if (mount(device, UPPER_DIR, "ext4", MS_RDONLY, UPPER_OPTIONS) < 0)
		return;
	/* Also what a writable mount of it will look up first. */
	(void)access(UPPER_DIR "/fs", F_OK);
	(void)access(UPPER_DIR "/work/work", F_OK);
	upper_read_ahead(device);
	strcpy(upper_ready.serial, serial);
	upper_ready.head = TAKE_PTR(head);
	upper_ready.mounted = true;
}

/* Return: whether the disk is still the one that boot mounted */
static bool upper_is_pristine(const char *device)
{
	_cleanup_free_ unsigned char *head = NULL;

	return upper_read_head(device, &head) == 0 &&
	       memcmp(head, upper_ready.head, UPPER_HEAD_BYTES) == 0;
}

/* Return: whether the ready mount is at @target now */
static bool upper_take_ready(const char *device, const char *target)
{
	upper_ready.mounted = false;
	if (upper_is_pristine(device) &&
	    mount(NULL, UPPER_DIR, NULL, MS_REMOUNT, UPPER_OPTIONS) == 0 &&
	    mount(UPPER_DIR, target, NULL, MS_MOVE, NULL) == 0)
		return true;
	(void)umount2(UPPER_DIR, 0); /* read only: nothing is written */
	return false;
}

/**
 * upper_mount() - Mount an upper disk for writing
 * @serial: Its serial
 * @device: Its node
 * @target: Directory
 * @err:    Filled on failure
 *
 * Return: 0 or negative errno
 */
int upper_mount(const char *serial, const char *device, const char *target, struct err *err)
{
	if (upper_ready.mounted && str_eq(upper_ready.serial, serial) &&
	    upper_take_ready(device, target))
		return 0;
	if (mount(device, target, "ext4", 0, UPPER_OPTIONS) < 0)
		return err_sys(err, -errno, "cannot mount the disk \"%s\" as ext4", serial);
	return 0;
}
