/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h - the mounts of a container that can be made before it is known */
#pragma once

#include <stdbool.h>

#include "agent.pb-c.h"
#include "base/err.h"

#define STAGE_DIR "/run/stage"
#define STAGE_ROOT STAGE_DIR "/root"   /* the container's root goes here */
#define STAGE_FILES STAGE_DIR "/files" /* small files bound over the root */
#define STAGE_EMPTY STAGE_DIR "/empty" /* read-only and empty, over masked directories */

void stage_boot(void);
int stage_build(void);
int stage_attach(int root_fd, const Arca__V1__ContainerSpec *spec, bool *made, struct err *err);
