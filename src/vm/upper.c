/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upper.c - upper disks: a sparse, pre-formatted ext4, copied
 *
 * DOC: Theory of operation
 *
 * mkfs.ext4 runs once per template folder and makes upper.ext4; every container gets a copy of
 * its few hundred allocated KiB. The file is sparse, so mkfs.ext4 knows that the inode tables
 * read as zeros (it punches them) and marks them as done: the guest's kernel has nothing to
 * initialise later. The journal is small because in the long run every block of it is written
 * and so takes space on the host. No checksums of metadata: under emulation they cost more than
 * the host's disk leaves to find.
 *
 * A template boots with a copy of the master behind its upper disk. The agent mounts that read
 * only, and a clone whose disk is still equal to the master goes on with that mount (upper.c of the
 * agent). So a master that is made anew should come with new templates; if not, clones mount as
 * usual and are slower.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "vm/vmm.h"

/* Fields of an ext4 superblock, from its begin: Documentation/filesystems/ext4/super.rst */
#define EXT4_SUPER_AT 1024
#define EXT4_SUPER_BYTES 1024
#define EXT4_FREE_BLOCKS_AT 0x0c
#define EXT4_LOG_BLOCK_SIZE_AT 0x18
#define EXT4_STATE_AT 0x3a
#define EXT4_INCOMPAT_AT 0x60
#define EXT4_FREE_BLOCKS_HI_AT 0x158
#define EXT4_STATE_CLEAN 1
#define EXT4_INCOMPAT_RECOVER 4

static int upper_run_mkfs(const char *path, const char *contents, struct err *err)
{
	const char *const argv[] = {"mkfs.ext4",
				    "-q",
				    "-F",
				    "-m",
				    "0",
				    "-L",
				    "arca-upper",
				    "-E",
				    "lazy_journal_init=1,root_owner=0:0",
				    "-O",
				    "^resize_inode,^metadata_csum,uninit_bg,sparse_super2",
				    "-J",
				    "size=16",
				    "-d",
				    contents,
				    path,
				    NULL};
	struct spawn_spec spec = {
		.argv = argv, .stdin_fd = -EBADF, .stdout_fd = -EBADF, .stderr_fd = -EBADF};
	int status, r;
	pid_t pid;

	r = spawn_process(&spec, &pid, NULL);
	if (r == -ENOENT)
		return err_user(err, ERR_INTERNAL,
				"cannot find mkfs.ext4; install the package e2fsprogs");
	if (r == 0)
		r = spawn_wait(pid, &status);
	if (r < 0)
		return err_sys(err, r, "cannot run mkfs.ext4");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_user(err, ERR_INTERNAL, "mkfs.ext4 failed on %s", path);
	return 0;
}

/* The folders an overlay needs: the guest would make them while somebody waits. */
static int upper_make_contents(const char *dir)
{
	_cleanup_free_ char *upper = str_format("%s/fs", dir);
	_cleanup_free_ char *work = str_format("%s/work", dir);
	int r;

	if (!upper || !work)
		return -ENOMEM;
	r = fs_mkdir_p(upper, 0755);
	return r < 0 ? r : fs_mkdir_p(work, 0700);
}

static int upper_make_master(const char *path, struct err *err)
{
	_cleanup_free_ char *tmp = str_format("%s.tmp", path);
	_cleanup_free_ char *contents = str_format("%s.d", path);
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!tmp || !contents)
		return err_oom(err);
	r = upper_make_contents(contents);
	if (r < 0)
		return err_sys(err, r, "cannot make %s", contents);
	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SANDBOX_UPPER_DISK_BYTES) < 0)
		return err_sys(err, -errno, "cannot make %s", tmp);
	r = upper_run_mkfs(tmp, contents, err);
	(void)fs_remove_tree(contents); /* two empty folders; made anew next time */
	if (r == 0 && (fsync(fd) < 0 || rename(tmp, path) < 0))
		r = err_sys(err, -errno, "cannot keep %s", path);
	if (r < 0)
		(void)unlink(tmp); /* leave nothing half-made */
	return r;
}

/* The master, opened; made on first use. */
static int upper_open_master(struct vmm *vmm, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/upper.ext4", vmm->template_dir);
	int fd, r = 0;

	if (!path)
		return err_oom(err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		pthread_mutex_lock(&vmm->upper_lock);
		if (!fs_exists(path))
			r = upper_make_master(path, err);
		pthread_mutex_unlock(&vmm->upper_lock);
		if (r < 0)
			return r;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_sys(err, -errno, "cannot open %s", path);
	*ret_fd = fd;
	return 0;
}

/**
 * upper_disk_create() - Make an empty, formatted upper disk
 * @vmm:  Machine manager
 * @path: Where; must not exist
 * @err:  Filled on failure
 *
 * Return: 0, or negative errno with nothing left at @path
 */
int upper_disk_create(struct vmm *vmm, const char *path, struct err *err)
{
	_cleanup_close_ int master = -EBADF, fd = -EBADF;
	int r;

	r = upper_open_master(vmm, &master, err);
	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "cannot make %s", path);
	r = fs_copy_sparse(master, fd);
	if (r < 0) {
		(void)unlink(path); /* leave nothing half-made */
		return err_sys(err, r, "cannot write %s", path);
	}
	return 0;
}

static uint32_t upper_le32(const unsigned char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

/* Bytes free inside; -1 where the file system is mounted or was not unmounted: not up to date. */
static int64_t upper_free_bytes(int fd)
{
	unsigned char super[EXT4_SUPER_BYTES];
	uint64_t blocks, bytes;
	unsigned int shift;

	if (pread(fd, super, sizeof(super), EXT4_SUPER_AT) != sizeof(super) ||
	    !(super[EXT4_STATE_AT] & EXT4_STATE_CLEAN) ||
	    (super[EXT4_INCOMPAT_AT] & EXT4_INCOMPAT_RECOVER))
		return -1;
	blocks = (uint64_t)upper_le32(super + EXT4_FREE_BLOCKS_HI_AT) << 32 |
		 upper_le32(super + EXT4_FREE_BLOCKS_AT);
	shift = upper_le32(super + EXT4_LOG_BLOCK_SIZE_AT);
	if (shift > 6 || __builtin_mul_overflow(blocks, 1024ULL << shift, &bytes) ||
	    bytes > SANDBOX_UPPER_DISK_BYTES)
		return -1; /* the guest wrote it */
	return (int64_t)bytes;
}

/**
 * upper_disk_used() - What was written to an upper disk
 * @vmm:  Machine manager
 * @path: Of the disk
 *
 * What the file takes on the host, without what it took when it was new. The journal is part of
 * that; once the file system was unmounted, it is known what it holds, and the lesser one counts.
 *
 * Return: bytes; 0 if that cannot be found out
 */
uint64_t upper_disk_used(struct vmm *vmm, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC), master = -EBADF;
	int64_t used, free_bytes, master_free;
	struct stat st, master_st;
	struct err ignored = {0};

	if (fd < 0 || upper_open_master(vmm, &master, &ignored) < 0 || fstat(fd, &st) < 0 ||
	    fstat(master, &master_st) < 0)
		return 0;
	used = (st.st_blocks - master_st.st_blocks) * 512;
	free_bytes = upper_free_bytes(fd);
	master_free = upper_free_bytes(master);
	if (free_bytes >= 0 && master_free >= 0)
		used = MIN(used, master_free - free_bytes);
	return used > 0 ? (uint64_t)used : 0;
}
