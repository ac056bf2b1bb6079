/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_peers.c - who else is in a network
 *
 * DOC: Theory of operation
 *
 * The agent keeps what the kernel has taken, by endpoint, and sends differences only: a peer that
 * did not change keeps its session. Those that leave go first, so that their addresses are free for
 * those that come. What the kernel refused is not in force, and sent again by the next call. So are
 * those that a network which is held begins with (network_hold.c).
 *
 * A peer without a key is one that this container is not to reach, nor to be reached by: it has
 * names (names.c), and the kernel never hears of it. One with a linked key is reached by some ports
 * only: the firewall hears of those before the kernel has the key, and forgets them after it has
 * lost it (network_linked.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/network.h"
#include "agent/network_spec.h"

#define PEERS_POKE_KEEPALIVE_S                                                                     \
	1 /* any: becoming one sends a packet at once, then it is taken back */

static void peer_free(struct network_peer *p)
{
	free(p->endpoint_id);
	free(p->ports[0]);
	free(p->ports[1]);
	free(p);
}
DEFINE_CLEANUP(struct network_peer *, peer_free)

static struct network_peer *peer_find(const struct network *n, const char *endpoint_id)
{
	struct network_peer *p;

	HASH_FIND_STR(n->peers, endpoint_id, p);
	return p;
}

static bool peer_is_reached(const Arca__V1__Peer *spec)
{
	return spec->public_key.len > 0 || spec->linked_key.len > 0;
}

static bool peer_same(const struct network_peer *a, const struct network_peer *b)
{
	return memcmp(a->public_key, b->public_key, sizeof(a->public_key)) == 0 &&
	       memcmp(&a->endpoint, &b->endpoint, sizeof(a->endpoint)) == 0 && a->port == b->port &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0 && a->linked == b->linked;
}

static int peer_send(struct networks *nets, struct wireguard_batch *batch,
		     const struct network_peer *p, bool remove, int keepalive_s)
{
	const struct wireguard_peer message = {
		.public_key = p->public_key,
		.endpoint = &p->endpoint,
		.port = p->port,
		.allowed = {&p->address[0], &p->address[1]},
		.remove = remove,
		.keepalive_s = keepalive_s,
	};

	return wireguard_add_peer(&nets->wg, batch, &message);
}

static int peers_check(const struct network *n, const struct network_peers_change *change,
		       struct err *err)
{
	size_t had = change->complete ? 0 : HASH_COUNT(n->peers);

	if (had + change->n_set > NETWORK_PEERS_MAX)
		return err_user(err, ERR_INVALID, "network %s: more than %d peers", n->id,
				NETWORK_PEERS_MAX);
	for (size_t i = 0; i < change->n_set; i++) {
		struct network_peer p = {};
		int r = peer_is_reached(change->set[i])
				? network_parse_peer(change->set[i], &p, err)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* Who leaves: those not named any more, and whoever comes back with another key or address. */
static void peers_mark_leaving(const struct network *n, const struct network_peers_change *change)
{
	struct network_peer *p, *next;

	HASH_ITER (hh, n->peers, p, next) {
		p->leaving = change->complete;
	}
	for (size_t i = 0; i < change->n_removed; i++) {
		p = peer_find(n, change->removed[i]);
		if (p)
			p->leaving = true;
	}
	for (size_t i = 0; i < change->n_set; i++) {
		struct network_peer wanted = {};

		p = peer_find(n, change->set[i]->endpoint_id);
		if (p)
			p->leaving = network_parse_peer(change->set[i], &wanted, NULL) < 0 ||
				     !peer_same(p, &wanted) ||
				     !network_linked_same(change->set[i], p);
	}
}

static void peers_put_neighbour(struct netlink_batch *b, const struct network *n,
				const struct network_peer *p, bool add)
{
	if (p->address[1].len)
		link_proxy_neighbour(b, add, network_link_index(n), &p->address[1]);
}

/* Bounded pieces: a network may have thousands. */
static int peers_send_neighbours(struct networks *nets, struct netlink_batch *b, bool all)
{
	return all || b->bytes.len > NETLINK_BATCH_BYTES ? netlink_send(&nets->route, b) : 0;
}

static int peers_remove(struct networks *nets, struct network *n)
{
	struct wireguard_batch batch = {.index = network_mesh_index(n)};
	_cleanup_batch_ struct netlink_batch neighbours = {};
	struct network_peer *p, *next;
	int r = 0;

	HASH_ITER (hh, n->peers, p, next) {
		if (!p->leaving || r < 0)
			continue;
		r = peer_send(nets, &batch, p, true, -1);
		peers_put_neighbour(&neighbours, n, p, false);
		(void)peers_send_neighbours(nets, &neighbours, false); /* see below */
	}
	if (r == 0)
		r = wireguard_flush(&nets->wg, &batch);
	netlink_batch_done(&batch.b);
	(void)peers_send_neighbours(nets, &neighbours,
				    true); /* one that was refused is not there */
	if (r < 0)
		return r;
	HASH_ITER (hh, n->peers, p, next) {
		if (!p->leaving)
			continue;
		p->in_force = false;
		r = network_linked_close(nets, n, p);
		if (r < 0)
			return r;
	}
	HASH_ITER (hh, n->peers, p, next) {
		if (!p->leaving)
			continue;
		HASH_DEL(n->peers, p);
		peer_free(p);
	}
	return 0;
}

static int peers_insert(struct network *n, const Arca__V1__Peer *spec)
{
	_cleanup_(peer_freep) struct network_peer *p = NULL;
	struct network_peer *known = peer_find(n, spec->endpoint_id);

	if (known || !peer_is_reached(spec))
		return 0; /* known: the same, others have left */
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->endpoint_id = strdup(spec->endpoint_id);
	if (!p->endpoint_id || network_linked_copy(spec, p) < 0)
		return -ENOMEM;
	(void)network_parse_peer(spec, p, NULL); /* was checked */
	HASH_ADD_KEYPTR(hh, n->peers, p->endpoint_id, strlen(p->endpoint_id), p);
	p = NULL;
	return 0;
}

static int peers_add(struct networks *nets, struct network *n)
{
	struct wireguard_batch batch = {.index = network_mesh_index(n)};
	_cleanup_batch_ struct netlink_batch neighbours = {};
	struct network_peer *p, *next;
	int r = 0;

	HASH_ITER (hh, n->peers, p, next) {
		if (p->in_force || r < 0)
			continue;
		r = peer_send(nets, &batch, p, false, -1);
		peers_put_neighbour(&neighbours, n, p, true);
		if (r == 0)
			r = peers_send_neighbours(nets, &neighbours, false);
	}
	if (r == 0)
		r = wireguard_flush(&nets->wg, &batch);
	if (r == 0)
		r = peers_send_neighbours(nets, &neighbours, true);
	netlink_batch_done(&batch.b);
	HASH_ITER (hh, n->peers, p, next) {
		p->in_force = p->in_force || r == 0;
	}
	return r;
}

/* A peer whose keepalive begins is sent a packet, so a handshake begins. */
static int peers_poke(struct networks *nets, struct network *n,
		      const struct network_peers_change *change)
{
	static const int keepalives[] = {PEERS_POKE_KEEPALIVE_S, 0};
	struct wireguard_batch batch = {.index = network_mesh_index(n)};
	int r = 0;

	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(keepalives); k++) {
		for (size_t i = 0; r == 0 && i < change->n_set; i++)
			if (peer_is_reached(change->set[i]))
				r = peer_send(nets, &batch,
					      peer_find(n, change->set[i]->endpoint_id), false,
					      keepalives[k]);
		if (r == 0)
			r = wireguard_flush(&nets->wg, &batch);
	}
	netlink_batch_done(&batch.b);
	return r;
}

/* Into the table, those that are new. */
static int peers_insert_all(struct network *n, const struct network_peers_change *change)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < change->n_set; i++)
		r = peers_insert(n, change->set[i]);
	return r;
}

/**
 * network_keep_peers() - Peers that the next network_set_peers() adds, with its own
 * @n:	    Network that has none yet
 * @change: What; nothing is removed
 * @err:    Filled on failure
 *
 * Return: 0 or negative errno
 */
int network_keep_peers(struct network *n, const struct network_peers_change *change,
		       struct err *err)
{
	int r = peers_check(n, change, err);

	if (r < 0)
		return r;
	r = peers_insert_all(n, change);
	return r < 0 ? err_oom(err) : 0;
}

/**
 * network_set_peers() - Add, replace and remove peers
 * @nets:   All networks
 * @n:	    Network
 * @change: What; checked as a whole before anything is done
 * @err:    Filled on failure. The same call again does what is left to do
 *
 * Peers that do not change are not touched. On a NIC the kernel finds them by itself.
 *
 * Return: 0 or negative errno
 */
int network_set_peers(struct networks *nets, struct network *n,
		      const struct network_peers_change *change, struct err *err)
{
	int r;

	if (n->nic)
		return 0;
	r = peers_check(n, change, err);
	if (r < 0)
		return r;
	peers_mark_leaving(n, change);
	r = peers_remove(nets, n);
	if (r == 0)
		r = peers_insert_all(n, change);
	if (r == 0)
		r = network_linked_open(nets, n);
	if (r == 0)
		r = peers_add(nets, n);
	if (r == 0 && change->poke)
		r = peers_poke(nets, n, change);
	if (r < 0)
		return err_sys(err, r, "network %s: cannot set its peers", n->id);
	return change->hold ? 0 : network_release(nets, n, err);
}

/**
 * network_forget_peers() - Free the table; the kernel's went with the interface
 * @n: Network
 */
void network_forget_peers(struct network *n)
{
	struct network_peer *p, *next;

	HASH_ITER (hh, n->peers, p, next) {
		HASH_DEL(n->peers, p);
		peer_free(p);
	}
}
