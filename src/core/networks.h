/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks.h - networks, and what attaches containers to them
 *
 * A network is found by its full id, its name, or an unambiguous prefix of its id. Errors carry
 * dockerd's words: ERR_NOT_FOUND "network x not found" ...
 *
 * An *endpoint* attaches one container to one network. Its row lives as long as the container
 * wants to be attached; it is *claimed* (has an id, a MAC and addresses) while the container runs.
 * This is the boundary to what moves packets:
 *
 *   network_endpoints_claim()   at a start, before the process: all endpoints or none
 *   network_endpoint_claim()    one endpoint of a container that runs
 *   network_endpoints_release() when the process has ended or never came to be
 *   network_endpoints_load()    what is claimed, after a restart of the daemon
 *   network_members()           who else is on a network
 *
 * The database is the only truth: each call is one transaction. Addresses of a container that
 * stopped rest with it (net/ipam.c), those of one that is removed are freed by a trigger.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/str.h"
#include "net/mac.h"
#include "net/subnet.h"

struct core;
struct networks;

#define NETWORK_INTERFACE_MAX 16	    /* IFNAMSIZ */
#define NETWORK_HOST_GATEWAY "host-gateway" /* in ExtraHosts: the host */

/* What daemon.json and the command line say. */
struct networks_config {
	/* default-address-pools, "base=10.0.0.0/8,size=24"; NULL-terminated, borrowed, may be NULL
	 */
	const char *const *pools;
	const char *bip;  /* "172.17.0.1/16"; NULL: Docker's */
	unsigned int mtu; /* of the default bridge; 0: 1500 */
	bool no_icc;	  /* containers on the default bridge do not reach each other */
	/* what host-gateway stands for, one of a family; NULL-terminated, borrowed, may be NULL */
	const char *const *host_gateways;
};

int networks_new(struct core *core, struct networks **ret, struct err *err);
void networks_free(struct networks *networks);
json_t *networks_pools_json(const struct networks *networks);
struct net_addr networks_host_gateway(const struct networks *networks, unsigned int family);

/* The API's verbs. body: checked against its schema; filters: parsed, or NULL. */
int network_create(struct networks *networks, const json_t *body, char ret_id[static ID_BUF],
		   struct err *err);
int network_inspect(struct networks *networks, const char *ref, const char *scope, json_t **ret,
		    struct err *err);
int network_list(struct networks *networks, const json_t *filters, json_t **ret, struct err *err);
int network_remove(struct networks *networks, const char *ref, struct err *err);
int network_prune(struct networks *networks, const json_t *filters, json_t *deleted,
		  struct err *err);
int network_resolve(struct networks *networks, const char *ref, char ret_id[static ID_BUF],
		    struct err *err);

/* One attachment of a container. */
struct network_endpoint {
	char *network;	   /* owned: key in NetworkSettings.Networks, as the client named it */
	json_t *settings;  /* owned: IPAMConfig, Links, Aliases, MacAddress, DriverOpts, GwPriority
			    */
	json_t *dns_names; /* owned: names in the network's DNS, or NULL where it has none */
	char network_id[ID_BUF]; /* "" until the network was looked for */

	/* Below: "" and 0 unless claimed. */
	char endpoint_id[ID_BUF];
	char *network_name, *driver; /* owned */
	char interface[NETWORK_INTERFACE_MAX];
	uint8_t mac[NET_MAC_BYTES];
	struct net_addr v4, v6, gateway4, gateway6; /* family 0: none */
	unsigned int v4_bits, v6_bits;
	struct net_addr host_binding; /* where ports are published; family 0: everywhere */
	unsigned int mtu;	      /* com.docker.network.driver.mtu; 0: not given */
	bool internal;		      /* no way out of the network: has no default route */
	bool apart;		      /* enable_icc=false: members do not reach each other */
	bool has_dns;		      /* a user's network: names resolve at 127.0.0.11 */
	bool default_route4, default_route6;
};

struct network_endpoints {
	char sandbox_id[ID_BUF];	/* "" unless the container's networks are claimed */
	struct network_endpoint *items; /* owned; the main network first, then by name */
	size_t n;
};

/* Whether packets can come and go by any of them. */
static inline bool network_endpoints_any(const struct network_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n; i++)
		if (endpoints->items[i].v4.family || endpoints->items[i].v6.family)
			return true;
	return false;
}

static inline bool network_endpoint_is_claimed(const struct network_endpoint *endpoint)
{
	return endpoint->endpoint_id[0] != '\0';
}

/* On a bridge of the host's, by a network card of its own; else the VM's agent passes packets on.
 */
static inline bool network_endpoint_is_vmnet(const struct network_endpoint *endpoint)
{
	return network_endpoint_is_claimed(endpoint) && str_eq(endpoint->driver, "vmnet");
}

/* The container, as its endpoints need it. All borrowed. */
struct network_container {
	const char *id, *name, *hostname;
	const char *mode; /* HostConfig.NetworkMode */
};

void network_endpoints_done(struct network_endpoints *endpoints);

/* At create: NetworkingConfig and the like become the settings of each endpoint. */
int network_settings_plan(struct networks *networks, const json_t *config,
			  const json_t *host_config, const json_t *networking, json_t *warnings,
			  json_t **ret_settings, struct err *err);
int network_endpoints_insert(struct networks *networks, const char *container_id,
			     const json_t *settings, struct err *err);

int network_endpoints_load(struct networks *networks, const struct network_container *container,
			   struct network_endpoints *ret, struct err *err);
int network_endpoints_claim(struct networks *networks, const struct network_container *container,
			    struct network_endpoints *ret, struct err *err);
int network_endpoint_claim(struct networks *networks, const struct network_container *container,
			   const char *network_id, struct err *err);
void network_endpoints_release(struct networks *networks, const char *container_id);
int network_endpoints_rename(struct networks *networks, const struct network_container *container);

/* Rows only; a container that runs needs network_endpoint_claim() and a live attachment as well. */
int network_endpoint_add(struct networks *networks, const struct network_container *container,
			 const char *ref, const json_t *settings, struct err *err);
int network_endpoint_remove(struct networks *networks, const struct network_container *container,
			    const char *ref, struct err *err);
void network_endpoint_event(struct networks *networks, const char *action, const char *network_id,
			    const char *container_id);

/* What inspect and list show. New references. */
json_t *network_endpoints_json(const struct network_endpoints *endpoints);
json_t *network_endpoints_brief(const json_t *shown);

/* A claimed endpoint on a network, for the planner of the mesh, DNS and inspect. */
struct network_member {
	const char *container_id, *container_name, *endpoint_id, *mac; /* valid in the callback */
	struct net_addr v4, v6;					       /* family 0: none */
	unsigned int v4_bits, v6_bits;
	const json_t *dns_names; /* array, or NULL */
};
typedef int (*network_member_fn)(void *user, const struct network_member *member);
int network_members(struct networks *networks, const char *network_id, network_member_fn fn,
		    void *user);
