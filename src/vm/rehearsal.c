/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rehearsal.c - a first container, run in a VM before anybody waits for it
 *
 * DOC: Theory of operation
 *
 * What makes a clone's first container slow is that everything happens for the first time: pages of
 * the template are copied when they are written, and under emulation all code is translated. So a
 * VM of the pool starts, runs and removes a small container the way core/ would. Afterwards it has
 *no container, no process and no mount, as after its boot, where it made what two containers need.
 *
 *	Attach(start) -> started, exited -> Release -> RemoveContainer
 *
 * Threads: the caller's waits, the loop's reports. Hostile: the guest, like every other; what it
 * says is looked at no further than "exited".
 */
#include "vm/rehearsal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "rpc/client.h"
#include "vm/sandbox.h"

#define REHEARSAL_TIMEOUT_MS 30000

struct rehearsal {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool exited, closed;
	int code;
	struct err *err; /* borrowed: of the one that waits */
};

static void rehearsal_message(void *user, ProtobufCMessage *message)
{
	const Arca__V1__ProcessEvent *event = (const Arca__V1__ProcessEvent *)message;
	struct rehearsal *rh = user;

	if (event->of_case == ARCA__V1__PROCESS_EVENT__OF_EXITED) {
		pthread_mutex_lock(&rh->lock);
		rh->exited = true;
		rh->code = event->exited->code;
		pthread_mutex_unlock(&rh->lock);
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

static void rehearsal_closed(void *user, enum rpc_status status, const char *text)
{
	struct rehearsal *rh = user;

	pthread_mutex_lock(&rh->lock);
	if (status != RPC_OK)
		(void)err_user(rh->err, ERR_INTERNAL, "%s", text ?: "the channel ended");
	rh->closed = true;
	pthread_cond_signal(&rh->cond);
	pthread_mutex_unlock(&rh->lock);
}

/* A guest that never ends it is killed: that ends the stream, and only then may we go. */
static int rehearsal_wait(struct rehearsal *rh, struct sandbox *sb)
{
	int64_t end_ns = clock_monotonic_ns() + REHEARSAL_TIMEOUT_MS * NSEC_PER_MSEC;
	struct timespec end = {.tv_sec = end_ns / NSEC_PER_SEC, .tv_nsec = end_ns % NSEC_PER_SEC};
	int r = 0;

	pthread_mutex_lock(&rh->lock);
	while (!rh->closed && r == 0)
		r = -pthread_cond_timedwait(&rh->cond, &rh->lock, &end);
	pthread_mutex_unlock(&rh->lock);
	if (r < 0)
		sandbox_stop(sb, 0);
	pthread_mutex_lock(&rh->lock);
	while (!rh->closed)
		pthread_cond_wait(&rh->cond, &rh->lock);
	pthread_mutex_unlock(&rh->lock);
	return r;
}

static int rehearsal_play(struct sandbox *sb, const Arca__V1__StartRequest *request,
			  struct err *err)
{
	static const struct rpc_stream_ops ops = {.message = rehearsal_message,
						  .closed = rehearsal_closed};
	Arca__V1__AttachControl control = ARCA__V1__ATTACH_CONTROL__INIT;
	struct rehearsal rh = {.lock = PTHREAD_MUTEX_INITIALIZER, .err = err};
	struct rpc_stream *stream;
	pthread_condattr_t attr;
	int r;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rh.cond, &attr);
	pthread_condattr_destroy(&attr);
	control.of_case = ARCA__V1__ATTACH_CONTROL__OF_START;
	control.start = (Arca__V1__StartRequest *)request; /* only read */
	r = rpc_stream_open(sandbox_rpc(sb), "/arca.v1.Process/Attach", &control.base,
			    &arca__v1__process_event__descriptor, &ops, &rh, &stream);
	if (r == 0)
		r = rehearsal_wait(&rh, sb);
	else
		r = err_sys(err, r > 0 ? -EPIPE : r, "cannot speak to the agent");
	if (r == -ETIMEDOUT)
		(void)err_sys(err, r, "the agent does not get a container to its end");
	else if (r == 0 && !rh.exited)
		r = -EPROTO; /* rehearsal_closed() said why */
	else if (r == 0 && rh.code != 0)
		r = err_user(err, ERR_INTERNAL, "the container ended with %d", rh.code);
	pthread_cond_destroy(&rh.cond);
	return r;
}

static int rehearsal_call(struct sandbox *sb, const char *method, const ProtobufCMessage *request,
			  struct err *err)
{
	int r = rpc_call(sandbox_rpc(sb), method, request, &arca__v1__empty__descriptor,
			 REHEARSAL_TIMEOUT_MS, NULL, err);

	return r > 0 ? -EPROTO : r;
}

/**
 * rehearsal_run() - Start, run and remove a container in a VM that belongs to nobody yet
 * @sb:	     Sandbox with an open channel
 * @request: Its init
 * @err:     Filled on failure
 *
 * Not on the loop thread. After a failure the VM is good for nothing.
 *
 * Return: 0, or negative errno
 */
int rehearsal_run(struct sandbox *sb, const Arca__V1__StartRequest *request, struct err *err)
{
	Arca__V1__RemoveContainerRequest remove = ARCA__V1__REMOVE_CONTAINER_REQUEST__INIT;
	Arca__V1__ReleaseRequest release = ARCA__V1__RELEASE_REQUEST__INIT;
	int r;

	release.id = request->id;
	remove.container_id = request->container_id;
	r = rehearsal_play(sb, request, err);
	if (r == 0)
		r = rehearsal_call(sb, "/arca.v1.Process/Release", &release.base, err);
	if (r == 0)
		r = rehearsal_call(sb, "/arca.v1.Sandbox/RemoveContainer", &remove.base, err);
	return r;
}
