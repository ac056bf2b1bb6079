/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.c - one microVM, from QEMU spawned to QEMU reaped
 *
 * DOC: Theory of operation
 *
 *	spawned -> RUNNING -> GONE
 *
 * A start takes a VM that the pool has ready (pool.c), or makes a clone. Cloning is a pipeline
 * without waits: the listening sockets are ours and handed to QEMU, so the agent's Hello and all
 *QMP commands (capabilities, incoming, cont) lie in them before QEMU's main() runs. RUNNING is
 *entered by QEMU's RESUME event, on the loop thread. GONE comes from the pidfd only, so it is told
 *once, whoever asked for the end.
 *
 * A VM whose agent's channel ended by itself is of no use and may be hostile: it is killed, and
 * GONE follows. When the daemon goes away, sandbox_free() leaves QEMU alone, and adopt.c finds it
 * by run_dir/<id>/vm.json.
 *
 * Threads: start, stop and free on their caller's, one at a time per sandbox; QEMU, QMP and the
 * channel report on the loop's. sb->lock covers the flags and is never held in a callback upwards.
 *
 * Hostile: the guest, and what QEMU says once the guest runs; bounded in qmp.c and rpc/.
 */
#include "vm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "vm/argv.h"
#include "vm/pool.h"
#include "vm/qemu.h"
#include "vm/qmp.h"
#include "vm/sock.h"
#include "vm/template.h"
#include "vm/vmm.h"

#define SANDBOX_ENTROPY_LEN 64
#define SANDBOX_MACHINE_ID_LEN 16

/**
 * sandbox_on_gone() - QEMU has ended: wake the waiters, tell the owner; loop thread
 * @user: Sandbox
 */
void sandbox_on_gone(void *user)
{
	struct sandbox *sb = user;
	sandbox_gone_fn gone;
	char line[256];
	bool stopping;

	pthread_mutex_lock(&sb->lock);
	gone = sb->gone;
	sb->gone = NULL;
	stopping = sb->stopping;
	pthread_cond_broadcast(&sb->cond);
	pthread_mutex_unlock(&sb->lock);
	if (!stopping && gone) {
		qemu_last_line(sb->qemu, line, sizeof(line));
		log_debug("VM of %.12s ended by itself: %s", sb->id,
			  *line ? line : "no last words");
	}
	if (gone)
		gone(sb->user);
}

static void sandbox_on_event(void *user, const char *event, json_t *data)
{
	struct sandbox *sb = user;

	if (str_eq(event, "BLOCK_IO_ERROR"))
		sandbox_full_event(sb, data);

	pthread_mutex_lock(&sb->lock);
	sb->running |= str_eq(event, "RESUME");
	sb->n_unplugged += str_eq(event, "DEVICE_DELETED");
	pthread_cond_broadcast(&sb->cond);
	pthread_mutex_unlock(&sb->lock);
}

static void sandbox_on_qmp_closed(void *user, int reason UNUSED)
{
	struct sandbox *sb = user;

	pthread_mutex_lock(&sb->lock);
	sb->broken = true;
	pthread_cond_broadcast(&sb->cond);
	pthread_mutex_unlock(&sb->lock);
}

static void sandbox_on_rpc_closed(void *user, int reason)
{
	struct sandbox *sb = user;
	bool stopping;

	if (reason == 0)
		return; /* rpc_client_free() */
	pthread_mutex_lock(&sb->lock);
	stopping = sb->stopping;
	pthread_mutex_unlock(&sb->lock);
	if (!stopping && !qemu_is_gone(sb->qemu))
		log_debug("the channel to the agent of %.12s ended: %s", sb->id, strerror(-reason));
	qemu_kill(sb->qemu);
}

/**
 * sandbox_new() - An empty sandbox: no process, no sockets
 * @vmm:	 Machine manager
 * @id:		 Its name
 * @ret_sandbox: The sandbox, released with sandbox_discard() or sandbox_free(); set on success
 *
 * Return: 0, or -ENOMEM
 */
int sandbox_new(struct vmm *vmm, const char *id, struct sandbox **ret_sandbox)
{
	struct sandbox *sb = calloc(1, sizeof(*sb));
	pthread_condattr_t attr;

	if (!sb)
		return -ENOMEM;
	sb->vmm = vmm;
	sb->nic.fd = -EBADF;
	sb->id = strdup(id);
	sb->dir = str_format("%s/%s", vmm->run_dir, id);
	pthread_mutex_init(&sb->slots_lock, NULL);
	pthread_mutex_init(&sb->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sb->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (!sb->id || !sb->dir) {
		sandbox_free(sb);
		return -ENOMEM;
	}
	*ret_sandbox = sb;
	return 0;
}

/* A folder that is there already belongs to a VM that runs, or is what a dead one left. */
static int sandbox_make_dir(struct sandbox *sb)
{
	int r = 0;

	if (mkdir(sb->dir, 0700) < 0)
		r = -errno;
	if (r == -EEXIST && !sandbox_is_alive(sb->dir)) {
		r = fs_remove_tree(sb->dir);
		if (r == 0 && mkdir(sb->dir, 0700) < 0)
			r = -errno;
	}
	sb->owns_dir = r == 0;
	return r;
}

/**
 * sandbox_own_upper() - Where the upper disk of a sandbox without one is
 * @sb: Sandbox
 *
 * Return: path, owned by the caller, or NULL for want of memory
 */
char *sandbox_own_upper(const struct sandbox *sb)
{
	return str_format("%s/upper.ext4", sb->dir);
}

static int sandbox_spawn(struct sandbox *sb, const struct sandbox_spec *spec,
			 const struct template *t, int state_fd, struct err *err)
{
	_cleanup_free_ char *name = str_format("arca-%.12s", sb->id);
	_cleanup_free_ char *upper = sandbox_own_upper(sb);
	_cleanup_close_ int qmp_fd = -EBADF, agent_fd = -EBADF, tap_fd = -EBADF;
	_cleanup_(vm_argv_done) struct vm_argv argv = {};
	struct vm_argv_spec argv_spec = {
		.arch = vm_arch_host(),
		.kvm = t->kvm,
		.clone = true,
		.shape = t->shape,
		.qemu_path = sb->vmm->qemu_path,
		.name = name,
		.memory_path = t->memory_path,
		.root_disk = spec->root_disk,
		.upper_disk = spec->upper_disk ?: upper,
		.qmp_fd = 3,
		.agent_fd = 4,
		.tap_fd = -EBADF,
	};
	int fds[] = {-EBADF, -EBADF, state_fd, -EBADF};
	int r;

	if (!name || !upper)
		return err_oom(err);
	if (sb->vmm->nics.open) {
		r = sb->vmm->nics.open(sb->vmm->nics.user, &sb->nic, err);
		if (r < 0)
			return r;
		tap_fd = TAKE_FD(sb->nic.fd);
		argv_spec.tap_fd = 6;
	}
	r = sandbox_make_dir(sb);
	if (r < 0)
		return err_sys(err, r, "cannot make %s", sb->dir);
	if (!spec->upper_disk) {
		r = upper_disk_create(sb->vmm, upper, err);
		if (r < 0)
			return r;
	}
	r = sock_listen(sb->dir, "qmp.sock", &qmp_fd);
	if (r == 0)
		r = sock_listen(sb->dir, "agent.sock", &agent_fd);
	if (r == 0)
		r = vm_argv_build(&argv_spec, &argv);
	if (r < 0)
		return err_sys(err, r, "cannot prepare the VM of %.12s", sb->id);
	fds[0] = qmp_fd;
	fds[1] = agent_fd;
	fds[3] = tap_fd;
	return qemu_spawn(sb->vmm->loop, &argv, fds, tap_fd >= 0 ? 4 : 3, sandbox_on_gone, sb,
			  &sb->qemu, err);
}

/**
 * sandbox_open_qmp() - Connect to QEMU
 * @sb: Sandbox with a process
 *
 * Return: 0, or negative errno
 */
int sandbox_open_qmp(struct sandbox *sb)
{
	_cleanup_close_ int fd = -EBADF;
	int r = sock_connect(sb->dir, "qmp.sock", &fd);

	if (r == 0)
		r = qmp_new(sb->vmm->loop, fd, sandbox_on_event, sandbox_on_qmp_closed, sb,
			    &sb->qmp);
	if (r == 0)
		TAKE_FD(fd);
	return r;
}

/**
 * sandbox_open_rpc() - Connect to the agent
 * @sb:	   Sandbox with a process
 * @token: What the agent's last Hello was given; NULL for a fresh clone
 *
 * Return: 0, or negative errno
 */
int sandbox_open_rpc(struct sandbox *sb, const unsigned char *token)
{
	_cleanup_close_ int fd = -EBADF;
	int r = sock_connect(sb->dir, "agent.sock", &fd);

	if (r == 0)
		r = rpc_client_new(sb->vmm->loop, fd, token, sandbox_on_rpc_closed, sb, &sb->rpc);
	if (r == 0)
		TAKE_FD(fd);
	return r;
}

static void sandbox_on_hello_timeout(void *user)
{
	struct sandbox *sb = user;

	loop_timer_remove(sb->hello_timer);
	sb->hello_timer = NULL;
	log_warn("the agent of %.12s is mute: its VM is ended", sb->id);
	qemu_kill(sb->qemu);
}

static void sandbox_start_timer(void *user)
{
	struct sandbox *sb = user;

	/* without memory for it a mute agent stays until somebody stops the VM */
	(void)loop_timer_add(sb->vmm->loop, sb->vmm->hello_timeout_ms, sandbox_on_hello_timeout, sb,
			     &sb->hello_timer);
}

static void sandbox_stop_timer(void *user)
{
	struct sandbox *sb = user;

	loop_timer_remove(sb->hello_timer);
	sb->hello_timer = NULL;
}

/**
 * sandbox_keep_keys() - Keys that a Hello's answer offers
 * @sb:	   Sandbox
 * @hello: Answer
 */
void sandbox_keep_keys(struct sandbox *sb, const Arca__V1__HelloResponse *hello)
{
	pthread_mutex_lock(&sb->lock);
	for (size_t i = 0; i < VM_NIC_KEYS; i++) {
		memset(sb->keys[i], 0, VM_KEY_LEN);
		if (i < hello->n_offered_keys && hello->offered_keys[i].len == VM_KEY_LEN)
			memcpy(sb->keys[i], hello->offered_keys[i].data, VM_KEY_LEN);
	}
	sb->greeted = true;
	pthread_cond_broadcast(&sb->cond);
	pthread_mutex_unlock(&sb->lock);
}

static void sandbox_on_hello(void *user, ProtobufCMessage *message)
{
	sandbox_keep_keys(user, (const Arca__V1__HelloResponse *)message);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void sandbox_on_hello_closed(void *user, enum rpc_status status, const char *text)
{
	struct sandbox *sb = user;

	sandbox_stop_timer(sb);
	if (status == RPC_OK || status == RPC_UNAVAILABLE)
		return; /* a channel that ended has been dealt with */
	log_warn("the agent of %.12s refused Hello: %s", sb->id, text ?: "");
	qemu_kill(sb->qemu);
}

/**
 * sandbox_fill_hello() - What every Hello says of the network card
 * @sb:	      Sandbox
 * @hello:    Filled; borrows from @sb and @underlay
 * @underlay: Room for it
 */
void sandbox_fill_hello(const struct sandbox *sb, Arca__V1__HelloRequest *hello,
			Arca__V1__Underlay *underlay)
{
	const struct vm_nic *nic = &sb->nic;

	if (nic->index == 0)
		return;
	arca__v1__underlay__init(underlay);
	underlay->mac = (ProtobufCBinaryData){sizeof(nic->mac), (uint8_t *)nic->mac};
	underlay->v4 = (ProtobufCBinaryData){sizeof(nic->v4), (uint8_t *)nic->v4};
	underlay->v6 = (ProtobufCBinaryData){sizeof(nic->v6), (uint8_t *)nic->v6};
	underlay->gateway4 = (ProtobufCBinaryData){sizeof(nic->gateway4), (uint8_t *)nic->gateway4};
	underlay->gateway6 = (ProtobufCBinaryData){sizeof(nic->gateway6), (uint8_t *)nic->gateway6};
	underlay->mtu = nic->mtu;
	hello->underlay = underlay;
	hello->offers = VM_NIC_KEYS;
}

/**
 * sandbox_say_hello() - Tell a VM what makes it different from all others
 * @sb:	    Sandbox with an open channel
 * @final:  It belongs to somebody now: with machine id and the token that is on file
 *
 * The first thing it hears, and the first thing that a later owner says. Its answer is not waited
 * for; without one the VM is killed.
 *
 * Return: 0, positive if the channel is gone, or negative errno
 */
int sandbox_say_hello(struct sandbox *sb, bool final)
{
	static const struct rpc_stream_ops ops = {.message = sandbox_on_hello,
						  .closed = sandbox_on_hello_closed};
	unsigned char entropy[SANDBOX_ENTROPY_LEN], machine_id[SANDBOX_MACHINE_ID_LEN];
	Arca__V1__HelloRequest hello = ARCA__V1__HELLO_REQUEST__INIT;
	Arca__V1__Underlay underlay;
	struct rpc_stream *stream;
	int r;

	random_bytes(entropy, sizeof(entropy));
	random_bytes(machine_id, sizeof(machine_id));
	hello.entropy = (ProtobufCBinaryData){sizeof(entropy), entropy};
	if (final) {
		hello.machine_id = (ProtobufCBinaryData){sizeof(machine_id), machine_id};
		hello.token = (ProtobufCBinaryData){RPC_TOKEN_LEN, sb->record.token};
	}
	hello.realtime_ns = clock_realtime_ns();
	sandbox_fill_hello(sb, &hello, &underlay);
	r = loop_call(sb->vmm->loop, sandbox_start_timer, sb);
	if (r < 0)
		return r;
	r = rpc_stream_open(sb->rpc, "/arca.v1.Sandbox/Hello", &hello.base,
			    &arca__v1__hello_response__descriptor, &ops, sb, &stream);
	explicit_bzero(entropy, sizeof(entropy));
	if (r == 0)
		rpc_stream_close_send(stream);
	return r;
}

/* All in one write; what the state file holds replaces whatever the new machine was. */
static int sandbox_restore(struct sandbox *sb, struct err *err)
{
	json_t *caps = json_pack("{s:[{s:s,s:b}]}", "capabilities", "capability", "x-ignore-shared",
				 "state", 1);
	json_t *uri = json_pack("{s:s}", "uri", "fd:5");
	const struct qmp_cmd cmds[] = {
		{.name = "qmp_capabilities"},
		{.name = "migrate-set-capabilities", .args = caps},
		{.name = "migrate-incoming", .args = uri},
		{.name = "cont"},
	};
	int r;

	if (caps && uri)
		r = qmp_run(sb->qmp, cmds, ARRAY_SIZE(cmds), SANDBOX_QMP_TIMEOUT_MS, NULL, err);
	else
		r = err_oom(err);
	json_decref(caps);
	json_decref(uri);
	return r;
}

static int sandbox_wait_running(struct sandbox *sb)
{
	int64_t end_ns = clock_monotonic_ns() + SANDBOX_QMP_TIMEOUT_MS * NSEC_PER_MSEC;
	struct timespec end = {.tv_sec = end_ns / NSEC_PER_SEC, .tv_nsec = end_ns % NSEC_PER_SEC};
	int r = 0;

	pthread_mutex_lock(&sb->lock);
	while (!sb->running && !sb->broken && r == 0)
		r = -pthread_cond_timedwait(&sb->cond, &sb->lock, &end);
	if (sb->running)
		r = 0;
	else if (r == 0)
		r = -EPIPE;
	pthread_mutex_unlock(&sb->lock);
	return r;
}

/* QEMU's own words, where it has ended, are better than "broken pipe". */
static int sandbox_explain(struct sandbox *sb, int r, struct err *err)
{
	char line[512] = "";

	if (sb->qemu && qemu_wait(sb->qemu, 100))
		qemu_last_line(sb->qemu, line, sizeof(line));
	if (*line)
		(void)err_user(err, ERR_INTERNAL, "cannot start the VM of %.12s: %s", sb->id, line);
	return r;
}

/**
 * sandbox_publish() - From now on the VM's end is told
 * @sb:	  Sandbox that is about to become its caller's
 * @gone: Called when its VM ended
 * @user: Argument of @gone
 *
 * Return: false if it has ended already, and nobody will be told
 */
bool sandbox_publish(struct sandbox *sb, sandbox_gone_fn gone, void *user)
{
	bool alive;

	pthread_mutex_lock(&sb->lock);
	alive = !qemu_is_gone(sb->qemu); /* set before sandbox_on_gone() takes the lock */
	if (alive) {
		sb->user = user;
		sb->gone = gone;
	}
	pthread_mutex_unlock(&sb->lock);
	return alive;
}

static int sandbox_run(struct sandbox *sb, bool final, struct err *err)
{
	int r;

	sb->record.pid = qemu_pid(sb->qemu);
	sb->record.start_ticks = qemu_start_ticks(sb->qemu);
	sb->record.nic = sb->nic.index;
	random_bytes(sb->record.token, sizeof(sb->record.token));
	r = sandbox_open_qmp(sb);
	if (r == 0 && final) /* else nobody is to find it: a token on file is one that it knows */
		r = sandbox_record_write(sb);
	if (r == 0)
		r = sandbox_open_rpc(sb, NULL);
	if (r == 0)
		r = sandbox_say_hello(sb, final);
	if (r != 0) /* positive: the channel is gone already */
		return sandbox_explain(
			sb,
			err_sys(err, r > 0 ? -EPIPE : r, "cannot reach the VM of %.12s", sb->id),
			err);
	r = sandbox_restore(sb, err);
	if (r < 0)
		return sandbox_explain(sb, r, err);
	r = sandbox_wait_running(sb);
	if (r < 0)
		return sandbox_explain(
			sb, err_sys(err, r, "cannot restore the VM of %.12s", sb->id), err);
	return 0;
}

/**
 * sandbox_clone() - Clone a VM of a shape, resume it, and open its agent's channel
 * @vmm:	 Machine manager
 * @spec:	 Shape and disks; copied
 * @final:	 It is its caller's for good, see sandbox_say_hello()
 * @ret_sandbox: The sandbox, unpublished, for sandbox_discard(); set on success
 * @err:	 Filled on failure
 *
 * Blocking, about 40 ms; seconds where the shape's template has to be made first.
 *
 * Return: 0, or negative errno with nothing left behind
 */
int sandbox_clone(struct vmm *vmm, const struct sandbox_spec *spec, bool final,
		  struct sandbox **ret_sandbox, struct err *err)
{
	_cleanup_(sandbox_discardp) struct sandbox *sb = NULL;
	_cleanup_close_ int state_fd = -EBADF;
	const struct template *t;
	int r;

	r = template_get(vmm, spec->shape, &t, err);
	if (r < 0)
		return r;
	state_fd = open(t->state_path, O_RDONLY | O_CLOEXEC);
	if (state_fd < 0)
		return err_sys(err, -errno, "cannot open the VM template %s", t->state_path);
	r = sandbox_new(vmm, spec->id, &sb);
	if (r < 0)
		return err_oom(err);
	r = sandbox_spawn(sb, spec, t, state_fd, err);
	if (r == 0)
		r = sandbox_run(sb, final, err);
	if (r < 0)
		return r;
	*ret_sandbox = TAKE_PTR(sb);
	return 0;
}

/**
 * sandbox_start() - A running VM with these disks, and its agent's channel
 * @vmm:	 Machine manager
 * @spec:	 Shape and disks; copied
 * @gone:	 Called once when the VM has ended, on the loop thread
 * @user:	 Its argument
 * @ret_sandbox: The sandbox, owned by the caller; set on success
 * @err:	 Filled on failure
 *
 * Out of the pool in a few milliseconds, or a clone. The agent's Hello is on its way when this
 * returns; a call made now is answered after it.
 *
 * Return: 0, or negative errno with nothing left behind
 */
int sandbox_start(struct vmm *vmm, const struct sandbox_spec *spec, sandbox_gone_fn gone,
		  void *user, struct sandbox **ret_sandbox, struct err *err)
{
	_cleanup_(sandbox_discardp) struct sandbox *sb = NULL;
	uint64_t start_us = clock_us();
	bool pooled;
	int r = 0;

	pooled = pool_claim(vmm->pool, spec, &sb);
	if (!pooled)
		r = sandbox_clone(vmm, spec, true, &sb, err);
	if (r < 0)
		return r;
	if (!sandbox_publish(sb, gone, user))
		return sandbox_explain(
			sb, err_sys(err, -EPIPE, "the VM of %.12s ended at once", sb->id), err);
	log_debug("VM of %.12s %s after %llu us", sb->id, pooled ? "comes from the pool" : "runs",
		  (unsigned long long)(clock_us() - start_us));
	*ret_sandbox = TAKE_PTR(sb);
	return 0;
}

/**
 * sandbox_rpc() - The channel to the agent
 * @sb: Sandbox
 *
 * Return: the client, borrowed until sandbox_free()
 */
struct rpc_client *sandbox_rpc(struct sandbox *sb)
{
	return sb->rpc;
}

/**
 * sandbox_pid() - QEMU's process id
 * @sb: Sandbox
 *
 * Return: the pid
 */
pid_t sandbox_pid(const struct sandbox *sb)
{
	return sb->record.pid;
}

/**
 * sandbox_nic() - Its network card
 * @sb: Sandbox
 *
 * Return: borrowed; its index is 0 if there is none
 */
const struct vm_nic *sandbox_nic(const struct sandbox *sb)
{
	return &sb->nic;
}

/**
 * sandbox_keys() - Public keys that the VM has made ahead
 * @sb:		Sandbox
 * @timeout_ms: For its first answer, milliseconds; one out of the pool has given it already
 * @keys:	Key i is for tunnel i; zeros where it has none
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int sandbox_keys(struct sandbox *sb, unsigned int timeout_ms,
		 uint8_t keys[static VM_NIC_KEYS][VM_KEY_LEN], struct err *err)
{
	int64_t end_ns = clock_monotonic_ns() + timeout_ms * NSEC_PER_MSEC;
	struct timespec end = {.tv_sec = end_ns / NSEC_PER_SEC, .tv_nsec = end_ns % NSEC_PER_SEC};
	int r = 0;

	pthread_mutex_lock(&sb->lock);
	while (!sb->greeted && !qemu_is_gone(sb->qemu) && r == 0)
		r = -pthread_cond_timedwait(&sb->cond, &sb->lock, &end);
	if (sb->greeted) {
		memcpy(keys, sb->keys, sizeof(sb->keys));
		r = 0;
	} else if (r == 0) {
		r = -EPIPE;
	}
	pthread_mutex_unlock(&sb->lock);
	return r < 0 ? err_sys(err, r, "the agent of %.12s does not answer", sb->id) : 0;
}

/* Once, as soon as QEMU is gone: the next VM of this id may come before this object is freed. */
static void sandbox_remove_dir(struct sandbox *sb)
{
	bool removed;

	pthread_mutex_lock(&sb->lock);
	removed = sb->dir_removed;
	sb->dir_removed = true;
	pthread_mutex_unlock(&sb->lock);
	if (!removed)
		(void)fs_remove_tree(sb->dir); /* vmm_sweep() removes it otherwise */
}

/**
 * sandbox_stop() - End the VM: unmounted if the agent manages in time, and in any case
 * @sb:		Sandbox
 * @timeout_ms: For the agent, milliseconds; 0: kill at once
 *
 * Returns when QEMU has ended and was reaped. Not on the loop thread.
 */
void sandbox_stop(struct sandbox *sb, unsigned int timeout_ms)
{
	Arca__V1__Empty request = ARCA__V1__EMPTY__INIT;

	pthread_mutex_lock(&sb->lock);
	sb->stopping = true;
	pthread_mutex_unlock(&sb->lock);
	/* The answer means that the disks are clean: what the guest wrote is QEMU's, and so the
	 * host kernel's. Its way to power itself off would only take time. An agent that fails or
	 * is late is killed as well. */
	if (timeout_ms > 0 && !qemu_is_gone(sb->qemu))
		(void)rpc_call(sb->rpc, "/arca.v1.Sandbox/Shutdown", &request.base,
			       &arca__v1__empty__descriptor, timeout_ms, NULL, NULL);
	qemu_kill(sb->qemu);
	if (qemu_wait(sb->qemu, SANDBOX_KILL_TIMEOUT_MS))
		sandbox_remove_dir(sb);
	else
		log_error("QEMU %d of %.12s does not die", (int)sb->record.pid, sb->id);
}

static void sandbox_stop_timers(void *user)
{
	sandbox_stop_timer(user);
	sandbox_full_done(user);
}

/**
 * sandbox_free() - Free the object; a QEMU that still runs is left alone
 * @sb: Sandbox or NULL. Not on the loop thread; `gone` is not called afterwards.
 *
 * What lies in run_dir/<id> is removed if QEMU is gone.
 */
void sandbox_free(struct sandbox *sb)
{
	bool gone;

	if (!sb)
		return;
	pthread_mutex_lock(&sb->lock);
	sb->gone = NULL;
	sb->stopping = true;
	pthread_mutex_unlock(&sb->lock);
	gone = sb->qemu && qemu_is_gone(sb->qemu);
	rpc_client_free(sb->rpc);
	if (loop_call(sb->vmm->loop, sandbox_stop_timers, sb) < 0)
		return; /* no memory left to say so: better lost than used after free */
	qmp_free(sb->qmp);
	qemu_free(sb->qemu);
	if (gone)
		sandbox_remove_dir(sb);
	pthread_cond_destroy(&sb->cond);
	pthread_mutex_destroy(&sb->lock);
	pthread_mutex_destroy(&sb->slots_lock);
	free(sb->id);
	free(sb->dir);
	free(sb);
}

/**
 * sandbox_discard() - Kill the VM, without telling anybody, and remove what is left of it
 * @sb: Sandbox or NULL, however little of it was built
 */
void sandbox_discard(struct sandbox *sb)
{
	if (!sb)
		return;
	pthread_mutex_lock(&sb->lock);
	sb->gone = NULL;
	pthread_mutex_unlock(&sb->lock);
	if (sb->qemu)
		sandbox_stop(sb, 0);
	else if (sb->owns_dir)
		(void)fs_remove_tree(sb->dir); /* vmm_sweep() removes it otherwise */
	sandbox_free(sb);
}
