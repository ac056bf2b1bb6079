/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - filling the error object; never allocates, never fails */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const int err_kind_errno[] = {
	[ERR_NONE] = 0,
	[ERR_INTERNAL] = -EIO,
	[ERR_INVALID] = -EINVAL,
	[ERR_UNAUTHORIZED] = -EACCES,
	[ERR_FORBIDDEN] = -EPERM,
	[ERR_NOT_FOUND] = -ENOENT,
	[ERR_CONFLICT] = -EEXIST,
	[ERR_NOT_MODIFIED] = -EALREADY,
	[ERR_NOT_IMPLEMENTED] = -ENOSYS,
	[ERR_UNAVAILABLE] = -EAGAIN,
	[ERR_CANNOT_RUN] = -ENOEXEC,
};

/**
 * err_user() - Record an error that the client caused or must know about
 * @err:  Filled; may be NULL
 * @kind: Chooses the HTTP status
 * @fmt:  Message in Docker's words, printf style; cut at ERR_MSG_MAX
 *
 * Return: a negative errno that fits @kind, to be passed up
 */
int err_user(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->kind = kind;
		err->errnum = 0;
		va_start(ap, fmt);
		(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap); /* cutting is fine */
		va_end(ap);
	}
	return err_kind_errno[kind];
}

/**
 * err_sys() - Record a failure of the system beneath us; always a 500
 * @err: Filled; may be NULL
 * @r:	 Negative errno; its text is appended to the message
 * @fmt: What we could not do, printf style
 *
 * Return: @r
 */
int err_sys(struct err *err, int r, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!err)
		return r;
	err->kind = ERR_INTERNAL;
	err->errnum = r;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap); /* cutting is fine */
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(-r));
	return r;
}

/**
 * err_oom() - Record that memory ran out
 * @err: Filled; may be NULL
 *
 * Return: -ENOMEM
 */
int err_oom(struct err *err)
{
	return err_sys(err, -ENOMEM, "out of memory");
}
