/* SPDX-License-Identifier: Apache-2.0 */
/* vmnet_ports.h - endpoints on networks of the driver vmnet: a port on the host, a NIC in the VM */
#pragma once

#include "base/err.h"
#include "core/networks.h"

struct sandbox;
struct underlay;

int vmnet_plug(struct underlay *underlay, struct sandbox *sb,
	       const struct network_endpoint *endpoint, const struct networks *hosts,
	       struct err *err);
int vmnet_unplug(struct underlay *underlay, struct sandbox *sb, const char *network_id,
		 const char *endpoint_id, struct err *err);
