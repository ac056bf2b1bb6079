/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - what a container finds at 127.0.0.11
 *
 * DOC: Theory of operation
 *
 * A container that is told of DNS or has a network gets a zone (dns_zone.c) and a server
 * (dns_server.c) before its process runs; they end with the container. The zone has those of its
 * networks that have embedded names:
 *
 *	Attach, or at the start		the network anew: its own names, all peers, links
 *	SetPeers			what changed, after the kernel has taken it
 *	Detach				the network goes
 *
 * So a name is there no earlier than its address can be reached, and no longer than the answer to
 * the call that took it. What failed halfway is made good by the same call again.
 *
 * The server answers on random ports, the firewall in the container's network namespace turns
 * 127.0.0.11:53 to them (firewall_redirect_names()). Names that no network has go upstream, unless
 * all networks are internal.
 */
#include "agent/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/container.h"
#include "agent/dns_server.h"
#include "agent/dns_zone.h"
#include "agent/network.h"
#include "agent/network_spec.h"
#include "base/cleanup.h"

#define NAMES_SELF "" /* the container's own endpoint: no peer is called that */

struct names {
	struct dns_zone *zone;	   /* owned */
	struct dns_server *server; /* owned */
};

DEFINE_CLEANUP(struct names *, names_free)

static int names_parse_upstream(const Arca__V1__Dns *dns, size_t i, struct dns_upstream *upstream,
				struct err *err)
{
	struct link_address address;
	size_t len = dns->servers[i].len == 16 ? 16 : 4;

	if (network_parse_address(&dns->servers[i], len, &address) < 0 || !address.len)
		return err_user(err, ERR_INVALID, "the address of a DNS server is malformed");
	upstream->address.len = address.len;
	memcpy(upstream->address.bytes, address.bytes, address.len);
	upstream->in_container = dns->from_container;
	return 0;
}

static int names_serve(struct agent *agent, const struct container *c, const Arca__V1__Dns *dns,
		       struct names *names, struct err *err)
{
	struct dns_upstream upstreams[DNS_UPSTREAMS_MAX] = {};
	struct dns_config config = {.netns_fd = seed_network_fd(c->seed), .upstreams = upstreams};
	_cleanup_netlink_ struct netlink nl = {.fd = -EBADF};
	int r = 0;

	for (size_t i = 0; dns && r == 0 && i < dns->n_servers && i < DNS_UPSTREAMS_MAX; i++) {
		r = names_parse_upstream(dns, i, &upstreams[i], err);
		config.n_upstreams++;
	}
	if (r < 0)
		return r;
	config.ndots_set = dns && dns->ndots_set;
	r = dns_server_new(&config, names->zone, &agent->poller, &names->server);
	if (r == 0)
		r = netlink_open_in(config.netns_fd, agent->networks.home_fd, NETLINK_NETFILTER,
				    &nl);
	if (r == 0)
		r = firewall_redirect_names(&nl, dns_server_udp_port(names->server),
					    dns_server_tcp_port(names->server));
	return r < 0 ? err_sys(err, r, "cannot serve names") : 0;
}

static const uint8_t *names_bytes(const ProtobufCBinaryData *field, size_t len)
{
	return field->len == len ? field->data : NULL;
}

static int names_put_peer(struct dns_zone *zone, const char *network_id, const Arca__V1__Peer *peer)
{
	const struct dns_endpoint endpoint = {
		.id = peer->endpoint_id,
		.names = (const char *const *)peer->names,
		.n_names = peer->n_names,
		.v4 = names_bytes(&peer->v4, 4),
		.v6 = names_bytes(&peer->v6, 16),
	};

	return dns_zone_set(zone, network_id, &endpoint);
}

static int names_put_self(struct dns_zone *zone, const Arca__V1__NetworkAttach *spec)
{
	const struct dns_endpoint endpoint = {
		.id = NAMES_SELF,
		.names = (const char *const *)spec->own_names,
		.n_names = spec->n_own_names,
		.v4 = names_bytes(&spec->v4, 4),
		.v6 = names_bytes(&spec->v6, 16),
	};

	return dns_zone_set(zone, spec->network_id, &endpoint);
}

static int names_put_network(struct dns_zone *zone, const Arca__V1__NetworkAttach *spec)
{
	int r;

	dns_zone_network_remove(zone, spec->network_id);
	if (!spec->embedded_names)
		return 0;
	r = dns_zone_network_add(zone, spec->network_id, spec->network_name, spec->name_rank);
	if (r == 0)
		r = names_put_self(zone, spec);
	for (size_t i = 0; r == 0 && i < spec->n_peers; i++)
		r = names_put_peer(zone, spec->network_id, spec->peers[i]);
	for (size_t i = 0; r == 0 && i < spec->n_links; i++) {
		r = dns_zone_link(zone, spec->network_id, spec->links[i]->name,
				  spec->links[i]->target);
		if (r == -EINVAL)
			r = 0; /* no name: nobody can ask for it */
	}
	return r;
}

static int names_refused(const char *network_id, int r, struct err *err)
{
	if (r == -E2BIG)
		return err_user(err, ERR_INVALID, "network %s: more than %d names for a container",
				network_id, DNS_ENDPOINT_NAMES_MAX);
	return err_sys(err, r, "network %s: cannot set its names", network_id);
}

/* Unknown names may leave by a network that is not internal. */
static void names_set_forward(const struct agent *agent, const struct container *c)
{
	bool forward = false;

	for (const struct network *n = agent->networks.list; n; n = n->next)
		forward = forward || (n->container == c && !n->internal);
	dns_server_set_forward(c->names->server, forward);
}

static int names_new(struct agent *agent, struct container *c, const Arca__V1__Dns *dns,
		     struct err *err)
{
	_cleanup_(names_freep) struct names *names = calloc(1, sizeof(*names));
	int r;

	if (names)
		names->zone = dns_zone_new();
	if (!names || !names->zone)
		return err_oom(err);
	r = names_serve(agent, c, dns, names, err);
	if (r == 0)
		c->names = TAKE_PTR(names);
	return r;
}

/* For the first network that is attached. */
static int names_keep(struct container *c, const Arca__V1__Dns *dns, struct err *err)
{
	size_t len = arca__v1__dns__get_packed_size(dns);
	_cleanup_free_ uint8_t *packed = malloc(len + 1);

	if (!packed)
		return err_oom(err);
	(void)arca__v1__dns__pack(dns, packed); /* writes len bytes */
	c->dns_later = arca__v1__dns__unpack(NULL, len, packed);
	return c->dns_later ? 0 : err_oom(err);
}

static int names_start_kept(struct agent *agent, struct container *c, struct err *err)
{
	int r = names_new(agent, c, c->dns_later, err);

	if (r == 0)
		arca__v1__dns__free_unpacked(TAKE_PTR(c->dns_later), NULL);
	return r;
}

/**
 * names_start() - Serve names to a container
 * @agent: Agent
 * @c:	   Container, attached to its networks, before its process runs
 * @spec:  Container
 * @err:   Filled on failure; names_free() is the container's
 *
 * Does nothing for a container that has no network namespace of its own, or neither networks nor
 * DNS; one that has its server later gets it with its first network.
 *
 * Return: 0 or negative errno
 */
int names_start(struct agent *agent, struct container *c, const Arca__V1__ContainerSpec *spec,
		struct err *err)
{
	int r;

	if (seed_network_fd(c->seed) < 0 || (!spec->dns && !spec->n_networks))
		return 0;
	if (spec->dns && spec->dns->later && !spec->n_networks)
		return names_keep(c, spec->dns, err);
	r = names_new(agent, c, spec->dns, err);
	for (size_t i = 0; r == 0 && i < spec->n_networks; i++)
		r = names_attach(agent, c, spec->networks[i], err);
	return r;
}

/**
 * names_attach() - A network's names, whatever they were before
 * @agent: Agent
 * @c:	   Container, attached to the network
 * @spec:  Network
 * @err:   Filled on failure
 *
 * Return: 0 or negative errno
 */
int names_attach(struct agent *agent, struct container *c, const Arca__V1__NetworkAttach *spec,
		 struct err *err)
{
	int r = !c->names && c->dns_later ? names_start_kept(agent, c, err) : 0;

	if (r < 0 || !c->names)
		return r;
	r = names_put_network(c->names->zone, spec);
	names_set_forward(agent, c);
	return r < 0 ? names_refused(spec->network_id, r, err) : 0;
}

/**
 * names_detach() - Forget a network's names
 * @agent:	Agent
 * @c:		Container, not attached to the network any more
 * @network_id: Network
 */
void names_detach(struct agent *agent, struct container *c, const char *network_id)
{
	if (!c->names)
		return;
	dns_zone_network_remove(c->names->zone, network_id);
	names_set_forward(agent, c);
}

/**
 * names_set_peers() - The names of peers that came, changed or went
 * @c:		Container
 * @network_id: Network; nothing happens if it has no names
 * @change:	As network_set_peers() has taken it
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int names_set_peers(struct container *c, const char *network_id,
		    const struct network_peers_change *change, struct err *err)
{
	struct dns_zone *zone = c->names ? c->names->zone : NULL;
	int r = 0;

	if (!zone)
		return 0;
	if (change->complete)
		dns_zone_clear(zone, network_id, NAMES_SELF);
	for (size_t i = 0; i < change->n_removed; i++)
		dns_zone_remove(zone, network_id, change->removed[i]);
	for (size_t i = 0; r == 0 && i < change->n_set; i++)
		r = names_put_peer(zone, network_id, change->set[i]);
	if (r == -ENOENT)
		return 0; /* no network with names */
	return r < 0 ? names_refused(network_id, r, err) : 0;
}

/**
 * names_free() - Stop serving
 * @names: May be NULL
 */
void names_free(struct names *names)
{
	if (!names)
		return;
	dns_server_free(names->server);
	dns_zone_free(names->zone);
	free(names);
}
