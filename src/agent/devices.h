/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h - which devices a container may open, whatever nodes it makes */
#pragma once

#include "agent.pb-c.h"
#include "agent/cgroup.h"

int devices_limit(const struct cgroup *cg, const Arca__V1__ContainerSpec *spec);
