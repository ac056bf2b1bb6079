/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h - from the kernel's initramfs to a system that containers can be made in */
#pragma once

int boot_system(void);
