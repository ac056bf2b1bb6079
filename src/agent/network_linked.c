/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_linked.c - peers that are reached by some ports only
 *
 * DOC: Theory of operation
 *
 * Where the members of a network are kept apart, two of them may be linked: one may connect to
 * some ports of the other, and is answered. Both agents are told of both directions, and each holds
 * for its own container, whatever the other VM sends.
 *
 * A network with such a peer is apart: the firewall passes nothing between container and tunnel but
 * what it has for one of them. So it is set before a key is, and no order of calls opens more.
 */
#include "agent/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINKED_PORTS_MAX 1024 /* of one peer, each direction */

static bool linked_ports_ok(const uint32_t *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (FIREWALL_PORT_PROTOCOL(ports[i]) > UINT8_MAX || (uint16_t)ports[i] == 0)
			return false;
	return n <= LINKED_PORTS_MAX;
}

/**
 * network_linked_check() - Check what a message says of a peer's ports
 * @spec: Peer
 * @err:  Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int network_linked_check(const Arca__V1__Peer *spec, struct err *err)
{
	if (spec->public_key.len || !spec->v4.len ||
	    !linked_ports_ok(spec->ports_in, spec->n_ports_in) ||
	    !linked_ports_ok(spec->ports_out, spec->n_ports_out))
		return err_user(err, ERR_INVALID, "peer %s is malformed: its ports",
				spec->endpoint_id);
	return 0;
}

static int number_compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* In order, each once: the firewall's sets have them once. */
static int linked_copy(const uint32_t *ports, size_t n, uint32_t **ret, size_t *ret_n)
{
	uint32_t *copy = calloc(n + 1, sizeof(*copy));
	size_t kept = 0;

	if (!copy)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, ports, n * sizeof(*copy));
	qsort(copy, n, sizeof(*copy), number_compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || copy[i] != copy[i - 1])
			copy[kept++] = copy[i];
	*ret = copy;
	*ret_n = kept;
	return 0;
}

/**
 * network_linked_copy() - A peer's ports out of a message
 * @spec: Checked
 * @p:	  New peer; owns what there is also after a failure
 *
 * Return: 0 or -ENOMEM
 */
int network_linked_copy(const Arca__V1__Peer *spec, struct network_peer *p)
{
	int r;

	if (!spec->linked_key.len)
		return 0;
	r = linked_copy(spec->ports_in, spec->n_ports_in, &p->ports[0], &p->n_ports[0]);
	return r < 0 ? r
		     : linked_copy(spec->ports_out, spec->n_ports_out, &p->ports[1],
				   &p->n_ports[1]);
}

/**
 * network_linked_same() - Whether a peer has the ports that a message gives it
 * @spec: Message, checked
 * @p:	  Peer
 *
 * Return: the answer; without memory it has not
 */
bool network_linked_same(const Arca__V1__Peer *spec, const struct network_peer *p)
{
	struct network_peer wanted = {};
	bool same = network_linked_copy(spec, &wanted) == 0;

	for (int i = 0; i < 2; i++) {
		same = same && wanted.n_ports[i] == p->n_ports[i] &&
		       (wanted.n_ports[i] == 0 ||
			memcmp(wanted.ports[i], p->ports[i],
			       wanted.n_ports[i] * sizeof(*p->ports[i])) == 0);
		free(wanted.ports[i]);
	}
	return same;
}

static int linked_set(struct networks *nets, const struct network *n, struct network_peer *p,
		      bool open)
{
	const struct firewall_link link = {.container = n->firewall.way.container,
					   .mesh = n->firewall.way.mesh,
					   .peer = p->address[0].bytes,
					   .ports_in = p->ports[0],
					   .n_in = p->n_ports[0],
					   .ports_out = p->ports[1],
					   .n_out = p->n_ports[1]};
	int r = firewall_set_link(&nets->filter, open, &link);

	if (r == 0)
		p->open = open;
	return r;
}

/**
 * network_linked_open() - What the network's peers say is what the firewall has
 * @nets: All networks
 * @n:	  Network; new peers are not in force yet, those that left are not any more
 *
 * Return: 0, or negative errno: too little is open
 */
int network_linked_open(struct networks *nets, struct network *n)
{
	struct firewall_entry wanted = n->firewall;
	struct network_peer *p, *next;
	int r = 0;

	wanted.way.apart = false;
	HASH_ITER (hh, n->peers, p, next)
		wanted.way.apart = wanted.way.apart || p->linked;
	if (wanted.way.apart != n->firewall.way.apart)
		r = network_set_firewall(nets, n, &wanted, NULL);
	if (!wanted.way.apart)
		return r;
	HASH_ITER (hh, n->peers, p, next)
		if (r == 0 && p->linked && !p->open)
			r = linked_set(nets, n, p, true);
	return r;
}

/**
 * network_linked_close() - A peer's ports are closed
 * @nets: All networks
 * @n:	  Network
 * @p:	  Peer that leaves; one that has none is fine
 *
 * Return: 0 or negative errno
 */
int network_linked_close(struct networks *nets, const struct network *n, struct network_peer *p)
{
	return p->open ? linked_set(nets, n, p, false) : 0;
}

/**
 * network_linked_close_all() - The ports of all peers are closed: the network goes
 * @nets: All networks
 * @n:	  Network
 */
void network_linked_close_all(struct networks *nets, const struct network *n)
{
	struct network_peer *p, *next;

	HASH_ITER (hh, n->peers, p, next)
		(void)network_linked_close(nets, n, p); /* all of it was there */
}
