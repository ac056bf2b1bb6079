/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - from the kernel's initramfs to a system that containers can be made in
 *
 * The initramfs itself can neither be unmounted nor be the old root of pivot_root(), so the agent
 * leaves it for a small tmpfs with nothing but mount points in it.
 */
#include "agent/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/stage.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define BOOT_MODULES "/modules"
#define BOOT_ROOT "/newroot"
#define BOOT_NOFILE 65536
#define BOOT_WRITE_BACK_CS "50"

static const struct boot_mount {
	const char *target, *type, *data;
	unsigned long flags;
} boot_mounts[] = {
	{"/proc", "proc", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
	{"/sys", "sysfs", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
	{"/dev", "devtmpfs", "mode=755", MS_NOSUID},
	{"/run", "tmpfs", "mode=700", MS_NOSUID | MS_NODEV},
};

static int boot_mount_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(boot_mounts); i++) {
		const struct boot_mount *m = &boot_mounts[i];

		(void)mkdir(m->target, 0755); /* may be there */
		if (mount(m->type, m->target, m->type, m->flags, m->data) < 0 && errno != EBUSY)
			return -errno;
	}
	if (mount("cgroup2", CGROUP_ROOT, "cgroup2", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) < 0)
		return -errno;
	return 0;
}

/* Messages go where the kernel's go. */
static void boot_open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int i = 0; fd >= 0 && i < 3; i++)
		(void)dup2(fd, i); /* nowhere to say that it failed */
	if (fd > 2)
		(void)close(fd);
}

static void boot_load_module(const char *name)
{
	_cleanup_free_ char *path = str_format(BOOT_MODULES "/%s", name);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -ENOMEM;

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		log_error("module %s: %s", name, strerror(errno));
}

static void boot_load_modules(void)
{
	_cleanup_free_ char *order = NULL;
	char *rest, *line;
	int r = fs_read_file(BOOT_MODULES "/order", 65536, &order, NULL);

	if (r < 0) {
		log_warn("no modules: %s", strerror(-r));
		return;
	}
	for (rest = order; (line = strsep(&rest, "\n"));) {
		if (*line)
			boot_load_module(line);
	}
}

static int boot_leave_initramfs(void)
{
	if (mkdir(BOOT_ROOT, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (mount("root", BOOT_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m") < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(boot_mounts); i++) {
		_cleanup_free_ char *to = str_format(BOOT_ROOT "%s", boot_mounts[i].target);

		if (!to)
			return -ENOMEM;
		if (mkdir(to, 0755) < 0 ||
		    mount(boot_mounts[i].target, to, NULL, MS_MOVE, NULL) < 0)
			return -errno;
	}
	/* What is in memory only because it was in the initramfs. */
	(void)fs_remove_tree(BOOT_MODULES);
	if (chdir(BOOT_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return -errno;
	return 0;
}

/* Write back what is half a second old, not what is half a minute old (upper.c). */
static void boot_write_back_soon(void)
{
	static const char *const files[] = {"/proc/sys/vm/dirty_expire_centisecs",
					    "/proc/sys/vm/dirty_writeback_centisecs"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_close_ int fd = open(files[i], O_WRONLY | O_CLOEXEC);

		if (fd < 0 || fs_write_all(fd, BOOT_WRITE_BACK_CS, strlen(BOOT_WRITE_BACK_CS)) < 0)
			log_warn("%s: %s", files[i], strerror(errno));
	}
}

static void boot_survive(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	struct rlimit files = {BOOT_NOFILE, BOOT_NOFILE};

	/* Each of these only helps; none is needed. */
	(void)fs_write_all(fd, "-1000", strlen("-1000"));
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)reboot(RB_DISABLE_CAD);
}

/**
 * boot_system() - Everything before the port is opened
 *
 * Return: 0 or negative errno
 */
int boot_system(void)
{
	int r;

	umask(0);
	r = boot_mount_all();
	boot_open_console();
	if (r < 0)
		return r;
	boot_load_modules();
	r = boot_leave_initramfs();
	if (r < 0)
		return r;
	boot_survive();
	boot_write_back_soon();
	r = cgroup_boot();
	if (r < 0)
		log_warn("some cgroup controllers are missing: %s", strerror(-r));
	stage_boot();
	return 0;
}
