/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob.c - patterns as Go's path.Match has them, which is what Docker's filters mean
 *
 * '*' and '?' stand for anything but '/', [a-z] and [^a-z] for one character, '\' takes the next
 * one as it is. fnmatch(3) differs where it hurts: it knows [!x] and [[:alpha:]], and takes a
 * pattern that makes no sense for a text. Bytes are compared, not characters: names are ASCII.
 *
 * Patterns are hostile: a star backtracks to the last one only, so the time is pattern times name.
 */
#include "base/glob.h"

#include <stddef.h>

/* One character of a class, '\' undone; NULL if the pattern is broken. */
static const char *class_char(const char *p, unsigned char *ret)
{
	if (*p == '-' || *p == ']')
		return NULL;
	if (*p == '\\')
		p++;
	if (!*p)
		return NULL;
	*ret = (unsigned char)*p;
	return p + 1;
}

/* p is behind '['. Returns what is behind ']', or NULL if the pattern is broken. */
static const char *class_match(const char *p, unsigned char c, bool *ret_match)
{
	bool negated = *p == '^', match = false;
	unsigned char low, high;

	p += negated;
	for (size_t ranges = 0; *p != ']' || ranges == 0; ranges++) {
		p = class_char(p, &low);
		if (!p)
			return NULL;
		high = low;
		if (*p == '-')
			p = class_char(p + 1, &high);
		if (!p)
			return NULL;
		match |= low <= c && c <= high;
	}
	*ret_match = match != negated;
	return p + 1;
}

/* One element against one character. Returns what is behind the element, NULL if it does not fit.
 */
static const char *element_match(const char *p, unsigned char c)
{
	bool match;

	switch (*p) {
	case '\0':
		return NULL;
	case '?':
		return c != '/' ? p + 1 : NULL;
	case '[':
		p = class_match(p + 1, c, &match);
		return p && match ? p : NULL;
	case '\\':
		p++;
		break;
	}
	return *p && (unsigned char)*p == c ? p + 1 : NULL;
}

/**
 * glob_match() - Whether a name fits a pattern
 * @pattern: Pattern; one that glob_valid() refuses fits nothing, or something by chance
 * @name:    Name
 *
 * Return: the answer
 */
bool glob_match(const char *pattern, const char *name)
{
	const char *star = NULL, *star_name = NULL, *next;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			star_name = name;
			continue;
		}
		next = element_match(pattern, (unsigned char)*name);
		if (next) {
			pattern = next;
			name++;
		} else if (star && *star_name != '/') {
			pattern = star; /* the last star takes one more */
			name = ++star_name;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/**
 * glob_valid() - Whether a pattern makes sense
 * @pattern: Pattern
 *
 * Return: the answer; Go says "syntax error in pattern" otherwise
 */
bool glob_valid(const char *pattern)
{
	bool match;

	while (*pattern) {
		if (*pattern == '[') {
			pattern = class_match(pattern + 1, 0, &match);
			if (!pattern)
				return false;
			continue;
		}
		if (*pattern == '\\' && !*++pattern)
			return false;
		pattern++;
	}
	return true;
}
