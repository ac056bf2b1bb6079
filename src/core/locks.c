/* SPDX-License-Identifier: Apache-2.0 */
/* locks.c - mutexes that know their rank; what a thread holds is a bit mask of its own */
#include "core/locks.h"

#include <assert.h>

static _Thread_local unsigned int locks_held;

/**
 * rank_lock_init() - Make a lock
 * @lock: Storage
 * @rank: Its place in the order
 */
void rank_lock_init(struct rank_lock *lock, enum lock_rank rank)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->rank = rank;
}

/**
 * rank_lock_done() - Destroy a lock nobody holds
 * @lock: Lock
 */
void rank_lock_done(struct rank_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

/**
 * rank_lock() - Take a lock; asserts that nothing of this rank or above is held
 * @lock: Lock
 */
void rank_lock(struct rank_lock *lock)
{
	assert(locks_held >> lock->rank == 0);
	pthread_mutex_lock(&lock->mutex);
	locks_held |= 1u << lock->rank;
}

/**
 * rank_unlock() - Give a lock back
 * @lock: Lock held by this thread
 */
void rank_unlock(struct rank_lock *lock)
{
	assert(locks_held & 1u << lock->rank);
	locks_held &= ~(1u << lock->rank);
	pthread_mutex_unlock(&lock->mutex);
}
