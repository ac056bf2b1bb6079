/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_hosts.c - /etc/hosts of a container that runs follows its networks and its links
 *
 * As with dockerd: lines are added and taken away, and what the container wrote there stays. The
 * agent edits the file that the container has, this here the copy in its directory. Nothing fails
 * because a line could not be written.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/lines.h"
#include "base/log.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/hosts.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "rpc/client.h"
#include "vm/vm.h"

#define HOSTS_COPY_BYTES_MAX (4 * 1024 * 1024)
#define HOSTS_RPC_WAIT_MS 2000 /* another's start may wait for it */

static int hosts_edit_copy(struct container *c, const char *removed, const char *added,
			   struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/hosts", c->dir), *text = NULL;
	_cleanup_buf_ struct buf edited = {};
	size_t len;
	int r;

	if (!path)
		return err_oom(err);
	RANK_LOCK_SCOPE(files, &c->cs->link_lock);
	r = fs_read_file(path, HOSTS_COPY_BYTES_MAX, &text, &len);
	if (r < 0)
		return err_sys(err, r, "cannot read %s", path);
	lines_edit(text, len, removed, added, &edited);
	if (edited.failed)
		return err_oom(err);
	return container_file_write(c, "hosts", edited.data ?: "", err);
}

static int hosts_edit_guest(struct container *c, struct container_run *run, const char *removed,
			    const char *added, struct err *err)
{
	Arca__V1__EditHostsRequest request = ARCA__V1__EDIT_HOSTS_REQUEST__INIT;
	int r;

	request.container_id = c->id;
	request.removed = (char *)removed;
	request.added = (char *)added;
	r = rpc_call(sandbox_rpc(run->sb), "/arca.v1.Network/EditHosts", &request.base,
		     &arca__v1__empty__descriptor, HOSTS_RPC_WAIT_MS, NULL, err);
	return r > 0 ? -EIO : r;
}

static struct container_run *hosts_run(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	if (!c->run || !c->run->sb ||
	    (c->state != CONTAINER_RUNNING && c->state != CONTAINER_PAUSED))
		return NULL;
	return container_run_ref(c->run);
}

/**
 * container_hosts_edit() - Lines of a container's /etc/hosts go and come, if it runs
 * @c:	     Container; no state lock held, not on the loop thread
 * @removed: As lines_edit() takes them; NULL: no memory for it
 * @added:   Likewise
 */
void container_hosts_edit(struct container *c, const char *removed, const char *added)
{
	_cleanup_run_ struct container_run *run = hosts_run(c);
	struct err err = {0};
	int r;

	if (!run)
		return;
	if (!removed || !added)
		r = err_oom(&err);
	else
		r = hosts_edit_guest(c, run, removed, added, &err);
	if (r == 0)
		r = hosts_edit_copy(c, removed, added, &err);
	if (r < 0)
		log_warn("container %.12s: /etc/hosts is not up to date: %s", c->id, err.msg);
}

/**
 * container_hosts_connected() - A container that runs has got an endpoint
 * @c:	      Container
 * @endpoint: Claimed
 */
void container_hosts_connected(struct container *c, const struct network_endpoint *endpoint)
{
	_cleanup_free_ char *lines = hosts_endpoint_lines(c->config, endpoint);

	container_hosts_edit(c, "", lines);
}

/**
 * container_hosts_disconnected() - A container that runs has lost an endpoint
 * @c:	      Container
 * @endpoint: As it was claimed
 */
void container_hosts_disconnected(struct container *c, const struct network_endpoint *endpoint)
{
	_cleanup_free_ char *lines = hosts_endpoint_lines(c->config, endpoint);

	container_hosts_edit(c, lines, "");
}

/* A walk over the links of @parent, for those to @target. */
struct hosts_walk {
	struct container *parent, *target;
};

static int hosts_link_changed(void *user, struct container *target, const char *name UNUSED,
			      const char *alias)
{
	const struct hosts_walk *walk = user;
	_cleanup_free_ char *pattern = str_format("\t%s\n", alias), *lines = NULL;
	struct hosts_link link = {0};

	if (target != walk->target)
		return 0;
	if (container_hosts_link(target, alias, &link) == 0)
		lines = hosts_link_lines(&link);
	free(link.names);
	container_hosts_edit(walk->parent, pattern, lines);
	return 0;
}

/**
 * container_hosts_target_started() - Those with links to a container know it by its new address
 * @target: Runs, and is shown with its networks; no state lock held
 */
void container_hosts_target_started(struct container *target)
{
	struct containers *cs = target->cs;
	struct hosts_walk walk = {.target = target};
	struct container **all;
	size_t n = 0;

	if (!atomic_load(&cs->has_links))
		return;
	all = containers_snapshot(cs, &n);
	for (size_t i = 0; i < n; i++) {
		_cleanup_json_ json_t *host_config = container_host_config(all[i]);

		walk.parent = all[i];
		if (str_eq(jx_str(host_config, "NetworkMode"), "bridge"))
			(void)container_links_each(all[i], hosts_link_changed, &walk); /* 0 */
	}
	containers_snapshot_free(all, n);
}

/**
 * container_hosts_unlinked() - A container has a link less
 * @parent: Container
 * @alias:  Of the link
 */
void container_hosts_unlinked(struct container *parent, const char *alias)
{
	_cleanup_free_ char *pattern = str_format("\t%s\n", alias);

	if (str_eq(jx_str(parent->host_config, "NetworkMode"), "bridge"))
		container_hosts_edit(parent, pattern, "");
}
