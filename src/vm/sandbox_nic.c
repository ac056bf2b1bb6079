/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_nic.c - network cards that a VM gets and loses while it runs
 *
 * A card's host side is the netdev whose id is the card's name. Which slot it is in QEMU is asked
 * (sandbox_slot.c).
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "vm/qmp.h"
#include "vm/sandbox.h"
#include "vm/sandbox_slot.h"

#define SANDBOX_NIC_CALL_MS 10000

static json_t *nic_device(unsigned int slot, const char *name, const struct vm_nic *nic)
{
	const uint8_t *m = nic->mac;
	char id[SANDBOX_SLOT_ID_MAX], bus[SANDBOX_SLOT_ID_MAX], mac[18];

	sandbox_slot_names(slot, id, bus);
	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		       m[4], m[5]);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:s}", "driver", "virtio-net-pci", "id", id,
			 "bus", bus, "netdev", name, "mac", mac, "host_mtu", (int)nic->mtu,
			 "romfile", "");
}

/* After a failure halfway; each of these may have nothing to do. */
static void nic_take_back(struct sandbox *sb, const char *name)
{
	json_t *id = json_pack("{s:s}", "id", name), *fd = json_pack("{s:s}", "fdname", name);
	const struct qmp_cmd netdev = {.name = "netdev_del", .args = id};
	const struct qmp_cmd close = {.name = "closefd", .args = fd};
	struct err ignored = {};

	if (id)
		(void)qmp_run(sb->qmp, &netdev, 1, SANDBOX_NIC_CALL_MS, NULL, &ignored);
	if (fd)
		(void)qmp_run(sb->qmp, &close, 1, SANDBOX_NIC_CALL_MS, NULL, &ignored);
	json_decref(id);
	json_decref(fd);
}

/**
 * sandbox_nic_add() - Plug a network card into a VM that runs
 * @sb:	      Sandbox
 * @name:     Names the card until it is removed, and what a later daemon knows it by
 * @nic:      Its tap, MAC and MTU; the descriptor stays the caller's, who may close it
 * @ret_slot: Set on success; may be NULL
 * @err:      Filled on failure, which leaves nothing
 *
 * Does not wait for the guest to find it. Not on the loop thread.
 *
 * Return: 0, -EINVAL if all slots are taken, or negative errno
 */
int sandbox_nic_add(struct sandbox *sb, const char *name, const struct vm_nic *nic,
		    unsigned int *ret_slot, struct err *err)
{
	_cleanup_qmp_json_ json_t *fd = NULL, *netdev = NULL, *device = NULL;
	_cleanup_(sandbox_slots_unlock) struct sandbox *held = sandbox_slots_lock(sb);
	unsigned int slot;
	int r = sandbox_slot_free(held, &slot, err);

	if (r < 0)
		return r;
	fd = json_pack("{s:s}", "fdname", name);
	netdev = json_pack("{s:s,s:s,s:s}", "type", "tap", "id", name, "fd", name);
	device = nic_device(slot, name, nic);
	if (!fd || !netdev || !device)
		return err_oom(err);
	const struct qmp_cmd cmds[] = {
		{.name = "getfd", .args = fd, .pass_fd = nic->fd},
		{.name = "netdev_add", .args = netdev},
		{.name = "device_add", .args = device},
	};
	r = qmp_run(sb->qmp, cmds, ARRAY_SIZE(cmds), SANDBOX_NIC_CALL_MS, NULL, err);
	if (r < 0) {
		nic_take_back(sb, name);
		return r;
	}
	if (ret_slot)
		*ret_slot = slot;
	return 0;
}

/**
 * sandbox_nic_remove() - Unplug a network card; its tap is closed
 * @sb:	  Sandbox
 * @name: As sandbox_nic_add() was given; one that is not there is no failure
 * @err:  Filled on failure
 *
 * Waits for the guest, some 100 ms. Not on the loop thread.
 *
 * Return: 0 or negative errno
 */
int sandbox_nic_remove(struct sandbox *sb, const char *name, struct err *err)
{
	_cleanup_(sandbox_slots_unlock) struct sandbox *held = sandbox_slots_lock(sb);
	unsigned int slot;
	int r = sandbox_slot_find(held, "netdev", name, &slot, err);

	if (r > 0)
		r = sandbox_slot_unplug(sb, slot, err);
	if (r == 0)
		nic_take_back(sb, name);
	return r;
}

/**
 * sandbox_nics_remove() - Unplug all cards that were plugged in late
 * @sb:	 Sandbox
 * @err: Filled on failure
 *
 * Return: 0 or negative errno
 */
int sandbox_nics_remove(struct sandbox *sb, struct err *err)
{
	_cleanup_(sandbox_slots_unlock) struct sandbox *held = sandbox_slots_lock(sb);
	int r = 0;

	for (unsigned int slot = 0; slot < SANDBOX_SLOTS && r == 0; slot++) {
		_cleanup_free_ char *name = sandbox_slot_get(held, slot, "netdev");

		if (!name)
			continue;
		r = sandbox_slot_unplug(sb, slot, err);
		if (r == 0)
			nic_take_back(sb, name);
	}
	return r;
}
