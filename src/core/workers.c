/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers.c - a small pool of threads
 *
 * DOC: Theory of operation
 *
 * The loop thread hands over what blocks (a container's exit, a restart). Jobs begin in order, each
 * runs to its end on one thread. One thread lives as long as the pool, so that a job is done even
 * where no further thread can be had; up to WORKERS_MAX - 1 more come when all are busy and leave
 * after WORKERS_IDLE_S without work. workers_stop() runs what is queued and waits for all; what is
 * pushed later is refused.
 */
#include "core/workers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "core/locks.h"

#define WORKERS_IDLE_S 5

struct worker_job {
	worker_fn fn;
	void *user;
	struct worker_job *next, *prev;
};

struct workers {
	struct rank_lock lock; /* guards all below */
	pthread_cond_t wake, gone;
	struct worker_job *jobs;
	unsigned int queued, idle, threads;
	bool stopping;
};

/* Waits for a job; NULL when the thread should end. Lock held. */
static struct worker_job *worker_next(struct workers *w, bool permanent)
{
	struct worker_job *job;
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WORKERS_IDLE_S;
	w->idle++;
	while (!w->jobs && !w->stopping && r != ETIMEDOUT) {
		if (permanent)
			pthread_cond_wait(&w->wake, &w->lock.mutex);
		else
			r = pthread_cond_timedwait(&w->wake, &w->lock.mutex, &until);
	}
	w->idle--;
	job = w->jobs;
	if (job) {
		DL_DELETE(w->jobs, job);
		w->queued--;
	}
	return job;
}

static void *worker_run(struct workers *w, bool permanent)
{
	struct worker_job *job;

	rank_lock(&w->lock);
	while ((job = worker_next(w, permanent))) {
		rank_unlock(&w->lock);
		job->fn(job->user);
		free(job);
		rank_lock(&w->lock);
	}
	w->threads--;
	pthread_cond_broadcast(&w->gone);
	rank_unlock(&w->lock);
	return NULL;
}

static void *worker_permanent(void *workers)
{
	return worker_run(workers, true);
}

static void *worker_helper(void *workers)
{
	return worker_run(workers, false);
}

/* Lock held. */
static int workers_spawn(struct workers *w, void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	w->threads++;
	r = pthread_create(&thread, &attr, run, w);
	pthread_attr_destroy(&attr);
	if (r)
		w->threads--;
	return -r;
}

/**
 * workers_new() - Make a pool with its one permanent thread
 * @ret_workers: Pool
 *
 * Return: 0 or a negative errno
 */
int workers_new(struct workers **ret_workers)
{
	struct workers *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	rank_lock_init(&w->lock, LOCK_WORKERS);
	pthread_cond_init(&w->wake, NULL);
	pthread_cond_init(&w->gone, NULL);
	rank_lock(&w->lock);
	r = workers_spawn(w, worker_permanent);
	rank_unlock(&w->lock);
	if (r < 0) {
		workers_free(w);
		return r;
	}
	*ret_workers = w;
	return 0;
}

/**
 * workers_stop() - Finish what is queued, end the threads, take no more
 * @w: Pool
 *
 * Not on one of its own threads.
 */
void workers_stop(struct workers *w)
{
	RANK_LOCK_SCOPE(lock, &w->lock);

	w->stopping = true;
	pthread_cond_broadcast(&w->wake);
	while (w->threads)
		pthread_cond_wait(&w->gone, &w->lock.mutex);
}

/**
 * workers_free() - workers_stop(), and free
 * @w: Pool that nobody pushes to any more, or NULL
 */
void workers_free(struct workers *w)
{
	if (!w)
		return;
	workers_stop(w);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->gone);
	rank_lock_done(&w->lock);
	free(w);
}

/**
 * workers_push() - Run something on a thread of the pool
 * @w:	  Pool
 * @fn:	  Job
 * @user: Its argument
 *
 * Any thread. Return: 0, -ENOMEM, or -ESHUTDOWN after workers_stop()
 */
int workers_push(struct workers *w, worker_fn fn, void *user)
{
	struct worker_job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->fn = fn;
	job->user = user;
	rank_lock(&w->lock);
	if (w->stopping) {
		rank_unlock(&w->lock);
		free(job);
		return -ESHUTDOWN;
	}
	DL_APPEND(w->jobs, job);
	w->queued++;
	if (w->queued > w->idle && w->threads < WORKERS_MAX)
		(void)workers_spawn(w, worker_helper); /* the permanent thread comes to it, too */
	pthread_cond_signal(&w->wake);
	rank_unlock(&w->lock);
	return 0;
}
