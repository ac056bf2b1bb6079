/* SPDX-License-Identifier: Apache-2.0 */
/* accel.h - KVM or emulation: the verdict, kept on disk */
#pragma once

#include "vm/vm.h"

struct vmm;

#define ACCEL_DOUBT_S 3600

void accel_begin(struct vmm *vmm);
enum vm_accel accel_load(const struct vmm *vmm, int64_t now_s);
void accel_decide(struct vmm *vmm, enum vm_accel accel, bool doubt);
const char *accel_name(enum vm_accel accel);
