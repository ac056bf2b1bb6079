/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attachments.h - running containers on their networks: tunnels and who knows whom
 *
 * The rows of endpoints are networks.h's; here is what exists only while a VM runs. One set a run:
 *
 *   attachments_begin()  the VM is there, its process is not: fills the request
 *   attachments_ready()  the process runs
 *   attachments_end()    before the VM's object is freed
 */
#pragma once

#include "agent.pb-c.h"
#include "base/err.h"
#include "core/networks.h"

struct core;
struct mesh_links;
struct sandbox;
struct meshes;	    /* of the daemon */
struct attachments; /* of one run */

int meshes_new(struct core *core, struct meshes **ret, struct err *err);
void meshes_free(struct meshes *meshes);
/* While a new daemon still looks for the VMs of the last one, and while it lets go of them in the
 * end, nobody is told who is there. */
void meshes_hold(struct meshes *meshes);
void meshes_release(struct meshes *meshes, bool all);
/* New keys for all tunnels every so many seconds; 0: never. Once. */
int meshes_rotate_every(struct meshes *meshes, unsigned int seconds);

/* Before attachments_begin() of a container with links, and when they change; they end with it. */
void meshes_set_links(struct meshes *meshes, const char *container_id, struct mesh_links *wanted);

int attachments_begin(struct meshes *meshes, const char *container_id, struct sandbox *sb,
		      const struct network_endpoints *endpoints, Arca__V1__ContainerSpec *spec,
		      struct attachments **ret, struct err *err);
int attachments_resume(struct meshes *meshes, const char *container_id, struct sandbox *sb,
		       const struct network_endpoints *endpoints,
		       const Arca__V1__HelloResponse *hello, bool reaches_host,
		       struct attachments **ret, struct err *err);
int attachments_ready(struct attachments *all, const struct network_endpoints *endpoints,
		      struct err *err);
int attachments_add(struct attachments *all, const struct network_endpoint *endpoint,
		    struct err *err);
int attachments_remove(struct attachments *all, const char *network_id, struct err *err);
int attachments_route(struct attachments *all, const struct network_endpoints *endpoints,
		      struct err *err);
int attachments_renamed(struct attachments *all, const struct network_endpoints *endpoints);
void attachments_end(struct attachments *all, bool vm_stays);

/* spec_attach.c: NetworkAttach of an endpoint, all but key, index and peers */
int spec_network_fill(const struct network_endpoint *endpoint, Arca__V1__NetworkAttach *attach);
unsigned int attach_mtu(const struct network_endpoint *endpoint);
