/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.c - the underlay and the forwarder, as the daemon's start and end need them
 *
 * Both outlive the daemon as long as a VM runs: its tap is in the underlay, its published ports are
 * the forwarder's. The last daemon to leave without VMs removes them.
 */
#include "daemon/network.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "net/forward.h"
#include "net/underlay.h"

static void nic_fill(uint16_t index, struct vm_nic *nic)
{
	const struct underlay_gateway *gateway = underlay_gateway();
	struct underlay_addr addr;

	underlay_addr(index, &addr);
	*nic = (struct vm_nic){.fd = -EBADF, .index = index, .mtu = UNDERLAY_MTU};
	memcpy(nic->mac, addr.mac, sizeof(nic->mac));
	memcpy(nic->v4, addr.v4, sizeof(nic->v4));
	memcpy(nic->v6, addr.v6, sizeof(nic->v6));
	memcpy(nic->gateway4, gateway->v4, sizeof(nic->gateway4));
	memcpy(nic->gateway6, gateway->v6, sizeof(nic->gateway6));
}

static int nic_open(void *user, struct vm_nic *ret_nic, struct err *err)
{
	struct underlay_addr addr;
	int fd, r = underlay_tap_open(user, &fd, &addr, err);

	if (r < 0)
		return r;
	nic_fill(addr.index, ret_nic);
	ret_nic->fd = fd;
	return 0;
}

static void nic_find(void *user UNUSED, unsigned int index, struct vm_nic *ret_nic)
{
	nic_fill((uint16_t)index, ret_nic);
}

/**
 * network_nics() - Network cards for VMs
 * @underlay: Borrowed for as long as VMs are made
 *
 * Return: what vmm_new() wants
 */
struct vm_nics network_nics(struct underlay *underlay)
{
	return (struct vm_nics){.open = nic_open, .find = nic_find, .user = underlay};
}

static void network_forwarder_restarted(size_t n, size_t lost, void *user UNUSED)
{
	if (lost)
		log_warn("the forwarder of published ports died: %zu containers have theirs again, "
			 "%zu have lost some to others",
			 n, lost);
	else
		log_warn("the forwarder of published ports died: %zu containers have theirs again",
			 n);
}

/**
 * network_up() - Find or make the underlay and the forwarder
 * @exec_root:	  Daemon's
 * @forwarder:	  Path of arca-forward
 * @ret_underlay: For network_down(); set even on failure where it got that far
 * @ret_forward:  The same
 * @err:	  Filled on failure
 *
 * What is not installed shows when the first VM wants a network card.
 *
 * Return: 0 or negative errno
 */
int network_up(const char *exec_root, const char *forwarder, struct underlay **ret_underlay,
	       struct forward **ret_forward, struct err *err)
{
	_cleanup_free_ char *dir = str_format("%s/net", exec_root);
	struct underlay_config underlay = {.dir = dir};
	struct forward_config forward = {
		.dir = dir, .program = forwarder, .restarted = network_forwarder_restarted};
	int r;

	if (!dir)
		return err_oom(err);
	r = underlay_open(&underlay, ret_underlay, err);
	if (r < 0)
		return r;
	forward.underlay = *ret_underlay;
	return forward_open(&forward, ret_forward, err);
}

/**
 * network_down() - Let go; without VMs nothing stays
 * @underlay: Underlay or NULL
 * @forward:  Forwarder or NULL
 */
void network_down(struct underlay *underlay, struct forward *forward)
{
	struct underlay_status status = {};

	if (!underlay)
		return;
	underlay_status(underlay, &status);
	if (status.n_taps > 0) {
		forward_close(forward);
		underlay_close(underlay);
	} else {
		forward_remove(forward);
		underlay_remove(underlay);
	}
}
