/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_check_ports.c - published ports: what containers asked for, and what the forwarder says
 *
 * The plan is made anew from the rows. It may name more addresses of the host than were asked for
 * when the container started, since networks come and go meanwhile; so it is asked of each port of
 * the container whether it is published at all, and of each that is published whether it should be
 * and leads to this container.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/jsonx.h"
#include "core/network_check_impl.h"
#include "core/port_plan.h"
#include "net/underlay.h"

#define PORTS_TEXT_MAX 64

/* How a container could be reached; families without an address are left out of the plan. */
static void ports_route(const struct check *k, const struct check_container *c,
			struct port_route *ret)
{
	*ret = (struct port_route){.vm4 = {.family = 4},
				   .vm6 = {.family = 6},
				   .host_has_ipv6 = true,
				   .ephemeral = {.first = 1, .last = UINT16_MAX}};
	for (size_t i = 0; i < k->n_endpoints; i++) {
		const struct check_endpoint *e = &k->endpoints[i];

		if (e->container != c || !*e->id || !e->network || e->network->internal)
			continue;
		if (e->v4.family)
			ret->container4 = e->v4;
		if (e->v6.family)
			ret->container6 = e->v6;
	}
}

static bool ports_is_addr(const struct forward_ip *ip, struct net_addr addr)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];

	return addr.family == ip->family &&
	       memcmp(bytes, ip->bytes, net_addr_to_bytes(addr, bytes)) == 0;
}

static bool ports_leads_to(const struct check *k, const struct check_container *c,
			   const struct forward_ip *target)
{
	for (size_t i = 0; i < k->n_vms; i++) {
		struct underlay_addr addr;

		if (k->vms[i].container != c || !k->vms[i].alive || !k->vms[i].nic)
			continue;
		underlay_addr((uint16_t)k->vms[i].nic, &addr);
		if (target->family == 4 ? memcmp(target->bytes, addr.v4, sizeof(addr.v4)) == 0
					: memcmp(target->bytes, addr.v6, sizeof(addr.v6)) == 0)
			return true;
	}
	for (size_t i = 0; i < k->n_endpoints; i++) {
		const struct check_endpoint *e = &k->endpoints[i];

		if (e->container == c && e->network && str_eq(e->network->driver, "vmnet") &&
		    (ports_is_addr(target, e->v4) || ports_is_addr(target, e->v6)))
			return true;
	}
	return false;
}

/* Whether a port that is published is this one of the plan; those of a range may be any of it. */
static bool ports_fits(const struct forward_mapping *asked, bool by_number,
		       const struct forward_mapping *found)
{
	if (asked->proto != found->proto || asked->target_port < found->target_port ||
	    asked->target_port + asked->count > found->target_port + found->count)
		return false;
	if (!by_number || asked->same_port)
		return found->host_port != 0;
	if (asked->host_port_last)
		return found->host_port >= asked->host_port &&
		       found->host_port <= asked->host_port_last;
	return asked->host_port - asked->target_port == found->host_port - found->target_port;
}

static bool ports_find(const struct forward_mapping *asked, bool by_number,
		       const struct check_owner *owner)
{
	for (size_t i = 0; owner && i < owner->n; i++)
		if (ports_fits(asked, by_number, &owner->mappings[i]))
			return true;
	return false;
}

static const char *ports_difference(const struct check *k, const struct check_container *c,
				    const struct port_plan *plan, const struct check_owner *owner)
{
	for (size_t i = 0; i < plan->n; i++)
		if (!ports_find(&plan->mappings[i], i < plan->n_asked, owner))
			return "a port is not published";
	for (size_t i = 0; owner && i < owner->n; i++) {
		const struct forward_mapping *m = &owner->mappings[i];
		bool asked = false;

		for (size_t j = 0; j < plan->n && !asked; j++)
			asked = m->proto == plan->mappings[j].proto &&
				m->target_port <= plan->mappings[j].target_port &&
				plan->mappings[j].target_port < m->target_port + m->count;
		if (!asked)
			return "a port is published that was not asked for";
		if (!ports_leads_to(k, c, &m->target))
			return "a port leads elsewhere";
	}
	return NULL;
}

static const struct check_owner *ports_owner(const struct check *k, const char *id)
{
	for (size_t i = 0; i < k->n_owners; i++)
		if (str_eq(k->owners[i].id, id))
			return &k->owners[i];
	return NULL;
}

static size_t ports_count(const struct forward_mapping *mappings, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += mappings[i].count;
	return count;
}

/* Return: whether the container publishes anything */
static bool ports_of(struct check *k, const struct check_container *c)
{
	const struct check_owner *owner = ports_owner(k, c->id);
	char state[PORTS_TEXT_MAX], kernel[PORTS_TEXT_MAX];
	struct port_plan plan = {0};
	const char *difference;
	struct port_route route;
	struct err err = {0};
	bool publishes;

	ports_route(k, c, &route);
	if (port_plan_make(c->config, c->host_config, &route, &plan, &err) < 0)
		return false; /* it could not have been started */
	publishes = plan.n > 0;
	difference = c->up || owner ? ports_difference(k, c, &plan, owner) : NULL;
	(void)snprintf(state, sizeof(state), "%zu", ports_count(plan.mappings, plan.n));
	(void)snprintf(kernel, sizeof(kernel), "%zu",
		       owner ? ports_count(owner->mappings, owner->n) : 0);
	if (publishes || owner)
		check_row(k, "ports", c->name, state, kernel, difference);
	port_plan_done(&plan);
	return publishes;
}

static const struct check_container *ports_container(const struct check *k, const char *id)
{
	for (size_t i = 0; i < k->n_containers; i++)
		if (str_eq(k->containers[i].id, id))
			return &k->containers[i];
	return NULL;
}

/**
 * check_ports() - The lines about the forwarder and what it publishes
 * @k: Check, both sides loaded
 */
void check_ports(struct check *k)
{
	bool wanted = k->daemon != 0;
	char pid[PORTS_TEXT_MAX];

	for (size_t i = 0; i < k->n_containers; i++)
		if (k->containers[i].runs)
			wanted |= ports_of(k, &k->containers[i]);
	for (size_t i = 0; i < k->n_owners; i++) {
		const struct check_container *c = ports_container(k, k->owners[i].id);

		if (!c || !c->runs)
			check_row(k, "ports", c ? c->name : k->owners[i].id, "does not run",
				  "published", "ports of what does not run");
	}
	(void)snprintf(pid, sizeof(pid), k->forwarder ? "pid %d" : "none", (int)k->forwarder);
	check_row(k, "forwarder", "", wanted ? "publishes" : "need not be there", pid,
		  wanted && !k->forwarder ? "it does not run" : NULL);
}
