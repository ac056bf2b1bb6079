/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_choice.c - host ports that nobody asked for by number: which they became, and those again
 *
 * What was chosen is an object with a member for each choice that a plan leaves open, named as
 * `docker run -p` would have it: {"81/tcp": 32768, "18100-18102:80/udp": 18101}. It outlives the
 * daemon in the container's row, and is read with the next plan, which is another one where the
 * container's networks have changed: choices that are no more are passed over.
 */
#include "core/port_choice.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/jsonx.h"
#include "core/port_plan.h"

#define CHOICE_KEY_MAX 24 /* "65534-65535:65535/udp" */

/* Which mapping decides about the port of this one. */
static size_t choice_leader(const struct port_plan *plan, size_t index)
{
	while (plan->mappings[index].same_port && index > 0)
		index--;
	return index;
}

/* Return: whether the port of a leader is left open */
static bool choice_key(const struct port_plan *plan, size_t leader, char key[static CHOICE_KEY_MAX])
{
	const struct forward_mapping *m = &plan->mappings[leader];
	const char *proto = m->proto == IPPROTO_TCP ? "tcp" : "udp";

	if (!m->host_port_last)
		return false;
	if (leader >= plan->n_asked)
		(void)snprintf(key, CHOICE_KEY_MAX, "%u/%s", m->target_port, proto);
	else
		(void)snprintf(key, CHOICE_KEY_MAX, "%u-%u:%u/%s", m->host_port, m->host_port_last,
			       m->target_port, proto);
	return true;
}

/**
 * port_choice_note() - What became of the choices that a plan left open
 * @plan:      Plan
 * @published: Its mappings as they were published
 *
 * Return: new object, empty where all ports were asked for by number, or NULL without memory
 */
json_t *port_choice_note(const struct port_plan *plan, const struct forward_mapping *published)
{
	_cleanup_json_ json_t *chosen = json_object();
	char key[CHOICE_KEY_MAX];

	for (size_t i = 0; i < plan->n; i++) {
		if (!plan->mappings[i].same_port && choice_key(plan, i, key) &&
		    jx_set(chosen, key, json_integer(published[i].host_port)) < 0)
			return NULL;
	}
	return TAKE_PTR(chosen);
}

/**
 * port_choice_get() - What was chosen for a mapping
 * @plan:   Plan
 * @chosen: Of port_choice_note(), also with another plan, or NULL
 * @index:  Which mapping of the plan
 *
 * Return: the host port, or 0
 */
uint16_t port_choice_get(const struct port_plan *plan, const json_t *chosen, size_t index)
{
	size_t leader = choice_leader(plan, index);
	unsigned int first = 1, last = UINT16_MAX;
	char key[CHOICE_KEY_MAX];
	int64_t port;

	if (!choice_key(plan, leader, key))
		return 0;
	if (leader < plan->n_asked) {
		first = plan->mappings[leader].host_port;
		last = plan->mappings[leader].host_port_last;
	}
	port = jx_int(chosen, key);
	return port >= first && port <= last ? (uint16_t)port : 0;
}

/**
 * port_choice_forget() - Leave the choice for a mapping open again
 * @plan:   Plan
 * @chosen: Of port_choice_note(), changed; or NULL
 * @index:  Which mapping of the plan
 *
 * Return: whether there was one
 */
bool port_choice_forget(const struct port_plan *plan, json_t *chosen, size_t index)
{
	char key[CHOICE_KEY_MAX];

	return choice_key(plan, choice_leader(plan, index), key) &&
	       json_object_del(chosen, key) == 0;
}

/**
 * port_choice_apply() - Ask for what was chosen before
 * @plan:	  Plan
 * @chosen:	  Of port_choice_note(), also with another plan, or NULL
 * @ret_mappings: Room for as many as the plan has: they are its own, but for what was chosen
 */
void port_choice_apply(const struct port_plan *plan, const json_t *chosen,
		       struct forward_mapping *ret_mappings)
{
	memcpy(ret_mappings, plan->mappings, plan->n * sizeof(*ret_mappings));
	for (size_t i = 0; i < plan->n; i++) {
		uint16_t port = ret_mappings[i].same_port ? 0 : port_choice_get(plan, chosen, i);

		if (port) {
			ret_mappings[i].host_port = port;
			ret_mappings[i].host_port_last = 0;
		}
	}
}

static bool choice_fits_one(const struct forward_mapping *asked, const struct forward_mapping *m,
			    bool by_number)
{
	if (asked->proto != m->proto || asked->count != m->count ||
	    asked->target_port != m->target_port || asked->host.family != m->host.family ||
	    asked->target.family != m->target.family ||
	    memcmp(asked->host.bytes, m->host.bytes, sizeof(m->host.bytes)) != 0 ||
	    memcmp(asked->target.bytes, m->target.bytes, sizeof(m->target.bytes)) != 0)
		return false;
	if (asked->same_port)
		return m->host_port == m[-1].host_port;
	if (asked->host_port_last)
		return !by_number ||
		       (m->host_port >= asked->host_port && m->host_port <= asked->host_port_last);
	return m->host_port == asked->host_port;
}

/**
 * port_choice_fits() - Whether what is published is what would be asked for
 * @plan:      Plan
 * @asked:     Its mappings after port_choice_apply()
 * @published: Mappings as they are published
 * @n:	       How many are
 *
 * Return: the answer
 */
bool port_choice_fits(const struct port_plan *plan, const struct forward_mapping *asked,
		      const struct forward_mapping *published, size_t n)
{
	for (size_t i = 0; i < n && n == plan->n; i++)
		if (!choice_fits_one(&asked[i], &published[i], i < plan->n_asked))
			return false;
	return n == plan->n;
}
