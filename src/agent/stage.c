/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.c - the mounts of a container that can be made before it is known
 *
 * DOC: Theory of operation
 *
 * Every container has /proc, /dev, /dev/pts, /dev/shm, /dev/mqueue, /sys and /sys/fs/cgroup with
 * Docker's options. A seed (seed.c) makes them below STAGE_DIR in its own mount namespace while
 * nobody waits; stage_attach() moves them into the container's root.
 *
 * A spec that lists one of these destinations with the very same type, flags and data gets the
 * ready one. One that lists it otherwise loses the ready one, and its own is mounted in its turn
 * (mounts.c). One that does not list it at all gets the default, unless it replaced the parent.
 */
#include "agent/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/dev.h"
#include "agent/root.h"
#include "agent/words.h"
#include "base/cleanup.h"
#include "base/str.h"

#define STAGE_HARDENED (MS_NOSUID | MS_NOEXEC | MS_NODEV)

/* Parents before children. */
static const struct stage_mount {
	const char *destination, *type, *data;
	unsigned long flags;
	const char *parent; /* moved as part of that one; NULL: moved by itself */
} stage_mounts[] = {
	{"/proc", "proc", "", STAGE_HARDENED, NULL},
	{"/dev", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME, NULL},
	{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC,
	 "/dev"},
	{"/dev/shm", "tmpfs", "mode=1777,size=67108864", STAGE_HARDENED, "/dev"},
	{"/dev/mqueue", "mqueue", "", STAGE_HARDENED, "/dev"},
	{"/sys", "sysfs", "", STAGE_HARDENED | MS_RDONLY, NULL},
	{"/sys/fs/cgroup", "cgroup2", "", STAGE_HARDENED | MS_RDONLY, "/sys"},
};

/**
 * stage_boot() - Make the directories that every seed mounts on; on the agent's /run
 */
void stage_boot(void)
{
	static const char *const dirs[] = {STAGE_DIR,	    STAGE_ROOT,	       STAGE_FILES,
					   STAGE_EMPTY,	    STAGE_DIR "/proc", STAGE_DIR "/dev",
					   STAGE_DIR "/sys"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		(void)mkdir(dirs[i], 0700); /* a failure shows in stage_build() */
}

/* A read-only superblock cannot become writable for somebody else: only the mount is. */
static int stage_mount_at(const struct stage_mount *m, const char *target)
{
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mount(m->type, target, m->type, m->flags & ~MS_RDONLY, m->data) < 0)
		return -errno;
	if ((m->flags & MS_RDONLY) && mount_setattr(AT_FDCWD, target, 0, &ro, sizeof(ro)) < 0)
		return -errno;
	return 0;
}

/**
 * stage_build() - Mount everything; in a seed's own namespaces
 *
 * Return: 0 or negative errno
 */
int stage_build(void)
{
	char target[64];
	int r = 0;

	if (mount("tmpfs", STAGE_FILES, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m") < 0 ||
	    mount("tmpfs", STAGE_EMPTY, "tmpfs", STAGE_HARDENED | MS_RDONLY, "size=4k") < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(stage_mounts); i++) {
		const struct stage_mount *m = &stage_mounts[i];

		strcpy(target, STAGE_DIR);
		strcat(target, m->destination);
		(void)mkdir(target, 0755); /* in the parent's tmpfs, or there already */
		r = stage_mount_at(m, target);
		if (r == 0 && str_eq(m->destination, "/dev")) {
			_cleanup_close_ int dev = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);

			r = dev < 0 ? -errno : dev_populate(dev);
		}
	}
	return r;
}

static bool stage_same_options(const char *a, const char *b)
{
	const char *rest = a;
	size_t count_a = 0, count_b = *b ? 1 : 0;

	/* The same set in any order: every option of a is in b, and they are as many. */
	while (*rest) {
		size_t len = strcspn(rest, ",");
		const char *at = b;

		count_a++;
		while (*at && !(strncmp(at, rest, len) == 0 && (at[len] == ',' || !at[len]))) {
			at += strcspn(at, ",");
			at += *at == ',';
		}
		if (!*at)
			return false;
		rest += len + (rest[len] == ',');
	}
	for (; *b; b++)
		count_b += *b == ',';
	return count_a == count_b;
}

static bool stage_matches(const struct stage_mount *m, const Arca__V1__Mount *wanted)
{
	const char *type = str_eq(wanted->type, "cgroup") ? "cgroup2" : wanted->type;

	return str_eq(type, m->type) && wanted->flags == m->flags &&
	       stage_same_options(wanted->data, m->data);
}

/* What becomes of each ready mount for this spec. */
enum stage_fate { STAGE_KEEP, STAGE_REPLACED };

static enum stage_fate stage_decide(const struct stage_mount *m,
				    const Arca__V1__ContainerSpec *spec, bool *made)
{
	/* IpcMode none: a list without /dev/shm means it. */
	bool unwanted = spec->n_mounts && str_eq(m->destination, "/dev/shm");
	enum stage_fate fate = unwanted ? STAGE_REPLACED : STAGE_KEEP;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (!str_eq(spec->mounts[i]->destination, m->destination))
			continue;
		made[i] = stage_matches(m, spec->mounts[i]);
		fate = made[i] ? STAGE_KEEP : STAGE_REPLACED;
	}
	return fate;
}

/* A child of a replaced parent goes with it; one that the spec lists is mounted in its turn. */
static enum stage_fate stage_lose(const struct stage_mount *m, const Arca__V1__ContainerSpec *spec,
				  bool *made)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (str_eq(spec->mounts[i]->destination, m->destination))
			made[i] = false;
	}
	return STAGE_REPLACED;
}

static int stage_move(const char *destination, int root_fd)
{
	_cleanup_close_ int target = -EBADF;
	char from[64] = STAGE_DIR;
	int r;

	strcat(from, destination);
	r = root_make_directory(root_fd, destination, 0755, &target);
	if (r < 0)
		return r;
	return move_mount(AT_FDCWD, from, target, "", MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

static int stage_make_writable(void)
{
	struct mount_attr rw = {.attr_clr = MOUNT_ATTR_RDONLY};

	return mount_setattr(AT_FDCWD, STAGE_DIR "/sys", AT_RECURSIVE, &rw, sizeof(rw)) < 0 ? -errno
											    : 0;
}

/**
 * stage_attach() - Move what is ready into a container's root
 * @root_fd: Root, mounted, nothing in it yet
 * @spec:    What the container wants
 * @made:    One per spec->mounts, all false; set where nothing is left to do
 * @err:     Filled on failure
 *
 * Return: 0 or negative errno
 */
int stage_attach(int root_fd, const Arca__V1__ContainerSpec *spec, bool *made, struct err *err)
{
	int r = spec->privileged ? stage_make_writable() : 0;
	enum stage_fate fate[ARRAY_SIZE(stage_mounts)];
	char target[64];

	for (size_t i = 0; i < ARRAY_SIZE(stage_mounts); i++)
		fate[i] = stage_decide(&stage_mounts[i], spec, made);
	/* Children go before the parents they are mounted on. */
	for (size_t i = ARRAY_SIZE(stage_mounts); i-- > 0;) {
		const struct stage_mount *m = &stage_mounts[i];

		for (size_t j = 0; m->parent && j < i; j++) {
			if (fate[j] == STAGE_REPLACED && fate[i] == STAGE_KEEP &&
			    str_eq(stage_mounts[j].destination, m->parent))
				fate[i] = stage_lose(m, spec, made);
		}
		if (fate[i] == STAGE_KEEP)
			continue;
		strcpy(target, STAGE_DIR);
		strcat(target, m->destination);
		if (umount2(target, MNT_DETACH) < 0 && r == 0)
			r = -errno;
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(stage_mounts); i++) {
		const struct stage_mount *m = &stage_mounts[i];

		if (fate[i] == STAGE_KEEP && !m->parent)
			r = stage_move(m->destination, root_fd);
		if (r < 0)
			return err_user(err, ERR_INVALID,
					"error mounting \"%s\" to rootfs at \"%s\": %s", m->type,
					m->destination, words_errno(r));
	}
	return r < 0 ? err_sys(err, r, "cannot prepare the mounts") : 0;
}
