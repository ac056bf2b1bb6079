/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h - one cgroup v2 directory per container */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "base/err.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_NAME_MAX 32

struct cgroup {
	char name[CGROUP_NAME_MAX]; /* below CGROUP_ROOT; empty: none */
	int fd;			    /* owned: the directory */
};

int cgroup_boot(void);
int cgroup_init(struct cgroup *cg, unsigned int number);
void cgroup_done(struct cgroup *cg);
int cgroup_apply(const struct cgroup *cg, const Arca__V1__Resources *resources, struct err *err);
int cgroup_freeze(const struct cgroup *cg, bool frozen);
int cgroup_kill(const struct cgroup *cg);
int cgroup_signal(const struct cgroup *cg, int signal);
bool cgroup_oom_killed(const struct cgroup *cg);
int cgroup_pids(const struct cgroup *cg, char **ret_text);
