/* SPDX-License-Identifier: Apache-2.0 */
/* seed.h - a process that lives in fresh namespaces already and waits for its container */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "agent/cgroup.h"
#include "base/cleanup.h"
#include "base/err.h"

struct agent;

/* namespaces that outlive their processes */
enum { SEED_NS_MOUNT, SEED_NS_NETWORK, SEED_NS_MAX };

/* What travels to the seed besides the request. */
struct seed_fds {
	int root_mount;	    /* detached overlay */
	int in, out, error; /* child's ends of its stdio; -EBADF with a terminal */
	const int *binds;   /* detached trees */
	size_t n_binds;
};

struct seed {
	pid_t pid;		/* in our pid namespace; 0: handed on */
	int pidfd;		/* owned */
	uint8_t *request;	/* owned: memory that both see */
	int report_fd;		/* owned: our end */
	unsigned long ns_flags; /* CLONE_NEW* that it has: not the VM's */
	bool joined;		/* the network namespace among them is another container's */
	struct cgroup cgroup;
	int ns_fds[SEED_NS_MAX]; /* owned */
};

unsigned long seed_flags(const Arca__V1__ContainerSpec *spec);
int seed_new(struct agent *agent, unsigned long ns_flags, int join_network_fd,
	     struct seed **ret_seed);
void seed_free(struct seed *seed);
DEFINE_CLEANUP(struct seed *, seed_free)
int seed_network_fd(const struct seed *seed);
void seed_release_namespaces(struct seed *seed);
int seed_start(const struct agent *agent, const struct seed *seed,
	       const Arca__V1__StartRequest *request, const struct seed_fds *fds, struct err *err);
