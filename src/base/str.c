/* SPDX-License-Identifier: Apache-2.0 */
/* str.c - small string helpers */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/**
 * str_starts() - Whether @s begins with @prefix
 * @s:	    String
 * @prefix: Prefix, may be empty
 *
 * Return: the answer
 */
bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/**
 * str_ends() - Whether @s ends with @suffix
 * @s:	    String
 * @suffix: Suffix, may be empty
 *
 * Return: the answer
 */
bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

/**
 * str_format() - printf into a new string
 * @fmt: Format
 *
 * Return: heap string owned by the caller, or NULL
 */
char *str_format(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

/**
 * str_bool() - Docker's reading of a boolean query value
 * @s: Text or NULL
 *
 * Return: false for NULL, "", "0", "no", "false", "none" in any case; true otherwise
 */
bool str_bool(const char *s)
{
	static const char *const no[] = {"", "0", "no", "false", "none"};

	if (!s)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		if (strcasecmp(s, no[i]) == 0)
			return false;
	}
	return true;
}

/**
 * str_u64() - Decimal number, whole string
 * @s:	       Text
 * @max:       Largest value accepted
 * @ret_value: Set on success
 *
 * Return: 0, -EINVAL if not a number, -ERANGE if above @max
 */
int str_u64(const char *s, uint64_t max, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v) || v > max)
			return -ERANGE;
	}
	*ret_value = v;
	return 0;
}

/**
 * str_i64() - Decimal number with optional sign, whole string
 * @s:	       Text
 * @ret_value: Set on success
 *
 * Return: 0, -EINVAL or -ERANGE
 */
int str_i64(const char *s, int64_t *ret_value)
{
	bool neg = *s == '-';
	uint64_t v;
	int r;

	r = str_u64(s + (neg || *s == '+'), INT64_MAX, &v);
	if (r < 0)
		return r;
	*ret_value = neg ? -(int64_t)v : (int64_t)v;
	return 0;
}

/**
 * str_size_bytes() - Size with a binary unit, as docker's -m and daemon options take it
 * @s:	       "<number>[b|k|m|g|t][b|ib]", case ignored
 * @ret_bytes: Set on success
 *
 * Return: 0, -EINVAL or -ERANGE
 */
int str_size_bytes(const char *s, int64_t *ret_bytes)
{
	static const char units[] = "bkmgt";
	const char *u;
	int shift = 0;
	char *end;
	double v;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	v = strtod(s, &end);
	if (*end) {
		u = strchr(units, tolower((unsigned char)*end));
		if (!u || !*u)
			return -EINVAL;
		shift = (int)(u - units) * 10;
		end++;
		if (shift && tolower((unsigned char)*end) == 'i')
			end++;
		if (shift && tolower((unsigned char)*end) == 'b')
			end++;
		if (*end)
			return -EINVAL;
	}
	v *= (double)(1ULL << shift);
	if (v >= 9.2e18)
		return -ERANGE;
	*ret_bytes = (int64_t)v;
	return 0;
}

/**
 * str_hex() - Bytes as lower-case hex
 * @bytes: Input
 * @len:   Bytes of input
 * @out:   Receives 2 * @len digits and a NUL
 */
void str_hex(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static int str_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/**
 * str_unhex() - Bytes from lower-case hex
 * @hex: Exactly 2 * @len digits
 * @out: Receives @len bytes
 * @len: Bytes wanted
 *
 * Return: 0, or -EINVAL
 */
int str_unhex(const char *hex, void *out, size_t len)
{
	unsigned char *p = out;

	for (size_t i = 0; i < len; i++) {
		int hi = str_hex_digit(hex[2 * i]);
		int lo = hi < 0 ? -1 : str_hex_digit(hex[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		p[i] = (unsigned char)(hi << 4 | lo);
	}
	return hex[2 * len] ? -EINVAL : 0;
}

/**
 * str_is_hex() - Whether @s is one or more lower-case hex digits
 * @s: String
 *
 * Return: the answer
 */
bool str_is_hex(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (str_hex_digit(*s) < 0)
			return false;
	}
	return true;
}
