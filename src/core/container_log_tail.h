/* SPDX-License-Identifier: Apache-2.0 */
/* container_log_tail.h - where the last n lines of a log begin */
#pragma once

#include <stddef.h>
#include <stdint.h>

int log_tail_find(const int *fds, size_t n_fds, uint64_t end, uint64_t lines, size_t *ret_at,
		  uint64_t *ret_pos);
