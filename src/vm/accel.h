/* SPDX-License-Identifier: Apache-2.0 */
/* accel.h - KVM or emulation: the verdict, kept on disk */
#pragma once

#include "vm/vm.h"

struct vmm;

void accel_begin(struct vmm *vmm);
void accel_decide(struct vmm *vmm, enum vm_accel accel);
const char *accel_name(enum vm_accel accel);
