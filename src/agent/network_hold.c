/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_hold.c - a network whose peers are set after the process runs
 *
 * DOC: Theory of operation
 *
 * Each peer costs the kernel a multiplication on the curve, and each of them has to know this
 * member before it answers it. Where there are many, the start waits for neither. What the
 * container sends to them meanwhile is kept by the plug of its WireGuard interface (link_plug()),
 * and leaves in order when the network is released:
 *
 *	Attach with `hold`	peers are remembered, the plug stays as it was made
 *	SetPeers with `hold`	all peers are in force
 *	SetPeers without	likewise, and the plug is pulled
 *
 * A daemon that is gone in between says nothing more: the network releases itself after
 * HOLD_MAX_MS.
 */
#include "agent/network.h"

#include "base/clock.h"
#include "base/log.h"

#define HOLD_MAX_MS 2000

static void hold_due(struct poll_timer *timer)
{
	struct network *n = container_of(timer, struct network, held_timer);
	const struct network_peers_change none = {};
	struct err err = {0};

	if (network_set_peers(n->nets, n, &none, &err) < 0)
		log_error("%s", err.msg);
}

/**
 * network_hold() - Release a network that is held in any case, later
 * @nets: All networks
 * @n:	  Network that is held
 */
void network_hold(struct networks *nets, struct network *n)
{
	n->nets = nets;
	poll_timer_set(nets->poller, &n->held_timer, HOLD_MAX_MS * NSEC_PER_MSEC, hold_due);
}

/**
 * network_hold_drop() - Forget that a network is held
 * @n: Network, held or not
 */
void network_hold_drop(struct network *n)
{
	if (n->held && n->nets)
		poll_timer_cancel(n->nets->poller, &n->held_timer);
	n->held = false;
}

/**
 * network_release() - Let go what was sent to peers, all of which are in force
 * @nets: All networks
 * @n:	  Network; nothing happens if it is not held
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int network_release(struct networks *nets, struct network *n, struct err *err)
{
	_cleanup_batch_ struct netlink_batch b = {};
	int r;

	if (!n->held)
		return 0;
	link_plug(&b, network_mesh_index(n), false);
	r = netlink_send(&nets->route, &b);
	if (r < 0)
		return err_sys(err, r, "network %s: cannot release what waits", n->id);
	network_hold_drop(n);
	return 0;
}
