/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.c - the VM itself: its identity, its end
 *
 * A clone shares the random generator's state, the clock and all ids with its template until the
 * first Hello: that reseeds and sets them before any container runs.
 */
#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/container.h"
#include "agent/network_service.h"
#include "agent/process.h"
#include "agent/report.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define SANDBOX_ENTROPY_MAX 512
#define SANDBOX_FAREWELL_NS (20 * NSEC_PER_MSEC)

/**
 * sandbox_prepare() - Open what Hello writes to
 * @agent: The agent, at boot
 *
 * A clone runs all code for the first time, which is slow where it is emulated: what can be opened
 * in the template is.
 *
 * Return: 0, or negative errno
 */
int sandbox_prepare(struct agent *agent)
{
	agent->random_fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	return agent->random_fd < 0 ? -errno : 0;
}

static int sandbox_add_entropy(int fd, const ProtobufCBinaryData *entropy)
{
	struct {
		struct rand_pool_info info;
		unsigned char bytes[SANDBOX_ENTROPY_MAX];
	} pool;

	if (entropy->len > sizeof(pool.bytes))
		return -EINVAL;
	pool.info.entropy_count = (int)entropy->len * 8;
	pool.info.buf_size = (int)entropy->len;
	memcpy(pool.info.buf, entropy->data, entropy->len);
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return -errno;
	return 0;
}

static int sandbox_set_clock(int64_t realtime_ns)
{
	struct timespec ts = {.tv_sec = realtime_ns / NSEC_PER_SEC,
			      .tv_nsec = realtime_ns % NSEC_PER_SEC};

	return clock_settime(CLOCK_REALTIME, &ts) < 0 ? -errno : 0;
}

static int sandbox_set_machine_id(struct agent *agent, const ProtobufCBinaryData *id)
{
	if (id->len != AGENT_MACHINE_ID_LEN)
		return -EINVAL;
	memcpy(agent->machine_id, id->data, id->len);
	return 0;
}

static int sandbox_identify(struct agent *agent, const Arca__V1__HelloRequest *request)
{
	int r = 0;

	if (request->entropy.len)
		r = sandbox_add_entropy(agent->random_fd, &request->entropy);
	if (r == 0 && request->realtime_ns > 0)
		r = sandbox_set_clock(request->realtime_ns);
	if (r == 0 && request->machine_id.len)
		r = sandbox_set_machine_id(agent, &request->machine_id);
	if (r == 0 && request->token.len == RPC_TOKEN_LEN)
		rpc_server_set_token(agent->server, request->token.data);
	return r;
}

/* One process for HelloResponse; the strings are the process's. */
static void sandbox_describe(const struct process *p, Arca__V1__ProcessState *state,
			     Arca__V1__ExitStatus *status)
{
	arca__v1__process_state__init(state);
	arca__v1__exit_status__init(status);
	state->id = p->id;
	state->container_id = p->container_id;
	state->pid = p->started_pid;
	state->acked = p->output.acked;
	state->produced = p->output.produced;
	state->stdin_open = p->input.fd >= 0 && !p->input.eof;
	if (p->state == PROCESS_ENDED) {
		process_fill_exit(p, status);
		state->exit = status;
	}
}

static size_t sandbox_count(const struct agent *agent, size_t *ret_containers)
{
	const struct container *c;
	const struct process *p;
	size_t n = 0, m = 0;

	DL_COUNT(agent->processes, p, n);
	DL_COUNT(agent->containers, c, m);
	*ret_containers = m;
	return n;
}

static void sandbox_answer_hello(struct rpc_server_call *call, struct agent *agent)
{
	Arca__V1__HelloResponse response = ARCA__V1__HELLO_RESPONSE__INIT;
	size_t n_containers, n = sandbox_count(agent, &n_containers), i = 0;
	_cleanup_free_ Arca__V1__ProcessState *states = calloc(n + 1, sizeof(*states));
	_cleanup_free_ Arca__V1__ProcessState **list = calloc(n + 1, sizeof(*list));
	_cleanup_free_ Arca__V1__ExitStatus *exits = calloc(n + 1, sizeof(*exits));
	_cleanup_free_ char **containers = calloc(n_containers + 1, sizeof(*containers));
	_cleanup_(network_report_done) struct network_report networks = {0};
	const struct container *c;
	const struct process *p;
	struct utsname uts;

	if (!states || !list || !exits || !containers || uname(&uts) < 0 ||
	    network_report_fill(&agent->networks, &response, &networks) < 0) {
		rpc_server_finish(call, RPC_INTERNAL, "out of memory");
		return;
	}
	DL_FOREACH (agent->processes, p) {
		if (p->state == PROCESS_FAILED)
			continue;
		sandbox_describe(p, &states[i], &exits[i]);
		list[i] = &states[i];
		i++;
	}
	response.processes = list;
	response.n_processes = i;
	i = 0;
	DL_FOREACH (agent->containers, c) {
		containers[i++] = c->id;
	}
	response.containers = containers;
	response.n_containers = i;
	response.agent_version = (char *)ARCA_VERSION;
	response.kernel_release = uts.release;
	rpc_server_reply(call, &response.base);
}

/**
 * sandbox_hello() - Hello(HelloRequest): who are you, and what have you got
 * @call:    Call
 * @message: Request
 */
void sandbox_hello(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	struct agent *agent = agent_of(call);
	const Arca__V1__HelloRequest *request = (const Arca__V1__HelloRequest *)message;
	int r = sandbox_identify(agent, request);
	struct err err = {0};

	if (r < 0)
		(void)err_sys(&err, r, "cannot take the clone's identity");
	else
		r = networks_hello(&agent->networks, request, &err);
	if (r < 0) {
		rpc_server_finish(call, (enum rpc_status)report_status(&err), err.msg);
		return;
	}
	sandbox_answer_hello(call, agent);
}

/**
 * sandbox_shutdown() - Shutdown(Empty): remove all containers, answer, power off
 * @call:    Call
 * @message: Request
 */
void sandbox_shutdown(struct rpc_server_call *call, const ProtobufCMessage *message UNUSED)
{
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct agent *agent = agent_of(call);

	agent->powering_off = true;
	while (agent->containers)
		(void)container_remove(agent, agent->containers); /* it logs */
	sync();
	rpc_server_reply(call, &empty.base);
}

static void sandbox_off(struct poll_timer *timer UNUSED)
{
	(void)reboot(RB_POWER_OFF);
	(void)reboot(RB_AUTOBOOT); /* a machine that cannot: QEMU runs with -no-reboot */
}

/**
 * sandbox_power_off() - After the answer to Shutdown has left us: give the host time to take it
 * @agent: Agent
 */
void sandbox_power_off(struct agent *agent)
{
	static struct poll_timer timer;

	agent->powering_off = false;
	poll_timer_set(&agent->poller, &timer, SANDBOX_FAREWELL_NS, sandbox_off);
}
