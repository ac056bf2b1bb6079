/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_state.c - the states of a container and the only ways between them
 *
 * DOC: Theory of operation
 *
 *	CREATED -> RUNNING <-> PAUSED
 *	RUNNING, PAUSED -> EXITED, RESTARTING
 *	EXITED -> RUNNING, RESTARTING;  RESTARTING -> RUNNING, EXITED
 *	CREATED, EXITED, RESTARTING, DEAD -> REMOVING -> DEAD
 *
 * A start that fails leaves CREATED or EXITED. RESTARTING means: exited, and its restart policy
 * will start it again after the back-off. DEAD is a removal that failed half-way; it may be tried
 * again. Who moves a container holds its verb lock and its state lock.
 */
#include <assert.h>
#include <errno.h>

#include "base/str.h"
#include "core/containers.h"

static const char *const container_state_names[] = {
	[CONTAINER_CREATED] = "created", [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",	 [CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_EXITED] = "exited",	 [CONTAINER_REMOVING] = "removing",
	[CONTAINER_DEAD] = "dead",
};

#define TO(state) (1u << (CONTAINER_##state))
static const unsigned int container_edges[] = {
	[CONTAINER_CREATED] = TO(RUNNING) | TO(REMOVING),
	[CONTAINER_RUNNING] = TO(PAUSED) | TO(EXITED) | TO(RESTARTING),
	[CONTAINER_PAUSED] = TO(RUNNING) | TO(EXITED) | TO(RESTARTING),
	[CONTAINER_EXITED] = TO(RUNNING) | TO(RESTARTING) | TO(REMOVING),
	[CONTAINER_RESTARTING] = TO(RUNNING) | TO(EXITED) | TO(REMOVING),
	[CONTAINER_REMOVING] = TO(DEAD),
	[CONTAINER_DEAD] = TO(REMOVING),
};
#undef TO
_Static_assert(ARRAY_SIZE(container_state_names) == ARRAY_SIZE(container_edges),
	       "every state has a name and edges");

/**
 * container_state_name() - Docker's word for a state
 * @state: State
 *
 * Return: constant text
 */
const char *container_state_name(enum container_state state)
{
	return container_state_names[state];
}

/**
 * container_state_parse() - State from Docker's word
 * @name:      Word
 * @ret_state: Set on success
 *
 * Return: 0 or -EINVAL
 */
int container_state_parse(const char *name, enum container_state *ret_state)
{
	for (size_t i = 0; i < ARRAY_SIZE(container_state_names); i++) {
		if (str_eq(name, container_state_names[i])) {
			*ret_state = (enum container_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

/**
 * container_state_may() - Whether an edge is in the table
 * @from: State
 * @to:	  State
 *
 * Return: the answer
 */
bool container_state_may(enum container_state from, enum container_state to)
{
	return container_edges[from] >> to & 1;
}

/**
 * container_state_is_up() - What Docker calls running: a process lives or will be started again
 * @state: State
 *
 * Return: the answer
 */
bool container_state_is_up(enum container_state state)
{
	return state == CONTAINER_RUNNING || state == CONTAINER_PAUSED ||
	       state == CONTAINER_RESTARTING;
}

/**
 * container_move() - Change the state; aborts on an edge that is not in the table
 * @c:	Container, verb and state lock held
 * @to: New state
 */
void container_move(struct container *c, enum container_state to)
{
	assert(container_state_may(c->state, to));
	c->state = to;
	c->version++;
	pthread_cond_broadcast(&c->changed);
}
