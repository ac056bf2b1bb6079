/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - what malloc keeps */
#include "base/memory.h"

#include <malloc.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_ASAN 1
#endif

/**
 * memory_give_back() - Return freed memory to the system after a job that was a rare peak
 *
 * The daemon idles small. Under ASan nothing is done: glibc's malloc, which it replaces, was never
 * set up there, and two threads that trim it at once meet in its set-up.
 */
void memory_give_back(void)
{
#ifndef MEMORY_IS_ASAN
	(void)malloc_trim(0); /* whether it helped does not matter */
#endif
}
