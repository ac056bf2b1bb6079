/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c - small edits of a text file that others edit as well */
#include "base/lines.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

static bool lines_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* @pattern: "\tWORD": of a line whose second word is that one */
static bool lines_second_word(const char *line, size_t len, const char *pattern, size_t pattern_len)
{
	const char *tab = memchr(line, '\t', len);
	size_t rest = tab ? len - (size_t)(tab - line) : 0;

	return rest >= pattern_len && memcmp(tab, pattern, pattern_len) == 0 &&
	       (rest == pattern_len || lines_is_blank(tab[pattern_len]));
}

static bool lines_match(const char *line, size_t len, const char *removed)
{
	for (const char *p = removed, *end; *p; p = *end ? end + 1 : end) {
		size_t n;

		end = strchrnul(p, '\n');
		n = (size_t)(end - p);
		if (*p == '\t' ? lines_second_word(line, len, p, n)
			       : n == len && memcmp(line, p, n) == 0)
			return true;
	}
	return false;
}

/**
 * lines_edit() - A text without some of its lines, and with others
 * @text:    What is there: any bytes
 * @len:     Its length
 * @removed: Lines, each with its end; "\tWORD" stands for all whose second word is WORD
 * @added:   Lines, each with its end: in the place of the first that goes, else behind all
 * @out:     Gets the new text
 */
void lines_edit(const char *text, size_t len, const char *removed, const char *added,
		struct buf *out)
{
	const char *end = text + len;
	bool pending = true;

	for (const char *p = text, *next; p < end; p = next) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		next = newline ? newline + 1 : end;
		if (!lines_match(p, (size_t)((newline ?: end) - p), removed)) {
			buf_add(out, p, (size_t)(next - p));
			continue;
		}
		if (pending)
			buf_adds(out, added);
		pending = false;
	}
	if (!pending)
		return;
	if (*added && out->len > 0 && out->data[out->len - 1] != '\n')
		buf_adds(out, "\n");
	buf_adds(out, added);
}
