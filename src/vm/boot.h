/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h - boot a VM until its agent answers, and save it */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "vm/vm.h"

struct vmm;

struct boot_result {
	char agent_version[64];
	char kernel_release[64];
	unsigned int boot_ms;
};

int boot_and_save(struct vmm *vmm, struct vm_shape shape, bool kvm, unsigned int timeout_ms,
		  const char *dir, struct boot_result *ret_result, struct err *err);
