/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_env.c - the variables that a link puts into the environment, as dockerd 28 writes them
 *
 *	DB_PORT=tcp://172.17.0.2:80		the first of the exposed ports
 *	DB_PORT_80_TCP=..., _ADDR, _PORT, _PROTO	each of them
 *	DB_PORT_80_TCP_START, _PORT_START, _END, _PORT_END	those that follow each other
 *	DB_NAME=/container/db
 *	DB_ENV_x=...				what the other one was given
 */
#include "core/link_env.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/ports.h"

static bool port_is_tcp(const struct link_port *p)
{
	return str_eq(p->proto, "tcp");
}

/* TCP before the others, by protocol, by number. */
static int port_order(const void *a, const void *b)
{
	const struct link_port *x = a, *y = b;

	if (port_is_tcp(x) != port_is_tcp(y))
		return port_is_tcp(x) ? -1 : 1;
	return strcmp(x->proto, y->proto) ?: (int)x->number - (int)y->number;
}

/**
 * link_ports() - What a container exposes, in dockerd's order
 * @config: Its config
 * @out:    Filled
 *
 * Return: how many
 */
size_t link_ports(const json_t *config, struct link_port out[static LINK_PORTS_MAX])
{
	struct port_range range;
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach (json_object_get(config, "ExposedPorts"), key, value) {
		if (ports_parse(key, &range) < 0)
			continue;
		for (unsigned int p = range.first; p <= range.last && n < LINK_PORTS_MAX; p++) {
			out[n].number = (uint16_t)p;
			(void)snprintf(out[n++].proto, sizeof(out->proto), "%s", range.proto);
		}
	}
	qsort(out, n, sizeof(*out), port_order);
	return n;
}

/* What all variables of a link begin with. */
struct link_env {
	json_t *env;
	const char *address;
	char *alias;
};

static char *env_upper(const char *text)
{
	char *out = strdup(text);

	for (char *p = out; p && *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return out;
}

static int env_port(const struct link_env *e, const struct link_port *p)
{
	_cleanup_free_ char *proto = env_upper(p->proto);
	_cleanup_free_ char *prefix =
		proto ? str_format("%s_PORT_%u_%s", e->alias, p->number, proto) : NULL;

	if (!prefix)
		return -ENOMEM;
	return jx_addf(e->env, "%s=%s://%s:%u", prefix, p->proto, e->address, p->number) ||
			       jx_addf(e->env, "%s_ADDR=%s", prefix, e->address) ||
			       jx_addf(e->env, "%s_PORT=%u", prefix, p->number) ||
			       jx_addf(e->env, "%s_PROTO=%s", prefix, p->proto)
		       ? -ENOMEM
		       : 0;
}

static int env_range(const struct link_env *e, const struct link_port *first,
		     const struct link_port *last)
{
	_cleanup_free_ char *proto = env_upper(first->proto);
	_cleanup_free_ char *prefix =
		proto ? str_format("%s_PORT_%u_%s", e->alias, first->number, proto) : NULL;

	if (!prefix)
		return -ENOMEM;
	return jx_addf(e->env, "%s_START=%s://%s:%u", prefix, first->proto, e->address,
		       first->number) ||
			       jx_addf(e->env, "%s_PORT_START=%u", prefix, first->number) ||
			       jx_addf(e->env, "%s_END=%s://%s:%u", prefix, last->proto, e->address,
				       last->number) ||
			       jx_addf(e->env, "%s_PORT_END=%u", prefix, last->number)
		       ? -ENOMEM
		       : 0;
}

static int env_ports(const struct link_env *e, const struct link_port *ports, size_t n)
{
	const struct link_port *first = ports, *last = ports;
	int r = n ? jx_addf(e->env, "%s_PORT=%s://%s:%u", e->alias, ports->proto, e->address,
			    ports->number)
		  : 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = env_port(e, &ports[i]);
		if (ports[i].number == last->number + 1 && str_eq(ports[i].proto, first->proto)) {
			last = &ports[i];
			if (i < n - 1)
				continue;
		}
		if (r == 0 && last != first)
			r = env_range(e, first, last);
		first = last = &ports[i];
	}
	return r;
}

static int env_given(const struct link_env *e, const json_t *config)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(config, "Env"), i, item) {
		const char *text = json_string_value(item);

		if (!strchr(text, '=') || str_starts(text, "HOME=") || str_starts(text, "PATH="))
			continue;
		if (jx_addf(e->env, "%s_ENV_%s", e->alias, text) < 0)
			return -ENOMEM;
	}
	return 0;
}

/**
 * link_env_add() - Variables of one link
 * @env:     Array, appended
 * @name:    "/container/alias"
 * @address: Of whom it is to
 * @config:  Likewise
 *
 * Return: 0 or -ENOMEM
 */
int link_env_add(json_t *env, const char *name, const char *address, const json_t *config)
{
	_cleanup_free_ struct link_port *ports = calloc(LINK_PORTS_MAX, sizeof(*ports));
	_cleanup_free_ char *alias = env_upper(strrchr(name, '/') + 1);
	const struct link_env e = {.env = env, .address = address, .alias = alias};
	int r;

	if (!ports || !alias)
		return -ENOMEM;
	r = env_ports(&e, ports, link_ports(config, ports));
	if (r == 0)
		r = jx_addf(env, "%s_NAME=%s", alias, name);
	return r == 0 ? env_given(&e, config) : -ENOMEM;
}
