/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - the error object that reaches an API client */
#pragma once

#include "base/util.h"

/* What went wrong, in the words of the caller's world. api/ maps kinds to HTTP statuses. */
enum err_kind {
	ERR_NONE = 0,
	ERR_INTERNAL,	     /* our side failed: 500 */
	ERR_INVALID,	     /* bad parameter: 400 */
	ERR_UNAUTHORIZED,    /* 401 */
	ERR_FORBIDDEN,	     /* 403 */
	ERR_NOT_FOUND,	     /* 404 */
	ERR_CONFLICT,	     /* 409 */
	ERR_NOT_MODIFIED,    /* 304 */
	ERR_NOT_IMPLEMENTED, /* 501 */
	ERR_UNAVAILABLE,     /* 503 */
	ERR_CANNOT_RUN,	     /* the container's command cannot be run: 400 on start, as dockerd */
};

#define ERR_MSG_MAX 1024

/* Lives in the request; filling it never allocates. Zero-initialised means "no error". */
struct err {
	enum err_kind kind;
	int errnum; /* negative errno behind an ERR_INTERNAL, else 0 */
	char msg[ERR_MSG_MAX];
};

int err_user(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);
int err_sys(struct err *err, int r, const char *fmt, ...) PRINTF(3, 4);
int err_oom(struct err *err);
