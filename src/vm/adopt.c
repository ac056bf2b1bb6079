/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.c - VMs that an earlier daemon started: take them over, or remove what is left
 *
 * DOC: Theory of operation
 *
 * run_dir/<id>/vm.json names a process by pid and start time. If it still runs, its sockets are
 * where they were: QEMU accepts a new client as soon as it has noticed that the old one died.
 * Without a record that holds, whoever listens on the QMP socket is told to quit (orphan.c).
 * A VM that never got as far as running (the old daemon died while starting it), or whose agent
 * does not answer to the token on file, is of no use to anybody: it is killed and removed.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "vm/qemu.h"
#include "vm/qmp.h"
#include "vm/sandbox.h"
#include "vm/vmm.h"

#define ADOPT_TIMEOUT_MS 20000

/* -ESTALE: QEMU is there, but its guest never ran. */
static int adopt_check_running(struct sandbox *sb, struct err *err)
{
	const struct qmp_cmd cmds[] = {{.name = "qmp_capabilities"}, {.name = "query-status"}};
	json_t *reply = NULL;
	const char *status;
	int r;

	r = qmp_run(sb->qmp, cmds, ARRAY_SIZE(cmds), ADOPT_TIMEOUT_MS, &reply, err);
	if (r < 0)
		return r;
	status = json_string_value(json_object_get(reply, "status"));
	if (status && str_eq(status, "io-error")) /* see sandbox_full.c */
		r = qmp_call(sb->qmp, "cont", NULL, ADOPT_TIMEOUT_MS, NULL, err);
	else if (!status || !str_eq(status, "running"))
		r = err_sys(err, -ESTALE, "the VM of %.12s is %s", sb->id, status ?: "nameless");
	json_decref(reply);
	return r;
}

static int adopt_hello(struct sandbox *sb, Arca__V1__HelloResponse **ret_hello, struct err *err)
{
	Arca__V1__HelloRequest hello = ARCA__V1__HELLO_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	Arca__V1__Underlay underlay;
	int r;

	hello.token = (ProtobufCBinaryData){RPC_TOKEN_LEN, sb->record.token};
	hello.realtime_ns = clock_realtime_ns();
	sandbox_fill_hello(sb, &hello, &underlay);
	r = rpc_call(sb->rpc, "/arca.v1.Sandbox/Hello", &hello.base,
		     &arca__v1__hello_response__descriptor, ADOPT_TIMEOUT_MS, &reply, err);
	if (r != 0)
		return r < 0 ? r : -EPROTO;
	*ret_hello = (Arca__V1__HelloResponse *)reply;
	sandbox_keep_keys(sb, *ret_hello);
	return 0;
}

static int adopt_connect(struct sandbox *sb, Arca__V1__HelloResponse **ret_hello, struct err *err)
{
	int r;

	r = sandbox_open_qmp(sb);
	if (r < 0)
		return err_sys(err, r, "cannot reach QEMU of %.12s", sb->id);
	r = adopt_check_running(sb, err);
	if (r < 0)
		return r;
	r = sandbox_open_rpc(sb, sb->record.token);
	if (r < 0)
		return err_sys(err, r, "cannot reach the agent of %.12s", sb->id);
	return adopt_hello(sb, ret_hello, err);
}

/**
 * sandbox_adopt() - Take over a VM that an earlier daemon started
 * @vmm:	 Machine manager
 * @id:		 The sandbox's name then
 * @gone:	 Called once when the VM has ended, on the loop thread
 * @user:	 Its argument
 * @ret_sandbox: The sandbox, owned by the caller; set on success
 * @ret_hello:	 What the agent has to tell, owned by the caller
 *		 (arca__v1__hello_response__free_unpacked()); set on success
 * @err:	 Filled on failures other than -ENOENT
 *
 * Return: 0, -ENOENT if the VM is gone or was beyond use (what was left of it has been removed),
 * or negative errno
 */
int sandbox_adopt(struct vmm *vmm, const char *id, sandbox_gone_fn gone, void *user,
		  struct sandbox **ret_sandbox, struct Arca__V1__HelloResponse **ret_hello,
		  struct err *err)
{
	_cleanup_(sandbox_discardp) struct sandbox *sb = NULL;
	struct err why = {};
	int r;

	r = sandbox_new(vmm, id, &sb);
	if (r < 0)
		return err_oom(err);
	sb->owns_dir = true;
	r = sandbox_record_read(sb->dir, &sb->record);
	if (r == 0)
		r = qemu_attach(vmm->loop, sb->record.pid, sb->record.start_ticks, sandbox_on_gone,
				sb, &sb->qemu);
	if (r == -ENOMEM)
		sb->owns_dir = false; /* not the VM's fault */
	if (r == -ENOENT || r == -ESRCH || r == -EBADMSG) {
		vmm_end_orphan(vmm, sb->dir);
		return -ENOENT;
	}
	if (r < 0)
		return err_sys(err, r, "cannot take over the VM of %.12s", id);
	sb->running = true;
	if (sb->record.nic && vmm->nics.find)
		vmm->nics.find(vmm->nics.user, sb->record.nic, &sb->nic);
	r = adopt_connect(sb, ret_hello, &why);
	if (r < 0) {
		log_warn("the VM of %.12s cannot be taken over and is ended: %s", id, why.msg);
		return -ENOENT;
	}
	if (!sandbox_publish(sb, gone, user)) {
		arca__v1__hello_response__free_unpacked(*ret_hello, NULL);
		*ret_hello = NULL;
		return -ENOENT;
	}
	*ret_sandbox = TAKE_PTR(sb);
	return 0;
}

static void sweep_one(struct vmm *vmm, const char *id)
{
	_cleanup_(sandbox_discardp) struct sandbox *sb = NULL;

	if (sandbox_new(vmm, id, &sb) < 0)
		return; /* the next daemon tries again */
	sb->owns_dir = true;
	if (sandbox_record_read(sb->dir, &sb->record) == 0 &&
	    qemu_attach(vmm->loop, sb->record.pid, sb->record.start_ticks, sandbox_on_gone, sb,
			&sb->qemu) == 0)
		log_info("ending a VM that belongs to no container: %.12s", id);
	else
		vmm_end_orphan(vmm, sb->dir);
}

/**
 * vmm_sweep() - End VMs and remove folders in run_dir that nobody knows
 * @vmm:  Machine manager
 * @keep: Says whether an id is known
 * @user: Its argument
 *
 * Return: 0, or negative errno if run_dir cannot be read
 */
int vmm_sweep(struct vmm *vmm, bool (*keep)(void *user, const char *id), void *user)
{
	_cleanup_closedir_ DIR *dir = opendir(vmm->run_dir);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !keep(user, entry->d_name))
			sweep_one(vmm, entry->d_name);
	return 0;
}
