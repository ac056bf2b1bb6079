/* SPDX-License-Identifier: Apache-2.0 */
/* container_live.h - what exec and top need of a running container; inside core only */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/id.h"

struct containers;
struct rpc_client;
struct sandbox;
struct Arca__V1__ProcessSpec;

/*
 * A running container held by its caller: the sandbox object stays valid until
 * container_live_put(), even if the VM dies meanwhile (calls then answer RPC_UNAVAILABLE).
 */
struct container_live {
	char id[ID_BUF];
	struct rpc_client *rpc; /* borrowed: from the hold */
	json_t *config;		/* merged container config (image + create), borrowed from the hold,
				   immutable */
	json_t *host_config;	/* likewise */
	void *hold;
};
/* Waits while the container is being adopted. ERR_NOT_FOUND, ERR_CONFLICT "container <id> is not
 * running" / "Container <id> is paused, unpause the container before exec" */
int container_live_get(struct containers *cs, const char *ref, struct container_live *ret,
		       struct err *err);
/* Whether a daemon that has just started is still looking for its VM: container_live_get() waits.
 */
bool container_live_is_adopting(struct containers *cs, const char *ref);
void container_live_put(struct container_live *live);
/* Whether everybody that the container has links to runs: an exec is told of them. */
int container_live_check_links(const struct container_live *live, struct err *err);
/* The container's process rules (capabilities, seccomp, rlimits, env, cwd, user) as a ProcessSpec
 * an exec starts from. privileged: exec --privileged. Freed with
 * arca__v1__process_spec__free_unpacked(). */
int container_process_spec(const struct container_live *live, bool privileged,
			   struct Arca__V1__ProcessSpec **ret, struct err *err);
void container_publish(struct containers *cs, const char *id, const char *action,
		       json_t *more_attributes /* stolen, may be NULL */);
