/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - error texts as Go prints them, since that is what Docker's users know */
#include "agent/words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/**
 * words_errno() - The text of an errno, beginning in lower case
 * @r: Negative errno
 *
 * Return: static text, valid until the next call
 */
const char *words_errno(int r)
{
	static char text[128];

	(void)snprintf(text, sizeof(text), "%s", strerror(-r)); /* cutting is fine */
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}
