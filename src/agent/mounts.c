/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - put a container's root together and move into it
 *
 * DOC: Theory of operation
 *
 * Runs in the child, in the container's mount namespace, while the agent's own root is still /. The
 * detached overlay is attached at STAGE_ROOT; everything goes below it, every target resolved
 * inside that root only (root.c), since the image decides what is a symlink there. At the end
 * pivot_root makes it / and the agent's root is gone from the namespace.
 *
 * Sources of bind mounts are paths of the agent: it opens them as detached trees and hands them
 * over, because this namespace was made before those mounts.
 */
#include "agent/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/dev.h"
#include "agent/files.h"
#include "agent/report.h"
#include "agent/root.h"
#include "agent/stage.h"
#include "agent/words.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/str.h"

/* The bits that describe a mount and not a superblock, as mount_setattr() names them. */
static uint64_t mounts_attributes(uint64_t flags)
{
	static const struct {
		uint64_t flag, attribute;
	} map[] = {
		{MS_RDONLY, MOUNT_ATTR_RDONLY},		{MS_NOSUID, MOUNT_ATTR_NOSUID},
		{MS_NODEV, MOUNT_ATTR_NODEV},		{MS_NOEXEC, MOUNT_ATTR_NOEXEC},
		{MS_NOATIME, MOUNT_ATTR_NOATIME},	{MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
		{MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
	};
	uint64_t attributes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		attributes |= flags & map[i].flag ? map[i].attribute : 0;
	return attributes;
}

static int mounts_set_attributes(int fd, uint64_t set, bool recursive)
{
	struct mount_attr attr = {.attr_set = set};
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	if (set & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME))
		attr.attr_clr = MOUNT_ATTR__ATIME;
	if (set && mount_setattr(fd, "", flags, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

static int mounts_bind_over(int from_fd, int target_fd)
{
	return move_mount(from_fd, "", target_fd, "",
			  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* A file system of its own, by the classic call: it knows every option of every type. */
static int mounts_make(int root_fd, const Arca__V1__Mount *m)
{
	const char *type = str_eq(m->type, "cgroup") ? "cgroup2" : m->type;
	_cleanup_close_ int target = -EBADF, made = -EBADF;
	char path[64];
	int r;

	r = root_make_directory(root_fd, m->destination, 0755, &target);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", target); /* fits */
	if (mount(str_empty(m->source) ? type : m->source, path, type,
		  (unsigned long)m->flags & ~MS_RDONLY, m->data) < 0)
		return -errno;
	made = root_open(root_fd, m->destination, O_PATH | O_DIRECTORY);
	if (made < 0)
		return made;
	if (str_eq(m->destination, "/dev")) {
		r = dev_populate(made);
		if (r < 0)
			return r;
	}
	return m->flags & MS_RDONLY ? mounts_set_attributes(made, MOUNT_ATTR_RDONLY, false) : 0;
}

static int mounts_bind(int root_fd, const Arca__V1__Mount *m, int tree_fd)
{
	_cleanup_close_ int target = -EBADF;
	struct stat st;
	int r;

	if (fstat(tree_fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		r = root_make_directory(root_fd, m->destination, 0755, &target);
	else
		r = root_make_file(root_fd, m->destination, 0644, &target);
	if (r == 0)
		r = mounts_set_attributes(tree_fd, mounts_attributes(m->flags),
					  (m->flags & MS_REC) != 0);
	return r < 0 ? r : mounts_bind_over(tree_fd, target);
}

static bool mounts_is_bind(const Arca__V1__Mount *m)
{
	return str_eq(m->type, "bind") || (m->flags & MS_BIND);
}

/**
 * mounts_open_binds() - Open the sources of bind mounts; in the agent
 * @spec:  Container
 * @fds:   Receives MOUNTS_BINDS_MAX descriptors at most, owned by the caller, also on failure
 * @ret_n: How many were opened, also on failure
 * @err:   Filled on failure
 *
 * Return: 0 or negative errno
 */
int mounts_open_binds(const Arca__V1__ContainerSpec *spec, int *fds, size_t *ret_n, struct err *err)
{
	*ret_n = 0;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Arca__V1__Mount *m = spec->mounts[i];
		unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
		int fd;

		if (!mounts_is_bind(m))
			continue;
		if (*ret_n == MOUNTS_BINDS_MAX)
			return err_user(err, ERR_INVALID, "more than %d bind mounts",
					MOUNTS_BINDS_MAX);
		fd = open_tree(AT_FDCWD, m->source, flags | (m->flags & MS_REC ? AT_RECURSIVE : 0));
		if (fd < 0)
			return err_user(err, ERR_INVALID, "bind source path does not exist: %s: %s",
					m->source, words_errno(-errno));
		fds[(*ret_n)++] = fd;
	}
	return 0;
}

static int mounts_spec(int root_fd, const struct mounts_plan *plan, struct err *err)
{
	const Arca__V1__ContainerSpec *spec = plan->spec;
	_cleanup_free_ bool *made = calloc(spec->n_mounts + 1, sizeof(*made));
	size_t bind = 0;
	int r;

	if (!made)
		return err_oom(err);
	r = stage_attach(root_fd, spec, made, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Arca__V1__Mount *m = spec->mounts[i];

		if (mounts_is_bind(m))
			r = bind < plan->n_bind_fds
				    ? mounts_bind(root_fd, m, plan->bind_fds[bind++])
				    : -EINVAL;
		else if (!made[i])
			r = mounts_make(root_fd, m);
		if (r < 0)
			return err_user(err, ERR_INVALID,
					"error mounting \"%s\" to rootfs at \"%s\": %s",
					str_empty(m->source) ? m->type : m->source, m->destination,
					words_errno(r));
	}
	return 0;
}

/*
 * @number: names the copy. @attributes: of its mount. @ret_fd: the copy to read and write, or NULL.
 * Return: 0 or negative errno
 */
static int mounts_file(int root_fd, const char *path, const void *data, size_t len, mode_t mode,
		       unsigned int number, uint64_t attributes, int *ret_fd)
{
	_cleanup_close_ int file = -EBADF, tree = -EBADF, target = -EBADF;
	char copy[64];
	int r;

	(void)snprintf(copy, sizeof(copy), STAGE_FILES "/%u", number); /* fits */
	file = open(copy, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	r = fs_write_all(file, data, len);
	if (r < 0)
		return r;
	if (fchmod(file, mode & 07777) < 0)
		return -errno;
	r = root_make_file(root_fd, path, mode, &target);
	if (r < 0)
		return r;
	tree = open_tree(AT_FDCWD, copy, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -errno;
	r = mounts_set_attributes(tree, attributes, false);
	if (r == 0)
		r = mounts_bind_over(tree, target);
	if (r == 0 && ret_fd)
		*ret_fd = TAKE_FD(file);
	return r;
}

/* Which files the agent edits later: 0, or how it gets them. */
static enum report_kind mounts_file_kept(const Arca__V1__ContainerSpec *spec, const char *path)
{
	bool resolv = (spec->dns && spec->dns->later) || !str_empty(spec->join_network);

	if (str_eq(path, FILES_HOSTS))
		return REPORT_HOSTS;
	return resolv && str_eq(path, FILES_RESOLV) ? REPORT_RESOLV : 0;
}

static int mounts_files(int root_fd, const struct mounts_plan *plan, struct err *err)
{
	const Arca__V1__ContainerSpec *spec = plan->spec;
	/* Files of the daemon are mounts of their own, which a read-only root does not cover. */
	uint64_t attributes = spec->readonly_rootfs ? MOUNT_ATTR_RDONLY : 0;

	for (size_t i = 0; i < spec->n_files; i++) {
		const Arca__V1__File *f = spec->files[i];
		enum report_kind kept = mounts_file_kept(spec, f->path);
		_cleanup_close_ int fd = -EBADF;
		int r = mounts_file(root_fd, f->path, f->content.data, f->content.len,
				    f->mode ? f->mode : 0644, (unsigned int)i, attributes,
				    kept ? &fd : NULL);

		if (r == 0 && kept)
			r = report_send(plan->report_fd, kept, fd);

		if (r < 0)
			return err_user(err, ERR_INVALID, "cannot bind %s: %s", f->path,
					words_errno(r));
	}
	return 0;
}

/* What hides a path: an empty folder, or the container's own /dev/null. */
static int mounts_open_mask(int root_fd, bool directory)
{
	_cleanup_close_ int null = directory ? -EBADF : root_open(root_fd, "/dev/null", O_PATH);
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	struct stat st;

	if (directory)
		return open_tree(AT_FDCWD, STAGE_EMPTY, flags);
	/* A /dev of the container's making may hold anything under that name. */
	if (null < 0 || fstat(null, &st) < 0 || st.st_rdev != makedev(1, 3))
		return open_tree(AT_FDCWD, "/dev/null", flags);
	return open_tree(null, "", flags | AT_EMPTY_PATH);
}

static int mounts_mask(int root_fd, const char *path)
{
	_cleanup_close_ int target = root_open(root_fd, path, O_PATH), tree = -EBADF;
	struct stat st;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return -errno;
	tree = mounts_open_mask(root_fd, S_ISDIR(st.st_mode));
	return tree < 0 ? -errno : mounts_bind_over(tree, target);
}

static int mounts_make_readonly(int root_fd, const char *path)
{
	_cleanup_close_ int target = root_open(root_fd, path, O_PATH), tree = -EBADF;
	int r;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	tree = open_tree(target, "",
			 AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -errno;
	r = mounts_set_attributes(tree, MOUNT_ATTR_RDONLY, true);
	return r < 0 ? r : mounts_bind_over(tree, target);
}

/* Every VM of a template booted at the same moment; every container gets a boot of its own. */
static int mounts_boot_id(int root_fd, unsigned int number)
{
	unsigned char id[16];
	char hex[33], text[40];

	random_bytes(id, sizeof(id));
	id[6] = (id[6] & 0x0f) | 0x40; /* RFC 4122: random, as the kernel's */
	id[8] = (id[8] & 0x3f) | 0x80;
	str_hex(id, sizeof(id), hex);
	(void)snprintf(text, sizeof(text), "%.8s-%.4s-%.4s-%.4s-%.12s\n", hex, hex + 8, hex + 12,
		       hex + 16, hex + 20); /* fits */
	return mounts_file(root_fd, "/proc/sys/kernel/random/boot_id", text, strlen(text), 0444,
			   number, 0, NULL);
}

/* Images that want an id of their own per machine ship the file empty. */
static int mounts_machine_id(int root_fd, const unsigned char *id, unsigned int number)
{
	_cleanup_close_ int fd = root_open(root_fd, "/etc/machine-id", O_PATH);
	char text[2 * AGENT_MACHINE_ID_LEN + 2];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size)
		return 0;
	str_hex(id, AGENT_MACHINE_ID_LEN, text);
	strcat(text, "\n");
	return mounts_file(root_fd, "/etc/machine-id", text, strlen(text), 0444, number, 0, NULL);
}

static int mounts_protect(int root_fd, const Arca__V1__ContainerSpec *spec, struct err *err)
{
	int r;

	for (size_t i = 0; i < spec->n_readonly_paths; i++) {
		r = mounts_make_readonly(root_fd, spec->readonly_paths[i]);
		if (r < 0)
			return err_user(err, ERR_INVALID, "can't make %s read-only: %s",
					spec->readonly_paths[i], words_errno(r));
	}
	for (size_t i = 0; i < spec->n_masked_paths; i++) {
		r = mounts_mask(root_fd, spec->masked_paths[i]);
		if (r < 0)
			return err_user(err, ERR_INVALID, "can't mask path %s: %s",
					spec->masked_paths[i], words_errno(r));
	}
	return 0;
}

static int mounts_pivot(int root_fd)
{
	if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int mounts_make_cwd(int root_fd, const char *cwd)
{
	_cleanup_close_ int fd = -EBADF;

	return root_make_directory(root_fd, cwd, 0755, &fd);
}

/**
 * mounts_enter() - Build the container's root from a plan and make it /
 * @plan: What to build
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int mounts_enter(const struct mounts_plan *plan, struct err *err)
{
	const Arca__V1__ContainerSpec *spec = plan->spec;
	_cleanup_close_ int root_fd = -EBADF;
	int r;

	if (move_mount(plan->root_mount_fd, "", AT_FDCWD, STAGE_ROOT, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, -errno, "cannot attach the root");
	root_fd = open(STAGE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_sys(err, -errno, "cannot open the root");
	r = mounts_spec(root_fd, plan, err);
	if (r == 0)
		r = dev_add(root_fd, spec, err);
	if (r == 0)
		r = mounts_files(root_fd, plan, err);
	if (r == 0)
		r = mounts_protect(root_fd, spec, err);
	if (r < 0)
		return r;
	r = mounts_boot_id(root_fd, (unsigned int)spec->n_files);
	if (r == 0)
		r = mounts_machine_id(root_fd, plan->machine_id, (unsigned int)spec->n_files + 1);
	if (r < 0)
		return err_sys(err, r, "cannot give the container ids of its own");
	if (!str_empty(plan->cwd)) {
		r = mounts_make_cwd(root_fd, plan->cwd);
		if (r < 0)
			return r == -ENOTDIR
				       ? err_user(err, ERR_INVALID,
						  "Cannot mkdir: %s is not a directory", plan->cwd)
				       : err_user(err, ERR_INVALID, "mkdir %s: %s", plan->cwd,
						  words_errno(r));
	}
	if (spec->readonly_rootfs)
		r = mounts_set_attributes(root_fd, MOUNT_ATTR_RDONLY, false);
	if (r == 0)
		r = mounts_pivot(root_fd);
	return r < 0 ? err_sys(err, r, "cannot enter the root") : 0;
}
