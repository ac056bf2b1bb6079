/* SPDX-License-Identifier: Apache-2.0 */
/* locks.h - the managers' locks and the order in which they may be taken */
#pragma once

#include <pthread.h>

/*
 * A thread takes locks in rising rank only, and never two of one rank. Debug builds check it.
 * Below all of these: stdio's, the log's, the store's and base's own locks, which call nobody.
 */
enum lock_rank {
	LOCK_CONTAINER_VERB =
		1,     /* one container's start, exit, pause, remove...; held for seconds */
	LOCK_NETWORKS, /* all networks: held for a transaction and its events */
	LOCK_LINKS,    /* the names that links give, while they are worked out; edits of files */
	LOCK_CONTAINER_TABLE, /* names and ids */
	LOCK_MESHES,	      /* who is on which network; loop thread too */
	LOCK_MACHINES,	      /* who is in which VM; held for microseconds, loop thread too */
	LOCK_CONTAINER_STATE, /* one container's fields; held for microseconds, loop thread too */
	LOCK_WORKERS,
	LOCK_SECCOMP_CACHE,
	LOCK_RANK_MAX
};

struct rank_lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

void rank_lock_init(struct rank_lock *lock, enum lock_rank rank);
void rank_lock_done(struct rank_lock *lock);
void rank_lock(struct rank_lock *lock);
void rank_unlock(struct rank_lock *lock);

static inline void cleanup_rank_unlock(struct rank_lock **lock)
{
	if (*lock)
		rank_unlock(*lock);
}

/* Held until the end of the scope. */
#define RANK_LOCK_SCOPE(name, l)                                                                   \
	struct rank_lock *name __attribute__((cleanup(cleanup_rank_unlock), unused)) = (l);        \
	rank_lock(name)
