/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_slot.c - the slots of a VM into which devices are plugged while it runs
 *
 * DOC: Theory of operation
 *
 * The root ports rp<i> of every VM are empty (argv.c). What is plugged into rp<i> is the device
 * late<i>, and may have further functions beside it, which go with it. Nothing of this is kept
 * here: QEMU is asked, so a VM that a new daemon took over is like any other.
 *
 * The guest takes part in both: it finds a new device by itself, and lets go of one that it is
 * asked to, unless it is hostile, which costs its daemon SLOT_UNPLUG_TIMEOUT_MS.
 */
#include "vm/sandbox_slot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "vm/qmp.h"
#include "vm/sandbox.h"

#define SLOT_CALL_MS 10000
#define SLOT_UNPLUG_TIMEOUT_MS 20000
/* A guest that was about to find a device when it was asked to let go of it may have missed that.
 */
#define SLOT_UNPLUG_AGAIN_MS 3000
#define SLOT_PARENT "/machine/peripheral"

/**
 * sandbox_slots_lock() - Nobody else plugs anything
 * @sb: Sandbox
 *
 * Return: @sb, for sandbox_slots_unlock()
 */
struct sandbox *sandbox_slots_lock(struct sandbox *sb)
{
	pthread_mutex_lock(&sb->slots_lock);
	return sb;
}

/**
 * sandbox_slots_unlock() - Somebody else may
 * @sb: What sandbox_slots_lock() has returned
 */
void sandbox_slots_unlock(struct sandbox **sb)
{
	pthread_mutex_unlock(&(*sb)->slots_lock);
}

/**
 * sandbox_slot_names() - What a slot's device and bus are called
 * @slot:    Slot
 * @ret_id:  Device
 * @ret_bus: Bus
 */
void sandbox_slot_names(unsigned int slot, char ret_id[static SANDBOX_SLOT_ID_MAX],
			char ret_bus[static SANDBOX_SLOT_ID_MAX])
{
	(void)snprintf(ret_id, SANDBOX_SLOT_ID_MAX, "late%u", slot); /* fits */
	(void)snprintf(ret_bus, SANDBOX_SLOT_ID_MAX, "rp%u", slot);
}

/* Bit i: slot i has a device. */
static int slots_used(struct sandbox *sb, unsigned int *ret_used, struct err *err)
{
	_cleanup_qmp_json_ json_t *reply = NULL;
	char id[SANDBOX_SLOT_ID_MAX], bus[SANDBOX_SLOT_ID_MAX];
	unsigned int used = 0;
	json_t *item;
	size_t i;
	int r = qmp_call(sb->qmp, "qom-list", json_pack("{s:s}", "path", SLOT_PARENT), SLOT_CALL_MS,
			 &reply, err);

	if (r < 0)
		return r;
	json_array_foreach (reply, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		for (unsigned int slot = 0; name && slot < SANDBOX_SLOTS; slot++) {
			sandbox_slot_names(slot, id, bus);
			if (str_starts(name, id) && strchr(".", name[strlen(id)]))
				used |= 1U << slot; /* or what a crash left of it: late0.1 */
		}
	}
	*ret_used = used;
	return 0;
}

/**
 * sandbox_slot_free() - An empty slot
 * @sb:	      Sandbox, its slots locked
 * @ret_slot: Set on success
 * @err:      Filled on failure
 *
 * Return: 0, -EINVAL if all slots are taken, or negative errno
 */
int sandbox_slot_free(struct sandbox *sb, unsigned int *ret_slot, struct err *err)
{
	unsigned int used, slot = 0;
	int r = slots_used(sb, &used, err);

	if (r < 0)
		return r;
	while (slot < SANDBOX_SLOTS && used & 1U << slot)
		slot++;
	if (slot == SANDBOX_SLOTS)
		return err_user(err, ERR_INVALID,
				"a virtual machine has room for %d more network cards and "
				"containers, and all of it is taken",
				SANDBOX_SLOTS);
	*ret_slot = slot;
	return 0;
}

/**
 * sandbox_slot_get() - A property of a slot's device
 * @sb:	      Sandbox, its slots locked
 * @slot:     Slot
 * @property: Its name
 *
 * Return: heap string; NULL if the slot is empty, or its device has no such property
 */
char *sandbox_slot_get(struct sandbox *sb, unsigned int slot, const char *property)
{
	char id[SANDBOX_SLOT_ID_MAX], bus[SANDBOX_SLOT_ID_MAX];
	_cleanup_qmp_json_ json_t *reply = NULL;
	_cleanup_free_ char *path = NULL;
	struct err ignored = {};
	const char *text;

	sandbox_slot_names(slot, id, bus);
	path = str_format(SLOT_PARENT "/%s", id);
	if (!path ||
	    qmp_call(sb->qmp, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", property),
		     SLOT_CALL_MS, &reply, &ignored) < 0)
		return NULL;
	text = json_string_value(reply);
	return str_empty(text) ? NULL : strdup(text);
}

static bool slot_has(struct sandbox *sb, unsigned int slot, const char *property, const char *value)
{
	_cleanup_free_ char *text = sandbox_slot_get(sb, slot, property);

	return text && str_eq(text, value);
}

/**
 * sandbox_slot_find() - The slot of a device
 * @sb:	      Sandbox, its slots locked
 * @property: A property of the device
 * @value:    What only this device has there
 * @ret_slot: Set if there is one
 * @err:      Filled on failure
 *
 * Return: 1, 0 if there is none, or negative errno
 */
int sandbox_slot_find(struct sandbox *sb, const char *property, const char *value,
		      unsigned int *ret_slot, struct err *err)
{
	unsigned int used;
	int r = slots_used(sb, &used, err);

	for (unsigned int slot = 0; r == 0 && slot < SANDBOX_SLOTS; slot++) {
		if (!(used & 1U << slot) || !slot_has(sb, slot, property, value))
			continue;
		*ret_slot = slot;
		return 1;
	}
	return r;
}

/* Until QEMU says that some device has gone, the VM ends, or it is time to ask anew. */
static void slot_wait_event(struct sandbox *sb, unsigned int *seen, int64_t until_ns)
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

/**
 * sandbox_slot_unplug() - Take a slot's device away, with all its functions
 * @sb:	  Sandbox, its slots locked
 * @slot: Slot
 * @err:  Filled on failure
 *
 * Waits for the guest, some 100 ms. Not on the loop thread.
 *
 * Return: 0 or negative errno
 */
int sandbox_slot_unplug(struct sandbox *sb, unsigned int slot, struct err *err)
{
	int64_t end_ns = clock_monotonic_ns() + SLOT_UNPLUG_TIMEOUT_MS * NSEC_PER_MSEC;
	char id[SANDBOX_SLOT_ID_MAX], bus[SANDBOX_SLOT_ID_MAX];
	unsigned int seen, used = 0;
	struct err ignored = {};
	int r;

	sandbox_slot_names(slot, id, bus);
	pthread_mutex_lock(&sb->lock);
	seen = sb->n_unplugged;
	pthread_mutex_unlock(&sb->lock);
	do {
		int64_t again_ns = clock_monotonic_ns() + SLOT_UNPLUG_AGAIN_MS * NSEC_PER_MSEC;

		/* QEMU refuses where it waits for the guest, or the device has just gone. */
		(void)qmp_call(sb->qmp, "device_del", json_pack("{s:s}", "id", id), SLOT_CALL_MS,
			       NULL, &ignored);
		slot_wait_event(sb, &seen, MIN(again_ns, end_ns));
		r = slots_used(sb, &used, err);
		if (r < 0 || !(used & 1U << slot))
			return r;
	} while (clock_monotonic_ns() < end_ns);
	return err_user(err, ERR_INTERNAL, "the virtual machine does not let go of a device");
}
