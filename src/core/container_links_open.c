/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_links_open.c - the ports that links open where containers are kept apart
 *
 * As with dockerd on a default bridge with --icc=false: a container with a link may connect to what
 * the one it is to exposes, TCP, UDP and SCTP, and is answered. The other one need not run yet;
 * what it exposes is known.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "core/attachments.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/core.h"
#include "core/jsonx.h"
#include "core/link_env.h"
#include "net/mesh_links.h"

static uint8_t protocol_number(const char *name)
{
	return str_eq(name, "tcp") ? IPPROTO_TCP : str_eq(name, "udp") ? IPPROTO_UDP : IPPROTO_SCTP;
}

struct opening {
	struct container *parent;
	struct mesh_links links;
};

static int links_open_one(void *user, struct container *target, const char *name UNUSED,
			  const char *alias UNUSED)
{
	struct opening *opening = user;
	_cleanup_free_ struct link_port *exposed = NULL;
	_cleanup_free_ uint32_t *ports = NULL;
	size_t n;

	if (!target)
		return 0;
	exposed = calloc(LINK_PORTS_MAX, sizeof(*exposed));
	ports = calloc(LINK_PORTS_MAX, sizeof(*ports));
	if (!exposed || !ports)
		return -ENOMEM;
	n = link_ports(target->config, exposed);
	for (size_t i = 0; i < n; i++)
		ports[i] = MESH_LINK_PORT(protocol_number(exposed[i].proto), exposed[i].number);
	return mesh_links_add(&opening->links, opening->parent->id, target->id, ports, n);
}

/**
 * container_links_open() - A container's links open ports, and no others of its any more
 * @c: Container that is about to run, or runs; verb lock held, no other
 */
void container_links_open(struct container *c)
{
	struct opening opening = {.parent = c};

	if (!atomic_load(&c->cs->has_links))
		return;
	if (container_links_each(c, links_open_one, &opening) < 0)
		log_error("container %.12s: no memory for what its links open", c->id);
	meshes_set_links(c->cs->core->meshes, c->id, &opening.links);
	mesh_links_done(&opening.links);
}
