/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_plan.c - what of a container is published where
 *
 * DOC: Theory of operation
 *
 * As with dockerd, a port is published if it is exposed and has a binding, or if it is exposed and
 * PublishAllPorts is set. Each binding is one request per address family; requests are sorted as
 * dockerd does it, numbers first, then ranges, then ports that nobody asked for by number. Requests
 * of one container port with the same choice of host ports form a group, which gets one port on all
 * its addresses. Runs of single ports become one mapping, so that 65535 of them are a few hundred
 * bytes.
 *
 * An IPv6 address of the host leads to the container's IPv4 address where it has no other.
 *
 * Hostile: bindings are a client's, the keys of ExposedPorts an image's as well.
 */
#include "core/port_plan.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "core/jsonx.h"
#include "core/ports.h"

#define PORT_KEY_MAX 16		 /* "65535/sctp" */
#define PORT_REQUESTS_MAX 400000 /* three protocols, two families, every port */
#define PORT_RUNS 4		 /* how many runs of ports may grow at a time */

struct port_request {
	uint16_t port; /* the container's */
	uint8_t proto;
	uint16_t first, last; /* of the host; 0: any */
	struct forward_ip ip;
};

struct port_requests {
	struct port_request *items; /* owned */
	size_t n, n_max;
};

static void cleanup_requests(struct port_requests *requests)
{
	free(requests->items);
}

static const struct proto {
	const char *name;
	uint8_t number;
} protos[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};

static const char *proto_name(uint8_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (protos[i].number == number)
			return protos[i].name;
	}
	return "";
}

/* Return: 0, -EINVAL if it is not one port, -EPROTONOSUPPORT */
static int key_parse(const char *key, uint16_t *ret_port, uint8_t *ret_proto)
{
	struct port_range range;

	if (ports_parse(key, &range) < 0 || range.first == 0 || range.first != range.last)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (strcasecmp(range.proto, protos[i].name) != 0)
			continue;
		*ret_port = range.first;
		*ret_proto = protos[i].number;
		return 0;
	}
	return -EPROTONOSUPPORT;
}

static void key_format(uint16_t port, uint8_t proto, char out[static PORT_KEY_MAX])
{
	(void)snprintf(out, PORT_KEY_MAX, "%u/%s", port, proto_name(proto));
}

static struct forward_ip ip_from(struct net_addr addr)
{
	struct forward_ip ip = {.family = (uint8_t)addr.family};

	(void)net_addr_to_bytes(addr, ip.bytes); /* no address: all zeros */
	return ip;
}

static void ip_format(const struct forward_ip *ip, char out[static NET_ADDR_TEXT])
{
	struct net_addr addr = {0};

	(void)net_addr_from_bytes(ip->bytes, ip->family == 4 ? 4 : 16, &addr); /* cannot fail */
	net_addr_format(addr, out);
}

static bool ip_is_any(const struct forward_ip *ip)
{
	static const uint8_t zeros[sizeof(ip->bytes)];

	return memcmp(ip->bytes, zeros, sizeof(zeros)) == 0;
}

static int ip_compare(const struct forward_ip *a, const struct forward_ip *b)
{
	return a->family != b->family ? a->family - b->family
				      : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/**
 * port_host_ip_parse() - The address in a binding
 * @text:     Text; untrusted
 * @ret_addr: Set on success; IPv4 also for an IPv6 address that stands for one, as Go has it
 *
 * Return: 0 or -EINVAL
 */
int port_host_ip_parse(const char *text, struct net_addr *ret_addr)
{
	int r = net_addr_parse(text, ret_addr);

	if (r == 0 && ret_addr->family == 6 && ret_addr->number >> 32 == 0xffff)
		*ret_addr = (struct net_addr){4, ret_addr->number & UINT32_MAX};
	return r;
}

static int request_add(struct port_requests *all, const struct port_request *request,
		       struct net_addr ip, struct err *err)
{
	if (all->n == PORT_REQUESTS_MAX)
		return err_user(err, ERR_INVALID, "too many ports to publish");
	if (all->n == all->n_max) {
		size_t max = all->n_max ? all->n_max * 2 : 16;
		void *grown = reallocarray(all->items, max, sizeof(*all->items));

		if (!grown)
			return err_oom(err);
		all->items = grown;
		all->n_max = max;
	}
	all->items[all->n] = *request;
	all->items[all->n++].ip = ip_from(ip);
	return 0;
}

static bool route_can(const struct port_route *route, unsigned int family)
{
	return route->container4.family || (family == 6 && route->container6.family);
}

/* A binding, on each address that it means. */
static int request_on(struct port_requests *all, const struct port_request *request,
		      struct net_addr ip, const struct port_route *route, struct err *err)
{
	const struct net_addr any4 = {4, 0}, any6 = {6, 0};
	int r = 0;

	if (ip.family)
		return route_can(route, ip.family) ? request_add(all, request, ip, err) : 0;
	ip = route->bind.number ? route->bind : any4;
	if (route_can(route, ip.family))
		r = request_add(all, request, ip, err);
	if (route->bind.number && !route->bind_not6)
		return r;
	if (r == 0 && route_can(route, 6) && route->host_has_ipv6)
		r = request_add(all, request, any6, err);
	return r;
}

static int host_port_parse(const char *text, struct port_request *request, struct err *err)
{
	struct port_range range = {0};

	if (*text && (strchr(text, '/') || ports_parse(text, &range) < 0))
		return err_user(err, ERR_INVALID, "invalid port specification: \"%.100s\"", text);
	if (range.first == 0 && range.last != 0)
		return err_user(err, ERR_INTERNAL, "invalid port range: %.100s", text);
	request->first = range.first;
	request->last = range.last;
	return 0;
}

static int refuse_sctp(const struct port_request *request, const struct port_route *route,
		       struct err *err)
{
	return err_user(err, ERR_INTERNAL,
			"error starting userland proxy: failed to listen on 0.0.0.0:%u: protocol "
			"not supported",
			request->first ? request->first : route->ephemeral.first);
}

static int request_binding(struct port_requests *all, struct port_request *request,
			   const json_t *binding, const struct port_route *route, struct err *err)
{
	const char *ip = jx_str(binding, "HostIp");
	struct net_addr addr = {0};
	int r = host_port_parse(jx_str(binding, "HostPort"), request, err);

	if (r < 0)
		return r;
	if (*ip && port_host_ip_parse(ip, &addr) < 0) /* published elsewhere it would be worse */
		return err_user(err, ERR_INVALID, "invalid IP address: %.100s", ip);
	if (request->proto == IPPROTO_SCTP)
		return refuse_sctp(request, route, err);
	return request_on(all, request, addr, route, err);
}

static int request_port(struct port_requests *all, const char *key, const json_t *host_config,
			const struct port_route *route, struct err *err)
{
	const json_t *bindings = json_object_get(json_object_get(host_config, "PortBindings"), key);
	json_t *any = NULL, *binding;
	struct port_request request = {0};
	size_t i;
	int r;

	if (json_array_size(bindings) == 0 && !jx_bool(host_config, "PublishAllPorts"))
		return 0;
	r = key_parse(key, &request.port, &request.proto);
	if (r < 0 && json_array_size(bindings) == 0)
		return 0; /* an image may expose what it likes */
	if (r == -EPROTONOSUPPORT)
		return err_user(err, ERR_INTERNAL, "unknown protocol");
	if (r < 0)
		return err_user(err, ERR_INTERNAL, "invalid container port: %.100s", key);
	if (json_array_size(bindings) == 0)
		return request_binding(all, &request, any, route, err);
	json_array_foreach (bindings, i, binding) {
		r = request_binding(all, &request, binding, route, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 0: a number, 1: a range, 2: any */
static int request_class(const struct port_request *request)
{
	return request->first == 0 ? 2 : request->first != request->last;
}

static bool request_same_choice(const struct port_request *a, const struct port_request *b)
{
	return a->port == b->port && a->proto == b->proto && a->first == b->first &&
	       a->last == b->last;
}

static int request_compare(const void *left, const void *right)
{
	const struct port_request *a = left, *b = right;

	if (request_class(a) != request_class(b))
		return request_class(a) - request_class(b);
	if (a->port != b->port)
		return a->port - b->port;
	if (a->proto != b->proto)
		return a->proto - b->proto;
	if (a->first != b->first)
		return a->first - b->first;
	if (a->last != b->last)
		return a->last - b->last;
	return ip_compare(&a->ip, &b->ip);
}

static int plan_add(struct port_plan *plan, const struct forward_mapping *mapping, struct err *err)
{
	if (plan->n == FORWARD_MAPPINGS_MAX)
		return err_user(err, ERR_INVALID, "too many ports to publish");
	if (plan->n == plan->n_max) {
		size_t max = plan->n_max ? plan->n_max * 2 : 16;
		void *grown = reallocarray(plan->mappings, max, sizeof(*plan->mappings));

		if (!grown)
			return err_oom(err);
		plan->mappings = grown;
		plan->n_max = max;
	}
	plan->mappings[plan->n++] = *mapping;
	return 0;
}

/* Whether one of the last runs of ports goes on with this one. */
static bool plan_grow(struct port_plan *plan, const struct forward_mapping *m)
{
	for (size_t i = 1; i <= PORT_RUNS && i <= plan->n; i++) {
		struct forward_mapping *run = &plan->mappings[plan->n - i];

		if (run->proto != m->proto || run->host_port_last ||
		    run->host_port + run->count != m->host_port ||
		    run->target_port + run->count != m->target_port ||
		    ip_compare(&run->host, &m->host) != 0 ||
		    ip_compare(&run->target, &m->target) != 0)
			continue;
		run->count++;
		return true;
	}
	return false;
}

static uint16_t *ephemeral_next(struct port_ephemeral *ephemeral, uint8_t proto)
{
	return proto == IPPROTO_TCP ? &ephemeral->next_tcp : &ephemeral->next_udp;
}

static void plan_choose(struct port_plan *plan, struct forward_mapping *m)
{
	struct port_ephemeral *ephemeral = &plan->route.ephemeral;
	uint16_t *next = ephemeral_next(ephemeral, m->proto);

	if (*next < ephemeral->first || *next > ephemeral->last)
		*next = ephemeral->first;
	m->host_port = (*next)++;
	m->host_port_last = ephemeral->last;
}

static int plan_request(struct port_plan *plan, const struct port_request *request, bool leads,
			struct err *err)
{
	bool v6 = request->ip.family == 6 && plan->route.container6.family;
	struct forward_mapping m = {
		.proto = request->proto,
		.host = request->ip,
		.target = v6 ? plan->route.vm6 : plan->route.vm4,
		.target_port = request->port,
		.count = 1,
	};

	switch (request_class(request)) {
	case 0:
		m.host_port = request->first;
		return plan_grow(plan, &m) ? 0 : plan_add(plan, &m, err);
	case 1:
		m.host_port = leads ? request->first : 0;
		m.host_port_last = leads ? request->last : 0;
		break;
	default:
		if (leads)
			plan_choose(plan, &m);
	}
	m.same_port = !leads;
	return plan_add(plan, &m, err);
}

static int plan_requests(struct port_plan *plan, const struct port_requests *all, struct err *err)
{
	const struct port_request *leader = NULL, *family = NULL;

	for (size_t i = 0; i < all->n; i++) {
		const struct port_request *request = &all->items[i];
		bool leads = !leader || !request_same_choice(leader, request);
		bool again = false;
		int r;

		if (!leads && family->ip.family == request->ip.family)
			again = ip_is_any(&family->ip) ||
				ip_compare(&all->items[i - 1].ip, &request->ip) == 0;
		if (again && request->proto == IPPROTO_UDP)
			continue; /* dockerd lets it pass */
		if (again)
			return err_user(err, ERR_INTERNAL,
					"failed to listen on TCP socket: address already in use");
		if (leads)
			leader = request;
		if (leads || family->ip.family != request->ip.family)
			family = request;
		r = plan_request(plan, request, leads, err);
		if (r < 0)
			return r;
		if (request_class(request) < 2)
			plan->n_asked = plan->n;
	}
	return 0;
}

/**
 * port_plan_done() - Free what a plan has
 * @plan: Plan
 */
void port_plan_done(struct port_plan *plan)
{
	free(plan->mappings);
	*plan = (struct port_plan){0};
}

/**
 * port_plan_make() - What to publish
 * @config:	 Container's Config
 * @host_config: Container's HostConfig
 * @route:	 How it is reached
 * @ret_plan:	 Set on success, also to nothing; port_plan_done()
 * @err:	 Filled on failure, in dockerd's words without those for the endpoint
 *
 * Return: 0 or a negative errno
 */
int port_plan_make(const json_t *config, const json_t *host_config, const struct port_route *route,
		   struct port_plan *ret_plan, struct err *err)
{
	_cleanup_(cleanup_requests) struct port_requests all = {0};
	struct port_plan plan = {.route = *route};
	json_t *value;
	const char *key;
	int r;

	json_object_foreach (json_object_get(config, "ExposedPorts"), key, value) {
		r = request_port(&all, key, host_config, route, err);
		if (r < 0)
			return r;
	}
	if (all.n > 0)
		qsort(all.items, all.n, sizeof(*all.items), request_compare);
	r = plan_requests(&plan, &all, err);
	if (r < 0) {
		port_plan_done(&plan);
		return r;
	}
	*ret_plan = plan;
	return 0;
}

/**
 * port_plan_again() - Look for ports that nobody asked for by number from the first one on
 * @plan: Plan that found none behind the last that was given out
 */
void port_plan_again(struct port_plan *plan)
{
	plan->route.ephemeral.next_tcp = plan->route.ephemeral.next_udp = 0;
	for (size_t i = plan->n_asked; i < plan->n; i++) {
		if (!plan->mappings[i].same_port)
			plan_choose(plan, &plan->mappings[i]);
	}
}

static void error_words(int error, char *out, size_t size)
{
	(void)snprintf(out, size, "%s", strerror(-error));
	*out = (char)tolower((unsigned char)*out);
}

/* "0.0.0.0:8080:172.17.0.2:80/tcp" */
static char *binding_words(const struct port_plan *plan, const struct forward_mapping *m,
			   const char *host_port, uint16_t port)
{
	bool v6 = m->host.family == 6 && plan->route.container6.family;
	char host[NET_ADDR_TEXT], container[NET_ADDR_TEXT];

	ip_format(&m->host, host);
	net_addr_format(v6 ? plan->route.container6 : plan->route.container4, container);
	return str_format(m->host.family == 6 ? v6 ? "[%s]:%s:[%s]:%u/%s" : "[%s]:%s:%s:%u/%s"
					      : "%s:%s:%s:%u/%s",
			  host, host_port, container, port, proto_name(m->proto));
}

/**
 * port_plan_refuse() - Why nothing was published, in dockerd's words
 * @plan:    Plan that was refused
 * @failure: What the forwarder said
 * @holder:  Where failure->holder listens, or NULL
 * @err:     Filled
 *
 * Return: a negative errno
 */
int port_plan_refuse(const struct port_plan *plan, const struct forward_failure *failure,
		     const struct forward_ip *holder, struct err *err)
{
	const struct forward_mapping *m = &plan->mappings[failure->index], *leader = m;
	_cleanup_free_ char *binding = NULL;
	char ip[NET_ADDR_TEXT], why[128], port[16] = "";
	uint16_t target = m->target_port;

	while (leader->same_port && leader > plan->mappings)
		leader--;
	if (failure->error == -EADDRINUSE && *failure->holder) {
		if (leader->host_port_last)
			return err_user(err, ERR_INTERNAL, "all ports are allocated");
		ip_format(holder ? holder : &m->host, ip);
		return err_user(err, ERR_INTERNAL,
				"Bind for %s:%u failed: port is already allocated", ip,
				failure->port);
	}
	if (!leader->host_port_last) {
		(void)snprintf(port, sizeof(port), "%u", failure->port);
		target = (uint16_t)(m->target_port + (failure->port - m->host_port));
	} else if (failure->index < plan->n_asked) {
		(void)snprintf(port, sizeof(port), "%u-%u", leader->host_port,
			       leader->host_port_last);
	}
	binding = binding_words(plan, m, port, target);
	error_words(failure->error, why, sizeof(why));
	if (!binding)
		return err_oom(err);
	if (strchr(port, '-'))
		return err_user(err, ERR_INTERNAL, "failed to bind host port %u for %s: %s",
				leader->host_port_last, binding, why);
	return err_user(err, ERR_INTERNAL, "failed to bind host port for %s: %s", binding, why);
}

/**
 * port_plan_overlaps() - Whether a mapping listens where somebody else would
 * @m:	   Mapping with its ports
 * @proto: Protocol
 * @ip:	   Address
 * @port:  Port
 *
 * Return: the answer
 */
bool port_plan_overlaps(const struct forward_mapping *m, uint8_t proto, const struct forward_ip *ip,
			uint16_t port)
{
	return m->proto == proto && port >= m->host_port && port - m->host_port < m->count &&
	       m->host.family == ip->family &&
	       (ip_is_any(&m->host) || ip_is_any(ip) || ip_compare(&m->host, ip) == 0);
}

static int key_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As Go prints a map. */
static json_t *sort_keys(json_t *object)
{
	size_t n = json_object_size(object), i = 0;
	_cleanup_free_ const char **keys = calloc(n ? n : 1, sizeof(*keys));
	json_t *sorted = json_object(), *value;
	const char *key;

	if (!keys || !sorted) {
		json_decref(sorted);
		return NULL;
	}
	json_object_foreach (object, key, value)
		keys[i++] = key;
	qsort(keys, n, sizeof(*keys), key_compare);
	for (i = 0; i < n; i++) {
		if (json_object_set(sorted, keys[i], json_object_get(object, keys[i])) < 0) {
			json_decref(sorted);
			return NULL;
		}
	}
	return sorted;
}

struct shown_port {
	uint16_t port, host_port;
	uint8_t proto;
	const struct forward_ip *ip;
};

static int shown_compare(const void *left, const void *right)
{
	const struct shown_port *a = left, *b = right;

	return a->host_port != b->host_port ? a->host_port - b->host_port
					    : ip_compare(a->ip, b->ip);
}

static int show_one(json_t *out, const struct shown_port *shown)
{
	char key[PORT_KEY_MAX], ip[NET_ADDR_TEXT], port[8];
	json_t *bindings;

	key_format(shown->port, shown->proto, key);
	ip_format(shown->ip, ip);
	(void)snprintf(port, sizeof(port), "%u", shown->host_port);
	bindings = json_object_get(out, key);
	if (!json_is_array(bindings)) {
		bindings = json_array();
		if (jx_set(out, key, bindings) < 0)
			return -1;
	}
	return json_array_append_new(bindings,
				     json_pack("{s:s, s:s}", "HostIp", ip, "HostPort", port));
}

static int show_mappings(json_t *out, const struct forward_mapping *mappings, size_t n)
{
	_cleanup_free_ struct shown_port *all = NULL;
	size_t total = 0, at = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		total += mappings[i].count;
	if (total == 0)
		return 0;
	all = calloc(total, sizeof(*all));
	if (!all)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct forward_mapping *m = &mappings[i];

		for (size_t k = 0; k < m->count; k++)
			all[at++] = (struct shown_port){
				.port = (uint16_t)(m->target_port + k),
				.host_port = (uint16_t)(m->host_port + k),
				.proto = m->proto,
				.ip = &m->host,
			};
	}
	qsort(all, total, sizeof(*all), shown_compare);
	for (size_t i = 0; i < total && r == 0; i++)
		r = show_one(out, &all[i]);
	return r;
}

/**
 * port_plan_shown() - NetworkSettings.Ports
 * @config:   Container's Config
 * @mappings: What is published, with its ports
 * @n:	      How many
 *
 * Only what is a port: one number beyond 16 bits, and no client can read a list.
 *
 * Return: new object, or NULL without memory
 */
json_t *port_plan_shown(const json_t *config, const struct forward_mapping *mappings, size_t n)
{
	_cleanup_json_ json_t *out = json_object();
	json_t *value;
	const char *name;

	if (!out)
		return NULL;
	json_object_foreach (json_object_get(config, "ExposedPorts"), name, value) {
		char key[PORT_KEY_MAX];
		uint16_t port;
		uint8_t proto;

		if (key_parse(name, &port, &proto) < 0)
			continue;
		key_format(port, proto, key);
		if (jx_set(out, key, json_null()) < 0)
			return NULL;
	}
	if (show_mappings(out, mappings, n) < 0)
		return NULL;
	return sort_keys(out);
}

/**
 * port_plan_listed() - Ports of a list entry
 * @shown: What port_plan_shown() made, or NULL
 *
 * Return: new array
 */
json_t *port_plan_listed(const json_t *shown)
{
	json_t *out = json_array(), *bindings, *binding;
	const char *key;
	size_t i;

	json_object_foreach ((json_t *)shown, key, bindings) {
		const char *type = strchr(key, '/') + 1;
		int port = atoi(key); /* ours */

		if (json_is_null(bindings))
			(void)json_array_append_new(
				out, json_pack("{s:i, s:s}", "PrivatePort", port, "Type", type));
		json_array_foreach (bindings, i, binding)
			(void)json_array_append_new(
				out,
				json_pack("{s:s, s:i, s:i, s:s}", "IP", jx_str(binding, "HostIp"),
					  "PrivatePort", port, "PublicPort",
					  atoi(jx_str(binding, "HostPort")), "Type", type));
	}
	return out;
}
