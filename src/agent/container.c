/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.c - a root, namespaces and a cgroup, with processes in them
 *
 * DOC: Theory of operation
 *
 * A container is made with its init and stays until RemoveContainer (or until its init failed to
 * start): its files can still be unmounted cleanly after the last process. Removing kills what is
 * left, waits for it, and unmounts; only then is the upper disk complete.
 */
#include "agent/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/agent.h"
#include "agent/devices.h"
#include "agent/names.h"
#include "agent/process.h"
#include "base/log.h"
#include "base/str.h"

#define CONTAINER_KILL_TRIES 5000 /* milliseconds */

/**
 * container_find() - By id
 * @agent: Agent
 * @id:	   Exact id
 *
 * Return: borrowed, or NULL
 */
struct container *container_find(struct agent *agent, const char *id)
{
	struct container *c;

	DL_FOREACH (agent->containers, c) {
		if (str_eq(c->id, id))
			return c;
	}
	return NULL;
}

/* In the network namespace of another container. Whose that is, or was, does not matter. */
static int container_join_seed(struct agent *agent, const Arca__V1__ContainerSpec *spec,
			       struct seed **ret_seed, struct err *err)
{
	const struct container *other = container_find(agent, spec->join_network);
	int r;

	if (!other || !other->init_alive)
		return err_user(err, ERR_UNAVAILABLE, "container %s is not running",
				spec->join_network);
	r = seed_new(agent, seed_flags(spec), other->seed->ns_fds[SEED_NS_NETWORK], ret_seed);
	return r < 0 ? err_sys(err, r, "cannot make namespaces") : 0;
}

/* A seed that boot made, if one is left that fits; else one made now. */
static int container_take_seed(struct agent *agent, const Arca__V1__ContainerSpec *spec,
			       struct seed **ret_seed, struct err *err)
{
	unsigned long flags = seed_flags(spec);
	int r;

	if (!str_empty(spec->join_network))
		return container_join_seed(agent, spec, ret_seed, err);
	for (size_t i = 0; i < ARRAY_SIZE(agent->seeds); i++)
		if (agent->seeds[i] && agent->seeds[i]->ns_flags == flags) {
			*ret_seed = TAKE_PTR(agent->seeds[i]);
			return 0;
		}
	r = seed_new(agent, flags, -EBADF, ret_seed);
	return r < 0 ? err_sys(err, r, "cannot make namespaces") : 0;
}

static void container_free(struct container *c)
{
	names_free(c->names);
	cleanup_close(&c->hosts_fd);
	cleanup_close(&c->resolv_fd);
	(void)rootfs_unmount(&c->rootfs); /* it logs */
	if (c->seed)
		seed_free(c->seed);
	if (c->host_gateway)
		arca__v1__host_gateway__free_unpacked(c->host_gateway, NULL);
	if (c->dns_later)
		arca__v1__dns__free_unpacked(c->dns_later, NULL);
	free(c->id);
	free(c);
}
DEFINE_CLEANUP(struct container *, container_free)

/* Networks that are attached later need it as well. */
static int container_keep_host_gateway(struct container *c, const Arca__V1__HostGateway *host)
{
	_cleanup_free_ uint8_t *packed = NULL;
	size_t len;

	if (!host)
		return 0;
	len = arca__v1__host_gateway__get_packed_size(host);
	packed = malloc(len + 1);
	if (!packed)
		return -ENOMEM;
	(void)arca__v1__host_gateway__pack(host, packed); /* writes len bytes */
	c->host_gateway = arca__v1__host_gateway__unpack(NULL, len, packed);
	return c->host_gateway ? 0 : -ENOMEM;
}

/**
 * container_new() - Mount a container's root, set its limits, find it a seed
 * @agent:	   Agent
 * @spec:	   What it is
 * @ret_container: Borrowed; set on success
 * @err:	   Filled on failure; nothing is left behind
 *
 * Return: 0 or negative errno
 */
int container_new(struct agent *agent, const Arca__V1__ContainerSpec *spec,
		  struct container **ret_container, struct err *err)
{
	_cleanup_(container_freep) struct container *c = NULL;
	struct container *old = container_find(agent, spec->id);
	int r;

	if (old && old->init_alive)
		return err_user(err, ERR_CONFLICT, "container %s is running", spec->id);
	if (old)
		(void)container_remove(agent, old); /* a restart in the same VM */
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	c->rootfs.mount_fd = c->hosts_fd = c->resolv_fd = -EBADF;
	c->id = strdup(spec->id);
	if (!c->id || container_keep_host_gateway(c, spec->host_gateway) < 0)
		return err_oom(err);
	r = rootfs_mount(spec, &c->rootfs, err);
	if (r < 0)
		return r;
	r = container_take_seed(agent, spec, &c->seed, err);
	if (r < 0)
		return r;
	/* What every container may is in force already. */
	if (spec->n_devices || spec->privileged) {
		r = devices_limit(&c->seed->cgroup, spec);
		if (r < 0)
			return err_sys(err, r, "cannot limit the devices");
	}
	r = cgroup_apply(&c->seed->cgroup, spec->resources, err);
	if (r < 0)
		return r;
	DL_APPEND(agent->containers, c);
	*ret_container = TAKE_PTR(c);
	return 0;
}

static bool container_has_processes(struct agent *agent, const struct container *c)
{
	struct process *p;

	DL_FOREACH (agent->processes, p) {
		if (p->container == c && p->pid > 0)
			return true;
	}
	return false;
}

/**
 * container_remove() - Kill, unmount, forget
 * @agent: Agent
 * @c:	   Container; freed in any case
 *
 * Records of its processes stay until they are released. Blocks while the last processes die.
 *
 * Return: 0, or negative errno if the disks could not be unmounted
 */
int container_remove(struct agent *agent, struct container *c)
{
	struct process *p;
	int r;

	(void)cgroup_freeze(&c->seed->cgroup, false); /* was it? */
	(void)cgroup_kill(&c->seed->cgroup);	      /* often empty */
	for (int i = 0; container_has_processes(agent, c) && i < CONTAINER_KILL_TRIES; i++) {
		process_reap(agent);
		if (container_has_processes(agent, c))
			(void)usleep(1000);
	}
	DL_FOREACH (agent->processes, p) {
		if (p->container == c) {
			process_finish_output(p);
			p->container = NULL;
		}
	}
	DL_DELETE(agent->containers, c);
	names_free(TAKE_PTR(c->names)); /* it holds the network namespace */
	network_detach_all(&agent->networks, c, agent->powering_off);
	seed_release_namespaces(c->seed);
	r = rootfs_unmount(&c->rootfs);
	if (c->seed->pid > 0 && !c->init_alive)
		c->seed->pid = 0; /* reaped: the number may be somebody else's */
	container_free(c);
	return r;
}
