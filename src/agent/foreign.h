/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.h - programs for another processor */
#pragma once

const char *foreign_machine(const char *path);
