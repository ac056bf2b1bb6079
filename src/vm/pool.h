/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - VMs that run ahead of need; not for others than vm/ */
#pragma once

#include <stdbool.h>

#include "vm/vm.h"

struct pool;
struct sandbox;

bool pool_claim(struct pool *pool, const struct sandbox_spec *spec, struct sandbox **ret_sandbox);
void pool_end(struct pool *pool);
void pool_free(struct pool *pool);
