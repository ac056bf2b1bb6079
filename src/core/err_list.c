/* SPDX-License-Identifier: Apache-2.0 */
/* err_list.c - several faults of one request, told at once as dockerd does */
#include "core/err_list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"

/**
 * err_list_add() - One more fault
 * @list: List
 * @fmt:  Its words
 */
void err_list_add(struct err_list *list, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cutting is fine */
	va_end(ap);
	buf_addf(&list->lines, "%s* %s", list->n ? "\n" : "", text);
	list->n++;
}

/**
 * err_list_raise() - The error that tells all of them
 * @list: List
 * @head: What they are faults of
 * @err:  Filled if there are any: one alone stands without a bullet
 *
 * Return: 0 if there are none, -EINVAL, or -ENOMEM
 */
int err_list_raise(const struct err_list *list, const char *head, struct err *err)
{
	if (list->n == 0)
		return 0;
	if (list->lines.failed)
		return err_oom(err);
	return err_user(err, ERR_INVALID, "%s:\n%s", head,
			list->n == 1 ? list->lines.data + 2 : list->lines.data);
}

/**
 * err_list_done() - Free the lines
 * @list: List
 */
void err_list_done(struct err_list *list)
{
	buf_done(&list->lines);
}
