/* SPDX-License-Identifier: Apache-2.0 */
/* underlay.h - the VM's NIC */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "agent/link.h"
#include "agent/netlink.h"
#include "base/err.h"

struct underlay {
	unsigned int nic; /* interface; 0: none was found yet */
	bool set;
	uint8_t mac[LINK_MAC_LEN];
	struct link_address address[2], gateway[2]; /* v4, v6; .len = 0: none */
};

bool underlay_is_nic(const char *name);
void underlay_boot(struct underlay *u);
int underlay_set(struct underlay *u, struct netlink *route, const Arca__V1__Underlay *spec,
		 struct err *err);
