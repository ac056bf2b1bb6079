/* SPDX-License-Identifier: Apache-2.0 */
/* test-exec.c - execs against a fake agent in a fake container, over a real store */
#include "core/exec.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/container_live.h"
#include "core/core.h"
#include "core/stdio.h"
#include "fake_agent.h"
#include "store/store.h"
#include "test.h"

#define CID "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"

struct rig {
	struct core core;
	struct fake_agent agent;
	struct rpc_client *rpc;
	char dir[64];
};

/* The container manager, as far as execs see it. */
static struct {
	pthread_mutex_t lock;
	struct rpc_client *rpc;
	const char *refused; /* NULL: the container runs */
	bool adopting;
	int holds;
	struct buf events;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

int container_live_get(struct containers *cs UNUSED, const char *ref, struct container_live *ret,
		       struct err *err)
{
	if (!str_eq(ref, "c") && !str_eq(ref, CID))
		return err_user(err, ERR_NOT_FOUND, "No such container: %s", ref);
	if (fake.refused)
		return err_user(err, ERR_CONFLICT, "%s", fake.refused);
	*ret = (struct container_live){.rpc = fake.rpc, .id = CID};
	pthread_mutex_lock(&fake.lock);
	fake.holds++;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

bool container_live_is_adopting(struct containers *cs UNUSED, const char *ref UNUSED)
{
	return fake.adopting;
}

void container_live_put(struct container_live *live UNUSED)
{
	pthread_mutex_lock(&fake.lock);
	fake.holds--;
	pthread_mutex_unlock(&fake.lock);
}

int container_live_check_links(const struct container_live *live UNUSED, struct err *err UNUSED)
{
	return 0;
}

int container_process_spec(const struct container_live *live UNUSED, bool privileged,
			   struct Arca__V1__ProcessSpec **ret, struct err *err UNUSED)
{
	Arca__V1__ProcessSpec spec = ARCA__V1__PROCESS_SPEC__INIT;
	char *args[] = {"init"}, *env[] = {"PATH=/bin", "A=1", "B=2"};
	uint8_t packed[512];
	size_t len;

	spec.args = args;
	spec.n_args = 1;
	spec.env = env;
	spec.n_env = 3;
	spec.cap_bounding = privileged ? UINT64_MAX : 1;
	spec.user = "1000";
	len = arca__v1__process_spec__pack(&spec, packed);
	*ret = arca__v1__process_spec__unpack(NULL, len, packed);
	return 0;
}

void container_publish(struct containers *cs UNUSED, const char *id UNUSED, const char *action,
		       json_t *more)
{
	json_t *code = json_object_get(more, "exitCode");

	pthread_mutex_lock(&fake.lock);
	buf_addf(&fake.events, "%s%s%s;", action, code ? "=" : "",
		 code ? json_string_value(code) : "");
	pthread_mutex_unlock(&fake.lock);
	json_decref(more);
}

static void rig_open(struct rig *rig)
{
	struct err err = {0};
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/db", rig->dir);
	if (store_open(path, &rig->core.store, &err) < 0 ||
	    execs_new(&rig->core, &rig->core.execs, &err) < 0)
		printf("# %s\n", err.msg);
}

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	strcpy(rig->dir, "/tmp/arca-test-exec-XXXXXX");
	if (!mkdtemp(rig->dir))
		abort();
	(void)loop_new(&rig->core.loop);
	(void)fake_agent_start(&rig->agent);
	(void)fake_agent_connect(&rig->agent, rig->core.loop, &rig->rpc);
	fake.rpc = rig->rpc;
	fake.refused = NULL;
	buf_reset(&fake.events);
	buf_adds(&fake.events, "");
	rig_open(rig);
	return rig;
}

static void rig_close(struct rig *rig)
{
	execs_free(TAKE_PTR(rig->core.execs));
	store_close(TAKE_PTR(rig->core.store));
}

static void rig_freep(struct rig **p)
{
	struct rig *rig = *p;

	rig_close(rig);
	rpc_client_free(rig->rpc);
	fake_agent_stop(&rig->agent);
	loop_free(rig->core.loop);
	(void)fs_remove_tree(rig->dir);
	buf_done(&fake.events);
	free(rig);
}
#define _cleanup_rig_ __attribute__((cleanup(rig_freep)))

static int create(struct rig *rig, const char *config, char id[static ID_BUF], struct err *err)
{
	json_t *json = json_loads(config, 0, NULL);
	int r = exec_create(rig->core.execs, "c", json, id, err);

	json_decref(json);
	return r;
}

/* "running code" of inspect; code -1 for null */
static void state(struct rig *rig, const char *id, bool *running, int *code)
{
	struct err err = {0};
	json_t *json = NULL, *exit;

	if (exec_inspect(rig->core.execs, id, &json, &err) < 0)
		return;
	exit = json_object_get(json, "ExitCode");
	*running = json_is_true(json_object_get(json, "Running"));
	*code = json_is_null(exit) ? -1 : (int)json_integer_value(exit);
	json_decref(json);
}

static bool ends_with_code(struct rig *rig, const char *id, int want)
{
	bool running = true;
	int code = -2;

	for (int i = 0; i < 400; i++) {
		state(rig, id, &running, &code);
		if (!running && code == want)
			return true;
		(void)usleep(10000);
	}
	printf("# running %d, code %d\n", running, code);
	return false;
}

static bool no_holds(void)
{
	for (int i = 0; i < 400 && fake.holds; i++)
		(void)usleep(10000);
	return fake.holds == 0;
}

TEST(create_refuses)
{
	static const struct {
		const char *config, *msg;
	} bad[] = {
		{"{}", "No exec command specified"},
		{"{\"Cmd\":[]}", "No exec command specified"},
		{"{\"Cmd\":null}", "No exec command specified"},
		{"{\"Cmd\":[\"x\"],\"DetachKeys\":\"zz\"}", "Invalid escape keys (zz) provided"},
	};
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char id[ID_BUF];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT(create(rig, bad[i].config, id, &err) < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT_STREQ(err.msg, bad[i].msg);
	}
	ASSERT(create(rig, "{\"Cmd\":[1]}", id, &err) < 0);
	ASSERT(create(rig, "{\"Cmd\":{}}", id, &err) < 0);
	ASSERT(create(rig, "{\"Cmd\":[\"x\"],\"Env\":\"A\"}", id, &err) < 0);
	ASSERT(create(rig, "{\"Cmd\":[\"x\"],\"Tty\":1}", id, &err) < 0);
	ASSERT(create(rig, "{\"Cmd\":[\"x\"],\"User\":1}", id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_INVALID);
	fake.refused = "container " CID " is not running";
	ASSERT(create(rig, "{\"Cmd\":[\"x\"]}", id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT_STREQ(err.msg, fake.refused);
	ASSERT_EQ(fake.holds, 0);
}

TEST(unknown_exec)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	json_t *json;
	bool tty;

	ASSERT(exec_inspect(rig->core.execs, "nope", &json, &err) < 0);
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT_STREQ(err.msg, "No such exec instance: nope");
	ASSERT(exec_start(rig->core.execs, "nope", true, NULL, 0, 0, &err) < 0);
	ASSERT(exec_resize(rig->core.execs, "nope", 1, 1, &err) < 0);
	ASSERT(exec_is_tty(rig->core.execs, "nope", &tty, &err) < 0);
}

TEST(inspect_shows_what_was_created)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	_cleanup_free_ char *text = NULL;
	struct err err = {0};
	json_t *json = NULL;
	char id[ID_BUF];

	ASSERT_OK(create(rig,
			 "{\"Cmd\":[\"sh\",\"-c\",\"x\"],\"AttachStdout\":true,\"Tty\":true,"
			 "\"User\":\"u\",\"DetachKeys\":\"ctrl-p,ctrl-q\",\"Privileged\":true}",
			 id, &err));
	ASSERT_OK(exec_inspect(rig->core.execs, id, &json, &err));
	ASSERT_STREQ(json_string_value(json_object_get(json, "ID")), id);
	(void)json_object_del(json, "ID");
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(json);
	ASSERT_STREQ(text,
		     "{\"CanRemove\":false,\"ContainerID\":\"" CID "\",\"DetachKeys\":\"EBE=\","
		     "\"ExitCode\":null,\"OpenStderr\":false,\"OpenStdin\":false,"
		     "\"OpenStdout\":true,\"Pid\":0,\"ProcessConfig\":{\"arguments\":[\"-c\","
		     "\"x\"],\"entrypoint\":\"sh\",\"privileged\":true,\"tty\":true,"
		     "\"user\":\"u\"},\"Running\":false}");
	json = exec_ids(rig->core.execs, CID);
	ASSERT_EQ(json_array_size(json), 1);
	json_decref(json);
	json = exec_ids(rig->core.execs, "other");
	ASSERT(json_is_null(json));
}

TEST(detached_run)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char id[ID_BUF];
	bool running;
	int code;

	ASSERT_OK(create(rig,
			 "{\"Cmd\":[\"sleep\",\"1\"],\"Env\":[\"A=9\",\"C=3\",\"B\"],"
			 "\"Tty\":true,\"ConsoleSize\":[24,80]}",
			 id, &err));
	ASSERT_OK(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err));
	state(rig, id, &running, &code);
	ASSERT(running);
	ASSERT_EQ(code, -1);
	ASSERT_STREQ(rig->agent.id, id);
	ASSERT_STREQ(rig->agent.args, "sleep|1");
	ASSERT_STREQ(rig->agent.env, "PATH=/bin|A=9|C=3|TERM=xterm");
	ASSERT_EQ(rig->agent.rows, 24);
	ASSERT_EQ(rig->agent.cols, 80);
	ASSERT(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT(strstr(err.msg, "is already running"));
	fake_agent_exit(&rig->agent, 42);
	ASSERT(ends_with_code(rig, id, 42));
	ASSERT(no_holds());
	ASSERT_EQ(rig->agent.releases, 1);
	ASSERT(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	ASSERT(strstr(err.msg, "has already run"));
	ASSERT_STREQ(fake.events.data, "exec_create: sleep 1;exec_start: sleep 1;exec_die=42;");
}

struct session {
	struct rig *rig;
	const char *id;
	struct stdio_attach attach;
	struct err err;
	int fds[2], r;
	bool hijacked;
	pthread_t thread;
};

/* What the API's handler does: hijack when the client is registered. */
static void session_ready(void *user)
{
	struct session *s = user;

	s->hijacked = true;
	s->attach.fd = s->fds[1];
}

static void *session_thread(void *user)
{
	struct session *s = user;

	s->r = exec_start(s->rig->core.execs, s->id, false, &s->attach, 0, 0, &s->err);
	(void)shutdown(s->fds[1], SHUT_RDWR);
	return NULL;
}

static void session_start(struct session *s, struct rig *rig, const char *id)
{
	s->rig = rig;
	s->id = id;
	(void)!socketpair(AF_UNIX, SOCK_STREAM, 0, s->fds);
	s->attach = (struct stdio_attach){.fd = -EBADF,
					  .in = true,
					  .out = true,
					  .err = true,
					  .stream = true,
					  .ready = session_ready,
					  .user = s};
	(void)pthread_create(&s->thread, NULL, session_thread, s);
}

static int session_end(struct session *s)
{
	pthread_join(s->thread, NULL);
	close(s->fds[0]);
	close(s->fds[1]);
	return s->r;
}

static const char *session_read(struct session *s, char *out, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have < size - 1 && (n = read(s->fds[0], out + have, size - 1 - have)) > 0)
		have += (size_t)n;
	out[have] = '\0';
	return out;
}

TEST(attached_run)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct session s = {0};
	struct err err = {0};
	char id[ID_BUF], text[64];

	ASSERT_OK(create(rig, "{\"Cmd\":[\"cat\"],\"AttachStdin\":true,\"AttachStdout\":true}", id,
			 &err));
	session_start(&s, rig, id);
	ASSERT_EQ(write(s.fds[0], "hello", 5), 5);
	ASSERT_OK(shutdown(s.fds[0], SHUT_WR));
	ASSERT_STREQ(session_read(&s, text, sizeof(text)), "hello");
	ASSERT_OK(session_end(&s));
	ASSERT(ends_with_code(rig, id, 0));
	ASSERT(no_holds());
}

/* Goal: what cannot be found says so in runc's words and ends with 127. */
TEST(program_that_is_not_there)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct session s = {0};
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(create(rig, "{\"Cmd\":[\"missing\"],\"AttachStdout\":true}", id, &err));
	session_start(&s, rig, id);
	ASSERT(session_end(&s) < 0);
	ASSERT(s.hijacked);
	ASSERT_EQ(s.err.kind, ERR_CANNOT_RUN);
	ASSERT_STREQ(s.err.msg, "OCI runtime exec failed: exec failed: unable to start container "
				"process: exec: \"missing\": executable file not found in $PATH");
	ASSERT(ends_with_code(rig, id, 127));
	ASSERT(no_holds());
	ASSERT(!strstr(fake.events.data, "exec_die"));
	ASSERT_OK(create(rig, "{\"Cmd\":[\"missing\"]}", id, &err));
	ASSERT(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CANNOT_RUN);
}

/* Goal: a start that is refused before it reached the agent can be repeated. */
TEST(start_in_a_paused_container)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct session s = {0};
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(create(rig, "{\"Cmd\":[\"sh\"],\"AttachStdout\":true}", id, &err));
	fake.refused = "Container c is paused, unpause the container before exec";
	session_start(&s, rig, id);
	ASSERT(session_end(&s) < 0);
	ASSERT(!s.hijacked);
	ASSERT_EQ(s.err.kind, ERR_CONFLICT);
	fake.refused = NULL;
	ASSERT_OK(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err));
	fake_agent_exit(&rig->agent, 0);
	ASSERT(ends_with_code(rig, id, 0));
}

TEST(detach_is_an_event)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct session s = {0};
	struct err err = {0};
	char id[ID_BUF];
	bool running = false;
	int code;

	ASSERT_OK(create(rig,
			 "{\"Cmd\":[\"sh\"],\"AttachStdin\":true,\"Tty\":true,\"DetachKeys\":"
			 "\"x\"}",
			 id, &err));
	session_start(&s, rig, id);
	ASSERT_EQ(write(s.fds[0], "ax", 2), 2);
	ASSERT_OK(session_end(&s));
	ASSERT(strstr(fake.events.data, "exec_detach;"));
	state(rig, id, &running, &code);
	ASSERT(running);
	fake_agent_exit(&rig->agent, 1);
	ASSERT(ends_with_code(rig, id, 1));
}

TEST(container_stops_and_goes)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char id[ID_BUF], idle[ID_BUF];
	json_t *json;

	ASSERT_OK(create(rig, "{\"Cmd\":[\"sh\"]}", id, &err));
	ASSERT_OK(create(rig, "{\"Cmd\":[\"sh\"]}", idle, &err));
	ASSERT_OK(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err));
	exec_container_gone(rig->core.execs, CID, false);
	ASSERT(ends_with_code(rig, id, 137));
	ASSERT(no_holds());
	exec_container_gone(rig->core.execs, CID, true);
	for (int i = 0; i < 400 && exec_inspect(rig->core.execs, idle, &json, &err) == 0; i++) {
		json_decref(json);
		(void)usleep(10000);
	}
	ASSERT(exec_inspect(rig->core.execs, id, &json, &err) < 0);
	ASSERT(exec_inspect(rig->core.execs, idle, &json, &err) < 0);
}

/* Goal: a container removed while its exec runs takes the exec along. */
TEST(container_goes_under_a_running_exec)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char id[ID_BUF];
	json_t *json;

	ASSERT_OK(create(rig, "{\"Cmd\":[\"sh\"]}", id, &err));
	ASSERT_OK(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err));
	exec_container_gone(rig->core.execs, CID, true);
	for (int i = 0; i < 400 && exec_inspect(rig->core.execs, id, &json, &err) == 0; i++) {
		json_decref(json);
		(void)usleep(10000);
	}
	ASSERT(exec_inspect(rig->core.execs, id, &json, &err) < 0);
	ASSERT(no_holds());
}

/* Goal: execs survive the daemon: created, running, ended while it was away, and ended before. */
TEST(daemon_restart)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char created[ID_BUF], ended[ID_BUF], runs[ID_BUF];
	bool running = false;
	int code = 0;

	ASSERT_OK(create(rig, "{\"Cmd\":[\"a\"]}", created, &err));
	ASSERT_OK(create(rig, "{\"Cmd\":[\"b\"]}", ended, &err));
	ASSERT_OK(exec_start(rig->core.execs, ended, true, NULL, 0, 0, &err));
	fake_agent_exit(&rig->agent, 6);
	ASSERT(ends_with_code(rig, ended, 6));
	ASSERT(no_holds());
	ASSERT_OK(create(rig, "{\"Cmd\":[\"c\"]}", runs, &err));
	ASSERT_OK(exec_start(rig->core.execs, runs, true, NULL, 0, 0, &err));
	rig_close(rig);
	ASSERT(no_holds());
	rig_open(rig);
	ASSERT(ends_with_code(rig, ended, 6));
	for (int i = 0; i < 200 && !running; i++) {
		state(rig, runs, &running, &code);
		(void)usleep(10000);
	}
	ASSERT(running);
	ASSERT_EQ(code, -1);
	state(rig, created, &running, &code);
	ASSERT(!running);
	rig_close(rig);
	fake_agent_exit(&rig->agent, 8); /* nobody watches */
	rig_open(rig);
	ASSERT(ends_with_code(rig, runs, 8));
	ASSERT(no_holds());
	ASSERT_OK(exec_start(rig->core.execs, created, true, NULL, 0, 0, &err));
	fake_agent_exit(&rig->agent, 0);
	ASSERT(ends_with_code(rig, created, 0));
}

TEST(daemon_restart_without_the_container)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(create(rig, "{\"Cmd\":[\"a\"]}", id, &err));
	ASSERT_OK(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err));
	rig_close(rig);
	fake.refused = "container c is not running";
	rig_open(rig);
	ASSERT(ends_with_code(rig, id, 137));
}

TEST(resize)
{
	_cleanup_rig_ struct rig *rig = rig_new();
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(create(rig, "{\"Cmd\":[\"sh\"],\"Tty\":true}", id, &err));
	ASSERT_OK(exec_resize(rig->core.execs, id, 10, 20, &err));
	ASSERT_OK(exec_start(rig->core.execs, id, true, NULL, 0, 0, &err));
	ASSERT_EQ(rig->agent.rows, 10);
	ASSERT_OK(exec_resize(rig->core.execs, id, 30, 40, &err));
	for (int i = 0; i < 200 && rig->agent.rows != 30; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.cols, 40);
	fake_agent_exit(&rig->agent, 0);
	ASSERT(ends_with_code(rig, id, 0));
	ASSERT(exec_resize(rig->core.execs, id, 1, 1, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
}

TEST_MAIN()
