/* SPDX-License-Identifier: Apache-2.0 */
/* networks_impl.h - what the files networks*.c and network_endpoint*.c share; nobody else */
#pragma once

#include "base/cleanup.h"
#include "core/core.h"
#include "core/locks.h"
#include "core/networks.h"
#include "net/ipam.h"

#define NETWORK_OPT_MTU "com.docker.network.driver.mtu"
#define NETWORK_OPT_IPV4 "com.docker.network.enable_ipv4"
#define NETWORK_OPT_IPV6 "com.docker.network.enable_ipv6"
#define NETWORK_OPT_ICC "com.docker.network.bridge.enable_icc"
#define NETWORK_OPT_HOST_BINDING "com.docker.network.bridge.host_binding_ipv4"
#define NETWORK_OPT_GATEWAY4 "com.docker.network.bridge.gateway_mode_ipv4"
#define NETWORK_OPT_GATEWAY6 "com.docker.network.bridge.gateway_mode_ipv6"

struct networks {
	struct core *core; /* borrowed */
	/* One change at a time: from looking whether it may be done to telling that it was. */
	struct rank_lock lock;
	struct net_pool_sources configured;	      /* default-address-pools, immutable */
	struct net_addr host_gateway4, host_gateway6; /* immutable; family 0: none */
	struct ipam ipam;
};

/* A row, with all it owns. */
struct network {
	char id[ID_BUF];
	char *name, *driver, *scope, *config_from; /* owned */
	int64_t created_ns;
	bool ipv4, ipv6, internal, attachable, config_only, predefined;
	json_t *options, *labels; /* owned: objects of strings */
	json_t *ipam;		  /* owned: Driver, Options, Config as shown */
};

void network_free(struct network *network);
DEFINE_CLEANUP(struct network *, network_free)
#define _cleanup_network_ _cleanup_(network_freep)

/* networks_rows.c */
typedef int (*network_fn)(void *user, struct network *network); /* takes it over */
int network_row_insert(struct networks *networks, const struct network *network, struct err *err);
int network_rows_each(struct networks *networks, network_fn fn, void *user);
int network_find(struct networks *networks, const char *ref, struct network **ret, struct err *err);
int network_find_exact(struct networks *networks, const char *column, const char *value,
		       struct network **ret);

/* networks_create.c: the caller holds the lock */
int network_create_held(struct networks *networks, struct network *network,
			const json_t *asked_ipam, struct err *err);

/* networks_options.c */
int network_bool_parse(const char *text, bool *ret);
int network_options_check(const struct network *network, struct err *err);
bool network_is_apart(const struct network *network);
bool network_is_isolated(const struct network *network, unsigned int family);

/* networks_ipam.c */
struct network_ipam_plan {
	struct ipam_request requests[IPAM_POOLS_MAX];
	size_t n;
	struct ipam_aux *aux; /* owned */
};
int network_ipam_check(const json_t *ipam, bool ipv6, struct err *err);
int network_ipam_plan(const struct network *network, const json_t *ipam,
		      struct network_ipam_plan *ret, struct err *err);
void network_ipam_plan_done(struct network_ipam_plan *plan);
json_t *network_ipam_shown(const json_t *ipam, const struct ipam_pool *pools, size_t n);

/* networks_list.c */
void network_event(struct networks *networks, const struct network *network, const char *action,
		   json_t *more /* stolen, or NULL */);

/* network_endpoint_check.c */
int network_settings_normalise(const json_t *given, json_t **ret, struct err *err);
int network_settings_check(struct networks *networks, const struct network *network,
			   const char *key, const json_t *settings, const char *prefix,
			   struct err *err);
bool network_mode_is_user_defined(const char *mode);
json_t *network_dns_names(const struct network_container *container, const json_t *settings);

/* network_endpoint_rows.c */
int network_endpoint_rows_load(struct networks *networks, const char *container_id,
			       const char *mode, struct network_endpoints *ret);
int network_endpoint_row_save(struct networks *networks, const char *container_id,
			      const struct network_endpoint *endpoint);

/* network_endpoint_claim.c */
int network_endpoint_claim_one(struct networks *networks, const struct network_container *container,
			       const struct network_endpoints *all,
			       struct network_endpoint *endpoint, struct err *err);
int network_endpoint_fill(struct networks *networks, const char *container_id,
			  const struct network *network, struct network_endpoint *endpoint);
