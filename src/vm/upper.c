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
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "vm/vmm.h"

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
