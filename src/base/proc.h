/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - what /proc says of a process */
#pragma once

#include <stdint.h>
#include <sys/types.h>

int proc_start_ticks(pid_t pid, uint64_t *ret_ticks);
