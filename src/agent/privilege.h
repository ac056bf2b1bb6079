/* SPDX-License-Identifier: Apache-2.0 */
/* privilege.h - limits, identity, capabilities and the system call filter of a process */
#pragma once

#include "agent.pb-c.h"
#include "agent/user.h"
#include "base/err.h"

int privilege_drop(const Arca__V1__ProcessSpec *process, const struct user *user, struct err *err);
int privilege_seal(const Arca__V1__ProcessSpec *process, struct err *err);
void privilege_drop_rest(const Arca__V1__ProcessSpec *process);
