/* SPDX-License-Identifier: Apache-2.0 */
/* tty.h - a terminal of the container's own devpts */
#pragma once

#include <stdbool.h>
#include <stdint.h>

int tty_open(int report_fd, uint32_t rows, uint32_t cols, bool is_console);
int tty_resize(int fd, uint32_t rows, uint32_t cols);
