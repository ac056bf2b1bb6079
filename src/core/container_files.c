/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_files.c - /etc/hosts, /etc/hostname, /etc/resolv.conf
 *
 * The agent gets their text with the start. The copies in the container's directory are what
 * inspect's HostsPath and the like point at: written at create, without addresses, again at each
 * start, and edited when its networks change (container_files_edit.c). Who joins its network reads
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/hosts.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "core/resolv.h"
#include "net/underlay.h"

/* Containers that this one has links to. */
struct links {
	struct hosts_link *items; /* owned */
	size_t n;
};

static void links_done(struct links *links)
{
	for (size_t i = 0; i < links->n; i++)
		free(links->items[i].names);
	free(links->items);
}

/**
 * container_hosts_link() - What a link to a container has in /etc/hosts
 * @target: By the alias, its host name and its name; without addresses while it does not run
 * @alias:  Alias
 * @link:   Filled; names to be freed
 *
 * Return: 0 or -ENOMEM
 */
int container_hosts_link(struct container *target, const char *alias, struct hosts_link *link)
{
	char name[CONTAINER_NAME_MAX + 1];
	_cleanup_json_ json_t *networks = NULL;
	const json_t *bridge;
	bool named;

	rank_lock(&target->lock);
	memcpy(name, target->name, sizeof(name));
	networks = json_incref(target->networks);
	rank_unlock(&target->lock);
	bridge = json_object_get(networks, "bridge");
	named = str_eq(alias, name);
	link->names = str_format("%s %s%s%s", alias, jx_str(target->config, "Hostname"),
				 named ? "" : " ", named ? "" : name);
	(void)net_addr_parse(jx_str(bridge, "IPAddress"), &link->v4); /* "": none */
	(void)net_addr_parse(jx_str(bridge, "GlobalIPv6Address"), &link->v6);
	return link->names ? 0 : -ENOMEM;
}

static int links_add(void *user, struct container *target, const char *name UNUSED,
		     const char *alias)
{
	struct links *links = user;
	struct hosts_link *grown;

	if (!target)
		return 0; /* it was there at create */
	grown = reallocarray(links->items, links->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	links->items = grown;
	grown[links->n] = (struct hosts_link){0};
	return container_hosts_link(target, alias, &grown[links->n++]);
}

/* What host-gateway is; in the VM's own network the host is where the underlay has it. */
static void files_find_host(const struct container *c, struct hosts_source *source)
{
	const struct networks *networks = c->cs->core->networks;
	const struct underlay_gateway *gateway = underlay_gateway();

	source->gateway4 = networks_host_gateway(networks, 4);
	source->gateway6 = networks_host_gateway(networks, 6);
	if (resolv_mode(c->host_config, false) == RESOLV_VM)
		(void)net_addr_from_bytes(gateway->host4, sizeof(gateway->host4),
					  &source->gateway4); /* 4 bytes are an address */
}

/**
 * container_hosts_text() - Text of /etc/hosts
 * @c:	       Container
 * @endpoints: What it has on its networks, or NULL: nothing yet
 *
 * Links of old are on the default bridge; those on other networks are in their DNS.
 *
 * Return: heap string or NULL
 */
char *container_hosts_text(struct container *c, const struct network_endpoints *endpoints)
{
	struct hosts_source source = {
		.config = c->config, .host_config = c->host_config, .endpoints = endpoints};
	_cleanup_(links_done) struct links links = {0};

	files_find_host(c, &source);
	if (!str_eq(jx_str(c->host_config, "NetworkMode"), "bridge"))
		return hosts_text(&source);
	if (endpoints && container_links_each(c, links_add, &links) < 0)
		return NULL;
	source.links = links.items;
	source.n_links = links.n;
	return hosts_text(&source);
}

/**
 * container_resolv_text() - Text of /etc/resolv.conf
 * @c:		 Container
 * @has_network: It is on a network that moves something
 *
 * Return: heap string or NULL
 */
char *container_resolv_text(const struct container *c, bool has_network)
{
	_cleanup_(resolv_host_done) struct resolv_host host = {0};
	_cleanup_(resolv_done) struct resolv resolv = {0};

	if (resolv_host_read(&host) < 0 || resolv_init(&resolv, &host, c->host_config) < 0)
		return NULL;
	return resolv_text(&resolv, resolv_mode(c->host_config, has_network));
}

/**
 * container_file_write() - Write one copy on the host
 * @c:	  Container whose directory exists
 * @name: "hosts" and the like
 * @text: Contents
 * @err:  Filled on failure
 *
 * Whole or not at all; what a crash of the host takes comes back with the next start.
 *
 * Return: 0 or a negative errno
 */
int container_file_write(const struct container *c, const char *name, const char *text,
			 struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/%s", c->dir, name);
	_cleanup_free_ char *made = str_format("%s/%s.new", c->dir, name);
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!path || !made)
		return err_oom(err);
	fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : fs_write_all(fd, text, strlen(text));
	if (r == 0 && rename(made, path) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "cannot write %s", path) : 0;
}

/**
 * container_files_fill() - Texts that change from start to start
 * @c:		Container
 * @endpoints:	What it has on its networks, or NULL: nothing yet
 * @ret:	container_files_done(); set on success
 * @err:	Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_files_fill(struct container *c, const struct network_endpoints *endpoints,
			 struct container_files *ret, struct err *err)
{
	struct container_files files = {
		.hosts = container_hosts_text(c, endpoints),
		.resolv = container_resolv_text(c, endpoints && network_endpoints_any(endpoints))};

	if (!files.hosts || !files.resolv) {
		container_files_done(&files);
		return err_oom(err);
	}
	*ret = files;
	return 0;
}

/**
 * container_files_done() - Free the texts
 * @files: Filled or zeroed
 */
void container_files_done(struct container_files *files)
{
	free(files->hosts);
	free(files->resolv);
	*files = (struct container_files){0};
}

/**
 * container_files_write() - Write the copies on the host
 * @c:	   Container whose directory exists
 * @files: Texts
 * @err:   Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_files_write(const struct container *c, const struct container_files *files,
			  struct err *err)
{
	int r = container_file_write(c, "hosts", files->hosts, err);

	return r < 0 ? r : container_file_write(c, "resolv.conf", files->resolv, err);
}

/**
 * container_files_create() - Write them for the first time, and the one that never changes
 * @c:	 Container whose directory exists
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_files_create(struct container *c, struct err *err)
{
	_cleanup_(container_files_done) struct container_files files = {0};
	_cleanup_free_ char *hostname = str_format("%s\n", jx_str(c->config, "Hostname"));
	int r = hostname ? container_files_fill(c, NULL, &files, err) : err_oom(err);

	if (r == 0)
		r = container_files_write(c, &files, err);
	return r < 0 ? r : container_file_write(c, "hostname", hostname, err);
}
