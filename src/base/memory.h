/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - what malloc keeps */
#pragma once

void memory_give_back(void);
