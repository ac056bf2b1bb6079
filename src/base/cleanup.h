/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h - scope-bound ownership: every owning local carries one of these */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Hand an owned pointer or descriptor on; the source becomes empty. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *_pp = &(p);                                                         \
		__typeof__(p) _taken = *_pp;                                                       \
		*_pp = NULL;                                                                       \
		_taken;                                                                            \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *_fdp = &(fd);                                                                 \
		int _taken_fd = *_fdp;                                                             \
		*_fdp = -EBADF;                                                                    \
		_taken_fd;                                                                         \
	})

/* Define `fnp(T **p)` for _cleanup_() from `fn(T *)`, which must accept NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##p(type *p)                                                          \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nobody left to tell */
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* readers only: writers close by hand */
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		(void)closedir(*d); /* cannot fail on an open directory */
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)
