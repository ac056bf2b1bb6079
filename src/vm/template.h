/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - one booted, stopped and saved VM of every shape, from which all others are cloned */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vm/vm.h"

struct vmm;

/* Never changes once it is found; lives as long as its vmm. */
struct template
{
	struct vm_shape shape;
	bool kvm;
	bool ready;
	char *dir;	    /* owned; holds memory, state, info.json */
	char *memory_path;  /* owned */
	char *state_path;   /* owned */
	uint64_t failed_us; /* when the last build failed, and how */
	struct err failure;
	struct template *next;
};

int template_get(struct vmm *vmm, struct vm_shape shape, const struct template **ret_template,
		 struct err *err);
void template_free_all(struct vmm *vmm);
void template_remove_stale(struct vmm *vmm);
