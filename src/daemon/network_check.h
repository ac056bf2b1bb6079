/* SPDX-License-Identifier: Apache-2.0 */
/* network_check.h - arcad --network-check: do state and kernel agree about the networks? */
#pragma once

#include "base/err.h"

struct options;

int network_check_run(const struct options *opts, struct err *err);
