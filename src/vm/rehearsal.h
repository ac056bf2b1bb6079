/* SPDX-License-Identifier: Apache-2.0 */
/* rehearsal.h - a first container, run in a VM before anybody waits for it */
#pragma once

#include "agent.pb-c.h"
#include "base/err.h"

struct sandbox;

int rehearsal_run(struct sandbox *sb, const Arca__V1__StartRequest *request, struct err *err);
