/* SPDX-License-Identifier: Apache-2.0 */
/* container.h - a root, namespaces and a cgroup, with processes in them */
#pragma once

#include <stdbool.h>

#include "agent.pb-c.h"
#include "agent/rootfs.h"
#include "agent/seed.h"

struct agent;
struct names;

struct container {
	char *id; /* owned */
	struct rootfs rootfs;
	struct seed *seed;	  /* owned: the init's pid, pidfd, namespaces and cgroup */
	bool init_alive;	  /* started and not reaped */
	int hosts_fd, resolv_fd;  /* owned: its files, for files.c; -EBADF if there is none */
	Arca__V1__Dns *dns_later; /* owned; NULL: it has a server now, or never */
	Arca__V1__HostGateway *host_gateway; /* owned; NULL: it has no name for the host */
	struct names *names;		     /* owned; NULL: nobody is at 127.0.0.11 */
	struct container *next, *prev;
};

struct container *container_find(struct agent *agent, const char *id);
int container_new(struct agent *agent, const Arca__V1__ContainerSpec *spec,
		  struct container **ret_container, struct err *err);
int container_remove(struct agent *agent, struct container *c);
