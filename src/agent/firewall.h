/* SPDX-License-Identifier: Apache-2.0 */
/* firewall.h - what may go where between NIC, WireGuard and containers */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/link.h"
#include "agent/netlink.h"

/* Groups that interfaces of the VM's own namespace are put in. */
#define FIREWALL_GROUP_NIC 1
#define FIREWALL_GROUP_CONTAINER 2 /* v<n> */
#define FIREWALL_GROUP_MESH 3	   /* wg<n> */

/* UDP ports of WireGuard on the underlay */
#define FIREWALL_MESH_PORT 51820
#define FIREWALL_MESH_PORTS 256

/* One network's way, by interface numbers. */
struct firewall_way {
	uint32_t container; /* v<n> */
	uint32_t mesh;	    /* wg<n> */
	uint32_t nic;	    /* 0: internal, or a VM without one */
	bool apart;	    /* peers are not reached but by links */
};

/* What is open between a container and one peer. */
struct firewall_link {
	uint32_t container, mesh;
	const uint8_t *peer; /* IPv4 address */
	/* FIREWALL_PORT; of the container, by the peer; and the other way round */
	const uint32_t *ports_in, *ports_out;
	size_t n_in, n_out;
};

#define FIREWALL_PORT(protocol, port) ((uint32_t)(protocol) << 16 | (port))
#define FIREWALL_PORT_PROTOCOL(p) ((p) >> 16)

/* A network of the firewall's: everything that is set for it. */
struct firewall_entry {
	struct firewall_way way;
	struct link_address gateway[2]; /* of the underlay; v4, v6; .len = 0: none, also below */
	struct link_address target[2];	/* what the gateways' connections go to */
	struct link_address host[2];	/* what the container calls the host */
	struct link_address host_target[2];
};

int firewall_boot(struct netlink *nl);
int firewall_set(struct netlink *nl, const struct firewall_entry *old,
		 const struct firewall_entry *wanted);
int firewall_set_link(struct netlink *nl, bool add, const struct firewall_link *link);
int firewall_quiet(struct netlink *nl, uint16_t port, unsigned int timeout_ms);
int firewall_redirect_names(struct netlink *nl, uint16_t udp_port, uint16_t tcp_port);
