/* SPDX-License-Identifier: Apache-2.0 */
/* init.h - the reaper for containers started with --init */
#pragma once

#include "agent.pb-c.h"

void init_run(const Arca__V1__ProcessSpec *process, int report_fd);
