/* SPDX-License-Identifier: Apache-2.0 */
/* net-rig.c - VMs on taps, and what their agents are asked; for test-agent-network.c */
#include "net-rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/loop.h"
#include "base/str.h"
#include "rpc/client.h"

#define RIG_TIMEOUT_MS 60000
#define RIG_CAPS 0xa80435fbULL /* Docker's, and NET_ADMIN */

static struct loop *rig_loop;
static const char *rig_work, *rig_guest, *rig_agent_vm;

int rig_sh(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

int rig_open(const char *work, const char *guest, const char *agent_vm)
{
	rig_work = work;
	rig_guest = guest;
	rig_agent_vm = agent_vm;
	return loop_new(&rig_loop);
}

void rig_close(void)
{
	loop_free(rig_loop);
}

static int rig_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR); /* for QEMU: not closed on exec */

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	return rig_sh("ip link set %s mtu 9000 up", name) == 0 ? fd : -EIO;
}

static pid_t rig_spawn(const char *verb, int tap, char vm_name)
{
	pid_t pid = fork();
	char tap_text[16], clone[2] = {vm_name}, upper[256], root[256];

	if (pid != 0)
		return pid;
	(void)snprintf(tap_text, sizeof(tap_text), "%d", tap);
	(void)snprintf(upper, sizeof(upper), "%s/upper-%c", rig_work, vm_name);
	(void)snprintf(root, sizeof(root), "%s/root.erofs", rig_work);
	(void)setenv("TAP_FD", tap_text, 1);
	(void)setenv("CLONE", clone, 1);
	if (vm_name)
		execlp("python3", "python3", rig_agent_vm, verb, rig_work, rig_guest, root, upper,
		       NULL);
	else
		execlp("python3", "python3", rig_agent_vm, verb, rig_work, rig_guest, NULL);
	_exit(127);
}

int rig_template(void)
{
	int tap = rig_tap("spare"), status;
	pid_t pid;

	if (tap < 0)
		return tap;
	pid = rig_spawn("template", tap, '\0');
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	(void)close(tap);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int rig_wait_file(const char *path)
{
	for (int i = 0; i < 3000 && !fs_exists(path); i++)
		usleep(10000);
	return fs_exists(path) ? 0 : -ETIMEDOUT;
}

static int rig_connect(struct rig_vm *vm)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char ready[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	(void)snprintf(ready, sizeof(ready), "%s/%c/ready", rig_work, vm->name);
	r = rig_wait_file(ready);
	if (r < 0)
		return r;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%c/agent.sock", rig_work, vm->name);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return rpc_client_new(rig_loop, fd, NULL, NULL, NULL, &vm->rpc);
}

int rig_vm_start(struct rig_vm *vm)
{
	char tap_name[8];
	int tap;

	(void)snprintf(tap_name, sizeof(tap_name), "a%u", vm->index);
	tap = rig_tap(tap_name);
	if (tap < 0)
		return tap;
	if (rig_sh("ip route add 198.18.0.%u/32 dev %s; "
		   "ip -6 addr add fd61:7263:6100::1/128 dev %s nodad; "
		   "ip -6 route add fd61:7263:6100::%x/128 dev %s",
		   vm->index, tap_name, tap_name, vm->index, tap_name) != 0)
		return -EIO;
	memset(vm->container, vm->name, sizeof(vm->container) - 1);
	vm->pid = rig_spawn("clone", tap, vm->name);
	(void)close(tap);
	return vm->pid < 0 ? -errno : rig_connect(vm);
}

void rig_vm_stop(struct rig_vm *vm)
{
	rpc_client_free(vm->rpc);
	vm->rpc = NULL;
	(void)kill(vm->pid, SIGTERM);
	(void)waitpid(vm->pid, NULL, 0);
}

int rig_call(struct rig_vm *vm, const char *method, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *reply_type, ProtobufCMessage **ret_reply,
	     struct err *err)
{
	return rpc_call(vm->rpc, method, request, reply_type, RIG_TIMEOUT_MS, ret_reply, err);
}

int rig_vm_hello(struct rig_vm *vm, bool first, struct err *err)
{
	Arca__V1__HelloRequest hello = ARCA__V1__HELLO_REQUEST__INIT;
	Arca__V1__Underlay underlay = ARCA__V1__UNDERLAY__INIT;
	uint8_t mac[6] = {0x02, 0x61, 0, 0, 0, (uint8_t)vm->index};
	uint8_t v4[4] = {198, 18, 0, (uint8_t)vm->index}, gateway4[4] = {198, 18, 0, 1};
	uint8_t v6[16] = {0xfd, 0x61, 0x72, 0x63, 0x61, [15] = (uint8_t)vm->index};
	uint8_t gateway6[16] = {0xfd, 0x61, 0x72, 0x63, 0x61, [15] = 1};
	unsigned char entropy[64], machine_id[16];
	const Arca__V1__HelloResponse *answer;
	ProtobufCMessage *reply = NULL;
	int r;

	random_bytes(entropy, sizeof(entropy));
	random_bytes(machine_id, sizeof(machine_id));
	if (first) {
		hello.entropy = (ProtobufCBinaryData){sizeof(entropy), entropy};
		hello.machine_id = (ProtobufCBinaryData){sizeof(machine_id), machine_id};
		hello.realtime_ns = clock_realtime_ns();
	}
	underlay.mac = (ProtobufCBinaryData){sizeof(mac), mac};
	underlay.v4 = (ProtobufCBinaryData){sizeof(v4), v4};
	underlay.v6 = (ProtobufCBinaryData){sizeof(v6), v6};
	underlay.gateway4 = (ProtobufCBinaryData){sizeof(gateway4), gateway4};
	underlay.gateway6 = (ProtobufCBinaryData){sizeof(gateway6), gateway6};
	underlay.mtu = 9000;
	hello.underlay = &underlay;
	hello.offers = RIG_OFFERS;
	r = rig_call(vm, "/arca.v1.Sandbox/Hello", &hello.base,
		     &arca__v1__hello_response__descriptor, &reply, err);
	if (r != 0)
		return r;
	answer = (const Arca__V1__HelloResponse *)reply;
	vm->n_keys = answer->n_offered_keys;
	vm->n_networks = answer->n_networks;
	for (size_t i = 0; i < RIG_OFFERS; i++) {
		bool there = i < answer->n_offered_keys && answer->offered_keys[i].len;

		memset(vm->keys[i], 0, RIG_KEY_LEN);
		if (there)
			memcpy(vm->keys[i], answer->offered_keys[i].data, RIG_KEY_LEN);
	}
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

/* The question is repeated as it came; whatever follows it (EDNS) is dropped. */
static void *rig_dns_thread(void *arg)
{
	static const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4};
	int fd = *(int *)arg;

	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		uint8_t m[2048];
		ssize_t n = recvfrom(fd, m, sizeof(m) - 64, 0, (struct sockaddr *)&from, &from_len);
		size_t at = 12;
		bool known, is_a;

		if (n < 0)
			return NULL;
		while (at < (size_t)n && m[at])
			at += 1U + m[at];
		if (at + 5 > (size_t)n)
			continue;
		known = at >= 17 && memcmp(m + at - 5, "\4test", 5) == 0;
		is_a = m[at + 2] == 1;
		at += 5;
		m[2] = 0x81;			       /* an answer, recursion desired */
		m[3] = (uint8_t)(known ? 0x80 : 0x83); /* available; NXDOMAIN */
		memset(m + 6, 0, 6);
		if (known && is_a) {
			m[7] = 1;
			memcpy(m + at, answer, sizeof(answer));
			memcpy(m + at + sizeof(answer), &from.sin_addr, 4);
			at += sizeof(answer) + 4;
		}
		(void)sendto(fd, m, at, 0, (struct sockaddr *)&from, from_len);
	}
}

int rig_dns_open(const char *address)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(53)};
	int *fd = malloc(sizeof(*fd)); /* the thread's, for ever */
	pthread_t thread;

	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)inet_pton(AF_INET, address, &sa.sin_addr);
	if (bind(*fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return -pthread_create(&thread, NULL, rig_dns_thread, fd);
}

static void rig_exec_on_message(void *user, ProtobufCMessage *message)
{
	struct rig_exec *e = user;
	Arca__V1__ProcessEvent *event = (Arca__V1__ProcessEvent *)message;
	size_t n;

	pthread_mutex_lock(&e->lock);
	if (event->of_case == ARCA__V1__PROCESS_EVENT__OF_STARTED)
		e->started = true;
	if (event->of_case == ARCA__V1__PROCESS_EVENT__OF_EXITED)
		e->code = event->exited->code;
	if (event->of_case == ARCA__V1__PROCESS_EVENT__OF_OUTPUT) {
		n = MIN(event->output->data.len, sizeof(e->output) - 1 - e->len);
		memcpy(e->output + e->len, event->output->data.data, n);
		e->len += n;
	}
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void rig_exec_on_closed(void *user, enum rpc_status status, const char *text)
{
	struct rig_exec *e = user;

	pthread_mutex_lock(&e->lock);
	e->done = true;
	if (status != RPC_OK)
		e->code = 1000 + (int)status;
	(void)snprintf(e->status_text, sizeof(e->status_text), "%s", text ? text : "");
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

static const struct rpc_stream_ops rig_exec_ops = {.message = rig_exec_on_message,
						   .closed = rig_exec_on_closed};

static void rig_start(struct rig_vm *vm, Arca__V1__StartRequest *start, const char *command,
		      struct rig_exec *e)
{
	Arca__V1__AttachControl control = ARCA__V1__ATTACH_CONTROL__INIT;
	Arca__V1__ProcessSpec process = ARCA__V1__PROCESS_SPEC__INIT;
	char *args[] = {(char *)"/bin/sh", (char *)"-c", (char *)command};
	char *env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
	struct rpc_stream *stream;

	memset(e, 0, sizeof(*e));
	(void)pthread_mutex_init(&e->lock, NULL);
	(void)pthread_cond_init(&e->changed, NULL);
	process.args = args;
	process.n_args = ARRAY_SIZE(args);
	process.env = env;
	process.n_env = ARRAY_SIZE(env);
	process.cap_bounding = process.cap_effective = RIG_CAPS;
	start->container_id = vm->container;
	start->process = &process;
	control.of_case = ARCA__V1__ATTACH_CONTROL__OF_START;
	control.start = start;
	if (rpc_stream_open(vm->rpc, "/arca.v1.Process/Attach", &control.base,
			    &arca__v1__process_event__descriptor, &rig_exec_ops, e, &stream) < 0) {
		e->done = true;
		e->code = 2000;
	}
}

int rig_container(struct rig_vm *vm, Arca__V1__NetworkAttach **networks, size_t n,
		  Arca__V1__HostGateway *host, Arca__V1__Dns *dns, struct err *err)
{
	Arca__V1__StartRequest start = ARCA__V1__START_REQUEST__INIT;
	Arca__V1__ContainerSpec spec = ARCA__V1__CONTAINER_SPEC__INIT;
	Arca__V1__Resources resources = ARCA__V1__RESOURCES__INIT;
	struct rig_exec *e = calloc(1, sizeof(*e)); /* the stream's, for as long as it lives */
	int code;

	spec.id = vm->container;
	spec.root_serial = (char *)"rootfs";
	spec.upper_serial = (char *)"upper";
	spec.hostname = (char *)"rig";
	spec.resources = &resources;
	spec.networks = networks;
	spec.n_networks = n;
	spec.host_gateway = host;
	spec.dns = dns;
	start.id = vm->container;
	start.container = &spec;
	rig_start(vm, &start, "exec sleep 100000", e);
	pthread_mutex_lock(&e->lock);
	while (!e->started && !e->done)
		pthread_cond_wait(&e->changed, &e->lock);
	code = e->done ? e->code - 1000 : 0;
	if (code)
		(void)snprintf(err->msg, sizeof(err->msg), "%s", e->status_text);
	pthread_mutex_unlock(&e->lock);
	return code;
}

void rig_exec_begin(struct rig_vm *vm, const char *command, struct rig_exec *ret)
{
	Arca__V1__StartRequest start = ARCA__V1__START_REQUEST__INIT;
	char id[ID_BUF];

	id_generate(id);
	start.id = id;
	rig_start(vm, &start, command, ret);
}

void rig_exec_wait(struct rig_exec *e)
{
	pthread_mutex_lock(&e->lock);
	while (!e->done)
		pthread_cond_wait(&e->changed, &e->lock);
	pthread_mutex_unlock(&e->lock);
	e->output[e->len] = '\0';
}

static struct rig_exec rig_last;

int rig_run(struct rig_vm *vm, const char *command)
{
	rig_exec_begin(vm, command, &rig_last);
	rig_exec_wait(&rig_last);
	return rig_last.code;
}

const char *rig_output(void)
{
	return rig_last.output;
}
