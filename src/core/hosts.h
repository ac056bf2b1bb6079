/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.h - a container's /etc/hosts */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "net/subnet.h"

struct network_endpoint;
struct network_endpoints;

/* Another container, on the default bridge. */
struct hosts_link {
	char *names; /* owned: "alias hostname name" */
	struct net_addr v4, v6;
};

/* All borrowed. */
struct hosts_source {
	const json_t *config, *host_config;	   /* complete */
	struct net_addr gateway4, gateway6;	   /* host-gateway; family 0: none */
	const struct network_endpoints *endpoints; /* NULL: nothing yet */
	const struct hosts_link *links;
	size_t n_links;
};

char *hosts_text(const struct hosts_source *source);
char *hosts_link_lines(const struct hosts_link *link);
char *hosts_endpoint_lines(const json_t *config, const struct network_endpoint *endpoint);
