/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - who listens to a process: `started`, chunks in order, `exited`
 *
 * One listener per process. A new one (after a reconnect, or because the daemon changed its mind)
 * takes over from the old, which ends. Nothing here keeps state that a dead connection could take
 * with it, but how far this listener was served.
 */
#include "agent/attach.h"

#include <errno.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/process.h"
#include "agent/report.h"
#include "agent/start.h"
#include "base/str.h"

static void attach_take_over(struct process *p, struct rpc_server_call *call)
{
	attach_fail(p, RPC_CANCELLED, "another client attached");
	p->attach = call;
	p->attach_greeted = false;
	call->data = p;
}

/**
 * attach_fail() - End the listener's call with an error
 * @p:	    Process; nothing happens if nobody listens
 * @status: enum rpc_status
 * @text:   Message
 */
void attach_fail(struct process *p, int status, const char *text)
{
	struct rpc_server_call *call = p->attach;

	if (!call)
		return;
	p->attach = NULL;
	call->data = NULL;
	rpc_server_finish(call, (enum rpc_status)status, text);
}

/**
 * attach_forget() - The process record goes away
 * @p: Process
 */
void attach_forget(struct process *p)
{
	attach_fail(p, RPC_NOT_FOUND, "the process was released");
}

static int attach_send_started(struct process *p)
{
	Arca__V1__ProcessEvent event = ARCA__V1__PROCESS_EVENT__INIT;
	Arca__V1__Started started = ARCA__V1__STARTED__INIT;
	int r;

	started.pid = p->started_pid;
	started.offset = p->output.sent;
	event.of_case = ARCA__V1__PROCESS_EVENT__OF_STARTED;
	event.started = &started;
	r = rpc_server_send(p->attach, &event.base);
	if (r == 0)
		p->attach_greeted = true;
	return r;
}

static int attach_send_chunk(struct process *p, const struct output_view *view)
{
	Arca__V1__ProcessEvent event = ARCA__V1__PROCESS_EVENT__INIT;
	Arca__V1__OutputChunk chunk = ARCA__V1__OUTPUT_CHUNK__INIT;
	int r;

	chunk.stream = view->stream;
	chunk.offset = view->offset;
	chunk.at_ns = view->at_ns;
	chunk.data.data = (uint8_t *)view->data;
	chunk.data.len = view->len;
	event.of_case = ARCA__V1__PROCESS_EVENT__OF_OUTPUT;
	event.output = &chunk;
	r = rpc_server_send(p->attach, &event.base);
	if (r == 0)
		output_sent(&p->output, view->len);
	return r;
}

static void attach_send_exited(struct process *p)
{
	Arca__V1__ProcessEvent event = ARCA__V1__PROCESS_EVENT__INIT;
	Arca__V1__ExitStatus status = ARCA__V1__EXIT_STATUS__INIT;
	struct rpc_server_call *call = p->attach;

	process_fill_exit(p, &status);
	event.of_case = ARCA__V1__PROCESS_EVENT__OF_EXITED;
	event.exited = &status;
	if (rpc_server_send(call, &event.base) < 0)
		return; /* tried again when it is writable */
	p->attach = NULL;
	call->data = NULL;
	rpc_server_finish(call, RPC_OK, NULL);
}

/**
 * attach_pump() - Send the listener everything it can take
 * @p: Process, in any state
 */
void attach_pump(struct process *p)
{
	struct output_view view;

	if (!p->attach || p->state == PROCESS_STARTING || p->state == PROCESS_FAILED)
		return;
	if (!p->attach_greeted && attach_send_started(p) < 0)
		return;
	while (p->attach && output_peek(&p->output, &view)) {
		if (attach_send_chunk(p, &view) < 0)
			return;
	}
	if (p->attach && p->state == PROCESS_ENDED)
		attach_send_exited(p);
}

static void attach_start(struct rpc_server_call *call, const Arca__V1__StartRequest *request)
{
	struct agent *agent = agent_of(call);
	struct process *p = NULL;
	struct err err = {0};
	int r = start_process(agent, request, &p, &err);

	if (r < 0) {
		rpc_server_finish(call, (enum rpc_status)report_status(&err), err.msg);
		return;
	}
	attach_take_over(p, call);
}

static void attach_resume(struct rpc_server_call *call, const Arca__V1__ResumeRequest *request)
{
	struct process *p = process_find(agent_of(call), request->id);

	if (!p) {
		rpc_server_finish(call, RPC_NOT_FOUND, "no such process");
		return;
	}
	if (output_rewind(&p->output, request->from) < 0) {
		rpc_server_finish(call, RPC_INVALID_ARGUMENT, "no output there yet");
		return;
	}
	attach_take_over(p, call);
	process_watch_streams(p);
	attach_pump(p);
}

/**
 * attach_message() - Start, resume or acknowledge
 * @call:    Call
 * @message: Message
 */
void attach_message(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__AttachControl *control = (const Arca__V1__AttachControl *)message;
	struct process *p = call->data;

	switch (control->of_case) {
	case ARCA__V1__ATTACH_CONTROL__OF_START:
		if (!p)
			attach_start(call, control->start);
		break;
	case ARCA__V1__ATTACH_CONTROL__OF_RESUME:
		if (!p)
			attach_resume(call, control->resume);
		break;
	case ARCA__V1__ATTACH_CONTROL__OF_ACK:
		if (!p)
			break;
		output_ack(&p->output, control->ack);
		process_watch_streams(p);
		break;
	default:
		rpc_server_finish(call, RPC_INVALID_ARGUMENT, "unknown control message");
	}
}

/**
 * attach_closed() - The listener is gone; the process stays
 * @call: Call
 */
void attach_closed(struct rpc_server_call *call)
{
	struct process *p = call->data;

	if (p && p->attach == call)
		p->attach = NULL;
}

/**
 * attach_writable() - The listener can take more
 * @call: Call
 */
void attach_writable(struct rpc_server_call *call)
{
	if (call->data)
		attach_pump(call->data);
}
