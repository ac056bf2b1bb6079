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

/* Length of the UTF-8 character at @p, or 0 if there is none (RFC 3629). */
static size_t err_char(const unsigned char *p)
{
	unsigned int first = p[0], min = 0x80, max = 0xbf;
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (n > 1 && (first < 0xc2 || first > 0xf4))
		return 0;
	if (first == 0xe0)
		min = 0xa0; /* not overlong */
	else if (first == 0xed)
		max = 0x9f; /* no surrogates */
	else if (first == 0xf0)
		min = 0x90;
	else if (first == 0xf4)
		max = 0x8f; /* nothing beyond U+10FFFF */
	for (size_t i = 1; i < n; i++, min = 0x80, max = 0xbf) {
		if (p[i] < min || p[i] > max)
			return 0;
	}
	return n;
}

/* Names in an archive and texts of a guest are any bytes; a cut may split a character. */
static void err_make_text(char *msg)
{
	unsigned char *p = (unsigned char *)msg;

	while (*p) {
		size_t n = err_char(p);

		if (n == 0)
			*p = '?';
		p += n ? n : 1;
	}
}

/**
 * err_user() - Record an error that the client caused or must know about
 * @err:  Filled; may be NULL
 * @kind: Chooses the HTTP status
 * @fmt:  Message in Docker's words, printf style; cut at ERR_MSG_MAX, and valid UTF-8 in any case
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
		err_make_text(err->msg);
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
	err_make_text(err->msg);
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
