/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - error texts as Go prints them, since that is what Docker's users know */
#pragma once

const char *words_errno(int r);
