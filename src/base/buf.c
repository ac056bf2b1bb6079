/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - growing byte buffer */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * buf_done() - Free the contents; the buffer is empty and usable afterwards
 * @b: Buffer
 */
void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

/**
 * buf_reset() - Forget the contents, keep the memory
 * @b: Buffer
 */
void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/**
 * buf_reserve() - Make room for @more bytes and a NUL
 * @b:	  Buffer
 * @more: Bytes that will be appended
 *
 * Return: false if memory ran out (and marks the buffer failed)
 */
bool buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;
	char *data;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need)) {
		b->failed = true;
		return false;
	}
	if (need <= b->cap)
		return true;
	cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap += cap / 2 + 64;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

/**
 * buf_add() - Append bytes
 * @b:	  Buffer
 * @data: Bytes, copied
 * @len:  How many
 */
void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

/**
 * buf_adds() - Append a string
 * @b: Buffer
 * @s: NUL-terminated, copied
 */
void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

/**
 * buf_addf() - Append formatted text
 * @b:	 Buffer
 * @fmt: printf format
 */
void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap); /* measured above */
	va_end(ap);
	b->len += (size_t)n;
}

/**
 * buf_consume() - Drop bytes from the front
 * @b: Buffer
 * @n: How many, at most b->len
 */
void buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return; /* an empty buffer may have no memory */
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	b->data[b->len] = '\0';
}

/**
 * buf_steal() - Take the contents as a NUL-terminated string
 * @b: Buffer, empty afterwards
 *
 * Return: heap string owned by the caller, or NULL if an append had failed
 */
char *buf_steal(struct buf *b)
{
	char *data;

	if (!b->data && !buf_reserve(b, 0))
		return NULL;
	if (b->failed) {
		buf_done(b);
		return NULL;
	}
	b->data[b->len] = '\0';
	data = b->data;
	*b = (struct buf){0};
	return data;
}
