/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_start.c - start: clone a VM and have the agent run the process in it
 *
 * Everything that can be done before is done at create (rootfs, upper disk, files) or once (the
 * seccomp filter). The path: row says a VM may exist; clone; one message with the whole spec,
 * pipelined behind the clone's Hello; wait for `started`; row and event. A daemon killed anywhere
 * in between finds the VM by its row (container_recover.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"
#include "core/attachments.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "core/spec.h"
#include "image/image.h"
#include "net/underlay.h"
#include "rpc/client.h"
#include "vm/vm.h"

static int start_check_state(struct container *c, struct err *err)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	switch (c->state) {
	case CONTAINER_RUNNING:
		err_user(err, ERR_NOT_MODIFIED, "container is already running");
		return -EALREADY;
	case CONTAINER_PAUSED:
		err_user(err, ERR_CONFLICT, "cannot start a paused container, try unpause instead");
		return -EBUSY;
	case CONTAINER_REMOVING:
	case CONTAINER_DEAD:
		err_user(err, ERR_CONFLICT,
			 "container is marked for removal and cannot be started");
		return -EBUSY;
	default:
		return 0;
	}
}

/* Assembled at create; again if somebody cleared the image store since. */
static int start_rootfs(struct container *c, struct err *err)
{
	struct image *image = NULL;
	char *vmdk = NULL;
	int r;

	if (fs_exists(c->rootfs))
		return 0;
	r = image_get(c->cs->core->images, c->image_id, &image, err);
	if (r < 0)
		return r;
	r = image_rootfs(c->cs->core->images, image, SANDBOX_ROOT_DISK_BYTES, &vmdk, err);
	image_free(image);
	if (r < 0)
		return r;
	rank_lock(&c->lock);
	free(c->rootfs);
	c->rootfs = vmdk;
	c->version++;
	rank_unlock(&c->lock);
	return 0;
}

/* What is about to be started. */
struct start {
	json_t *host_config; /* owned */
	struct container_join join;
	struct network_endpoints endpoints; /* none where it joins another's */
	struct container_files files;
	Arca__V1__StartRequest *request; /* owned */
};

static void start_done(struct start *start)
{
	if (start->request)
		arca__v1__start_request__free_unpacked(start->request, NULL);
	container_files_done(&start->files);
	network_endpoints_done(&start->endpoints);
	container_join_done(&start->join);
	json_decref(start->host_config);
}

/* Everything but its networks: attachments_begin(). */
static int start_request(struct container *c, const json_t *config, const struct start *start,
			 Arca__V1__StartRequest **ret, struct err *err)
{
	const json_t *host_config = start->host_config;
	struct spec_source source = {.id = c->id,
				     .config = config,
				     .host_config = host_config,
				     .host_name = c->cs->core->config.name,
				     .hosts = start->files.hosts,
				     .resolv = start->files.resolv};
	_cleanup_json_ json_t *links = NULL;
	int r = container_links_env(c, &links, err);

	source.links = links;
	if (r == 0)
		r = spec_start_request(&source, ret, err);
	if (r == 0)
		r = spec_dns(host_config, network_endpoints_any(&start->endpoints),
			     (*ret)->container, err);
	if (r == 0)
		r = spec_host_gateway(c->cs->core->networks, host_config, (*ret)->container, err);
	return r < 0 ? r : 0;
}

/* While the VM is at work. What the container sees is not from there. */
static void start_write_files(const struct container *c, const struct container_files *files)
{
	struct err err = {0};

	if (container_files_write(c, files, &err) < 0)
		log_error("container %.12s: %s", c->id, err.msg);
}

static void start_set_phase(struct container_run *run, enum run_phase phase)
{
	RANK_LOCK_SCOPE(state, &run->c->lock);
	run->phase = phase;
}

/* Whoever asked for a name of the host may reach it. */
static int start_host_gateway(const struct core *core, const struct sandbox *sb,
			      const Arca__V1__StartRequest *request, struct err *err)
{
	if (!request->container->host_gateway || !core->underlay || !sandbox_nic(sb)->index)
		return 0;
	return underlay_host_gateway(core->underlay, (uint16_t)sandbox_nic(sb)->index, true, err);
}

/* A VM of its own, on its networks. */
static int start_vm(struct container_run *run, struct start *start, struct err *err)
{
	struct container *c = run->c;
	struct core *core = c->cs->core;
	_cleanup_free_ char *upper = str_format("%s/upper.ext4", c->dir);
	struct sandbox_spec spec = {.id = c->vm_id,
				    .shape = spec_shape(core, start->host_config),
				    .root_disk = c->rootfs,
				    .upper_disk = upper};
	int r;

	if (!upper)
		return err_oom(err);
	r = vmm_prepare(core->vmm, spec.shape, err);
	if (r < 0)
		return r;
	start_set_phase(run, RUN_STARTING);
	r = machine_start(c->cs->machines, run, &spec, err);
	if (r == 0)
		r = container_ports_publish(run, &start->endpoints, err);
	if (r == 0)
		container_links_open(c);
	if (r == 0)
		r = attachments_begin(core->meshes, c->id, run->sb, &start->endpoints,
				      start->request->container, &run->nets, err);
	return r < 0 ? r : start_host_gateway(core, run->sb, start->request, err);
}

/* Find or make the VM, and send. On failure the run is unusable and has left its VM, if any. */
static int start_send(struct container_run *run, struct start *start, struct err *err)
{
	int r;

	if (start->join.other) {
		start_set_phase(run, RUN_STARTING);
		r = container_join_vm(run, &start->join, start->request->container, err);
	} else {
		r = start_vm(run, start, err);
	}
	return r < 0 ? r : stdio_start(run->io, sandbox_rpc(run->sb), start->request, err);
}

/* Return: 0 once the process runs, -ENOEXEC with the agent's status and words in the run. */
static int start_wait(struct container_run *run)
{
	struct container *c = run->c;
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CONTAINER_START_WAIT_MS / 1000;
	RANK_LOCK_SCOPE(state, &c->lock);
	while (run->phase == RUN_STARTING && r == 0)
		r = pthread_cond_timedwait(&c->changed, &c->lock.mutex, &until);
	if (run->started)
		return 0;
	if (run->phase == RUN_STARTING) {
		run->phase = RUN_FAILED;
		run->rpc_status = RPC_DEADLINE_EXCEEDED;
		run->fail_text = strdup("the agent in the virtual machine does not answer");
	}
	return -ENOEXEC;
}

static int start_exit_code(int rpc_status)
{
	switch (rpc_status) {
	case RPC_NOT_FOUND:
		return 127;
	case RPC_PERMISSION_DENIED:
		return 126;
	default:
		return 128;
	}
}

static void start_fail_words(struct container_run *run, struct err *err)
{
	RANK_LOCK_SCOPE(state, &run->c->lock);
	const char *text = str_empty(run->fail_text) ? "the agent gave no reason" : run->fail_text;
	enum err_kind kind = ERR_INTERNAL;

	/* What dockerd finds out by itself, before there is a process. */
	if (str_starts(text, "unable to find ") || str_starts(text, "Cannot mkdir: ")) {
		err_user(err, ERR_INTERNAL, "%s", text);
		return;
	}
	if (run->rpc_status == RPC_NOT_FOUND || run->rpc_status == RPC_PERMISSION_DENIED ||
	    run->rpc_status == RPC_INVALID_ARGUMENT)
		kind = ERR_CANNOT_RUN;
	err_user(err, kind,
		 "failed to create task for container: failed to create shim task: OCI runtime "
		 "create failed: runc create failed: unable to start container process: %s",
		 text);
}

/* Networks were the reason: dockerd leaves the last run's code. */
static bool start_failed_early(const struct err *err)
{
	return str_starts(err->msg, "failed to set up container networking: ") ||
	       str_starts(err->msg, "joining network namespace of container: ") ||
	       str_starts(err->msg, "cannot join network namespace of ");
}

/* The process never ran: take everything back, remember why. Verb lock held; run may be NULL. */
static void start_failed(struct container *c, struct container_run *run, const struct err *err)
{
	int code;

	rank_lock(&c->lock);
	code = start_exit_code(run ? run->rpc_status : RPC_OK);
	if (run)
		run->phase = RUN_FAILED;
	if (c->state == CONTAINER_RESTARTING)
		container_move(c, CONTAINER_EXITED);
	if (c->exit_code == 0 || !start_failed_early(err))
		c->exit_code = code;
	c->pid = 0;
	free(c->error);
	c->error = strdup(err->msg);
	c->version++;
	rank_unlock(&c->lock);
	if (run)
		container_networks_leave(run, false);
	if (run)
		machine_leave(run, 0); /* nothing was written that is worth the wait */
	if (run)
		stdio_lost(run->io); /* ends clients where no callback did */
	rank_lock(&c->lock);
	c->vm = CONTAINER_VM_NONE;
	rank_unlock(&c->lock);
	(void)container_row_save(c); /* it said so */
	container_networks_down(c);
	container_run_drop(c);
}

/* From now on a VM may exist. One of the container's name may be those's that joined its last. */
static int start_record(struct container *c, const struct container_join *join, struct err *err)
{
	char id[ID_BUF];

	if (join->other)
		memcpy(id, machine_id(join->other->machine), sizeof(id));
	else if (machines_know(c->cs->machines, c->id))
		id_generate(id);
	else
		memcpy(id, c->id, sizeof(id));
	rank_lock(&c->lock);
	c->vm = CONTAINER_VM_RUN;
	memcpy(c->vm_id, id, sizeof(id));
	c->vm_joined = join->other != NULL;
	rank_unlock(&c->lock);
	if (container_row_save(c) < 0)
		return err_sys(err, -EIO, "cannot record the start of %.12s", c->id);
	return 0;
}

static void start_succeeded(struct container_run *run)
{
	struct container *c = run->c;

	rank_lock(&c->lock);
	container_move(c, CONTAINER_RUNNING);
	c->pid = sandbox_pid(run->sb);
	c->started_ns = clock_realtime_ns();
	c->finished_ns = 0;
	c->exit_code = 0;
	c->oom_killed = false;
	c->stopped_by_user = false;
	free(c->error);
	c->error = NULL;
	rank_unlock(&c->lock);
	(void)container_row_save(c); /* it said so */
	container_event(c, "start", NULL);
	container_files_target_started(c);
}

/* Everything but the VM: who it is on which networks, its disk, its files, the message. */
static int start_prepare(struct container *c, struct start *start, struct err *err)
{
	bool joins;
	int r;

	start->host_config = container_host_config(c);
	r = container_join_resolve(c, start->host_config, &start->join, err);
	joins = start->join.other != NULL;
	if (r == 0 && !joins)
		r = container_networks_up(c, &start->endpoints, err);
	if (r == 0)
		r = start_rootfs(c, err);
	if (r == 0)
		r = joins ? container_join_files(&start->join, &start->files, err)
			  : container_files_fill(c, &start->endpoints, &start->files, err);
	if (r < 0)
		return r;
	return start_request(c, joins ? start->join.config : c->config, start, &start->request,
			     err);
}

/**
 * container_start_held() - Start a container that is not running
 * @c:	 Container, verb lock held
 * @err: Filled on failure, in dockerd's words where the command cannot be run
 *
 * Return: 0, -EALREADY (ERR_NOT_MODIFIED) if it runs, or a negative errno
 */
int container_start_held(struct container *c, struct err *err)
{
	_cleanup_(start_done) struct start start = {0};
	_cleanup_run_ struct container_run *run = NULL;
	int64_t t0 = clock_monotonic_ns(), sent;
	int r;

	r = start_check_state(c, err);
	if (r < 0)
		return r;
	r = container_settle_held(c, false, err);
	if (r < 0) {
		container_run_drop(c); /* ends who is attached */
		return r;
	}
	rank_lock(&c->lock);
	r = container_run_get(c, &run, err); /* from here on a failure ends who is attached */
	rank_unlock(&c->lock);
	if (r == 0)
		r = start_prepare(c, &start, err);
	if (r == 0)
		r = start_record(c, &start.join, err);
	if (r == 0)
		r = start_send(run, &start, err);
	sent = clock_monotonic_ns();
	if (r == 0) {
		start_write_files(c, &start.files);
		r = start_wait(run);
		if (r < 0)
			start_fail_words(run, err);
		else if (run->nets)
			r = attachments_ready(run->nets, &start.endpoints, err);
	}
	if (r < 0) {
		start_failed(c, run, err);
		return r;
	}
	start_succeeded(run);
	log_debug("container %.12s started: request to agent %.1f ms, in all %.1f ms", c->id,
		  (double)(sent - t0) / 1e6, (double)(clock_monotonic_ns() - t0) / 1e6);
	return 0;
}

/* --rm: a start that failed was the only one. Not so where there was nothing to start. */
static void start_auto_remove(struct container *c)
{
	struct err ignored = {0};
	bool remove;

	rank_lock(&c->lock);
	remove = jx_bool(c->host_config, "AutoRemove") &&
		 (c->state == CONTAINER_CREATED || c->state == CONTAINER_EXITED);
	rank_unlock(&c->lock);
	if (remove)
		(void)container_remove_held(c, &ignored); /* the start's error counts */
}

/**
 * container_start_afresh() - A client's start: restarts are counted anew, --rm takes a failure
 * @c:	 Container, verb lock held
 * @err: Filled on failure
 *
 * Return: as container_start_held()
 */
int container_start_afresh(struct container *c, struct err *err)
{
	int r;

	rank_lock(&c->lock);
	if (!container_state_is_up(c->state)) {
		c->restart_count = 0;
		c->restart_delay_ms = 0;
		c->version++;
	}
	rank_unlock(&c->lock);
	r = container_start_held(c, err);
	if (r < 0)
		start_auto_remove(c);
	return r;
}

/**
 * container_start() - POST /containers/{id}/start
 * @cs:	 Manager
 * @ref: Container
 * @err: Filled on failure
 *
 * Return: 0, -EALREADY with ERR_NOT_MODIFIED, or a negative errno
 */
int container_start(struct containers *cs, const char *ref, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(verb, &c->verb);
	rank_lock(&c->lock);
	if (c->state == CONTAINER_RESTARTING) { /* up already, as Docker counts */
		rank_unlock(&c->lock);
		err_user(err, ERR_NOT_MODIFIED, "container is already running");
		return -EALREADY;
	}
	rank_unlock(&c->lock);
	return container_start_afresh(c, err);
}
