/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - what the parts of the agent share: one per VM */
#pragma once

#include <stdbool.h>

#include "agent/network.h"
#include "agent/poll.h"
#include "rpc/server.h"

#define AGENT_MACHINE_ID_LEN 16

struct container;
struct process;
struct seed;

struct agent {
	struct poller poller;
	struct rpc_server *server;    /* owned */
	struct container *containers; /* owned, list */
	struct process *processes;    /* owned, list */
	/* owned; made at boot: a rehearsal takes one, the first container another */
	struct seed *seeds[2];
	struct networks networks;
	struct poll_watch port;
	struct poll_watch children; /* signalfd for SIGCHLD */
	int pid_ns_fd;		    /* our own pid namespace */
	int random_fd;		    /* /dev/urandom */
	unsigned int next_cgroup;
	unsigned char machine_id[AGENT_MACHINE_ID_LEN];
	bool powering_off;
};

struct agent *agent_of(const struct rpc_server_call *call);
extern const struct rpc_method agent_methods[];
