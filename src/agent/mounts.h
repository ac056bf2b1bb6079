/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.h - put a container's root together and move into it */
#pragma once

#include "agent.pb-c.h"
#include "base/err.h"

#define MOUNTS_BINDS_MAX 64

struct mounts_plan {
	const Arca__V1__ContainerSpec *spec; /* borrowed */
	int root_mount_fd;		     /* borrowed: detached overlay */
	const int *bind_fds;		     /* borrowed: detached trees, one per "bind" mount */
	size_t n_bind_fds;
	const unsigned char *machine_id; /* borrowed: AGENT_MACHINE_ID_LEN bytes */
	const char *cwd;		 /* made if missing; may be NULL */
	int report_fd;			 /* borrowed: gets REPORT_HOSTS and the like */
};

int mounts_open_binds(const Arca__V1__ContainerSpec *spec, int *fds, size_t *ret_n,
		      struct err *err);
int mounts_enter(const struct mounts_plan *plan, struct err *err);
