/* SPDX-License-Identifier: Apache-2.0 */
/* test-qmp.c - QMP against a server that is anything but QEMU */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/str.h"
#include "unit/test.h"
#include "vm/qmp.h"

#define GREETING "{\"QMP\":{\"version\":{},\"capabilities\":[\"oob\"]}}\r\n"

/* The far end: a thread that runs one script over its socket. */
struct server {
	int fd;
	void (*script)(struct server *s);
	pthread_t thread;
	int passed_fd; /* received with a command */
};

struct fixture {
	struct loop *loop;
	struct qmp *qmp;
	struct server server;
	atomic_int events, closed, reason;
	char last_event[64];
};

static void server_say(struct server *s, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = send(s->fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

/* One command; its id, or -1 at the end. */
static long long server_hear(struct server *s, char *name, size_t size)
{
	char line[4096], control[CMSG_SPACE(sizeof(int))];
	long long id;
	size_t len = 0;
	json_t *o;

	while (len < sizeof(line) - 1) {
		struct iovec iov = {line + len, 1};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};

		if (recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC) <= 0)
			return -1;
		if (msg.msg_controllen > 0 && CMSG_FIRSTHDR(&msg))
			memcpy(&s->passed_fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		if (line[len++] == '\n')
			break;
	}
	o = json_loadb(line, len, 0, NULL);
	id = json_integer_value(json_object_get(o, "id"));
	(void)snprintf(name, size, "%s",
		       json_string_value(json_object_get(o, "execute")) ?: "garbage");
	json_decref(o);
	return id;
}

static void server_answer(struct server *s, long long id, const char *what)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "{\"id\":%lld,%s}\r\n", id, what);
	server_say(s, text);
}

static void *server_main(void *arg)
{
	struct server *s = arg;

	s->script(s);
	(void)shutdown(s->fd, SHUT_RDWR);
	return NULL;
}

static void on_event(void *user, const char *event, json_t *data)
{
	struct fixture *f = user;

	(void)data;
	(void)snprintf(f->last_event, sizeof(f->last_event), "%s", event);
	f->events++;
}

static void on_closed(void *user, int reason)
{
	struct fixture *f = user;

	f->reason = reason;
	f->closed++;
}

static void set_up(struct fixture *f, void (*script)(struct server *s))
{
	int fds[2];

	*f = (struct fixture){.server = {.script = script, .passed_fd = -1}};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || loop_new(&f->loop) < 0)
		abort();
	f->server.fd = fds[1];
	if (qmp_new(f->loop, fds[0], on_event, on_closed, f, &f->qmp) < 0)
		abort();
	if (pthread_create(&f->server.thread, NULL, server_main, &f->server) != 0)
		abort();
}

static void tear_down(struct fixture *f)
{
	qmp_free(f->qmp);
	pthread_join(f->server.thread, NULL);
	close(f->server.fd);
	loop_free(f->loop);
}

static bool wait_for(atomic_int *value, int at_least)
{
	for (int i = 0; i < 500 && *value < at_least; i++)
		usleep(10000);
	return *value >= at_least;
}

static void script_polite(struct server *s)
{
	char name[64], text[128];
	long long id;

	server_say(s, GREETING);
	while ((id = server_hear(s, name, sizeof(name))) > 0) {
		(void)snprintf(text, sizeof(text), "\"return\":{\"was\":\"%s\"}", name);
		server_answer(s, id, text);
	}
}

TEST(a_call_gets_its_answer)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};
	json_t *reply = NULL;

	set_up(&f, script_polite);
	ASSERT_OK(qmp_call(f.qmp, "query-status", NULL, 5000, &reply, &err));
	ASSERT_STREQ(json_string_value(json_object_get(reply, "was")), "query-status");
	json_decref(reply);
	ASSERT_OK(qmp_call(f.qmp, "quit", json_object(), 5000, NULL, &err));
}

TEST(a_group_is_answered_by_its_last)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	const struct qmp_cmd cmds[] = {{.name = "one"}, {.name = "two"}, {.name = "three"}};
	struct err err = {};
	json_t *reply = NULL;

	set_up(&f, script_polite);
	ASSERT_OK(qmp_run(f.qmp, cmds, 3, 5000, &reply, &err));
	ASSERT_STREQ(json_string_value(json_object_get(reply, "was")), "three");
	json_decref(reply);
}

static void script_second_fails(struct server *s)
{
	char name[64];
	long long id;

	for (int i = 0; (id = server_hear(s, name, sizeof(name))) > 0; i++)
		server_answer(
			s, id,
			i == 1 ? "\"error\":{\"class\":\"GenericError\",\"desc\":\"no such thing\"}"
			       : "\"return\":{}");
}

TEST(the_first_error_of_a_group_is_reported)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	const struct qmp_cmd cmds[] = {{.name = "one"}, {.name = "two"}, {.name = "three"}};
	struct err err = {};
	json_t *reply = (json_t *)7;

	set_up(&f, script_second_fails);
	ASSERT_ERROR(qmp_run(f.qmp, cmds, 3, 5000, &reply, &err), EIO);
	ASSERT(reply == (json_t *)7);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT_STREQ(err.msg, "QEMU: no such thing");
	ASSERT_OK(qmp_call(f.qmp, "four", NULL, 5000, NULL, &err));
}

static void script_events(struct server *s)
{
	char name[64];
	long long id = server_hear(s, name, sizeof(name));

	server_say(s, "{\"event\":\"STOP\"}\r\n{\"event\":\"RES");
	usleep(20000);
	server_say(s, "UME\",\"data\":{\"x\":1}}\r\n");
	server_answer(s, 999, "\"return\":{}"); /* nobody asked */
	server_say(s, "{\"return\":{}}\n{\"id\":\"x\",\"return\":1}\n{\"event\":7}\n{}\n\n");
	server_answer(s, id, "\"return\":{}");
	(void)server_hear(s, name, sizeof(name));
}

TEST(events_come_between_and_in_pieces)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_events);
	ASSERT_OK(qmp_call(f.qmp, "x", NULL, 5000, NULL, &err));
	ASSERT_EQ(f.events, 2);
	ASSERT_STREQ(f.last_event, "RESUME");
	ASSERT_EQ(f.closed, 0);
}

static void script_mute(struct server *s)
{
	char name[64];

	while (server_hear(s, name, sizeof(name)) > 0)
		;
}

/* Goal: a QEMU that never answers costs the caller its patience, and nothing else. */
TEST(a_mute_server_times_out)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_mute);
	ASSERT_ERROR(qmp_call(f.qmp, "x", NULL, 50, NULL, &err), ETIMEDOUT);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT_EQ(f.closed, 0);
}

static void script_told(struct server *s)
{
	char name[64];
	long long told = server_hear(s, name, sizeof(name));
	long long asked;

	if (strcmp(name, "cont") != 0)
		return;
	asked = server_hear(s, name, sizeof(name));
	server_answer(s, told, "\"return\":{}");
	server_answer(s, asked, "\"return\":{}");
	(void)server_hear(s, name, sizeof(name)); /* told again; hangs up */
}

/* Goal: who tells does not wait, and leaves nothing behind, with an answer or without. */
TEST(telling_waits_for_nothing)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_told);
	ASSERT_OK(qmp_tell(f.qmp, "cont"));
	ASSERT_OK(qmp_call(f.qmp, "x", NULL, 5000, NULL, &err));
	ASSERT_OK(qmp_tell(f.qmp, "cont"));
	while (qmp_tell(f.qmp, "cont") == 0)
		(void)usleep(1000);
	ASSERT_ERROR(qmp_tell(f.qmp, "cont"), EPIPE);
}

static void script_late(struct server *s)
{
	char name[64];
	long long first = server_hear(s, name, sizeof(name));
	long long second = server_hear(s, name, sizeof(name));

	server_answer(s, first, "\"error\":{\"desc\":\"late\"}");
	server_answer(s, second, "\"return\":{}");
	(void)server_hear(s, name, sizeof(name));
}

TEST(a_late_answer_is_not_the_next_ones)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_late);
	ASSERT_ERROR(qmp_call(f.qmp, "x", NULL, 50, NULL, &err), ETIMEDOUT);
	ASSERT_OK(qmp_call(f.qmp, "y", NULL, 5000, NULL, &err));
}

static void script_hang_up(struct server *s)
{
	char name[64];

	(void)server_hear(s, name, sizeof(name));
}

TEST(a_hang_up_ends_the_call_and_is_told_once)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_hang_up);
	ASSERT_ERROR(qmp_call(f.qmp, "x", NULL, 5000, NULL, &err), EPIPE);
	ASSERT(wait_for(&f.closed, 1));
	ASSERT_ERROR(qmp_call(f.qmp, "y", NULL, 5000, NULL, &err), EPIPE);
	ASSERT_EQ(f.closed, 1);
}

static void script_garbage(struct server *s)
{
	server_say(s, GREETING "{\"event\":\n");
	script_mute(s);
}

TEST(garbage_ends_the_connection)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_garbage);
	ASSERT(wait_for(&f.closed, 1));
	ASSERT_EQ(f.reason, -EBADMSG);
	ASSERT_ERROR(qmp_call(f.qmp, "x", NULL, 5000, NULL, &err), EPIPE);
}

static void script_array(struct server *s)
{
	server_say(s, "[1,2]\n");
	script_mute(s);
}

TEST(a_line_that_is_no_object_ends_the_connection)
{
	__attribute__((cleanup(tear_down))) struct fixture f;

	set_up(&f, script_array);
	ASSERT(wait_for(&f.closed, 1));
	ASSERT_EQ(f.reason, -EBADMSG);
}

static void script_deep(struct server *s)
{
	char *text = malloc(400002);

	memset(text, '[', 400000);
	text[400000] = '\n';
	text[400001] = '\0';
	server_say(s, text);
	free(text);
	script_mute(s);
}

TEST(deep_nesting_ends_the_connection)
{
	__attribute__((cleanup(tear_down))) struct fixture f;

	set_up(&f, script_deep);
	ASSERT(wait_for(&f.closed, 1));
	ASSERT_EQ(f.reason, -EBADMSG);
}

static void script_endless(struct server *s)
{
	char chunk[65537];

	memset(chunk, 'x', sizeof(chunk) - 1);
	chunk[65536] = '\0';
	for (int i = 0; i < 64; i++)
		server_say(s, chunk);
}

/* Goal: memory for a line is bounded, whatever comes. */
TEST(an_endless_line_ends_the_connection)
{
	__attribute__((cleanup(tear_down))) struct fixture f;

	set_up(&f, script_endless);
	ASSERT(wait_for(&f.closed, 1));
	ASSERT_EQ(f.reason, -EMSGSIZE);
}

static void script_long(struct server *s)
{
	char name[64];
	long long id = server_hear(s, name, sizeof(name));
	char *text = malloc(600002);

	memset(text, ' ', 600000);
	memcpy(text, "{\"event\":\"A\",", 13);
	memcpy(text + 599990, "\"b\":1}", 6);
	text[600000] = '\n';
	text[600001] = '\0';
	server_say(s, text);
	free(text);
	server_answer(s, id, "\"return\":{}");
	(void)server_hear(s, name, sizeof(name));
}

TEST(a_long_line_below_the_limit_is_read)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	struct err err = {};

	set_up(&f, script_long);
	ASSERT_OK(qmp_call(f.qmp, "x", NULL, 5000, NULL, &err));
	ASSERT_EQ(f.events, 1);
}

TEST(a_descriptor_travels_with_its_command)
{
	__attribute__((cleanup(tear_down))) struct fixture f;
	int fds[2];
	struct qmp_cmd cmds[] = {{.name = "a"}, {.name = "getfd"}, {.name = "b"}};
	struct err err = {};
	char byte = 0;

	set_up(&f, script_polite);
	ASSERT_OK(pipe2(fds, O_CLOEXEC));
	cmds[1].pass_fd = fds[1];
	ASSERT_OK(qmp_run(f.qmp, cmds, 3, 5000, NULL, &err));
	close(fds[1]);
	ASSERT(f.server.passed_fd >= 0);
	ASSERT_EQ(write(f.server.passed_fd, "y", 1), 1);
	close(f.server.passed_fd);
	ASSERT_EQ(read(fds[0], &byte, 1), 1);
	ASSERT_EQ(byte, 'y');
	close(fds[0]);
}

TEST(freeing_tells_nobody)
{
	struct fixture f;

	set_up(&f, script_mute);
	tear_down(&f);
	ASSERT_EQ(f.closed, 0);
}

TEST_MAIN()
