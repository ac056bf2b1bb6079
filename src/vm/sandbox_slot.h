/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_slot.h - the slots of a VM into which devices are plugged while it runs */
#pragma once

#include "base/err.h"
#include "vm/vm.h"

#define SANDBOX_SLOT_ID_MAX 16

struct sandbox *sandbox_slots_lock(struct sandbox *sb);
void sandbox_slots_unlock(struct sandbox **sb);
void sandbox_slot_names(unsigned int slot, char ret_id[static SANDBOX_SLOT_ID_MAX],
			char ret_bus[static SANDBOX_SLOT_ID_MAX]);
int sandbox_slot_free(struct sandbox *sb, unsigned int *ret_slot, struct err *err);
int sandbox_slot_find(struct sandbox *sb, const char *property, const char *value,
		      unsigned int *ret_slot, struct err *err);
char *sandbox_slot_get(struct sandbox *sb, unsigned int slot, const char *property);
int sandbox_slot_unplug(struct sandbox *sb, unsigned int slot, struct err *err);
