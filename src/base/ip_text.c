/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_text.c - is a text an IP address, and if not, why: in the words of Docker's daemon
 *
 * inet_pton(3) says only that a text is none. People see dockerd's messages, which say what is
 * wrong and where the reader had come to; where a text has several faults, which of them is named
 * depends on the order of reading, so this reads from left to right as it does. What is accepted is
 * what inet_pton(3) accepts, and a zone after an IPv6 address.
 */
#include "base/ip_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIELDS4 4
#define FIELDS6 8
#define DIGITS6 4
#define QUOTED_MAX 128 /* with the NUL */

struct fault {
	const char *what; /* NULL: none */
	const char *at;	  /* NULL: not said */
};

/* What is wrong with p up to end as an IPv4 address, or as one that ends an IPv6 address. */
static struct fault fault4(const char *p, const char *end)
{
	unsigned int value = 0, digits = 0, dots = 0;

	for (; p < end; p++) {
		if (isdigit((unsigned char)*p)) {
			if (digits > 0 && value == 0)
				return (struct fault){"IPv4 field has octet with leading zero",
						      NULL};
			value = value * 10 + (unsigned int)(*p - '0');
			digits++;
			if (value > UINT8_MAX)
				return (struct fault){"IPv4 field has value >255", NULL};
		} else if (*p != '.') {
			return (struct fault){"unexpected character", p};
		} else if (digits == 0 || p + 1 == end) {
			return (struct fault){"IPv4 field must have at least one digit", p};
		} else if (++dots == FIELDS4) {
			return (struct fault){"IPv4 address too long", NULL};
		} else {
			value = digits = 0;
		}
	}
	return (struct fault){dots + 1 < FIELDS4 ? "IPv4 address too short" : NULL, NULL};
}

/* Fields of an IPv6 address as they are read. */
struct fields {
	const char *p, *end;
	unsigned int n;
	bool gap; /* a :: was seen */
};

/* A field and the colon after it, or an IPv4 address in the end. */
static struct fault fault6_field(struct fields *f)
{
	const char *q = f->p;

	while (q < f->end && isxdigit((unsigned char)*q))
		if (++q - f->p > DIGITS6)
			return (struct fault){"each group must have 4 or less digits", f->p};
	if (q == f->p)
		return (struct fault){"each colon-separated field must have at least one digit", q};
	if (q < f->end && *q == '.') {
		const char *start = f->p;

		if (!f->gap && f->n + 2 != FIELDS6)
			return (struct fault){"embedded IPv4 address must replace the final 2 "
					      "fields of the address",
					      start};
		if (f->n + 2 > FIELDS6)
			return (struct fault){"too many hex fields to fit an embedded IPv4 at the "
					      "end of the address",
					      start};
		f->n += 2;
		f->p = f->end;
		return fault4(start, f->end);
	}
	f->n++;
	f->p = q;
	if (q == f->end)
		return (struct fault){NULL, NULL};
	if (*q != ':')
		return (struct fault){"unexpected character, want colon", q};
	if (q + 1 == f->end)
		return (struct fault){"colon must be followed by more characters", q};
	f->p = ++q;
	if (*q != ':')
		return (struct fault){NULL, NULL};
	if (f->gap)
		return (struct fault){"multiple :: in address", q};
	f->gap = true;
	f->p = q + 1;
	return (struct fault){NULL, NULL};
}

static struct fault fault6(const char *p, const char *end)
{
	struct fields f = {.p = p, .end = end};

	if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
		f.gap = true;
		f.p += 2;
	}
	while (f.p < end && f.n < FIELDS6) {
		struct fault fault = fault6_field(&f);

		if (fault.what)
			return fault;
	}
	if (f.p < end)
		return (struct fault){"trailing garbage after address", f.p};
	if (f.n < FIELDS6 && !f.gap)
		return (struct fault){"address string too short", NULL};
	if (f.n == FIELDS6 && f.gap)
		return (struct fault){"the :: must expand to at least one field of zeros", NULL};
	return (struct fault){NULL, NULL};
}

/* @ret_end: up to there it was read */
static struct fault fault_of(const char *text, const char **ret_end)
{
	const char *zone = strchr(text, '%');

	*ret_end = text + strlen(text);
	switch (text[strcspn(text, ".:%")]) {
	case '.':
		return fault4(text, *ret_end);
	case '%':
		return (struct fault){"missing IPv6 address", NULL};
	case ':':
		if (zone && !zone[1])
			return (struct fault){"zone must be a non-empty string", NULL};
		if (zone)
			*ret_end = zone;
		return fault6(text, *ret_end);
	default:
		return (struct fault){"unable to parse IP", NULL};
	}
}

static void quote(const char *p, const char *end, char out[static QUOTED_MAX])
{
	size_t n = 0;

	out[n++] = '"';
	for (; p < end && n < QUOTED_MAX - 3; p++) {
		if (*p == '"' || *p == '\\')
			out[n++] = '\\';
		out[n++] = *p;
	}
	out[n++] = '"';
	out[n] = '\0';
}

/**
 * ip_text_check() - Is a text an IP address?
 * @text:    Text
 * @ret_why: Set if it is none: `ParseAddr("1.2"): IPv4 address too short`; a long one is cut
 *
 * Return: 0 or -EINVAL
 */
int ip_text_check(const char *text, char ret_why[static IP_TEXT_WHY_MAX])
{
	char whole[QUOTED_MAX], rest[QUOTED_MAX];
	const char *end;
	const struct fault fault = fault_of(text, &end);

	if (!fault.what)
		return 0;
	quote(text, text + strlen(text), whole);
	(void)snprintf(ret_why, IP_TEXT_WHY_MAX, "ParseAddr(%s): %s", whole, fault.what);
	if (!fault.at)
		return -EINVAL;
	quote(fault.at, end, rest);
	(void)snprintf(ret_why, IP_TEXT_WHY_MAX, "ParseAddr(%s): %s (at %s)", whole, fault.what,
		       rest);
	return -EINVAL;
}
