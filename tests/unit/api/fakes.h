/* SPDX-License-Identifier: Apache-2.0 */
/* fakes.h - managers that record what a handler asked of them */
#pragma once

#include <stdatomic.h>

#include "core/container.h"

struct fake_calls {
	char ref[128], name[128], text[4096]; /* of the last call */
	int timeout_s, limit;
	bool all, size, force, volumes, pause;
	unsigned int rows, cols;
	atomic_int wait_cancelled, waits;
	atomic_bool exit_now;
};

extern struct fake_calls fake;
