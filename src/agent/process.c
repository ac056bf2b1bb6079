/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - one process that the daemon started: a container's init or an exec
 *
 * DOC: Theory of operation
 *
 *	STARTING -> RUNNING -> EXITED -> ENDED		(forgotten by Release)
 *	STARTING -> FAILED				(forgotten when reaped)
 *
 * RUNNING begins when the report socket closes on execve (start.c). EXITED is entered by waitpid,
 * ENDED when stdout and stderr have ended too, or PROCESS_DRAIN_NS later: somebody may have
 * inherited them who lives on. While the output is full nobody reads, and the drain waits too.
 *
 * A record lives on without a client, a container, or a connection: what is not released can be
 * asked for.
 */
#include "agent/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/agent.h"
#include "agent/attach.h"
#include "agent/container.h"
#include "agent/start.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define PROCESS_DRAIN_NS (2 * NSEC_PER_SEC)
#define PROCESS_READS_MAX 8 /* of one stream before others get their turn */

/**
 * process_find() - By id
 * @agent: Agent
 * @id:	   Container id or exec id
 *
 * Return: borrowed, or NULL
 */
struct process *process_find(struct agent *agent, const char *id)
{
	struct process *p;

	DL_FOREACH (agent->processes, p) {
		if (str_eq(p->id, id))
			return p;
	}
	return NULL;
}

/**
 * process_new() - A record in state STARTING without a process
 * @agent:	 Agent
 * @request:	 Names it
 * @ret_process: Borrowed; set on success
 * @err:	 Filled on failure
 *
 * Return: 0 or negative errno
 */
int process_new(struct agent *agent, const Arca__V1__StartRequest *request,
		struct process **ret_process, struct err *err)
{
	struct process *p;

	if (str_empty(request->id) || !request->process)
		return err_user(err, ERR_INVALID, "a process needs an id and a specification");
	if (process_find(agent, request->id))
		return err_user(err, ERR_CONFLICT, "process %s exists", request->id);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	p->agent = agent;
	p->report_fd = -EBADF;
	for (uint32_t i = 0; i < ARRAY_SIZE(p->streams); i++)
		p->streams[i] =
			(struct process_stream){.process = p, .fd = -EBADF, .number = i + 1};
	input_init(&p->input, agent);
	p->is_init = request->container != NULL;
	p->tty = request->process->tty;
	p->id = strdup(request->id);
	p->container_id = strdup(p->is_init ? request->container->id : request->container_id);
	DL_APPEND(agent->processes, p);
	if (!p->id || !p->container_id) {
		process_free(p);
		return err_oom(err);
	}
	*ret_process = p;
	return 0;
}

static void process_close_stream(struct process_stream *s)
{
	poll_remove(&s->process->agent->poller, &s->watch);
	if (s->fd >= 0)
		(void)close(s->fd); /* read only */
	s->fd = -EBADF;
}

/**
 * process_free() - Forget a process; a listener's call must have been ended
 * @p: Freed
 */
void process_free(struct process *p)
{
	struct agent *agent = p->agent;

	attach_forget(p);
	poll_timer_cancel(&agent->poller, &p->drain);
	poll_remove(&agent->poller, &p->report);
	if (p->report_fd >= 0)
		(void)close(p->report_fd); /* a socket */
	for (size_t i = 0; i < ARRAY_SIZE(p->streams); i++)
		process_close_stream(&p->streams[i]);
	input_done(&p->input);
	output_done(&p->output);
	DL_DELETE(agent->processes, p);
	free(p->id);
	free(p->container_id);
	free(p->fail_text);
	free(p);
}

static void process_end_if_drained(struct process *p)
{
	if (p->state != PROCESS_EXITED || p->streams[0].fd >= 0 || p->streams[1].fd >= 0)
		return;
	p->state = PROCESS_ENDED;
	poll_timer_cancel(&p->agent->poller, &p->drain);
	input_close(&p->input);
	attach_pump(p);
}

/* Return: 1 when there may be more, 0 when not now or never */
static int process_read_stream(struct process_stream *s)
{
	static unsigned char buffer[OUTPUT_CHUNK_MAX];
	struct process *p = s->process;
	ssize_t n;

	if (s->fd < 0 || output_full(&p->output)) {
		/* A hang-up would be reported over and over: do not watch at all. */
		poll_remove(&p->agent->poller, &s->watch);
		return 0;
	}
	do {
		n = read(s->fd, buffer, sizeof(buffer));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		/* EIO is how a terminal says that its last user is gone. */
		process_close_stream(s);
		return 0;
	}
	if (output_add(&p->output, s->number, buffer, (size_t)n, clock_realtime_ns()) < 0)
		abort(); /* PID 1 without memory: the VM is lost, and says so */
	return 1;
}

static void process_stream_readable(struct poll_watch *watch, uint32_t events UNUSED)
{
	struct process_stream *s = container_of(watch, struct process_stream, watch);
	struct process *p = s->process;

	for (int i = 0; i < PROCESS_READS_MAX && process_read_stream(s); i++)
		;
	attach_pump(p);
	process_end_if_drained(p);
}

/**
 * process_watch_streams() - Read on, where the output has room
 * @p: Process
 */
void process_watch_streams(struct process *p)
{
	if (p->state == PROCESS_STARTING || output_full(&p->output))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(p->streams); i++) {
		struct process_stream *s = &p->streams[i];

		if (s->fd >= 0 && poll_add(&p->agent->poller, &s->watch, s->fd, EPOLLIN,
					   process_stream_readable) < 0)
			process_close_stream(s);
	}
}

/**
 * process_started() - Its execve went through
 * @p: In state STARTING
 */
void process_started(struct process *p)
{
	p->state = PROCESS_RUNNING;
	process_watch_streams(p);
	attach_pump(p);
}

/**
 * process_finish_output() - Take what the streams hold right now and close them
 * @p: Process
 */
void process_finish_output(struct process *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->streams); i++) {
		while (process_read_stream(&p->streams[i]))
			;
		process_close_stream(&p->streams[i]);
	}
	process_end_if_drained(p);
}

static void process_drain_timeout(struct poll_timer *timer)
{
	struct process *p = container_of(timer, struct process, drain);

	if (output_full(&p->output))
		poll_timer_set(&p->agent->poller, timer, PROCESS_DRAIN_NS, process_drain_timeout);
	else
		process_finish_output(p);
}

static void process_init_gone(struct process *p)
{
	struct container *c = p->container;

	c->init_alive = false;
	/* With its own pid namespace they are dead already. */
	(void)cgroup_kill(&c->seed->cgroup);
}

static void process_exited(struct process *p, int status)
{
	struct container *c = p->container;

	p->pid = 0;
	if (p->state == PROCESS_STARTING)
		start_conclude(p); /* its execve or its error may not have been read yet */
	p->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	p->exit_at_ns = clock_realtime_ns();
	p->oom_killed = c && cgroup_oom_killed(&c->seed->cgroup);
	if (p->is_init && c)
		process_init_gone(p);
	if (p->state == PROCESS_FAILED) {
		bool is_init = p->is_init;
		struct agent *agent = p->agent;

		attach_fail(p, p->fail_status, p->fail_text ? p->fail_text : "it failed");
		process_free(p);
		if (is_init && c)
			(void)container_remove(agent, c); /* it logs */
		return;
	}
	p->state = PROCESS_EXITED;
	poll_timer_set(&p->agent->poller, &p->drain, PROCESS_DRAIN_NS, process_drain_timeout);
	process_watch_streams(p);
	for (size_t i = 0; i < ARRAY_SIZE(p->streams); i++)
		while (process_read_stream(&p->streams[i]))
			;
	attach_pump(p);
	process_end_if_drained(p);
}

/**
 * process_reap() - Collect every child that ended
 * @agent: Agent
 */
void process_reap(struct agent *agent)
{
	struct process *p;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		DL_FOREACH (agent->processes, p) {
			if (p->pid == pid) {
				process_exited(p, status);
				break; /* others are orphans of containers in our pid namespace */
			}
		}
	}
}

/**
 * process_fill_exit() - Exit as the protocol has it
 * @p:	    Reaped process
 * @status: Filled
 */
void process_fill_exit(const struct process *p, Arca__V1__ExitStatus *status)
{
	status->code = p->exit_code;
	status->oom_killed = p->oom_killed;
	status->at_ns = p->exit_at_ns;
}
