/* SPDX-License-Identifier: Apache-2.0 */
/* vmnet.h - bridges in the underlay's namespace, one a network, with a tap for each member */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct underlay;

#define VMNET_MTU 9000
#define VMNET_MTU_MAX 65521		  /* the kernel's for a tap */
#define VMNET_GROUP_OUT_TEXT "1986293"	  /* of interfaces: bridges that lead outside */
#define VMNET_GROUP_OUT 1986293		  /* the same */
#define VMNET_MARK_HOST_TEXT "0x686f7374" /* of packets to the host from who may reach it */

/* An address of 4 or 16 bytes in network order; len 0: none. */
struct vmnet_addr {
	uint8_t bytes[16];
	uint8_t len, bits; /* of the subnet */
};

/* A member of a network. Ids are hex digits, of which the first twelve name interfaces. */
struct vmnet_port {
	const char *network_id, *endpoint_id;
	uint8_t mac[6];
	struct vmnet_addr addr[2], gateway[2]; /* v4, v6 */
	struct vmnet_addr host[2];	       /* what it calls the host; none: may not reach it */
	unsigned int mtu;
	bool internal; /* of the network: does not lead outside */
	bool apart;    /* likewise: nothing passes between its members, only to the gateway */
};

int vmnet_port_open(struct underlay *underlay, const struct vmnet_port *port, int *ret_fd,
		    struct err *err);
void vmnet_port_close(struct underlay *underlay, const char *network_id, const char *endpoint_id);
void vmnet_port_name(const char *endpoint_id, char ret_name[static IF_NAMESIZE]);
int vmnet_sweep(struct underlay *underlay, struct err *err);
