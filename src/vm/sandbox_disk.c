/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_disk.c - the disks of containers that come to a VM later, or leave it earlier
 *
 * DOC: Theory of operation
 *
 * The two disks that every VM has are those of the container it was started for. Each further
 * container brings its own two as functions 1 (upper) and 0 (root) of one slot: QEMU shows a slot
 * to the guest when function 0 is there, and takes all of it away at once. Their serials, which
 * name them for the guest and for a later daemon, are made of the container's id.
 *
 * When the first container leaves and others stay, the files behind its disks are exchanged for
 * nothing, which is what a template has there: its next run takes place in another VM.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "vm/qmp.h"
#include "vm/sandbox.h"
#include "vm/sandbox_slot.h"

#define DISK_CALL_MS 10000
/* below "root" and "upper", in a VM out of the pool */
#define DISK_ROOT_NODE "root-disk"
#define DISK_UPPER_NODE "upper-disk"
/* below them when their container has left */
#define DISK_NO_ROOT_NODE "root-none"
#define DISK_NO_UPPER_NODE "upper-none"

/**
 * sandbox_disk_serials() - Under which serials the guest finds a later container's disks
 * @id:		 Container, ID_LEN digits
 * @ret_serials: Filled
 */
void sandbox_disk_serials(const char *id, struct sandbox_serials *ret_serials)
{
	/* the device has room for 20 bytes */
	(void)snprintf(ret_serials->root, sizeof(ret_serials->root), "r%.18s", id);
	(void)snprintf(ret_serials->upper, sizeof(ret_serials->upper), "u%.18s", id);
}

static json_t *disk_device(const char *id, const char *bus, unsigned int function,
			   const char *serial)
{
	char addr[8];

	(void)snprintf(addr, sizeof(addr), "0.%u", function);
	return json_pack("{s:s,s:s,s:s,s:s,s:b,s:s,s:s}", "driver", "virtio-blk-pci", "id", id,
			 "bus", bus, "addr", addr, "multifunction", 1, "drive", serial, "serial",
			 serial);
}

static json_t *disk_root_node(const char *name, const char *path)
{
	return json_pack("{s:s,s:s,s:b,s:{s:s,s:b,s:{s:s,s:b,s:s}}}", "driver", "raw", "node-name",
			 name, "read-only", 1, "file", "driver", "vmdk", "read-only", 1, "file",
			 "driver", "file", "read-only", 1, "filename", path);
}

static json_t *disk_upper_node(const char *name, const char *path)
{
	return json_pack("{s:s,s:s,s:s,s:{s:s,s:s,s:s}}", "driver", "raw", "node-name", name,
			 "discard", "unmap", "file", "driver", "file", "discard", "unmap",
			 "filename", path);
}

static void disk_delete_node(struct sandbox *sb, const char *name)
{
	struct err ignored = {}; /* there may be none */

	(void)qmp_call(sb->qmp, "blockdev-del", json_pack("{s:s}", "node-name", name), DISK_CALL_MS,
		       NULL, &ignored);
}

static void disk_delete_nodes(struct sandbox *sb, const struct sandbox_serials *serials)
{
	disk_delete_node(sb, serials->root);
	disk_delete_node(sb, serials->upper);
}

static int disk_plug(struct sandbox *sb, unsigned int slot, const struct sandbox_serials *serials,
		     const char *root_disk, const char *upper_disk, struct err *err)
{
	char id[SANDBOX_SLOT_ID_MAX], bus[SANDBOX_SLOT_ID_MAX], beside[SANDBOX_SLOT_ID_MAX + 2];
	_cleanup_qmp_json_ json_t *root_node = NULL, *upper_node = NULL, *root = NULL,
				  *upper = NULL;

	sandbox_slot_names(slot, id, bus);
	(void)snprintf(beside, sizeof(beside), "%s.1", id);
	root_node = disk_root_node(serials->root, root_disk);
	upper_node = disk_upper_node(serials->upper, upper_disk);
	upper = disk_device(beside, bus, 1, serials->upper);
	root = disk_device(id, bus, 0, serials->root);
	if (!root_node || !upper_node || !root || !upper)
		return err_oom(err);
	const struct qmp_cmd cmds[] = {
		{.name = "blockdev-add", .args = root_node},
		{.name = "blockdev-add", .args = upper_node},
		{.name = "device_add", .args = upper},
		{.name = "device_add", .args = root},
	};
	return qmp_run(sb->qmp, cmds, ARRAY_SIZE(cmds), DISK_CALL_MS, NULL, err);
}

/**
 * sandbox_disks_add() - Plug a container's disks into a VM that runs
 * @sb:		Sandbox
 * @id:		Container, ID_LEN digits
 * @root_disk:	VMDK descriptor of its rootfs
 * @upper_disk: Raw ext4 image
 * @err:	Filled on failure, which leaves nothing
 *
 * Does not wait for the guest to find them. Not on the loop thread.
 *
 * Return: 0, -EINVAL if all slots are taken, or negative errno
 */
int sandbox_disks_add(struct sandbox *sb, const char *id, const char *root_disk,
		      const char *upper_disk, struct err *err)
{
	_cleanup_(sandbox_slots_unlock) struct sandbox *held = sandbox_slots_lock(sb);
	char late[SANDBOX_SLOT_ID_MAX + 2], bus[SANDBOX_SLOT_ID_MAX];
	struct sandbox_serials serials;
	struct err ignored = {};
	unsigned int slot;
	int r = sandbox_slot_free(held, &slot, err);

	if (r < 0)
		return r;
	sandbox_disk_serials(id, &serials);
	r = disk_plug(sb, slot, &serials, root_disk, upper_disk, err);
	if (r == 0)
		return 0;
	/* function 1 alone: the guest has not seen it, so QEMU drops it at once */
	sandbox_slot_names(slot, late, bus);
	(void)strcat(late, ".1");
	(void)qmp_call(sb->qmp, "device_del", json_pack("{s:s}", "id", late), DISK_CALL_MS, NULL,
		       &ignored);
	disk_delete_nodes(sb, &serials);
	return r;
}

/**
 * sandbox_disks_remove() - Unplug a container's disks and close the files behind them
 * @sb:	 Sandbox
 * @id:	 As sandbox_disks_add() was given; disks that are not there are no failure
 * @err: Filled on failure
 *
 * The guest has unmounted them. Waits for it to let go, some 100 ms. Not on the loop thread.
 *
 * Return: 0 or negative errno
 */
int sandbox_disks_remove(struct sandbox *sb, const char *id, struct err *err)
{
	_cleanup_(sandbox_slots_unlock) struct sandbox *held = sandbox_slots_lock(sb);
	struct sandbox_serials serials;
	unsigned int slot;
	int r;

	sandbox_disk_serials(id, &serials);
	r = sandbox_slot_find(held, "serial", serials.root, &slot, err);
	if (r > 0)
		r = sandbox_slot_unplug(sb, slot, err);
	if (r == 0)
		disk_delete_nodes(sb, &serials);
	return r;
}

/* Exchange what is behind the two disks that every VM has; the nodes' names are put's or release's.
 */
static int disk_swap(struct sandbox *sb, json_t *root, json_t *upper, struct err *err)
{
	const char *key = "node-name";
	_cleanup_qmp_json_ json_t *swap = json_pack(
		"{s:[{s:s,s:s,s:b,s:s},{s:s,s:s,s:s,s:s}]}", "options", "driver", "raw", key,
		"root", "read-only", 1, "file", json_string_value(json_object_get(root, key)),
		"driver", "raw", key, "upper", "discard", "unmap", "file",
		json_string_value(json_object_get(upper, key)));
	const struct qmp_cmd cmds[] = {
		{.name = "blockdev-add", .args = root},
		{.name = "blockdev-add", .args = upper},
		{.name = "blockdev-reopen", .args = swap},
	};

	if (!swap)
		return err_oom(err);
	return qmp_run(sb->qmp, cmds, ARRAY_SIZE(cmds), SANDBOX_QMP_TIMEOUT_MS, NULL, err);
}

/**
 * sandbox_disks_put() - A VM out of the pool gets its first container's disks
 * @sb:		Sandbox whose guest uses none
 * @root_disk:	VMDK descriptor of the rootfs
 * @upper_disk: Raw ext4 image
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int sandbox_disks_put(struct sandbox *sb, const char *root_disk, const char *upper_disk,
		      struct err *err)
{
	_cleanup_qmp_json_ json_t *root = json_pack(
		"{s:s,s:s,s:b,s:{s:s,s:b,s:s}}", "driver", "vmdk", "node-name", DISK_ROOT_NODE,
		"read-only", 1, "file", "driver", "file", "read-only", 1, "filename", root_disk);
	_cleanup_qmp_json_ json_t *upper =
		json_pack("{s:s,s:s,s:s,s:s}", "driver", "file", "node-name", DISK_UPPER_NODE,
			  "discard", "unmap", "filename", upper_disk);

	return root && upper ? disk_swap(sb, root, upper, err) : err_oom(err);
}

static json_t *disk_nothing(const char *name, unsigned long long bytes)
{
	return json_pack("{s:s,s:s,s:I,s:b}", "driver", "null-co", "node-name", name, "size",
			 (json_int_t)bytes, "read-zeroes", 1);
}

static bool disk_has_node(struct sandbox *sb, const char *name)
{
	_cleanup_qmp_json_ json_t *reply = NULL;
	struct err ignored = {};
	json_t *node;
	size_t i;

	if (qmp_call(sb->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
		     DISK_CALL_MS, &reply, &ignored) < 0)
		return false;
	json_array_foreach (reply, i, node) {
		const char *is = json_string_value(json_object_get(node, "node-name"));

		if (is && str_eq(is, name))
			return true;
	}
	return false;
}

/**
 * sandbox_disks_release() - Close the files behind the two disks that every VM has
 * @sb:	 Sandbox
 * @err: Filled on failure
 *
 * The guest has unmounted them. Once more does nothing: a daemon that was killed may have been that
 * far. Not on the loop thread.
 *
 * Return: 0 or negative errno
 */
int sandbox_disks_release(struct sandbox *sb, struct err *err)
{
	_cleanup_qmp_json_ json_t *root = disk_nothing(DISK_NO_ROOT_NODE, SANDBOX_ROOT_DISK_BYTES);
	_cleanup_qmp_json_ json_t *upper =
		disk_nothing(DISK_NO_UPPER_NODE, SANDBOX_UPPER_DISK_BYTES);
	int r = 0;

	disk_delete_node(sb, DISK_NO_ROOT_NODE); /* QEMU refuses if they are in use */
	disk_delete_node(sb, DISK_NO_UPPER_NODE);
	if (!disk_has_node(sb, DISK_NO_UPPER_NODE))
		r = root && upper ? disk_swap(sb, root, upper, err) : err_oom(err);
	if (r < 0)
		return r;
	disk_delete_node(sb, DISK_ROOT_NODE); /* of a VM out of the pool */
	disk_delete_node(sb, DISK_UPPER_NODE);
	return 0;
}
