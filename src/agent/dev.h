/* SPDX-License-Identifier: Apache-2.0 */
/* dev.h - what is in a container's /dev besides mounts */
#pragma once

#include <stdbool.h>

#include "agent.pb-c.h"
#include "base/err.h"

int dev_populate(int dev_fd);
int dev_add(int root_fd, const Arca__V1__ContainerSpec *spec, struct err *err);
