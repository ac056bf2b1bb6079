/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - unary calls on processes and containers: signals, sizes, limits, release */
#include "agent/control.h"

#include <errno.h>
#include <signal.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/container.h"
#include "agent/process.h"
#include "agent/report.h"
#include "agent/tty.h"

static void control_answer(struct rpc_server_call *call, int r, const char *what)
{
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct err err = {0};

	if (r == 0) {
		rpc_server_reply(call, &empty.base);
		return;
	}
	(void)err_sys(&err, r, "%s", what);
	rpc_server_finish(call, RPC_INTERNAL, err.msg);
}

static struct process *control_process(struct rpc_server_call *call, const char *id)
{
	struct process *p = process_find(agent_of(call), id);

	if (!p)
		rpc_server_finish(call, RPC_NOT_FOUND, "no such process");
	return p;
}

static struct container *control_container(struct rpc_server_call *call, const char *id)
{
	struct container *c = container_find(agent_of(call), id);

	if (!c)
		rpc_server_finish(call, RPC_NOT_FOUND, "no such container");
	return c;
}

/**
 * control_signal() - Signal(SignalRequest): one process, or all of its container
 * @call:    Call
 * @message: Request
 */
void control_signal(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__SignalRequest *request = (const Arca__V1__SignalRequest *)message;
	struct process *p = control_process(call, request->id);
	int r = 0;

	if (!p)
		return;
	if (request->signal < 0 || request->signal > SIGRTMAX) {
		rpc_server_finish(call, RPC_INVALID_ARGUMENT, "no such signal");
		return;
	}
	if (p->pid <= 0) {
		rpc_server_finish(call, RPC_FAILED_PRECONDITION, "the process has exited");
		return;
	}
	if (request->all)
		r = cgroup_signal(&p->container->seed->cgroup, request->signal);
	else if (kill(p->pid, request->signal) < 0)
		r = -errno;
	control_answer(call, r, "cannot send the signal");
}

/**
 * control_resize() - Resize(ResizeRequest): of a terminal
 * @call:    Call
 * @message: Request
 */
void control_resize(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__ResizeRequest *request = (const Arca__V1__ResizeRequest *)message;
	struct process *p = control_process(call, request->id);

	if (!p)
		return;
	if (!p->tty || p->streams[0].fd < 0) {
		rpc_server_finish(call, RPC_FAILED_PRECONDITION, "the process has no terminal");
		return;
	}
	control_answer(call, tty_resize(p->streams[0].fd, request->rows, request->cols),
		       "cannot resize the terminal");
}

/**
 * control_release() - Release(ReleaseRequest): forget a process that exited
 * @call:    Call
 * @message: Request
 */
void control_release(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__ReleaseRequest *request = (const Arca__V1__ReleaseRequest *)message;
	struct process *p = control_process(call, request->id);

	if (!p)
		return;
	if (p->pid > 0 || p->state == PROCESS_STARTING) {
		rpc_server_finish(call, RPC_FAILED_PRECONDITION, "the process is running");
		return;
	}
	process_free(p);
	control_answer(call, 0, NULL);
}

/**
 * control_update() - Update(UpdateRequest): limits, live
 * @call:    Call
 * @message: Request
 */
void control_update(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__UpdateRequest *request = (const Arca__V1__UpdateRequest *)message;
	struct container *c = control_container(call, request->container_id);
	struct err err = {0};

	if (!c)
		return;
	if (cgroup_apply(&c->seed->cgroup, request->resources, &err) < 0) {
		rpc_server_finish(call, (enum rpc_status)report_status(&err), err.msg);
		return;
	}
	control_answer(call, 0, NULL);
}

/**
 * control_pause() - Pause(PauseRequest): freeze or thaw
 * @call:    Call
 * @message: Request
 */
void control_pause(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__PauseRequest *request = (const Arca__V1__PauseRequest *)message;
	struct container *c = control_container(call, request->container_id);

	if (c)
		control_answer(call, cgroup_freeze(&c->seed->cgroup, request->paused),
			       "cannot freeze the container");
}

/**
 * control_remove() - RemoveContainer(RemoveContainerRequest): kill, unmount, forget
 * @call:    Call
 * @message: Request
 */
void control_remove(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__RemoveContainerRequest *request =
		(const Arca__V1__RemoveContainerRequest *)message;
	struct container *c = control_container(call, request->container_id);

	if (c)
		control_answer(call, container_remove(agent_of(call), c),
			       "cannot unmount the container's disks");
}
