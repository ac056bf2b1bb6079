/* SPDX-License-Identifier: Apache-2.0 */
/* fake_agent.c - a server in a thread that answers Process.* as a test wants it */
#include "fake_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define FAKE_STOP (1ULL << 32) /* added to the eventfd that otherwise counts wake-ups */

/* Byte number `at` of a flood. */
unsigned char fake_byte(uint64_t at)
{
	return (unsigned char)((at * 2654435761u) >> 13);
}

/* The queue is full: write what can be written, in place of the thread, whose lock we hold. */
static void fake_make_room(struct fake_agent *a)
{
	struct pollfd p = {.fd = a->fd, .events = POLLOUT};

	(void)poll(&p, 1, 1000);
	(void)rpc_server_on_writable(a->server);
}

static void fake_send(struct fake_agent *a, Arca__V1__ProcessEvent *event)
{
	while (a->attach && rpc_server_send(a->attach, &event->base) == -EAGAIN)
		fake_make_room(a);
}

static int fake_send_chunk(struct fake_agent *a, uint32_t stream, uint64_t offset, const void *data,
			   size_t len)
{
	Arca__V1__ProcessEvent event = ARCA__V1__PROCESS_EVENT__INIT;
	Arca__V1__OutputChunk chunk = ARCA__V1__OUTPUT_CHUNK__INIT;

	chunk.stream = stream;
	chunk.offset = offset;
	chunk.at_ns = clock_realtime_ns();
	chunk.data.data = (uint8_t *)data;
	chunk.data.len = len;
	event.of_case = ARCA__V1__PROCESS_EVENT__OF_OUTPUT;
	event.output = &chunk;
	return a->attach ? rpc_server_send(a->attach, &event.base) : 0;
}

static void fake_send_started(struct fake_agent *a, uint64_t offset)
{
	Arca__V1__ProcessEvent event = ARCA__V1__PROCESS_EVENT__INIT;
	Arca__V1__Started started = ARCA__V1__STARTED__INIT;

	started.pid = 7;
	started.offset = offset;
	event.of_case = ARCA__V1__PROCESS_EVENT__OF_STARTED;
	event.started = &started;
	fake_send(a, &event);
}

static void fake_send_exit(struct fake_agent *a)
{
	Arca__V1__ProcessEvent event = ARCA__V1__PROCESS_EVENT__INIT;
	Arca__V1__ExitStatus status = ARCA__V1__EXIT_STATUS__INIT;
	struct rpc_server_call *call = a->attach;

	status.code = a->exit_code;
	status.at_ns = clock_realtime_ns();
	event.of_case = ARCA__V1__PROCESS_EVENT__OF_EXITED;
	event.exited = &status;
	fake_send(a, &event);
	a->attach = NULL;
	if (call) {
		call->data = NULL;
		rpc_server_finish(call, RPC_OK, NULL);
	}
}

static void fake_put(struct fake_agent *a, int stream, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_add(&a->kept_streams, &(char){(char)stream}, 1);
	buf_add(&a->kept, data, len);
	while (fake_send_chunk(a, (uint32_t)stream, a->produced, data, len) == -EAGAIN)
		fake_make_room(a);
	a->produced += len;
}

static void fake_flood(struct fake_agent *a)
{
	unsigned char data[32768];

	while (a->attach && a->produced < a->flood_total) {
		size_t len = MIN(sizeof(data), a->flood_total - a->produced);

		if (a->produced + len - a->acked > FAKE_UNACKED_MAX)
			return;
		for (size_t i = 0; i < len; i++)
			data[i] = fake_byte(a->produced + i);
		if (fake_send_chunk(a, 1, a->produced, data, len) < 0)
			return;
		a->produced += len;
		a->max_unacked = MAX(a->max_unacked, a->produced - a->acked);
	}
	if (a->attach && a->produced == a->flood_total) {
		a->exit_code = 3;
		a->exited = true;
		fake_send_exit(a);
	}
}

static void fake_join(char *out, size_t size, char *const *items, size_t n)
{
	*out = '\0';
	for (size_t i = 0; i < n; i++)
		(void)snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? "|" : "",
			       items[i]);
}

static void fake_on_start(struct fake_agent *a, struct rpc_server_call *call,
			  const Arca__V1__StartRequest *start)
{
	const Arca__V1__ProcessSpec *spec = start->process;

	a->starts++;
	(void)snprintf(a->id, sizeof(a->id), "%s", start->id);
	(void)snprintf(a->mode, sizeof(a->mode), "%s", spec && spec->n_args ? spec->args[0] : "");
	if (spec) {
		fake_join(a->args, sizeof(a->args), spec->args, spec->n_args);
		fake_join(a->env, sizeof(a->env), spec->env, spec->n_env);
		a->tty = spec->tty;
		a->rows = spec->rows;
		a->cols = spec->cols;
	}
	if (str_eq(a->mode, "missing")) {
		rpc_server_finish(call, RPC_NOT_FOUND,
				  "exec: \"missing\": executable file not found in $PATH");
		return;
	}
	a->attach = call;
	call->data = a;
	a->acked = a->produced = a->stdin_bytes = 0;
	a->exited = a->eof = false;
	buf_reset(&a->kept);
	buf_reset(&a->kept_streams);
	buf_reset(&a->stdin_data);
	a->started = true;
	if (!a->hold_start)
		fake_send_started(a, 0);
	if (str_eq(a->mode, "flood"))
		fake_flood(a);
}

static void fake_on_resume(struct fake_agent *a, struct rpc_server_call *call,
			   const Arca__V1__ResumeRequest *resume)
{
	uint64_t at = MAX(resume->from, a->acked);

	a->resumes++;
	a->resume_from = resume->from;
	if (!a->started || !str_eq(resume->id, a->id)) {
		rpc_server_finish(call, RPC_NOT_FOUND, "no such process");
		return;
	}
	a->attach = call;
	call->data = a;
	a->acked = at;
	fake_send_started(a, at);
	while (at < a->kept.len) {
		char stream = a->kept_streams.data[at];
		size_t len = 1;

		while (at + len < a->kept.len && a->kept_streams.data[at + len] == stream)
			len++;
		(void)fake_send_chunk(a, (uint32_t)stream, at, a->kept.data + at, len);
		at += len;
	}
	if (a->exited)
		fake_send_exit(a);
}

/* Echo what the channel takes; the rest waits, and so does its sender. */
static void fake_cat(struct fake_agent *a)
{
	while (a->attach && a->stdin_data.len) {
		size_t len = MIN(a->stdin_data.len, 32768);

		if (a->produced + len - a->acked > FAKE_UNACKED_MAX ||
		    fake_send_chunk(a, 1, a->produced, a->stdin_data.data, len) < 0)
			return;
		a->produced += len;
		buf_consume(&a->stdin_data, len);
		if (a->input)
			rpc_server_consume(a->input, len);
	}
	if (a->attach && a->eof) {
		a->exited = true;
		a->exit_code = 0;
		fake_send_exit(a);
	}
}

static void fake_on_attach(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__AttachControl *control = (const Arca__V1__AttachControl *)message;
	struct fake_agent *a = rpc_server_user(call->server);

	if (control->of_case == ARCA__V1__ATTACH_CONTROL__OF_START) {
		fake_on_start(a, call, control->start);
	} else if (control->of_case == ARCA__V1__ATTACH_CONTROL__OF_RESUME) {
		fake_on_resume(a, call, control->resume);
	} else if (control->of_case == ARCA__V1__ATTACH_CONTROL__OF_ACK) {
		a->acks++;
		a->acked = control->ack;
		if (str_eq(a->mode, "flood"))
			fake_flood(a);
		else if (str_eq(a->mode, "cat"))
			fake_cat(a);
	}
	pthread_cond_broadcast(&a->changed);
}

static void fake_attach_closed(struct rpc_server_call *call)
{
	struct fake_agent *a = rpc_server_user(call->server);

	if (a->attach == call)
		a->attach = NULL;
	pthread_cond_broadcast(&a->changed);
}

static void fake_attach_writable(struct rpc_server_call *call)
{
	struct fake_agent *a = rpc_server_user(call->server);

	if (a->attach == call && str_eq(a->mode, "flood"))
		fake_flood(a);
	else if (a->attach == call && str_eq(a->mode, "cat"))
		fake_cat(a);
}

static void fake_on_input(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__InputChunk *chunk = (const Arca__V1__InputChunk *)message;
	struct fake_agent *a = rpc_server_user(call->server);

	a->input = call;
	call->data = a;
	a->stdin_bytes += chunk->data.len;
	if (!str_eq(a->mode, "cat") && a->stdin_data.len < 65536)
		buf_add(&a->stdin_data, chunk->data.data, chunk->data.len);
	a->eof |= chunk->eof;
	if (str_eq(a->mode, "cat")) {
		buf_add(&a->stdin_data, chunk->data.data, chunk->data.len);
		fake_cat(a);
	} else if (!a->refuse_input) {
		rpc_server_consume(call, chunk->data.len);
	}
	pthread_cond_broadcast(&a->changed);
}

static void fake_input_end(struct rpc_server_call *call)
{
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;

	rpc_server_reply(call, &empty.base);
}

static void fake_input_closed(struct rpc_server_call *call)
{
	struct fake_agent *a = rpc_server_user(call->server);

	if (a->input == call)
		a->input = NULL;
}

static void fake_on_resize(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__ResizeRequest *request = (const Arca__V1__ResizeRequest *)message;
	struct fake_agent *a = rpc_server_user(call->server);
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;

	a->rows = request->rows;
	a->cols = request->cols;
	rpc_server_reply(call, &empty.base);
	pthread_cond_broadcast(&a->changed);
}

static void fake_on_release(struct rpc_server_call *call, const ProtobufCMessage *message UNUSED)
{
	struct fake_agent *a = rpc_server_user(call->server);
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;

	a->releases++;
	a->started = false;
	rpc_server_reply(call, &empty.base);
	pthread_cond_broadcast(&a->changed);
}

static const struct rpc_method fake_methods[] = {
	{.path = "/arca.v1.Process/Attach",
	 .request_type = &arca__v1__attach_control__descriptor,
	 .message = fake_on_attach,
	 .closed = fake_attach_closed,
	 .writable = fake_attach_writable},
	{.path = "/arca.v1.Process/Input",
	 .request_type = &arca__v1__input_chunk__descriptor,
	 .message = fake_on_input,
	 .half_closed = fake_input_end,
	 .closed = fake_input_closed,
	 .manual_consume = true},
	{.path = "/arca.v1.Process/Resize",
	 .request_type = &arca__v1__resize_request__descriptor,
	 .message = fake_on_resize},
	{.path = "/arca.v1.Process/Release",
	 .request_type = &arca__v1__release_request__descriptor,
	 .message = fake_on_release},
	{NULL},
};

static void fake_on_reset(void *user UNUSED)
{
}

static void *fake_thread(void *user)
{
	struct fake_agent *a = user;
	bool dead = false;

	for (;;) {
		struct pollfd fds[2] = {{.fd = a->fd, .events = POLLIN},
					{.fd = a->wake_fd, .events = POLLIN}};
		uint64_t count = 0;

		pthread_mutex_lock(&a->lock);
		if (rpc_server_wants_write(a->server))
			fds[0].events |= POLLOUT;
		pthread_mutex_unlock(&a->lock);
		if (dead)
			fds[0].fd = -1;
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents) {
			(void)!read(a->wake_fd, &count, sizeof(count));
			if (count >= FAKE_STOP)
				return NULL;
		}
		pthread_mutex_lock(&a->lock);
		if (fds[0].revents & ~POLLOUT)
			dead = rpc_server_on_readable(a->server) < 0;
		if (!dead)
			(void)rpc_server_on_writable(a->server);
		pthread_mutex_unlock(&a->lock);
	}
}

int fake_agent_start(struct fake_agent *a)
{
	int fds[2], r;

	memset(a, 0, sizeof(*a));
	(void)signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	a->fd = fds[0];
	a->client_fd = fds[1];
	a->wake_fd = eventfd(0, EFD_CLOEXEC);
	r = rpc_server_new(a->fd, fake_methods, fake_on_reset, a, &a->server);
	return r < 0 ? r : -pthread_create(&a->thread, NULL, fake_thread, a);
}

void fake_agent_stop(struct fake_agent *a)
{
	(void)eventfd_write(a->wake_fd, FAKE_STOP);
	pthread_join(a->thread, NULL);
	rpc_server_free(a->server);
	close(a->fd);
	close(a->client_fd);
	close(a->wake_fd);
	buf_done(&a->kept);
	buf_done(&a->kept_streams);
	buf_done(&a->stdin_data);
}

/* A client on the channel; another may follow it. */
int fake_agent_connect(struct fake_agent *a, struct loop *loop, struct rpc_client **ret_client)
{
	int fd = fcntl(a->client_fd, F_DUPFD_CLOEXEC, 0);

	return rpc_client_new(loop, fd, NULL, NULL, NULL, ret_client);
}

void fake_agent_say(struct fake_agent *a, int stream, const char *text)
{
	pthread_mutex_lock(&a->lock);
	fake_put(a, stream, text, strlen(text));
	pthread_mutex_unlock(&a->lock);
	(void)eventfd_write(a->wake_fd, 1);
}

/* Output that says it is at @offset, whatever was sent before. */
void fake_agent_lie(struct fake_agent *a, int stream, uint64_t offset, const void *data, size_t len)
{
	int r;

	do {
		pthread_mutex_lock(&a->lock);
		r = fake_send_chunk(a, (uint32_t)stream, offset, data, len);
		pthread_mutex_unlock(&a->lock);
		(void)eventfd_write(a->wake_fd, 1);
		if (r == -EAGAIN)
			(void)usleep(1000); /* the thread reads what makes room */
	} while (r == -EAGAIN);
}

void fake_agent_exit(struct fake_agent *a, int code)
{
	pthread_mutex_lock(&a->lock);
	a->exited = true;
	a->exit_code = code;
	fake_send_exit(a);
	pthread_mutex_unlock(&a->lock);
	(void)eventfd_write(a->wake_fd, 1);
}

static bool fake_wait(struct fake_agent *a, const bool *flag, const uint64_t *count, uint64_t want)
{
	struct timespec until;
	bool ok;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&a->lock);
	while (!(ok = flag ? *flag : *count >= want) && r == 0)
		r = pthread_cond_timedwait(&a->changed, &a->lock, &until);
	pthread_mutex_unlock(&a->lock);
	return ok;
}

bool fake_agent_wait(struct fake_agent *a, const bool *flag)
{
	return fake_wait(a, flag, NULL, 0);
}

bool fake_agent_wait_input(struct fake_agent *a, uint64_t bytes)
{
	return fake_wait(a, NULL, &a->stdin_bytes, bytes);
}
