/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_nic.c - network cards that a VM gets and loses while it runs
 *
 * DOC: Theory of operation
 *
 * Four root ports of every VM are empty (argv.c). A card in port rp<i> is the device late<i>, its
 * host side the netdev whose id is the card's name. Nothing of this is kept here: QEMU is asked, so
 * a VM that a new daemon took over is like any other.
 *
 * The guest takes part in both: it finds a new card by itself, and lets go of one that it is asked
 * to, unless it is hostile, which costs its daemon SANDBOX_UNPLUG_TIMEOUT_MS.
 *
 * The caller sees to it that a sandbox's cards are changed by one thread at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "vm/qmp.h"
#include "vm/sandbox.h"

#define SANDBOX_NIC_CALL_MS 10000
#define SANDBOX_UNPLUG_TIMEOUT_MS 20000
/* A guest that was about to find the card when it was asked to let go of it may have missed that.
 */
#define SANDBOX_UNPLUG_AGAIN_MS 3000
#define SANDBOX_NIC_PARENT "/machine/peripheral"
#define SANDBOX_NIC_ID_MAX 16

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static void nic_id(unsigned int slot, char ret_id[static SANDBOX_NIC_ID_MAX])
{
	(void)snprintf(ret_id, SANDBOX_NIC_ID_MAX, "late%u", slot); /* fits */
}

/* Bit i: slot i has a card. */
static int nic_slots(struct sandbox *sb, unsigned int *ret_used, struct err *err)
{
	_cleanup_(cleanup_json) json_t *reply = NULL;
	char id[SANDBOX_NIC_ID_MAX];
	unsigned int used = 0;
	json_t *item;
	size_t i;
	int r = qmp_call(sb->qmp, "qom-list", json_pack("{s:s}", "path", SANDBOX_NIC_PARENT),
			 SANDBOX_NIC_CALL_MS, &reply, err);

	if (r < 0)
		return r;
	json_array_foreach (reply, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		for (unsigned int slot = 0; name && slot < SANDBOX_NIC_SLOTS; slot++) {
			nic_id(slot, id);
			if (str_eq(name, id))
				used |= 1U << slot;
		}
	}
	*ret_used = used;
	return 0;
}

static bool nic_has_name(struct sandbox *sb, unsigned int slot, const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(cleanup_json) json_t *reply = NULL;
	char id[SANDBOX_NIC_ID_MAX];
	struct err ignored = {};
	const char *text;

	nic_id(slot, id);
	path = str_format(SANDBOX_NIC_PARENT "/%s", id);
	/* One that has gone meanwhile has no name. */
	if (!path ||
	    qmp_call(sb->qmp, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", "netdev"),
		     SANDBOX_NIC_CALL_MS, &reply, &ignored) < 0)
		return false;
	text = json_string_value(reply);
	return text && str_eq(text, name);
}

static json_t *nic_device(unsigned int slot, const char *name, const struct vm_nic *nic)
{
	const uint8_t *m = nic->mac;
	char id[SANDBOX_NIC_ID_MAX], bus[8], mac[18];

	nic_id(slot, id);
	(void)snprintf(bus, sizeof(bus), "rp%u", slot % SANDBOX_NIC_SLOTS);
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
	_cleanup_(cleanup_json) json_t *fd = NULL, *netdev = NULL, *device = NULL;
	unsigned int used, slot = 0;
	int r = nic_slots(sb, &used, err);

	if (r < 0)
		return r;
	while (slot < SANDBOX_NIC_SLOTS && used & 1U << slot)
		slot++;
	if (slot == SANDBOX_NIC_SLOTS)
		return err_user(err, ERR_INVALID,
				"a virtual machine has room for %d more network cards, and all are "
				"taken",
				SANDBOX_NIC_SLOTS);
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

/* Until QEMU says that some device has gone, the VM ends, or it is time to ask anew. */
static void nic_wait_event(struct sandbox *sb, unsigned int *seen, int64_t until_ns)
{
	struct timespec end = {.tv_sec = until_ns / NSEC_PER_SEC,
			       .tv_nsec = until_ns % NSEC_PER_SEC};
	int r = 0;

	pthread_mutex_lock(&sb->lock);
	while (sb->n_unplugged == *seen && !sb->broken && r == 0)
		r = pthread_cond_timedwait(&sb->cond, &sb->lock, &end);
	*seen = sb->n_unplugged;
	pthread_mutex_unlock(&sb->lock);
}

static int nic_unplug(struct sandbox *sb, unsigned int slot, struct err *err)
{
	int64_t end_ns = clock_monotonic_ns() + SANDBOX_UNPLUG_TIMEOUT_MS * NSEC_PER_MSEC;
	char id[SANDBOX_NIC_ID_MAX];
	unsigned int seen, used = 0;
	struct err ignored = {};
	int r;

	nic_id(slot, id);
	pthread_mutex_lock(&sb->lock);
	seen = sb->n_unplugged;
	pthread_mutex_unlock(&sb->lock);
	do {
		int64_t again_ns = clock_monotonic_ns() + SANDBOX_UNPLUG_AGAIN_MS * NSEC_PER_MSEC;

		/* QEMU refuses where it waits for the guest, or the card has just gone. */
		(void)qmp_call(sb->qmp, "device_del", json_pack("{s:s}", "id", id),
			       SANDBOX_NIC_CALL_MS, NULL, &ignored);
		nic_wait_event(sb, &seen, MIN(again_ns, end_ns));
		r = nic_slots(sb, &used, err);
		if (r < 0 || !(used & 1U << slot))
			return r;
	} while (clock_monotonic_ns() < end_ns);
	return err_user(err, ERR_INTERNAL, "the virtual machine does not let go of a network card");
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
	unsigned int used;
	int r = nic_slots(sb, &used, err);

	for (unsigned int slot = 0; r == 0 && slot < SANDBOX_NIC_SLOTS; slot++)
		if (used & 1U << slot && nic_has_name(sb, slot, name))
			r = nic_unplug(sb, slot, err);
	if (r == 0)
		nic_take_back(sb, name);
	return r;
}
