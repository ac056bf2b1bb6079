/* SPDX-License-Identifier: Apache-2.0 */
/* network_check.h - do the rows say of the networks what the kernel has? */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct store;

struct network_check_config {
	const char *data_root, *exec_root;
	struct store *store; /* borrowed; only read */
};

struct network_check_result {
	size_t rows, differences;
};

typedef void (*network_check_say_fn)(void *user, const char *line);

int network_check(const struct network_check_config *config, network_check_say_fn say, void *user,
		  struct network_check_result *ret, struct err *err);
