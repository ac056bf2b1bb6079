/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - from a StartRequest to a running process */
#pragma once

#include "agent.pb-c.h"
#include "base/err.h"

struct agent;
struct process;

int start_process(struct agent *agent, const Arca__V1__StartRequest *request,
		  struct process **ret_process, struct err *err);
void start_conclude(struct process *p);
