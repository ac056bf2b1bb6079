/* SPDX-License-Identifier: Apache-2.0 */
/* ip_text.h - is a text an IP address, and if not, why: in the words of Docker's daemon */
#pragma once

#define IP_TEXT_WHY_MAX 512

int ip_text_check(const char *text, char ret_why[static IP_TEXT_WHY_MAX]);
