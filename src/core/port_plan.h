/* SPDX-License-Identifier: Apache-2.0 */
/* port_plan.h - what of a container is published where: from its config to the forwarder's words */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/forward.h"
#include "net/subnet.h"

/* From where ports are taken that nobody asked for by number. */
struct port_ephemeral {
	uint16_t first, last;
	uint16_t next_tcp, next_udp; /* where to begin to look */
};

/* How a container is reached. */
struct port_route {
	struct net_addr container4, container6; /* family 0: not at all */
	struct forward_ip vm4, vm6;		/* in the underlay */
	struct net_addr bind; /* where to listen unless asked; family 0: everywhere */
	bool bind_not6;	      /* IPv6 is another network's, whose ports are everywhere */
	bool host_has_ipv6;
	struct port_ephemeral ephemeral;
};

struct port_plan {
	struct port_route route;
	struct forward_mapping *mappings; /* owned */
	size_t n, n_max;
	size_t n_asked; /* the first so many have ports that were asked for, the others have not */
};

void port_plan_done(struct port_plan *plan);
int port_plan_make(const json_t *config, const json_t *host_config, const struct port_route *route,
		   struct port_plan *ret_plan, struct err *err);
void port_plan_again(struct port_plan *plan);
int port_plan_refuse(const struct port_plan *plan, const struct forward_failure *failure,
		     const struct forward_ip *holder, struct err *err);
json_t *port_plan_shown(const json_t *config, const struct forward_mapping *mappings, size_t n);
json_t *port_plan_listed(const json_t *shown);
bool port_plan_overlaps(const struct forward_mapping *m, uint8_t proto, const struct forward_ip *ip,
			uint16_t port);
int port_host_ip_parse(const char *text, struct net_addr *ret_addr);
