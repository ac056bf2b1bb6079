/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-run.c - talk to an agent by hand: start a process in a VM and be its terminal
 *
 * usage: agent-run [options] SOCKET [COMMAND [ARG...]]
 *
 * Says Hello, starts COMMAND as the init of a container on the disks "rootfs" and "upper" (or, with
 * -x, as an exec in it), copies stdin and output, and exits as it exited. Without COMMAND it prints
 * what Hello answers. See --help for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/loop.h"
#include "base/str.h"
#include "rpc/client.h"

#define RUN_LISTS_MAX 64
#define RUN_CONTAINER "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
#define RUN_ALL_CAPS ((1ULL << 41) - 1)
#define RUN_DOCKER_CAPS 0xa80425fbULL

struct run {
	struct loop *loop;
	struct rpc_client *client;
	struct rpc_stream *attach;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	int code, status;
	int64_t begun_ns, first_ns;
	bool timing, stall, detach;
	uint64_t stop_after; /* leave once this much output came */
	uint64_t got;
};

struct run_options {
	const char *socket, *id, *exec_id, *token, *resume, *call;
	uint64_t resume_from;
	bool entropy, detach_stdin, keep;
	Arca__V1__ContainerSpec container;
	Arca__V1__ProcessSpec process;
	Arca__V1__Resources resources;
	char *env[RUN_LISTS_MAX];
	Arca__V1__Mount *mounts[RUN_LISTS_MAX];
	Arca__V1__File *files[RUN_LISTS_MAX];
	Arca__V1__Sysctl *sysctls[RUN_LISTS_MAX];
	char *masked[RUN_LISTS_MAX], *readonly[RUN_LISTS_MAX], *groups[RUN_LISTS_MAX];
};

static void run_fail(const char *what, int r)
{
	(void)fprintf(stderr, "agent-run: %s: %s\n", what, strerror(-r));
	exit(125);
}

static void run_message(void *user, ProtobufCMessage *message)
{
	struct run *run = user;
	Arca__V1__ProcessEvent *event = (Arca__V1__ProcessEvent *)message;
	Arca__V1__AttachControl ack = ARCA__V1__ATTACH_CONTROL__INIT;

	switch (event->of_case) {
	case ARCA__V1__PROCESS_EVENT__OF_STARTED:
		if (run->timing)
			(void)fprintf(stderr, "started pid %d after %.1f ms\n", event->started->pid,
				      (double)(clock_monotonic_ns() - run->begun_ns) / 1e6);
		if (run->detach)
			exit(0);
		break;
	case ARCA__V1__PROCESS_EVENT__OF_OUTPUT:
		if (!run->first_ns) {
			run->first_ns = clock_monotonic_ns();
			if (run->timing)
				(void)fprintf(stderr, "first output after %.1f ms\n",
					      (double)(run->first_ns - run->begun_ns) / 1e6);
		}
		(void)fs_write_all(event->output->stream == 2 ? 2 : 1, event->output->data.data,
				   event->output->data.len);
		run->got += event->output->data.len;
		if (run->stall)
			break;
		ack.of_case = ARCA__V1__ATTACH_CONTROL__OF_ACK;
		ack.ack = event->output->offset + event->output->data.len;
		(void)rpc_stream_send(run->attach, &ack.base);
		if (run->stop_after && run->got >= run->stop_after)
			exit(0);
		break;
	case ARCA__V1__PROCESS_EVENT__OF_EXITED:
		run->code = event->exited->code;
		if (run->timing)
			(void)fprintf(stderr, "exited %d%s after %.1f ms\n", run->code,
				      event->exited->oom_killed ? " (oom)" : "",
				      (double)(clock_monotonic_ns() - run->begun_ns) / 1e6);
		break;
	default:
		break;
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

static void run_closed(void *user, enum rpc_status status, const char *text)
{
	struct run *run = user;

	if (status != RPC_OK)
		(void)fprintf(stderr, "agent-run: status %d: %s\n", status, text ? text : "");
	(void)pthread_mutex_lock(&run->lock);
	run->done = true;
	run->status = status;
	(void)pthread_cond_signal(&run->changed);
	(void)pthread_mutex_unlock(&run->lock);
}

static void run_wait(struct run *run)
{
	(void)pthread_mutex_lock(&run->lock);
	while (!run->done)
		(void)pthread_cond_wait(&run->changed, &run->lock);
	(void)pthread_mutex_unlock(&run->lock);
}

/* Input stream: one thread that blocks on flow control. */
struct run_input {
	struct run *run;
	const char *id;
	struct rpc_stream *stream;
	bool ended;
};

static void run_input_message(void *user, ProtobufCMessage *message)
{
	(void)user;
	protobuf_c_message_free_unpacked(message, NULL);
}

static void run_input_closed(void *user, enum rpc_status status, const char *text)
{
	struct run_input *in = user;

	(void)status;
	(void)text;
	in->ended = true;
}

static const struct rpc_stream_ops run_input_ops = {.message = run_input_message,
						    .closed = run_input_closed};
static const struct rpc_stream_ops run_attach_ops = {.message = run_message, .closed = run_closed};

static void *run_input_thread(void *user)
{
	struct run_input *in = user;
	Arca__V1__InputChunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	static unsigned char data[32768];
	ssize_t n = 1;

	chunk.id = (char *)in->id;
	if (rpc_stream_open(in->run->client, "/arca.v1.Process/Input", &chunk.base,
			    &arca__v1__empty__descriptor, &run_input_ops, in, &in->stream) < 0)
		return NULL;
	while (n > 0 && !in->ended) {
		int r;

		n = read(STDIN_FILENO, data, sizeof(data));
		chunk.data.data = data;
		chunk.data.len = n > 0 ? (size_t)n : 0;
		chunk.eof = n <= 0;
		while ((r = in->ended ? -EPIPE : rpc_stream_send(in->stream, &chunk.base)) ==
		       -EAGAIN)
			(void)usleep(1000);
		if (r < 0)
			break;
	}
	if (!in->ended)
		rpc_stream_close_send(in->stream);
	return NULL;
}

static int run_connect(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		run_fail(path, -errno);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void run_print_hello(const Arca__V1__HelloResponse *hello)
{
	printf("agent %s, kernel %s\n", hello->agent_version, hello->kernel_release);
	for (size_t i = 0; i < hello->n_processes; i++) {
		const Arca__V1__ProcessState *p = hello->processes[i];

		printf("process %.12s in %.12s pid %d output %llu..%llu stdin %d exit %d\n", p->id,
		       p->container_id, p->pid, (unsigned long long)p->acked,
		       (unsigned long long)p->produced, p->stdin_open,
		       p->exit ? p->exit->code : -1);
	}
	for (size_t i = 0; i < hello->n_containers; i++)
		printf("container %.12s\n", hello->containers[i]);
}

static void run_hello(struct run *run, const struct run_options *o, bool print)
{
	Arca__V1__HelloRequest hello = ARCA__V1__HELLO_REQUEST__INIT;
	unsigned char entropy[64], machine_id[16], token[RPC_TOKEN_LEN];
	ProtobufCMessage *reply = NULL;
	struct err err = {0};
	int r;

	memset(token, 7, sizeof(token));
	if (!o->token) {
		random_bytes(entropy, sizeof(entropy));
		random_bytes(machine_id, sizeof(machine_id));
		hello.entropy = (ProtobufCBinaryData){sizeof(entropy), entropy};
		hello.machine_id = (ProtobufCBinaryData){sizeof(machine_id), machine_id};
		hello.realtime_ns = clock_realtime_ns();
	}
	hello.token = (ProtobufCBinaryData){sizeof(token), token};
	r = rpc_call(run->client, "/arca.v1.Sandbox/Hello", &hello.base,
		     &arca__v1__hello_response__descriptor, 10000, &reply, &err);
	if (r != 0) {
		(void)fprintf(stderr, "agent-run: Hello: %d %s\n", r, err.msg);
		exit(125);
	}
	if (print)
		run_print_hello((Arca__V1__HelloResponse *)reply);
	protobuf_c_message_free_unpacked(reply, NULL);
}

static void run_list(struct run *run, const char *id, char **args)
{
	Arca__V1__ListRequest request = ARCA__V1__LIST_REQUEST__INIT;
	Arca__V1__ListResponse *list;
	ProtobufCMessage *reply = NULL;
	struct err err = {0};

	request.container_id = (char *)id;
	request.ps_args = args;
	while (args[request.n_ps_args])
		request.n_ps_args++;
	if (rpc_call(run->client, "/arca.v1.Process/List", &request.base,
		     &arca__v1__list_response__descriptor, 5000, &reply, &err) != 0) {
		(void)fprintf(stderr, "agent-run: %s\n", err.msg);
		exit(125);
	}
	list = (Arca__V1__ListResponse *)reply;
	for (size_t i = 0; i < list->n_titles; i++)
		printf("%s\t", list->titles[i]);
	printf("\n");
	for (size_t i = 0; i < list->n_rows; i++) {
		for (size_t j = 0; j < list->rows[i]->n_cells; j++)
			printf("%s\t", list->rows[i]->cells[j]);
		printf("\n");
	}
	protobuf_c_message_free_unpacked(reply, NULL);
}

/* One unary call by name: signal N, kill-all, resize R C, pause, thaw, release, remove, shutdown.
 */
static int run_call(struct run *run, const struct run_options *o, char **args)
{
	Arca__V1__SignalRequest sig = ARCA__V1__SIGNAL_REQUEST__INIT;
	Arca__V1__ResizeRequest size = ARCA__V1__RESIZE_REQUEST__INIT;
	Arca__V1__PauseRequest pause = ARCA__V1__PAUSE_REQUEST__INIT;
	Arca__V1__ReleaseRequest release = ARCA__V1__RELEASE_REQUEST__INIT;
	Arca__V1__RemoveContainerRequest rm = ARCA__V1__REMOVE_CONTAINER_REQUEST__INIT;
	Arca__V1__UpdateRequest update = ARCA__V1__UPDATE_REQUEST__INIT;
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	const char *id = o->exec_id ? o->exec_id : o->id;
	struct err err = {0};
	int r;

	sig.id = size.id = release.id = (char *)id;
	pause.container_id = rm.container_id = update.container_id = (char *)o->id;
	pause.paused = str_eq(o->call, "pause");
	update.resources = (Arca__V1__Resources *)&o->resources;
	sig.signal = args[0] ? atoi(args[0]) : 9;
	sig.all = str_eq(o->call, "signal-all");
	size.rows = args[0] ? (uint32_t)atoi(args[0]) : 0;
	size.cols = args[0] && args[1] ? (uint32_t)atoi(args[1]) : 0;
	const struct {
		const char *name, *path;
		const ProtobufCMessage *message;
	} calls[] = {
		{"signal", "/arca.v1.Process/Signal", &sig.base},
		{"signal-all", "/arca.v1.Process/Signal", &sig.base},
		{"resize", "/arca.v1.Process/Resize", &size.base},
		{"release", "/arca.v1.Process/Release", &release.base},
		{"pause", "/arca.v1.Sandbox/Pause", &pause.base},
		{"thaw", "/arca.v1.Sandbox/Pause", &pause.base},
		{"update", "/arca.v1.Sandbox/Update", &update.base},
		{"remove", "/arca.v1.Sandbox/RemoveContainer", &rm.base},
		{"shutdown", "/arca.v1.Sandbox/Shutdown", &empty.base},
	};

	if (str_eq(o->call, "list")) {
		run_list(run, o->id, args);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (!str_eq(calls[i].name, o->call))
			continue;
		r = rpc_call(run->client, calls[i].path, calls[i].message,
			     &arca__v1__empty__descriptor, 20000, NULL, &err);
		if (r != 0)
			(void)fprintf(stderr, "agent-run: %s: status %d: %s\n", o->call, r,
				      err.msg);
		return r != 0;
	}
	(void)fprintf(stderr, "agent-run: no call %s\n", o->call);
	return 125;
}

static int run_process(struct run *run, struct run_options *o, char **argv, int argc)
{
	Arca__V1__AttachControl control = ARCA__V1__ATTACH_CONTROL__INIT;
	Arca__V1__StartRequest start = ARCA__V1__START_REQUEST__INIT;
	Arca__V1__ResumeRequest resume = ARCA__V1__RESUME_REQUEST__INIT;
	struct run_input input = {.run = run};
	pthread_t thread;
	int r;

	start.container_id = (char *)o->id;
	start.id = (char *)(o->exec_id ? o->exec_id : o->id);
	o->container.id = (char *)o->id;
	start.container = o->exec_id ? NULL : &o->container;
	o->process.args = argv;
	o->process.n_args = (size_t)argc;
	start.process = &o->process;
	resume.id = start.id;
	resume.from = o->resume_from;
	control.of_case = o->resume ? ARCA__V1__ATTACH_CONTROL__OF_RESUME
				    : ARCA__V1__ATTACH_CONTROL__OF_START;
	if (o->resume)
		control.resume = &resume;
	else
		control.start = &start;
	run->begun_ns = clock_monotonic_ns();
	r = rpc_stream_open(run->client, "/arca.v1.Process/Attach", &control.base,
			    &arca__v1__process_event__descriptor, &run_attach_ops, run,
			    &run->attach);
	if (r < 0)
		run_fail("attach", r);
	input.id = start.id;
	if (o->process.open_stdin && !o->detach_stdin) {
		if (pthread_create(&thread, NULL, run_input_thread, &input) != 0)
			run_fail("thread", -EAGAIN);
		(void)pthread_detach(thread);
	}
	run_wait(run);
	return run->status == RPC_OK ? run->code : 125;
}

static const char run_help[] =
	"usage: agent-run [options] SOCKET [COMMAND [ARG...]]\n"
	"  -x ID        exec in the running container\n"
	"  -i           stdin     -t  terminal     -T  print times\n"
	"  -u USER -w CWD -e NAME=VALUE -g GROUP -H HOSTNAME\n"
	"  -m TYPE:DEST:FLAGS:DATA[:SOURCE]  mount     -f PATH=CONTENT  file\n"
	"  -M PATH mask  -R PATH read-only  -r read-only root  -s KEY=VALUE sysctl\n"
	"  -P privileged  -I init  -Z the VM's pids  -N no_new_privs  -L BYTES memory  -p N pids\n"
	"  -d leave once it started; the channel has one client at a time\n"
	"  -S stall: never acknowledge   -n BYTES leave after so much output\n"
	"  -A FROM      attach (resume) instead of start\n"
	"  -k           not the first connection: with the token of the first\n"
	"  -C CALL      one call: signal, signal-all, resize, list, pause, thaw, release, remove,\n"
	"               update, shutdown; its arguments in place of COMMAND\n";

static void run_add_mount(struct run_options *o, char *text)
{
	Arca__V1__Mount *m = malloc(sizeof(*m));

	arca__v1__mount__init(m);
	m->type = strsep(&text, ":");
	m->destination = strsep(&text, ":");
	m->flags = text ? strtoull(strsep(&text, ":"), NULL, 0) : 0;
	m->data = text ? strsep(&text, ":") : (char *)"";
	m->source = text ? text : (char *)"";
	o->mounts[o->container.n_mounts++] = m;
}

static void run_add_file(struct run_options *o, char *text)
{
	Arca__V1__File *f = malloc(sizeof(*f));

	arca__v1__file__init(f);
	f->path = strsep(&text, "=");
	f->content = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
	f->mode = 0644;
	o->files[o->container.n_files++] = f;
}

static void run_add_sysctl(struct run_options *o, char *text)
{
	Arca__V1__Sysctl *s = malloc(sizeof(*s));

	arca__v1__sysctl__init(s);
	s->key = strsep(&text, "=");
	s->value = text;
	o->sysctls[o->container.n_sysctls++] = s;
}

static void run_init_options(struct run_options *o)
{
	arca__v1__container_spec__init(&o->container);
	arca__v1__process_spec__init(&o->process);
	arca__v1__resources__init(&o->resources);
	o->id = RUN_CONTAINER;
	o->container.root_serial = (char *)"rootfs";
	o->container.upper_serial = (char *)"upper";
	o->container.resources = &o->resources;
	o->container.mounts = o->mounts;
	o->container.files = o->files;
	o->container.sysctls = o->sysctls;
	o->container.masked_paths = o->masked;
	o->container.readonly_paths = o->readonly;
	o->process.env = o->env;
	o->process.add_groups = o->groups;
	o->env[o->process.n_env++] =
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	o->process.cap_bounding = o->process.cap_effective = RUN_DOCKER_CAPS;
	o->process.rows = 24;
	o->process.cols = 80;
}

static void run_option(struct run *run, struct run_options *o, int c)
{
	switch (c) {
	case 'x':
		o->exec_id = optarg;
		break;
	case 'i':
		o->process.open_stdin = true;
		break;
	case 't':
		o->process.tty = true;
		break;
	case 'T':
		run->timing = true;
		break;
	case 'u':
		o->process.user = optarg;
		break;
	case 'w':
		o->process.cwd = optarg;
		break;
	case 'e':
		o->env[o->process.n_env++] = optarg;
		break;
	case 'g':
		o->groups[o->process.n_add_groups++] = optarg;
		break;
	case 'H':
		o->container.hostname = optarg;
		break;
	case 'm':
		run_add_mount(o, optarg);
		break;
	case 'f':
		run_add_file(o, optarg);
		break;
	case 's':
		run_add_sysctl(o, optarg);
		break;
	case 'M':
		o->masked[o->container.n_masked_paths++] = optarg;
		break;
	case 'R':
		o->readonly[o->container.n_readonly_paths++] = optarg;
		break;
	case 'r':
		o->container.readonly_rootfs = true;
		break;
	case 'P':
		o->container.privileged = true;
		o->process.cap_bounding = o->process.cap_effective = RUN_ALL_CAPS;
		break;
	case 'Z':
		o->container.host_pid = true;
		break;
	case 'I':
		o->container.use_init = true;
		break;
	case 'N':
		o->process.no_new_privileges = true;
		break;
	case 'L':
		o->resources.memory_bytes = atoll(optarg);
		break;
	case 'p':
		o->resources.pids_max = atoll(optarg);
		break;
	case 'd':
		run->detach = true;
		break;
	case 'S':
		run->stall = true;
		break;
	case 'n':
		run->stop_after = strtoull(optarg, NULL, 0);
		break;
	case 'A':
		o->resume = optarg;
		o->resume_from = strtoull(optarg, NULL, 0);
		break;
	case 'k':
		o->token = "y";
		break;
	case 'C':
		o->call = optarg;
		break;
	default:
		(void)fputs(run_help, stderr);
		exit(125);
	}
}

int main(int argc, char **argv)
{
	struct run run = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	struct run_options o = {0};
	unsigned char token[RPC_TOKEN_LEN];
	int c, r, code = 0;

	run_init_options(&o);
	while ((c = getopt(argc, argv, "+x:itTu:w:e:g:H:m:f:s:M:R:rPINL:p:Sn:A:kC:hdZ")) != -1)
		run_option(&run, &o, c);
	if (optind >= argc)
		run_option(&run, &o, 'h');
	o.socket = argv[optind++];
	memset(token, 7, sizeof(token));
	r = loop_new(&run.loop);
	if (r < 0)
		run_fail("loop", r);
	r = rpc_client_new(run.loop, run_connect(o.socket), o.token ? token : NULL, NULL, NULL,
			   &run.client);
	if (r < 0)
		run_fail("client", r);
	run_hello(&run, &o, !o.call && !o.resume && optind >= argc);
	if (o.call)
		code = run_call(&run, &o, argv + optind);
	else if (o.resume || optind < argc)
		code = run_process(&run, &o, argv + optind, argc - optind);
	return code;
}
