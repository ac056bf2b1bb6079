/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_files_edit.c - the files of a container that runs follow its networks and its links
 *
 * As with dockerd: lines of /etc/hosts are added and taken away, and what the container wrote there
 * stays. The agent edits the files that the container has, this here the copies in its directory.
 * Nothing fails because a line could not be written.
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

#define FILES_BYTES_MAX (4 * 1024 * 1024)
#define FILES_RPC_WAIT_MS 2000 /* another's start may wait for it */

/* NULL where there was no memory for a text. */
struct files_edit {
	const char *hosts_removed, *hosts_added; /* as lines_edit() takes them */
	const char *resolv_was, *resolv_becomes; /* "": as it is */
};

static int files_edit_hosts(const struct container *c, const struct files_edit *edit,
			    struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/hosts", c->dir), *text = NULL;
	_cleanup_buf_ struct buf edited = {};
	size_t len;
	int r;

	if (!path)
		return err_oom(err);
	r = fs_read_file(path, FILES_BYTES_MAX, &text, &len);
	if (r < 0)
		return err_sys(err, r, "cannot read %s", path);
	lines_edit(text, len, edit->hosts_removed, edit->hosts_added, &edited);
	if (edited.failed)
		return err_oom(err);
	return container_file_write(c, "hosts", edited.data ?: "", err);
}

static int files_edit_copies(struct container *c, const struct files_edit *edit, struct err *err)
{
	RANK_LOCK_SCOPE(files, &c->cs->link_lock);
	int r = files_edit_hosts(c, edit, err);

	if (r == 0 && *edit->resolv_becomes)
		r = container_file_write(c, "resolv.conf", edit->resolv_becomes, err);
	return r;
}

static int files_edit_guest(struct container *c, struct container_run *run,
			    const struct files_edit *edit, struct err *err)
{
	Arca__V1__EditFilesRequest request = ARCA__V1__EDIT_FILES_REQUEST__INIT;
	int r;

	request.container_id = c->id;
	request.hosts_removed = (char *)edit->hosts_removed;
	request.hosts_added = (char *)edit->hosts_added;
	request.resolv_was = (char *)edit->resolv_was;
	request.resolv_becomes = (char *)edit->resolv_becomes;
	r = rpc_call(sandbox_rpc(run->sb), "/arca.v1.Network/EditFiles", &request.base,
		     &arca__v1__empty__descriptor, FILES_RPC_WAIT_MS, NULL, err);
	return r > 0 ? -EIO : r;
}

static struct container_run *files_run(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	if (!c->run || !c->run->sb ||
	    (c->state != CONTAINER_RUNNING && c->state != CONTAINER_PAUSED))
		return NULL;
	return container_run_ref(c->run);
}

/* If it runs; no state lock held, not on the loop thread. */
static void files_edit(struct container *c, const struct files_edit *edit)
{
	_cleanup_run_ struct container_run *run = files_run(c);
	struct err err = {0};
	int r;

	if (!run)
		return;
	if (!edit->hosts_removed || !edit->hosts_added || !edit->resolv_was ||
	    !edit->resolv_becomes)
		r = err_oom(&err);
	else
		r = files_edit_guest(c, run, edit, &err);
	if (r == 0)
		r = files_edit_copies(c, edit, &err);
	if (r < 0)
		log_warn("container %.12s: its files are not up to date: %s", c->id, err.msg);
}

/* What the container was given, since when the host's may have changed; "" if it cannot be told.
 * NULL without memory. */
static char *files_resolv_was(const struct container *c)
{
	_cleanup_free_ char *path = str_format("%s/resolv.conf", c->dir);
	char *text = NULL;
	size_t len;

	if (!path)
		return NULL;
	return fs_read_file(path, FILES_BYTES_MAX, &text, &len) == 0 ? text : strdup("");
}

static void files_edit_lines(struct container *c, const char *removed, const char *added)
{
	files_edit(c, &(struct files_edit){removed, added, "", ""});
}

/**
 * container_files_connected() - A container that runs has got an endpoint
 * @c:	      Container, verb lock held
 * @endpoint: Claimed
 *
 * With its first network, one of mode none has got a server of its own.
 */
void container_files_connected(struct container *c, const struct network_endpoint *endpoint)
{
	_cleanup_free_ char *lines = hosts_endpoint_lines(c->config, endpoint);
	_cleanup_free_ char *was = NULL, *becomes = NULL;
	struct files_edit edit = {"", lines, "", ""};

	if (str_eq(jx_str(c->host_config, "NetworkMode"), "none")) {
		edit.resolv_was = was = files_resolv_was(c);
		edit.resolv_becomes = becomes = container_resolv_text(c, true);
	}
	files_edit(c, &edit);
}

/**
 * container_files_disconnected() - A container that runs has lost an endpoint
 * @c:	      Container, verb lock held
 * @endpoint: As it was claimed
 */
void container_files_disconnected(struct container *c, const struct network_endpoint *endpoint)
{
	_cleanup_free_ char *lines = hosts_endpoint_lines(c->config, endpoint);

	files_edit_lines(c, lines, "");
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
	files_edit_lines(walk->parent, pattern, lines);
	return 0;
}

/**
 * container_files_target_started() - Those with links to a container know it by its new address
 * @target: Runs, and is shown with its networks; no state lock held
 */
void container_files_target_started(struct container *target)
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
 * container_files_unlinked() - A container has a link less
 * @parent: Container
 * @alias:  Of the link
 */
void container_files_unlinked(struct container *parent, const char *alias)
{
	_cleanup_free_ char *pattern = str_format("\t%s\n", alias);

	if (str_eq(jx_str(parent->host_config, "NetworkMode"), "bridge"))
		files_edit_lines(parent, pattern, "");
}
