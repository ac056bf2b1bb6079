/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio.c - one process's streams: the agent's side
 *
 * DOC: Theory of operation
 *
 *     NEW -> STARTING -> RUNNING -> ENDED
 *
 * A stdio serves one run of one process. It exists before the VM does, so that clients can attach
 * first; STARTING and RUNNING follow Process.Attach; ENDED is entered once, by the agent's
 * `exited`, a start that failed, or a sandbox that was lost. A channel that breaks while the
 * sandbox lives leaves it RUNNING without a stream, until stdio_resume() or stdio_lost().
 *
 * An output chunk, on the loop thread: into the log, onto the clients' list (stdio_output.c), then
 * acknowledged up to min(what the log holds, what clients let go), in steps of STDIO_ACK_STEP or
 * after STDIO_ACK_DELAY_MS, so that neither tiny writes nor silence cost a message each.
 *
 * Hostile: the agent. Streams, offsets, the amount it sends unacknowledged and the memory it costs
 * are checked; what breaks the rules ends the process's streams, nothing else.
 *
 * Threads: io->lock guards all; it is taken under nobody's lock but the owner's and calls only the
 * log and the RPC client. The owner's callbacks and attach->ready run without it. References: the
 * owner, every client, stream, timer and posted call; the last frees.
 */
#include "core/stdio.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "core/container_log.h"
#include "core/stdio_impl.h"
#include "rpc/client.h"

#define STDIO_LOST_CODE 137

/* One more user of io; under the lock. */
void stdio_ref_locked(struct stdio *io)
{
	io->refs++;
}

/* One user less; without the lock. */
void stdio_unref(struct stdio *io)
{
	bool last;

	pthread_mutex_lock(&io->lock);
	last = --io->refs == 0;
	pthread_mutex_unlock(&io->lock);
	if (!last)
		return;
	assert(!io->clients && !io->chunks && !io->attach && !io->input);
	pthread_mutex_destroy(&io->lock);
	free(io->id);
	free(io);
}

/**
 * stdio_new() - Make the streams of one run of a process
 * @loop: Loop
 * @spec: What it is, copied
 * @ops:  Owner's callbacks, must outlive it
 * @user: Their argument
 * @ret:  The streams, for stdio_free(); set on success
 *
 * Return: 0, or -ENOMEM
 */
int stdio_new(struct loop *loop, const struct stdio_spec *spec, const struct stdio_ops *ops,
	      void *user, struct stdio **ret)
{
	struct stdio *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	io->id = strdup(spec->id);
	if (!io->id) {
		free(io);
		return -ENOMEM;
	}
	pthread_mutex_init(&io->lock, NULL);
	io->refs = 1;
	io->loop = loop;
	io->tty = spec->tty;
	io->open_stdin = spec->open_stdin;
	io->stdin_once = spec->stdin_once;
	io->log = spec->log;
	io->ops = ops;
	io->user = user;
	*ret = io;
	return 0;
}

static void stdio_on_ack_timer(void *user);

/* Acknowledge what can be, now or in a while; loop thread, under the lock. */
static void stdio_ack_locked(struct stdio *io, bool now)
{
	Arca__V1__AttachControl control = ARCA__V1__ATTACH_CONTROL__INIT;
	uint64_t to, hold;

	if (!io->attach || io->state != STDIO_RUNNING)
		return;
	to = io->log ? container_log_durable(io->log) : io->next;
	hold = stdio_clients_hold(io);
	io->held = hold < to;
	to = MIN(to, hold);
	if (to <= io->acked)
		return;
	if (now || to - io->acked >= STDIO_ACK_STEP) {
		control.of_case = ARCA__V1__ATTACH_CONTROL__OF_ACK;
		control.ack = to;
		if (rpc_stream_send(io->attach, &control.base) == 0) {
			io->acked = to;
			return;
		}
	}
	if (!io->ack_timer && loop_timer_add(io->loop, STDIO_ACK_DELAY_MS, stdio_on_ack_timer, io,
					     &io->ack_timer) == 0)
		stdio_ref_locked(io);
}

static void stdio_drop_timer(struct stdio *io)
{
	bool had;

	pthread_mutex_lock(&io->lock);
	had = io->ack_timer != NULL;
	loop_timer_remove(io->ack_timer);
	io->ack_timer = NULL;
	pthread_mutex_unlock(&io->lock);
	if (had)
		stdio_unref(io);
}

static void stdio_on_ack_timer(void *user)
{
	struct stdio *io = user;

	pthread_mutex_lock(&io->lock);
	stdio_ref_locked(io);
	pthread_mutex_unlock(&io->lock);
	stdio_drop_timer(io);
	pthread_mutex_lock(&io->lock);
	stdio_ack_locked(io, true);
	pthread_mutex_unlock(&io->lock);
	stdio_unref(io);
}

static void stdio_on_ack_posted(void *user)
{
	struct stdio *io = user;

	pthread_mutex_lock(&io->lock);
	io->ack_posted = false;
	stdio_ack_locked(io, false);
	pthread_mutex_unlock(&io->lock);
	stdio_unref(io);
}

/* A client caught up or left: see soon whether more can be acknowledged. Any thread. */
void stdio_ack_soon_locked(struct stdio *io)
{
	if (io->ack_posted || !io->attach)
		return;
	if (loop_post(io->loop, stdio_on_ack_posted, io) < 0)
		return; /* the next one posts again */
	io->ack_posted = true;
	stdio_ref_locked(io);
}

/* The run is over: tell the owner, then let the clients finish. Loop thread, once. */
static void stdio_end(struct stdio *io, const struct stdio_exit *exit)
{
	const struct stdio_ops *ops;

	pthread_mutex_lock(&io->lock);
	if (io->state == STDIO_ENDED) {
		pthread_mutex_unlock(&io->lock);
		return;
	}
	if (io->log)
		(void)container_log_finish(io->log); /* it said so */
	ops = exit ? io->ops : NULL;
	pthread_mutex_unlock(&io->lock);
	if (ops)
		ops->exited(io->user, exit);
	pthread_mutex_lock(&io->lock);
	io->state = STDIO_ENDED;
	if (io->input)
		rpc_stream_cancel(io->input);
	stdio_wake_all_locked(io);
	pthread_mutex_unlock(&io->lock);
}

static void stdio_end_lost(struct stdio *io)
{
	struct stdio_exit exit = {
		.code = STDIO_LOST_CODE, .at_ns = clock_realtime_ns(), .lost = true};

	stdio_end(io, &exit);
}

static void stdio_end_failed(struct stdio *io, int status, const char *text)
{
	const struct stdio_ops *ops;

	pthread_mutex_lock(&io->lock);
	ops = io->ops;
	pthread_mutex_unlock(&io->lock);
	if (ops)
		ops->start_failed(io->user, status, text);
	stdio_end(io, NULL);
}

static void stdio_on_started(struct stdio *io, const Arca__V1__Started *started)
{
	const struct stdio_ops *ops = NULL;

	pthread_mutex_lock(&io->lock);
	if (io->state == STDIO_STARTING) {
		io->state = STDIO_RUNNING;
		if (io->resumed && !io->log) /* nobody knows where we were: begin where it does */
			io->next = io->acked = started->offset;
		ops = io->ops;
	}
	pthread_mutex_unlock(&io->lock);
	if (!ops)
		return;
	ops->started(io->user, started->pid);
	pthread_mutex_lock(&io->lock);
	if (io->rows && io->cols)
		(void)stdio_resize_send(io); /* the next resize says it again */
	stdio_wake_all_locked(io);
	pthread_mutex_unlock(&io->lock);
}

/* Return: false if the agent broke the rules. */
static bool stdio_on_output(struct stdio *io, ProtobufCMessage *message,
			    const Arca__V1__OutputChunk *chunk)
{
	uint64_t offset = chunk->offset, len = chunk->data.len, drop;

	if (io->state != STDIO_RUNNING || chunk->stream < 1 || chunk->stream > 2 ||
	    offset > UINT64_MAX / 2 || offset + len > io->acked + STDIO_UNACKED_MAX) {
		protobuf_c_message_free_unpacked(message, NULL);
		return false;
	}
	if (io->log)
		(void)container_log_append(io->log, (int)chunk->stream, offset, chunk->at_ns,
					   chunk->data.data, len); /* it said so */
	drop = offset < io->next ? MIN(len, io->next - offset) : 0;
	if (drop == len) {
		protobuf_c_message_free_unpacked(message, NULL);
	} else {
		io->next = offset + len;
		stdio_push(io, message, (int)chunk->stream, offset + drop, chunk->data.data + drop,
			   len - drop);
	}
	stdio_ack_locked(io, false);
	return io->cost <= STDIO_COST_MAX;
}

static void stdio_on_exited(struct stdio *io, const Arca__V1__ExitStatus *status)
{
	struct stdio_exit exit = {.code = status->code & 255,
				  .oom_killed = status->oom_killed,
				  .at_ns = status->at_ns};
	int64_t now = clock_realtime_ns();

	if (exit.at_ns <= 0 || exit.at_ns > now)
		exit.at_ns = now;
	stdio_end(io, &exit);
}

static void stdio_attach_message(void *user, ProtobufCMessage *message)
{
	struct stdio *io = user;
	Arca__V1__ProcessEvent *event = (Arca__V1__ProcessEvent *)message;
	bool good = true;

	switch (event->of_case) {
	case ARCA__V1__PROCESS_EVENT__OF_STARTED:
		stdio_on_started(io, event->started);
		break;
	case ARCA__V1__PROCESS_EVENT__OF_OUTPUT:
		pthread_mutex_lock(&io->lock);
		good = stdio_on_output(io, message, event->output);
		if (!good && io->attach)
			rpc_stream_cancel(io->attach);
		pthread_mutex_unlock(&io->lock);
		if (!good) {
			log_error("the agent broke the rules for the output of %.12s", io->id);
			stdio_end_lost(io);
		}
		return; /* the message was handed on */
	case ARCA__V1__PROCESS_EVENT__OF_EXITED:
		stdio_on_exited(io, event->exited);
		break;
	default:
		break; /* of a newer agent */
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

static void stdio_attach_closed(void *user, enum rpc_status status, const char *text)
{
	struct stdio *io = user;
	enum stdio_state state;
	bool resumed;

	pthread_mutex_lock(&io->lock);
	io->attach = NULL;
	io->rpc = NULL;
	state = io->state;
	resumed = io->resumed;
	pthread_mutex_unlock(&io->lock);
	if (state == STDIO_STARTING && !resumed)
		stdio_end_failed(io, status == RPC_OK ? RPC_INTERNAL : (int)status, text);
	else if (state != STDIO_ENDED && status != RPC_UNAVAILABLE && status != RPC_CANCELLED)
		stdio_end_lost(io); /* the agent has forgotten it */
	stdio_unref(io);
}

static const struct rpc_stream_ops stdio_attach_ops = {
	.message = stdio_attach_message,
	.closed = stdio_attach_closed,
};

static int stdio_open(struct stdio *io, struct rpc_client *rpc, Arca__V1__AttachControl *control,
		      bool resumed, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&io->lock);
	if (io->attach || io->state == STDIO_ENDED || (!resumed && io->state != STDIO_NEW)) {
		r = -EALREADY;
	} else {
		io->state = STDIO_STARTING;
		io->resumed = resumed;
		stdio_ref_locked(io);
		r = rpc_stream_open(rpc, "/arca.v1.Process/Attach", &control->base,
				    &arca__v1__process_event__descriptor, &stdio_attach_ops, io,
				    &io->attach);
		if (r < 0) {
			io->attach = NULL;
			io->state = STDIO_NEW;
			io->refs--; /* the owner has one */
		} else {
			io->rpc = rpc;
		}
	}
	pthread_mutex_unlock(&io->lock);
	if (r < 0)
		return err_sys(err, r, "cannot reach the agent for %.12s", io->id);
	return 0;
}

/**
 * stdio_start() - Start the process and serve its streams
 * @io:	   Streams that were not started yet
 * @rpc:   The sandbox's agent; must stay valid until exited, start_failed or stdio_free()
 * @start: What to start
 * @err:   Filled on failure
 *
 * Returns at once; ops->started or ops->start_failed follows on the loop thread. The log begins a
 * new run.
 *
 * Return: 0, or negative errno (no callback follows; the streams may be started again)
 */
int stdio_start(struct stdio *io, struct rpc_client *rpc, const Arca__V1__StartRequest *start,
		struct err *err)
{
	Arca__V1__AttachControl control = ARCA__V1__ATTACH_CONTROL__INIT;

	control.of_case = ARCA__V1__ATTACH_CONTROL__OF_START;
	control.start = (Arca__V1__StartRequest *)start; /* only packed */
	if (io->log)
		container_log_restart(io->log);
	return stdio_open(io, rpc, &control, false, err);
}

/**
 * stdio_resume() - Serve the streams of a process that was started before
 * @io:	 Streams; new ones, or ones whose channel broke
 * @rpc: As for stdio_start()
 * @err: Filled on failure
 *
 * Output comes from where the log is durable. ops->started follows, or ops->exited at once for a
 * process that has ended, with `lost` if the agent does not know it.
 *
 * Return: 0, or negative errno (no callback follows)
 */
int stdio_resume(struct stdio *io, struct rpc_client *rpc, struct err *err)
{
	Arca__V1__AttachControl control = ARCA__V1__ATTACH_CONTROL__INIT;
	Arca__V1__ResumeRequest resume = ARCA__V1__RESUME_REQUEST__INIT;

	pthread_mutex_lock(&io->lock);
	if (io->log) {
		container_log_resume(io->log);
		io->acked = container_log_durable(io->log);
		io->next = MAX(io->next, io->acked);
	}
	resume.from = io->log ? io->acked : io->next;
	pthread_mutex_unlock(&io->lock);
	resume.id = io->id;
	control.of_case = ARCA__V1__ATTACH_CONTROL__OF_RESUME;
	control.resume = &resume;
	return stdio_open(io, rpc, &control, true, err);
}

static void stdio_on_lost(void *user)
{
	struct stdio *io = user;
	enum stdio_state state;

	pthread_mutex_lock(&io->lock);
	state = io->state;
	pthread_mutex_unlock(&io->lock);
	if (state == STDIO_NEW)
		stdio_end(io, NULL);
	else if (state == STDIO_STARTING && !io->resumed)
		stdio_end_failed(io, RPC_UNAVAILABLE, "the sandbox ended");
	else
		stdio_end_lost(io);
	stdio_unref(io);
}

/**
 * stdio_lost() - The sandbox is gone, or the run will never come: end everything
 * @io: Streams; any thread
 *
 * What was running ends with exited(lost); what was being started, with start_failed; what never
 * began just lets its clients go.
 */
void stdio_lost(struct stdio *io)
{
	pthread_mutex_lock(&io->lock);
	stdio_ref_locked(io);
	pthread_mutex_unlock(&io->lock);
	if (loop_post(io->loop, stdio_on_lost, io) < 0) {
		log_error("out of memory: the end of %.12s is not told", io->id);
		stdio_unref(io);
	}
}

static void stdio_on_free(void *user)
{
	struct stdio *io = user;

	stdio_drop_timer(io);
	pthread_mutex_lock(&io->lock);
	io->ops = NULL;
	io->log = NULL;
	io->kicked = io->state != STDIO_ENDED;
	if (io->attach)
		rpc_stream_cancel(io->attach);
	if (io->input)
		rpc_stream_cancel(io->input);
	stdio_wake_all_locked(io);
	pthread_mutex_unlock(&io->lock);
}

/**
 * stdio_free() - Let go of the streams; no callback follows
 * @io: Streams or NULL; not on the loop thread
 *
 * Clients of a run that ended go on until they have everything; others are detached. The process
 * itself, if it runs, goes on.
 */
void stdio_free(struct stdio *io)
{
	if (!io)
		return;
	assert(!loop_on_thread(io->loop));
	(void)loop_call(io->loop, stdio_on_free, io); /* fails without memory only: then it leaks */
	stdio_unref(io);
}
