/* SPDX-License-Identifier: Apache-2.0 */
/* network_check_impl.h - what the files of the network check share: one look at both sides */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/id.h"
#include "core/network_check.h"
#include "net/forward.h"
#include "net/subnet.h"
#include "net/underlay_look.h"

struct check_container {
	char id[ID_BUF];
	char *name;	    /* owned */
	char vm_id[ID_BUF]; /* what its VM is called */
	bool joined;	    /* that is another container's, or was */
	bool runs;	    /* it may be in that VM */
	bool up;	    /* its process runs as well */
	json_t *config, *host_config;
};

struct check_vm {
	char *name; /* owned: of its folder */
	const struct check_container
		*container; /* borrowed, the first of several; NULL: none of the rows */
	pid_t pid;
	bool alive;
	unsigned int nic;
};

struct check_network {
	char id[ID_BUF];
	char *name, *driver; /* owned */
	bool internal;
	size_t members; /* that run */
};

struct check_endpoint {
	const struct check_container *container; /* borrowed; NULL: there is no such row */
	struct check_network *network;		 /* borrowed; NULL: not found yet, or gone */
	char *named;				 /* owned: what the client calls the network */
	char id[ID_BUF];			 /* "" unless claimed */
	struct net_addr v4, v6;
};

struct check_owner {
	char id[FORWARD_OWNER_MAX + 1];
	struct forward_mapping *mappings; /* owned */
	size_t n;
};

struct check {
	const struct network_check_config *config; /* borrowed */
	/* the state */
	struct check_container *containers;
	struct check_network *networks;
	struct check_endpoint *endpoints;
	size_t n_containers, n_networks, n_endpoints;
	size_t stray_addresses; /* used, and their owner does not run */
	/* what is there */
	struct check_vm *vms;
	struct check_owner *owners;
	size_t n_vms, n_owners;
	struct underlay_look look;
	pid_t daemon, forwarder; /* 0: none */
	bool failed;		 /* no memory */
	/* what comes of it */
	const char
		*before; /* borrowed: what differed in the look before; NULL: this is the first */
	struct buf text, differences;
	struct network_check_result result;
};

int check_load_state(struct check *k, struct err *err);
int check_load_kernel(struct check *k, struct err *err);
void check_done(struct check *k);

void check_row(struct check *k, const char *what, const char *name, const char *state,
	       const char *kernel, const char *difference);
void check_ports(struct check *k);
