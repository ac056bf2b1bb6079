/* SPDX-License-Identifier: Apache-2.0 */
/* id.h - random identifiers: 64 hex digits, as Docker's */
#pragma once

#include <stddef.h>

#define ID_LEN 64
#define ID_SHORT_LEN 12
#define ID_BUF (ID_LEN + 1)

void random_bytes(void *out, size_t len);
void id_generate(char out[static ID_BUF]);
