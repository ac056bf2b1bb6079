/* SPDX-License-Identifier: Apache-2.0 */
/* rehearsal.h - the container that VMs of the pool rehearse with */
#pragma once

#include "base/err.h"
#include "core/core.h"

int rehearsal_start_pool(const struct core *core, unsigned int size, const char *image,
			 struct err *err);
