/* SPDX-License-Identifier: Apache-2.0 */
/* upper.h - the ext4 disk that holds what a container writes */
#pragma once

#include "base/err.h"

void upper_boot(const char *serial, const char *device);
int upper_mount(const char *serial, const char *device, const char *target, struct err *err);
