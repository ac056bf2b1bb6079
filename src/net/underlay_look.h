/* SPDX-License-Identifier: Apache-2.0 */
/* underlay_look.h - what the kernel has of an underlay, for somebody who is not its daemon */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct underlay_link {
	char name[IF_NAMESIZE];
	int ifindex, master; /* master 0: none */
	bool up, running;    /* running: a process holds the tap */
	bool leads_out;	     /* a vmnet's bridge: its group says so */
	bool guarded;	     /* a vmnet's port: has its chain */
	bool host_gateway;   /* a VM's tap: may reach the host */
	unsigned int ways;   /* of a VM's tap: routes and neighbours that are as they should be */
};

struct underlay_look {
	uint64_t ns; /* inode; 0: there is no namespace, and nothing below */
	pid_t pasta; /* 0: none runs */
	bool host_has_default;
	unsigned int rules_wanted, rules_found;
	unsigned int ways_wanted;    /* of each VM's tap */
	struct underlay_link *links; /* owned */
	size_t n_links;
};

int underlay_look(const char *dir, struct underlay_look *ret_look, struct err *err);
const struct underlay_link *underlay_look_find(const struct underlay_look *look, const char *name);
void underlay_look_done(struct underlay_look *look);
