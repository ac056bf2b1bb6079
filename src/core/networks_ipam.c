/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks_ipam.c - the IPAM part of a network's configuration: checked, and made into requests
 *
 * The text is an API client's. What it must obey and the words when it does not are dockerd's; all
 * faults are told at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/err_list.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"

static void check_range(struct err_list *faults, const char *text, struct net_prefix subnet)
{
	char subnet_text[NET_PREFIX_TEXT], proper[NET_PREFIX_TEXT];
	struct net_prefix range;

	net_prefix_format(subnet, subnet_text);
	if (str_empty(text))
		return;
	if (net_prefix_parse(text, &range) < 0) {
		err_list_add(faults, "invalid ip-range %.64s: invalid CIDR block notation", text);
		return;
	}
	if (range.addr.family != subnet.addr.family) {
		err_list_add(faults, "invalid ip-range %.64s: parent subnet is an IPv%u block",
			     text, subnet.addr.family);
		return;
	}
	if (range.bits < subnet.bits)
		err_list_add(faults,
			     "invalid ip-range %.64s: CIDR block is bigger than its parent subnet "
			     "%s",
			     text, subnet_text);
	if (!net_prefix_is_masked(range)) {
		net_prefix_format(net_prefix_masked(range), proper);
		err_list_add(faults, "invalid ip-range %.64s: it should be %s", text, proper);
	}
	if (!net_prefix_overlaps(range, subnet))
		err_list_add(faults,
			     "invalid ip-range %.64s: parent subnet %s doesn't contain ip-range",
			     text, subnet_text);
}

/* what: "gateway 1.2.3.4" or "auxiliary address name" */
static void check_address(struct err_list *faults, const char *what, const char *text,
			  struct net_prefix subnet)
{
	char subnet_text[NET_PREFIX_TEXT];
	struct net_addr addr;

	net_prefix_format(subnet, subnet_text);
	if (str_empty(text))
		return;
	if (net_addr_parse(text, &addr) < 0)
		err_list_add(faults, "invalid %.200s: invalid address", what);
	else if (addr.family != subnet.addr.family)
		err_list_add(faults, "invalid %.200s: parent subnet is an IPv%u block", what,
			     subnet.addr.family);
	else if (!net_prefix_contains(subnet, addr))
		err_list_add(faults,
			     "invalid %.200s: parent subnet %s doesn't contain this address", what,
			     subnet_text);
}

static void check_config(struct err_list *faults, const json_t *config, bool ipv6)
{
	const char *text = jx_str(config, "Subnet"), *name;
	char what[240], proper[NET_PREFIX_TEXT];
	struct net_prefix subnet;
	json_t *aux;

	if (net_prefix_parse(text, &subnet) < 0) {
		err_list_add(faults, "invalid subnet %.64s: invalid CIDR block notation", text);
		return;
	}
	if (subnet.addr.family == 6 && !ipv6)
		return;
	if (!net_prefix_is_masked(subnet)) {
		net_prefix_format(net_prefix_masked(subnet), proper);
		err_list_add(faults, "invalid subnet %.64s: it should be %s", text, proper);
	}
	check_range(faults, jx_str(config, "IPRange"), subnet);
	(void)snprintf(what, sizeof(what), "gateway %.64s", jx_str(config, "Gateway"));
	check_address(faults, what, jx_str(config, "Gateway"), subnet);
	json_object_foreach (json_object_get(config, "AuxiliaryAddresses"), name, aux) {
		(void)snprintf(what, sizeof(what), "auxiliary address %.200s", name);
		check_address(faults, what, json_string_value(aux) ?: "", subnet);
	}
}

/**
 * network_ipam_check() - Check what a client asks for
 * @ipam: IPAM of the request, or NULL
 * @ipv6: The network has IPv6; if not, IPv6 subnets are not looked at
 * @err:  Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int network_ipam_check(const json_t *ipam, bool ipv6, struct err *err)
{
	_cleanup_(err_list_done) struct err_list faults = {0};
	json_t *config;
	size_t i;

	json_array_foreach (json_object_get(ipam, "Config"), i, config)
		check_config(&faults, config, ipv6);
	return err_list_raise(&faults, "invalid network config", err);
}

static int plan_aux(struct network_ipam_plan *plan, struct ipam_request *request,
		    const json_t *config, const char *network_name, size_t *at, struct err *err)
{
	const char *name;
	json_t *aux;

	request->aux = plan->aux + *at;
	json_object_foreach (json_object_get(config, "AuxiliaryAddresses"), name, aux) {
		struct ipam_aux *entry = &plan->aux[*at];

		if (net_addr_parse(json_string_value(aux) ?: "", &entry->addr) < 0)
			return err_user(err, ERR_INVALID,
					"non parsable secondary ip address (%.100s:%.64s) passed "
					"for network %.200s",
					name, json_string_value(aux) ?: "", network_name);
		entry->name = name;
		request->n_aux++;
		(*at)++;
	}
	return 0;
}

static int plan_config(struct network_ipam_plan *plan, const struct network *network,
		       const json_t *config, size_t *aux_at, struct err *err)
{
	struct ipam_request request = {0};
	int r;

	if (net_prefix_parse(jx_str(config, "Subnet"), &request.subnet) < 0)
		return -EINVAL; /* was refused */
	request.family = request.subnet.addr.family;
	if (request.family == 6 ? !network->ipv6 : !network->ipv4)
		return 0;
	if (plan->n == IPAM_POOLS_MAX)
		return err_user(err, ERR_INVALID, "more than %d subnets", IPAM_POOLS_MAX);
	if (!jx_empty(config, "IPRange"))
		(void)net_prefix_parse(jx_str(config, "IPRange"), &request.range); /* was checked */
	if (!jx_empty(config, "Gateway"))
		(void)net_addr_parse(jx_str(config, "Gateway"), &request.gateway); /* the same */
	request.no_gateway = network_is_isolated(network, request.family);
	r = plan_aux(plan, &request, config, network->name, aux_at, err);
	if (r == 0)
		plan->requests[plan->n++] = request;
	return r;
}

static size_t plan_count(const struct network_ipam_plan *plan, unsigned int family)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		n += plan->requests[i].family == family;
	return n;
}

static int plan_default(struct network_ipam_plan *plan, const struct network *network,
			unsigned int family, struct err *err)
{
	size_t n = plan_count(plan, family);

	if (n > 1 && str_eq(network->driver, "bridge"))
		return err_user(err, ERR_FORBIDDEN,
				"bridge driver doesn't support multiple subnets");
	if (n == 0 && plan->n < IPAM_POOLS_MAX)
		plan->requests[plan->n++] = (struct ipam_request){
			.family = family, .no_gateway = network_is_isolated(network, family)};
	return 0;
}

/**
 * network_ipam_plan() - What to ask of the IPAM for a network
 * @network: Network
 * @ipam:    IPAM that network_ipam_check() let pass, or NULL; borrowed by the plan
 * @ret:     Filled; network_ipam_plan_done() in any case
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_ipam_plan(const struct network *network, const json_t *ipam,
		      struct network_ipam_plan *ret, struct err *err)
{
	size_t n_aux = 0, at = 0, i;
	json_t *config;
	int r = 0;

	*ret = (struct network_ipam_plan){0};
	json_array_foreach (json_object_get(ipam, "Config"), i, config)
		n_aux += jx_len(config, "AuxiliaryAddresses");
	ret->aux = calloc(n_aux + 1, sizeof(*ret->aux));
	if (!ret->aux)
		return err_oom(err);
	json_array_foreach (json_object_get(ipam, "Config"), i, config) {
		r = plan_config(ret, network, config, &at, err);
		if (r < 0)
			return r;
	}
	if (network->ipv4)
		r = plan_default(ret, network, 4, err);
	if (r == 0 && network->ipv6)
		r = plan_default(ret, network, 6, err);
	return r;
}

/**
 * network_ipam_plan_done() - Free a plan
 * @plan: Plan
 */
void network_ipam_plan_done(struct network_ipam_plan *plan)
{
	free(plan->aux);
	plan->aux = NULL;
}

static int shown_family(json_t *out, const json_t *ipam, bool v6)
{
	static const char *const keys[] = {"Subnet", "IPRange", "Gateway", "AuxiliaryAddresses"};
	json_t *config;
	int r = 0;
	size_t i;

	json_array_foreach (json_object_get(ipam, "Config"), i, config) {
		json_t *entry;

		if ((strchr(jx_str(config, "Subnet"), ':') != NULL) != v6)
			continue;
		entry = json_object();
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			if (!jx_empty(config, keys[k]))
				r |= jx_share(entry, keys[k], json_object_get(config, keys[k]));
		}
		r |= json_array_append_new(out, entry);
	}
	return r;
}

static int shown_pool(json_t *out, const struct ipam_pool *pool)
{
	char subnet[NET_PREFIX_TEXT], gateway[NET_ADDR_TEXT];
	json_t *entry = json_object();
	int r;

	net_prefix_format(pool->subnet, subnet);
	net_addr_format(pool->gateway, gateway);
	r = jx_set_str(entry, "Subnet", subnet);
	if (*gateway)
		r |= jx_set_str(entry, "Gateway", gateway);
	return r | json_array_append_new(out, entry);
}

/**
 * network_ipam_shown() - IPAM as inspect shows it
 * @ipam:  IPAM of the request, or NULL: shown as it was given
 * @pools: What the network got; those that nobody asked for by number are shown as well
 * @n:	   How many
 *
 * Return: new object, or NULL
 */
json_t *network_ipam_shown(const json_t *ipam, const struct ipam_pool *pools, size_t n)
{
	json_t *out = json_object(), *configs = json_array();
	const json_t *options = json_object_get(ipam, "Options");
	int r = shown_family(configs, ipam, false) | shown_family(configs, ipam, true);

	for (size_t i = 0; i < n; i++) {
		if (!pools[i].asked)
			r |= shown_pool(configs, &pools[i]);
	}
	r |= jx_set_str(out, "Driver",
			jx_empty(ipam, "Driver") ? "default" : jx_str(ipam, "Driver"));
	r |= jx_share(out, "Options", json_is_object(options) ? options : NULL);
	if (json_array_size(configs) == 0) {
		json_decref(configs);
		configs = json_null();
	}
	r |= jx_set(out, "Config", configs);
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}
