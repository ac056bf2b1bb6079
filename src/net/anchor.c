/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anchor.c - a thread whose only use is that /proc/<tid>/ns/net names a namespace
 *
 * pasta under AppArmor's profile may open namespaces of processes, and nothing below the exec-root.
 * It has dropped CAP_SYS_PTRACE by then, so the kernel lets it look only at who has no more
 * privileges than itself (ptrace(2), PTRACE_MODE_READ): this thread has none.
 */
#include "net/anchor.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static int anchor_drop(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0; /* this thread's alone */
}

static void *anchor_thread(void *arg)
{
	struct anchor *anchor = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)pthread_setname_np(pthread_self(), "arca-anchor"); /* only a label */
	pthread_mutex_lock(&anchor->lock);
	anchor->error = anchor_drop();
	anchor->tid = anchor->error < 0 ? 0 : (pid_t)syscall(SYS_gettid);
	anchor->started = true;
	pthread_cond_broadcast(&anchor->cond);
	while (!anchor->stopping)
		pthread_cond_wait(&anchor->cond, &anchor->lock);
	pthread_mutex_unlock(&anchor->lock);
	return NULL;
}

/**
 * anchor_start() - Start a thread in the calling thread's network namespace
 * @anchor: Zero-initialised; tid is set on success
 *
 * Return: 0, or negative errno with nothing to be stopped
 */
int anchor_start(struct anchor *anchor)
{
	int r;

	pthread_mutex_init(&anchor->lock, NULL);
	pthread_cond_init(&anchor->cond, NULL);
	r = -pthread_create(&anchor->thread, NULL, anchor_thread, anchor);
	if (r < 0)
		return r;
	pthread_mutex_lock(&anchor->lock);
	while (!anchor->started)
		pthread_cond_wait(&anchor->cond, &anchor->lock);
	r = anchor->error;
	pthread_mutex_unlock(&anchor->lock);
	if (r < 0)
		anchor_stop(anchor);
	return r;
}

/**
 * anchor_stop() - End the thread
 * @anchor: Anchor; none is fine
 */
void anchor_stop(struct anchor *anchor)
{
	if (!anchor->started)
		return;
	pthread_mutex_lock(&anchor->lock);
	anchor->stopping = true;
	pthread_cond_broadcast(&anchor->cond);
	pthread_mutex_unlock(&anchor->lock);
	pthread_join(anchor->thread, NULL);
	pthread_mutex_destroy(&anchor->lock);
	pthread_cond_destroy(&anchor->cond);
	*anchor = (struct anchor){};
}
