/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_join.c - network mode container:X: a container in the VM of another
 *
 * X is known by its id from create on, as dockerd has it, or by whatever the client said where
 * there was no such container yet. At each start it has to run. The two share X's network
 * namespace, and so what is published of X; what else a container has of its own stays its own, but
 * for the files that say who it is on the network, of which it gets copies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "vm/vm.h"

#define JOIN_PREFIX "container:"
#define JOIN_FILE_MAX (1024 * 1024)

/**
 * container_join_name() - At create: know the other by its id, if it is there
 * @cs:		 Manager
 * @host_config: Complete host config, changed
 *
 * Return: 0 or -ENOMEM
 */
int container_join_name(struct containers *cs, json_t *host_config)
{
	const char *ref = container_joins(host_config);
	_cleanup_container_ struct container *other = NULL;
	_cleanup_free_ char *mode = NULL;
	struct err ignored = {0};

	if (!ref || containers_find(cs, ref, &other, &ignored) < 0)
		return 0;
	mode = str_format(JOIN_PREFIX "%s", other->id);
	return mode ? jx_set_str(host_config, "NetworkMode", mode) : -ENOMEM;
}

/* Hold the run of a container that runs. */
static int join_hold(struct container *other, struct container_run **ret, struct err *err)
{
	RANK_LOCK_SCOPE(state, &other->lock);

	container_wait_adopted(other);
	if (other->state == CONTAINER_RESTARTING)
		return err_user(err, ERR_CONFLICT,
				"cannot join network namespace of container: Container %s is "
				"restarting, wait until the container is running",
				other->id);
	if ((other->state != CONTAINER_RUNNING && other->state != CONTAINER_PAUSED) ||
	    !other->run || !other->run->machine)
		return err_user(err, ERR_CONFLICT,
				"cannot join network namespace of a non running container: "
				"container %s is %s",
				other->name, container_state_name(other->state));
	*ret = container_run_ref(other->run);
	return 0;
}

/**
 * container_join_resolve() - At a start: whose VM the container will be in
 * @c:		 Container
 * @host_config: Its host config
 * @ret:	 Filled on success; container_join_done()
 * @err:	 Filled on failure, in dockerd's words
 *
 * Return: 0, also for a container with a network of its own, or a negative errno
 */
int container_join_resolve(struct container *c, const json_t *host_config,
			   struct container_join *ret, struct err *err)
{
	const char *ref = container_joins(host_config);
	_cleanup_container_ struct container *other = NULL;
	_cleanup_run_ struct container_run *run = NULL;
	_cleanup_json_ json_t *config = NULL;
	struct err why = {0};
	int r;

	if (!ref)
		return 0;
	r = containers_find(c->cs, ref, &other, &why);
	if (r < 0)
		return err_user(err, why.kind, "joining network namespace of container: %.900s",
				why.msg);
	if (other == c)
		return err_user(err, ERR_INTERNAL, "cannot join own network namespace");
	r = join_hold(other, &run, err);
	if (r < 0)
		return r;
	config = json_copy(c->config);
	if (!config || jx_set_str(config, "Hostname", jx_str(other->config, "Hostname")) < 0 ||
	    jx_set_str(config, "Domainname", jx_str(other->config, "Domainname")) < 0)
		return err_oom(err);
	ret->other = TAKE_PTR(run);
	ret->config = TAKE_PTR(config);
	return 0;
}

/**
 * container_join_waits() - Whether the other is about to be started by its restart policy
 * @c: Container
 *
 * Return: the answer; false for one with a network of its own
 */
bool container_join_waits(struct container *c)
{
	_cleanup_json_ json_t *host_config = container_host_config(c);
	const char *ref = container_joins(host_config);
	_cleanup_container_ struct container *other = NULL;
	struct err ignored = {0};

	if (!ref || containers_find(c->cs, ref, &other, &ignored) < 0 || other == c)
		return false;
	RANK_LOCK_SCOPE(state, &other->lock);
	return other->state == CONTAINER_RESTARTING;
}

/**
 * container_join_done() - Let go of the other
 * @join: Filled or zeroed
 */
void container_join_done(struct container_join *join)
{
	if (join->other)
		container_run_unref(join->other);
	json_decref(join->config);
	*join = (struct container_join){0};
}

static char *join_read(const struct container *other, const char *name)
{
	_cleanup_free_ char *path = str_format("%s/%s", other->dir, name);
	char *text = NULL;

	return path && fs_read_file(path, JOIN_FILE_MAX, &text, NULL) == 0 ? text : NULL;
}

/**
 * container_join_files() - The other's /etc/hosts and /etc/resolv.conf, as they are now
 * @join: Resolved
 * @ret:  container_files_done(); set on success
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_join_files(const struct container_join *join, struct container_files *ret,
			 struct err *err)
{
	const struct container *other = join->other->c;
	struct container_files files = {.hosts = join_read(other, "hosts"),
					.resolv = join_read(other, "resolv.conf")};

	if (!files.hosts || !files.resolv) {
		container_files_done(&files);
		return err_user(err, ERR_INTERNAL, "cannot read the files of container %.12s",
				other->id);
	}
	*ret = files;
	return 0;
}

static int join_replace(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field); /* one that is not the default */
	*field = copy;
	return 0;
}

/**
 * container_join_vm() - The container's run takes place in the other's VM
 * @run:  Run; a failure leaves it to machine_leave()
 * @join: Resolved
 * @spec: Its disks and its network are filled in
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_join_vm(struct container_run *run, const struct container_join *join,
		      Arca__V1__ContainerSpec *spec, struct err *err)
{
	struct container *c = run->c;
	_cleanup_free_ char *upper = str_format("%s/upper.ext4", c->dir);
	struct sandbox_serials serials;
	int r;

	sandbox_disk_serials(c->id, &serials);
	if (!upper || spec_put(&spec->join_network, join->other->c->id) < 0 ||
	    join_replace(&spec->root_serial, serials.root) < 0 ||
	    join_replace(&spec->upper_serial, serials.upper) < 0)
		return err_oom(err);
	r = machine_join(run, join->other, err);
	return r < 0 ? r : sandbox_disks_add(run->sb, c->id, c->rootfs, upper, err);
}
