/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks_create.c - make a network: checks in dockerd's order, then one transaction
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

static const char network_no_swarm[] =
	"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to "
	"connect this node to swarm and try again.";

static int create_ipam(struct networks *networks, struct network *network, const json_t *asked,
		       struct err *err)
{
	_cleanup_(network_ipam_plan_done) struct network_ipam_plan plan = {0};
	struct ipam_pool pools[IPAM_POOLS_MAX];
	_cleanup_free_ char *text = NULL;
	int r = 0;

	if (!network->config_only && !str_eq(network->driver, "host") &&
	    !str_eq(network->driver, "null"))
		r = network_ipam_plan(network, asked, &plan, err);
	for (size_t i = 0; i < plan.n && r == 0; i++)
		r = ipam_pool_add(&networks->ipam, network->id, (unsigned int)i, &plan.requests[i],
				  &pools[i], err);
	if (r < 0)
		return r;
	json_decref(network->ipam);
	network->ipam = network_ipam_shown(asked, pools, plan.n);
	text = jx_text(network->ipam);
	if (!network->ipam || !text)
		return err_oom(err);
	r = store_exec(networks->core->store, "UPDATE networks SET ipam = ? WHERE id = ?", NULL,
		       NULL, "ss", text, network->id);
	return r < 0 ? err_sys(err, r, "cannot record the subnets of %.200s", network->name) : 0;
}

/**
 * network_create_held() - Write a network down, with the subnets it asks for
 * @networks:	Manager, lock held
 * @network:	Checked row; gets its ipam
 * @asked_ipam: IPAM of the request, or NULL
 * @err:	Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_create_held(struct networks *networks, struct network *network,
			const json_t *asked_ipam, struct err *err)
{
	struct store *store = networks->core->store;
	int r = store_begin(store);

	if (r < 0)
		return err_sys(err, r, "cannot record network %.200s", network->name);
	r = network_row_insert(networks, network, err);
	if (r == 0)
		r = create_ipam(networks, network, asked_ipam, err);
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	r = store_commit(store);
	return r < 0 ? err_sys(err, r, "cannot record network %.200s", network->name) : 0;
}

/* A flag of the body, or else of the driver's options. */
static int create_flag(const json_t *body, const char *key, const char *option, bool missing,
		       bool *ret, struct err *err)
{
	const json_t *value = json_object_get(body, key);
	const char *text =
		json_string_value(json_object_get(json_object_get(body, "Options"), option));

	*ret = missing;
	if (json_is_boolean(value))
		*ret = json_is_true(value);
	else if (text && network_bool_parse(text, ret) < 0)
		return err_user(err, ERR_INVALID, "driver-opt \"%s\" is not a valid bool", option);
	return 0;
}

static json_t *create_map(const json_t *body, const char *key)
{
	json_t *value = json_object_get(body, key);

	return json_is_object(value) ? json_deep_copy(value) : json_object();
}

/* The row as the body has it, before anything is judged. */
static int create_read(const json_t *body, struct network **ret, struct err *err)
{
	_cleanup_network_ struct network *network = calloc(1, sizeof(*network));
	const char *driver = jx_str(body, "Driver"), *scope = jx_str(body, "Scope");
	int r;

	if (!network)
		return err_oom(err);
	id_generate(network->id);
	network->created_ns = clock_realtime_ns();
	network->config_only = jx_bool(body, "ConfigOnly");
	network->name = strdup(jx_str(body, "Name"));
	network->driver = strdup(network->config_only ? "null" : *driver ? driver : "bridge");
	network->scope = strdup(*scope ? scope : "local");
	network->config_from = strdup(jx_str(json_object_get(body, "ConfigFrom"), "Network"));
	network->internal = jx_bool(body, "Internal");
	network->attachable = jx_bool(body, "Attachable");
	network->options = create_map(body, "Options");
	network->labels = create_map(body, "Labels");
	network->ipam = json_null();
	if (!network->name || !network->driver || !network->scope || !network->config_from ||
	    !network->options || !network->labels)
		return err_oom(err);
	r = create_flag(body, "EnableIPv4", NETWORK_OPT_IPV4, true, &network->ipv4, err);
	if (r == 0)
		r = create_flag(body, "EnableIPv6", NETWORK_OPT_IPV6, false, &network->ipv6, err);
	if (r == 0)
		*ret = TAKE_PTR(network);
	return r;
}

static int create_check_driver(const struct network *network, struct err *err)
{
	const char *driver = network->driver;

	if (network->config_only || str_eq(driver, "bridge") || str_eq(driver, "vmnet"))
		return 0;
	if (str_eq(driver, "host") || str_eq(driver, "null"))
		return err_user(err, ERR_FORBIDDEN,
				"only one instance of \"%s\" network is allowed", driver);
	return err_user(err, ERR_NOT_FOUND, "plugin \"%.200s\" not found", driver);
}

static int create_check_ipam_driver(const json_t *ipam, struct err *err)
{
	const char *driver = jx_str(ipam, "Driver");

	if (str_empty(driver) || str_eq(driver, "default"))
		return 0;
	if (str_eq(driver, "null"))
		return err_user(err, ERR_INVALID, "ipv4 pool is empty");
	return err_user(err, ERR_NOT_FOUND, "plugin \"%.200s\" not found", driver);
}

static int create_check_name(struct networks *networks, const char *name, struct err *err)
{
	_cleanup_network_ struct network *other = NULL;
	int r;

	if (name[strspn(name, " \t\n\v\f\r")] == '\0')
		return err_user(err, ERR_INVALID, "invalid name: name is empty");
	r = network_find_exact(networks, "name", name, &other);
	if (r < 0)
		return err_sys(err, r, "cannot look for network %.200s", name);
	return other ? err_user(err, ERR_CONFLICT, "network with name %.200s already exists", name)
		     : 0;
}

static int create_take_config(struct network *network, const struct network *from)
{
	json_decref(network->options);
	json_decref(network->labels);
	network->options = json_incref(from->options);
	network->labels = json_incref(from->labels);
	network->ipv4 = from->ipv4;
	network->ipv6 = from->ipv6;
	return 0;
}

/* A network that takes its configuration from another one has none of its own. */
static int create_config_from(struct networks *networks, struct network *network,
			      const json_t *body, json_t **ipam, struct err *err)
{
	_cleanup_network_ struct network *from = NULL;
	int r;

	if (str_empty(network->config_from))
		return 0;
	if (network->config_only)
		return err_user(err, ERR_FORBIDDEN,
				"a configuration network cannot depend on another configuration "
				"network");
	if (json_object_size(network->labels) > 0 || network->ipv6 || !network->ipv4 ||
	    jx_len(json_object_get(body, "IPAM"), "Config") > 0)
		return err_user(err, ERR_FORBIDDEN,
				"user specified configurations are not supported if the network "
				"depends on a configuration network");
	if (json_object_size(network->options) > 0)
		return err_user(err, ERR_FORBIDDEN,
				"network driver options are not supported if the network depends "
				"on a configuration network");
	r = network_find_exact(networks, "name", network->config_from, &from);
	if (r < 0)
		return err_sys(err, r, "cannot look for network %.200s", network->config_from);
	if (!from || !from->config_only)
		return err_user(err, ERR_NOT_FOUND,
				"configuration network \"%.200s\" does not exist",
				network->config_from);
	json_decref(*ipam);
	*ipam = json_incref(from->ipam);
	return create_take_config(network, from);
}

/* In the order in which dockerd finds out. */
static int create_check(struct networks *networks, struct network *network, const json_t *body,
			json_t **ipam, struct err *err)
{
	int r = create_check_name(networks, network->name, err);

	if (r == 0 && jx_bool(body, "Ingress"))
		r = err_user(err, ERR_FORBIDDEN,
			     "Ingress network can only be global scope network");
	if (r == 0)
		r = create_check_driver(network, err);
	if (r == 0 && str_eq(network->scope, "swarm"))
		r = err_user(err, ERR_FORBIDDEN,
			     "cannot create a swarm scoped network when swarm is not active");
	if (r == 0)
		r = create_check_ipam_driver(*ipam, err);
	if (r == 0)
		r = create_config_from(networks, network, body, ipam, err);
	if (r == 0 && !network->config_only)
		r = network_options_check(network, err);
	if (r == 0 && !network->ipv4 && !network->ipv6)
		r = err_user(err, ERR_INVALID, "IPv4 or IPv6 must be enabled");
	return r;
}

static bool create_is_predefined(const char *name)
{
	return str_eq(name, "bridge") || str_eq(name, "host") || str_eq(name, "none") ||
	       str_eq(name, "default");
}

/**
 * network_create() - POST /networks/create
 * @networks: Manager
 * @body:     Request, checked against its schema
 * @ret_id:   Receives the id
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_create(struct networks *networks, const json_t *body, char ret_id[static ID_BUF],
		   struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	_cleanup_json_ json_t *ipam = json_incref(json_object_get(body, "IPAM"));
	const char *name = jx_str(body, "Name");
	int r;

	if (create_is_predefined(name))
		return err_user(err, ERR_FORBIDDEN,
				"operation is not permitted on predefined %s network ", name);
	if (str_eq(jx_str(body, "Driver"), "overlay"))
		return err_user(err, ERR_FORBIDDEN, "%s", network_no_swarm);
	r = create_read(body, &network, err);
	if (r == 0)
		r = network_ipam_check(ipam, network->ipv6, err);
	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(all, &networks->lock);
	r = create_check(networks, network, body, &ipam, err);
	if (r == 0)
		r = network_create_held(networks, network, ipam, err);
	if (r < 0)
		return r;
	memcpy(ret_id, network->id, ID_BUF);
	network_event(networks, network, "create", NULL);
	return 0;
}
