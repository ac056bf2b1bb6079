/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - boot a VM until its agent answers, and save it
 *
 * DOC: Theory of operation
 *
 *	spawn -> Hello answered -> channel closed, guest idle -> stop -> migrate -> quit
 *
 * The memory is a shared mapping of a file, so saving writes the devices' state only
 * (x-ignore-shared). The first Hello carries nothing: entropy, time and token are a clone's, and
 * what this VM knew would be known to all of them. A second Hello proves that the agent went back
 * to its loop; a short while later it has nothing left to do, and every clone wakes up idle.
 *
 * Everything happens on the caller's thread and in @dir; a failure leaves no process.
 */
#include "vm/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "rpc/client.h"
#include "vm/argv.h"
#include "vm/qemu.h"
#include "vm/qmp.h"
#include "vm/sock.h"
#include "vm/vmm.h"

#define BOOT_SETTLE_MS 200
#define BOOT_QMP_TIMEOUT_MS 10000
#define BOOT_SAVE_TIMEOUT_MS 30000
#define BOOT_QUIT_TIMEOUT_MS 5000
#define BOOT_POLL_MS 5

DEFINE_CLEANUP(struct rpc_client *, rpc_client_free)
DEFINE_CLEANUP(struct qmp *, qmp_free)

static void boot_sleep(unsigned int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * NSEC_PER_MSEC};

	(void)nanosleep(&t, NULL); /* shorter does no harm */
}

static int boot_spawn(struct vmm *vmm, struct vm_shape shape, bool kvm, const char *dir,
		      struct qemu **ret_qemu, struct err *err)
{
	_cleanup_free_ char *memory = str_format("%s/memory", dir);
	_cleanup_free_ char *upper = str_format("%s/upper.ext4", dir);
	_cleanup_close_ int qmp_fd = -EBADF, agent_fd = -EBADF, tap_fd = -EBADF;
	_cleanup_(vm_argv_done) struct vm_argv argv = {};
	struct vm_argv_spec spec = {
		.arch = vm_arch_host(),
		.kvm = kvm,
		.shape = shape,
		.qemu_path = vmm->qemu_path,
		.name = "arca-template",
		.memory_path = memory,
		.kernel_path = vmm->kernel_path,
		.initrd_path = vmm->initrd_path,
		.upper_disk = upper,
		.qmp_fd = 3,
		.agent_fd = 4,
		.tap_fd = -EBADF,
	};
	struct vm_nic nic = {.fd = -EBADF};
	int r;

	if (!memory || !upper)
		return err_oom(err);
	r = upper_disk_create(vmm, upper, err);
	if (r < 0)
		return r;
	if (vmm->nics.open) { /* nothing is sent over it: it only has to be there */
		r = vmm->nics.open(vmm->nics.user, &nic, err);
		if (r < 0)
			return r;
		tap_fd = nic.fd;
		spec.tap_fd = 5;
	}
	r = sock_listen(dir, "qmp.sock", &qmp_fd);
	if (r == 0)
		r = sock_listen(dir, "agent.sock", &agent_fd);
	if (r == 0)
		r = vm_argv_build(&spec, &argv);
	if (r < 0)
		return err_sys(err, r, "cannot prepare a VM in %s", dir);
	return qemu_spawn(vmm->loop, &argv, (int[]){qmp_fd, agent_fd, tap_fd}, tap_fd >= 0 ? 3 : 2,
			  NULL, NULL, ret_qemu, err);
}

static int boot_hello(struct rpc_client *client, unsigned int timeout_ms,
		      struct boot_result *result, struct err *err)
{
	Arca__V1__HelloRequest request = ARCA__V1__HELLO_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	const Arca__V1__HelloResponse *hello;
	struct err why = {0};
	int r;

	r = rpc_call(client, "/arca.v1.Sandbox/Hello", &request.base,
		     &arca__v1__hello_response__descriptor, timeout_ms, &reply, &why);
	if (r == RPC_DEADLINE_EXCEEDED || r == -ETIMEDOUT)
		return err_sys(err, -ETIMEDOUT, "the agent in the VM does not answer");
	if (r != 0)
		return err_sys(err, r < 0 ? r : -ECONNABORTED,
			       "the agent in the VM cannot be talked to (%s)", why.msg);
	hello = (const Arca__V1__HelloResponse *)reply;
	(void)snprintf(result->agent_version, sizeof(result->agent_version), "%s",
		       hello->agent_version); /* cutting is fine, also below */
	(void)snprintf(result->kernel_release, sizeof(result->kernel_release), "%s",
		       hello->kernel_release);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

/* Boots have no clock of their own: the deadline is the caller's patience with a mute guest. */
static int boot_wait_agent(struct vmm *vmm, const char *dir, unsigned int timeout_ms,
			   struct boot_result *result, struct err *err)
{
	_cleanup_(rpc_client_freep) struct rpc_client *client = NULL;
	_cleanup_close_ int fd = -EBADF;
	int r;

	r = sock_connect(dir, "agent.sock", &fd);
	if (r < 0)
		return err_sys(err, r, "cannot connect to the agent's port");
	r = rpc_client_new(vmm->loop, fd, NULL, NULL, NULL, &client);
	if (r < 0)
		return err_sys(err, r, "cannot speak to the agent");
	TAKE_FD(fd);
	r = boot_hello(client, timeout_ms, result, err);
	if (r == 0)
		r = boot_hello(client, BOOT_QMP_TIMEOUT_MS, result, err);
	return r;
}

static int boot_save_state(struct qmp *qmp, const char *dir, struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/state", dir);
	_cleanup_close_ int fd = -EBADF;
	json_t *caps = json_pack("{s:[{s:s,s:b}]}", "capabilities", "capability", "x-ignore-shared",
				 "state", 1);
	json_t *name = json_pack("{s:s}", "fdname", "state");
	json_t *uri = json_pack("{s:s}", "uri", "fd:state");
	struct qmp_cmd cmds[] = {
		{.name = "stop"},
		{.name = "migrate-set-capabilities", .args = caps},
		{.name = "getfd", .args = name},
		{.name = "migrate", .args = uri},
	};
	int r = 0;

	if (!path || !caps || !name || !uri)
		r = err_oom(err);
	if (r == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (r == 0 && fd < 0)
		r = err_sys(err, -errno, "cannot make %s", path);
	if (r == 0) {
		cmds[2].pass_fd = fd;
		r = qmp_run(qmp, cmds, ARRAY_SIZE(cmds), BOOT_SAVE_TIMEOUT_MS, NULL, err);
	}
	json_decref(caps);
	json_decref(name);
	json_decref(uri);
	return r;
}

static int boot_wait_saved(struct qmp *qmp, struct err *err)
{
	uint64_t end_us = clock_us() + BOOT_SAVE_TIMEOUT_MS * 1000ULL;

	while (clock_us() < end_us) {
		json_t *reply = NULL;
		const char *status;
		bool done, failed;
		int r = qmp_call(qmp, "query-migrate", NULL, BOOT_QMP_TIMEOUT_MS, &reply, err);

		if (r < 0)
			return r;
		status = json_string_value(json_object_get(reply, "status")) ?: "";
		done = str_eq(status, "completed");
		failed = str_eq(status, "failed") || str_eq(status, "cancelled");
		json_decref(reply);
		if (done)
			return 0;
		if (failed)
			return err_user(err, ERR_INTERNAL, "QEMU could not save the template");
		boot_sleep(BOOT_POLL_MS);
	}
	return err_sys(err, -ETIMEDOUT, "QEMU did not save the template");
}

/* The guest's console goes to the log when it never answered: its last words say why. */
static void boot_log_console(struct qmp *qmp)
{
	json_t *reply = NULL;
	const char *text;
	size_t len;

	if (qmp_call(qmp, "ringbuf-read", json_pack("{s:s,s:i}", "device", "console", "size", 4096),
		     BOOT_QMP_TIMEOUT_MS, &reply, NULL) < 0)
		return;
	text = json_string_value(reply);
	len = text ? strlen(text) : 0;
	if (len > 0)
		log_warn("the guest's console: %s", len > 1500 ? text + len - 1500 : text);
	json_decref(reply);
}

static int boot_open_qmp(struct vmm *vmm, const char *dir, struct qmp **ret_qmp, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	r = sock_connect(dir, "qmp.sock", &fd);
	if (r < 0)
		return err_sys(err, r, "cannot connect to QEMU");
	r = qmp_new(vmm->loop, fd, NULL, NULL, NULL, ret_qmp);
	if (r < 0)
		return err_sys(err, r, "cannot speak to QEMU");
	TAKE_FD(fd);
	return qmp_call(*ret_qmp, "qmp_capabilities", NULL, BOOT_QMP_TIMEOUT_MS, NULL, err);
}

/* What vmm_end_builds() may kill; NULL before it is freed. */
static void boot_set_current(struct vmm *vmm, struct qemu *qemu)
{
	pthread_mutex_lock(&vmm->lock);
	vmm->booting = qemu;
	if (qemu && vmm->ending)
		qemu_kill(qemu);
	pthread_mutex_unlock(&vmm->lock);
}

static void boot_explain(struct qemu *qemu, struct err *err)
{
	char line[256];

	if (!qemu_wait(qemu, BOOT_POLL_MS))
		return; /* still runs: it has said nothing */
	qemu_last_line(qemu, line, sizeof(line));
	if (qemu_exit_status(qemu) == 0 && !*line)
		(void)err_user(err, ERR_INTERNAL, "the guest ended before its agent answered");
	else
		(void)err_user(err, ERR_INTERNAL, "QEMU ended with status %d%s%s",
			       qemu_exit_status(qemu), *line ? ": " : "", line);
}

/**
 * boot_and_save() - Make the files of a template
 * @vmm:	Machine manager
 * @shape:	CPUs and memory
 * @kvm:	Under KVM or emulated
 * @timeout_ms:	For the agent's answer, milliseconds
 * @dir:	Folder that receives memory and state
 * @ret_result:	What the agent said; set on success
 * @err:	Filled on failure
 *
 * Return: 0, -ETIMEDOUT for a mute guest, or another negative errno; no process is left
 */
int boot_and_save(struct vmm *vmm, struct vm_shape shape, bool kvm, unsigned int timeout_ms,
		  const char *dir, struct boot_result *ret_result, struct err *err)
{
	_cleanup_(qemu_discardp) struct qemu *qemu = NULL;
	_cleanup_(qmp_freep) struct qmp *qmp = NULL;
	struct boot_result result = {};
	uint64_t start_us = clock_us();
	int r;

	r = boot_spawn(vmm, shape, kvm, dir, &qemu, err);
	boot_set_current(vmm, qemu);
	if (r == 0)
		r = boot_open_qmp(vmm, dir, &qmp, err);
	if (r == 0) {
		r = boot_wait_agent(vmm, dir, timeout_ms, &result, err);
		if (r < 0)
			boot_log_console(qmp);
	}
	result.boot_ms = (unsigned int)((clock_us() - start_us) / 1000);
	if (r == 0) {
		boot_sleep(BOOT_SETTLE_MS);
		r = boot_save_state(qmp, dir, err);
	}
	if (r == 0)
		r = boot_wait_saved(qmp, err);
	boot_set_current(vmm, NULL);
	if (r < 0) {
		if (qemu)
			boot_explain(qemu, err);
		return r;
	}
	(void)qmp_call(qmp, "quit", NULL, BOOT_QUIT_TIMEOUT_MS, NULL, NULL); /* or it is killed */
	*ret_result = result;
	return 0;
}
