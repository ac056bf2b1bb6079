/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.h - a container's root: EROFS below, ext4 above, overlay over both */
#pragma once

#include "agent.pb-c.h"
#include "base/err.h"

#define ROOTFS_DIR "/run/containers"

struct rootfs {
	char *dir;    /* owned: mount points of the two disks; NULL: nothing mounted */
	int mount_fd; /* owned: the overlay, attached nowhere; -EBADF once handed on */
};

void rootfs_boot(void);
int rootfs_mount(const Arca__V1__ContainerSpec *spec, struct rootfs *ret_rootfs, struct err *err);
int rootfs_unmount(struct rootfs *rootfs);
