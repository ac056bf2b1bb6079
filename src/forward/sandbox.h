/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - the forwarder gives up what it does not need */
#pragma once

#include <stdbool.h>

int sandbox_limits(void);
int sandbox_drop(bool keep_bind);
int sandbox_filter(void);
