/* SPDX-License-Identifier: Apache-2.0 */
/* fakes_attachments.c - networks that move no packets, for the container manager's tests */
#include "core/attachments.h"
#include "core/core.h"

void meshes_hold(struct meshes *meshes UNUSED)
{
}

void meshes_release(struct meshes *meshes UNUSED, bool all UNUSED)
{
}

void meshes_set_links(struct meshes *meshes UNUSED, const char *container_id UNUSED,
		      struct mesh_links *wanted UNUSED)
{
}

int attachments_begin(struct meshes *meshes UNUSED, const char *container_id UNUSED,
		      struct sandbox *sb UNUSED, const struct network_endpoints *endpoints UNUSED,
		      Arca__V1__ContainerSpec *spec UNUSED, struct attachments **ret,
		      struct err *err UNUSED)
{
	*ret = NULL;
	return 0;
}

int attachments_resume(struct meshes *meshes UNUSED, const char *container_id UNUSED,
		       struct sandbox *sb UNUSED, const struct network_endpoints *endpoints UNUSED,
		       const Arca__V1__HelloResponse *hello UNUSED, bool reaches_host UNUSED,
		       struct attachments **ret, struct err *err UNUSED)
{
	*ret = NULL;
	return 0;
}

int attachments_ready(struct attachments *all UNUSED,
		      const struct network_endpoints *endpoints UNUSED, struct err *err UNUSED)
{
	return 0;
}

int attachments_add(struct attachments *all UNUSED, const struct network_endpoint *endpoint UNUSED,
		    struct err *err UNUSED)
{
	return 0;
}

int attachments_remove(struct attachments *all UNUSED, const char *network_id UNUSED,
		       struct err *err UNUSED)
{
	return 0;
}

int attachments_route(struct attachments *all UNUSED,
		      const struct network_endpoints *endpoints UNUSED, struct err *err UNUSED)
{
	return 0;
}

int attachments_renamed(struct attachments *all UNUSED,
			const struct network_endpoints *endpoints UNUSED)
{
	return 0;
}

void attachments_end(struct attachments *all UNUSED, bool vm_stays UNUSED)
{
}
