/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmnet_ports.c - endpoints on networks of the driver vmnet: a port on the host, a NIC in the VM
 *
 * The port's tap is the NIC's name (net/vmnet.h, vm/sandbox_nic.c); both are made of the endpoint's
 * id, so a new daemon need not be told of either.
 */
#include "core/vmnet_ports.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/attachments.h"
#include "net/underlay.h"
#include "net/vmnet.h"
#include "vm/vm.h"

static void vmnet_fill_addr(struct net_addr addr, unsigned int bits, struct vmnet_addr *ret)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];

	if (addr.family == 0)
		return;
	ret->len = (uint8_t)net_addr_to_bytes(addr, bytes);
	ret->bits = (uint8_t)bits;
	memcpy(ret->bytes, bytes, ret->len);
}

/**
 * vmnet_plug() - Connect a VM to a network
 * @underlay: Underlay
 * @sb:	      VM that runs
 * @endpoint: Claimed
 * @hosts:    Knows what host-gateway stands for; NULL: it may not reach the host
 * @err:      Filled on failure, which leaves nothing
 *
 * Return: 0, -EINVAL if the VM has no room for another card, or negative errno
 */
int vmnet_plug(struct underlay *underlay, struct sandbox *sb,
	       const struct network_endpoint *endpoint, const struct networks *hosts,
	       struct err *err)
{
	struct vmnet_port port = {.network_id = endpoint->network_id,
				  .endpoint_id = endpoint->endpoint_id,
				  .internal = endpoint->internal,
				  .apart = endpoint->apart,
				  .mtu = attach_mtu(endpoint)};
	struct vm_nic nic = {.mtu = port.mtu};
	_cleanup_close_ int fd = -EBADF;
	char name[IF_NAMESIZE];
	int r;

	memcpy(port.mac, endpoint->mac, sizeof(port.mac));
	memcpy(nic.mac, endpoint->mac, sizeof(nic.mac));
	vmnet_fill_addr(endpoint->v4, endpoint->v4_bits, &port.addr[0]);
	vmnet_fill_addr(endpoint->v6, endpoint->v6_bits, &port.addr[1]);
	vmnet_fill_addr(endpoint->gateway4, endpoint->v4_bits, &port.gateway[0]);
	vmnet_fill_addr(endpoint->gateway6, endpoint->v6_bits, &port.gateway[1]);
	vmnet_fill_addr(networks_host_gateway(hosts, 4), 32, &port.host[0]);
	vmnet_fill_addr(networks_host_gateway(hosts, 6), 128, &port.host[1]);
	r = vmnet_port_open(underlay, &port, &fd, err);
	if (r < 0)
		return r;
	vmnet_port_name(endpoint->endpoint_id, name);
	nic.fd = fd;
	r = sandbox_nic_add(sb, name, &nic, NULL, err);
	if (r < 0)
		vmnet_port_close(underlay, endpoint->network_id, endpoint->endpoint_id);
	return r;
}

/**
 * vmnet_unplug() - Disconnect a VM from a network
 * @underlay:	 Underlay
 * @sb:		 VM that runs
 * @network_id:	 Network
 * @endpoint_id: The VM's endpoint on it; one that has nothing is no failure
 * @err:	 Filled on failure: the VM still has the card, but it leads nowhere
 *
 * Return: 0 or negative errno
 */
int vmnet_unplug(struct underlay *underlay, struct sandbox *sb, const char *network_id,
		 const char *endpoint_id, struct err *err)
{
	char name[IF_NAMESIZE];

	vmnet_port_name(endpoint_id, name);
	vmnet_port_close(underlay, network_id, endpoint_id); /* the guest may take its time */
	return sandbox_nic_remove(sb, name, err);
}
