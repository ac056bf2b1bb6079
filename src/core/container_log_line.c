/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_log_line.c - json-file records, written as dockerd writes them and read back exactly
 *
 * DOC: Theory of operation
 *
 * Any bytes give valid JSON: quotes, backslashes, control characters, <, >, & and the two Unicode
 * line separators are escaped as dockerd's encoder does; a byte that is not UTF-8 becomes the
 * escape \ufffd. A real U+FFFD is always written as its three bytes, so the two stay apart and a
 * record tells how many bytes of the process it stands for (which resume counts with).
 *
 * Reading takes any flat JSON object with string members in any order and skips the rest, since
 * dockerd's own files carry "attrs". The file is ours; still nothing is trusted: every index is
 * checked and a record that does not parse is an error, never a guess.
 */
#include "core/container_log_line.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

/**
 * log_utf8_len() - Length of the character that starts here
 * @s:	 Bytes
 * @len: How many there are, at least 1
 *
 * Return: 1 to 4, or 0 if the first byte begins no valid character within @len
 */
size_t log_utf8_len(const unsigned char *s, size_t len)
{
	unsigned char a = s[0];

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4)
		return 0;
	if (len < 2 || (s[1] & 0xc0) != 0x80)
		return 0;
	if (a < 0xe0)
		return 2;
	if (len < 3 || (s[2] & 0xc0) != 0x80)
		return 0;
	if (a < 0xf0) {
		if ((a == 0xe0 && s[1] < 0xa0) || (a == 0xed && s[1] > 0x9f))
			return 0; /* overlong, surrogate */
		return 3;
	}
	if (len < 4 || (s[3] & 0xc0) != 0x80)
		return 0;
	if ((a == 0xf0 && s[1] < 0x90) || (a == 0xf4 && s[1] > 0x8f))
		return 0; /* overlong, beyond U+10FFFF */
	return 4;
}

#define LINE_ESCAPE_MAX 6 /* bytes of JSON for one byte of the process */

/* Bytes that stand for themselves. */
static const bool line_plain[256] = {
	[' ' ... '!'] = true, ['#' ... '%'] = true, ['\'' ... ';'] = true, ['='] = true,
	['?' ... '['] = true, [']' ... '~'] = true, [0x7f] = true,
};

/*
 * One byte or character that cannot be copied as it is: *at is moved past what is written for it,
 * at most LINE_ESCAPE_MAX bytes. Returns how many bytes of s it stands for.
 */
static size_t line_escape(char **at, const unsigned char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *out = *at;
	size_t n;

	if (s[0] >= 0x80) {
		n = log_utf8_len(s, len);
		if (n == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) {
			memcpy(out, s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
			*at += 6;
		} else if (n) {
			memcpy(out, s, n);
			*at += n;
		} else {
			memcpy(out, "\\ufffd", 6);
			*at += 6;
			n = 1;
		}
		return n;
	}
	*out++ = '\\';
	if (s[0] == '"' || s[0] == '\\') {
		*out++ = (char)s[0];
	} else if (s[0] == '\n') {
		*out++ = 'n';
	} else if (s[0] == '\r') {
		*out++ = 'r';
	} else {
		memcpy(out, "u00", 3);
		out[3] = hex[s[0] >> 4];
		out[4] = hex[s[0] & 15];
		out += 5;
	}
	*at = out;
	return 1;
}

/**
 * log_line_encode() - Append one record, newline included
 * @out:    Receives the record; its error sticks
 * @stream: 1 or 2
 * @time:   RFC 3339 text
 * @data:   What the process wrote
 * @len:    Its length, any
 */
void log_line_encode(struct buf *out, int stream, const char *time, const void *data, size_t len)
{
	const unsigned char *s = data;
	size_t i = 0, start;
	char *at;

	buf_add(out, "{\"log\":\"", 8);
	if (len > SIZE_MAX / LINE_ESCAPE_MAX || !buf_reserve(out, len * LINE_ESCAPE_MAX)) {
		out->failed = true;
		return;
	}
	at = out->data + out->len;
	while (i < len) {
		start = i;
		while (i < len && line_plain[s[i]])
			i++;
		if (i > start)
			at = mempcpy(at, s + start, i - start);
		if (i < len)
			i += line_escape(&at, s + i, len - i);
	}
	out->len = (size_t)(at - out->data);
	buf_adds(out, stream == 2 ? "\",\"stream\":\"stderr\",\"time\":\""
				  : "\",\"stream\":\"stdout\",\"time\":\"");
	buf_adds(out, time);
	buf_add(out, "\"}\n", 3);
}

struct line_parser {
	const char *p, *end;
};

static void line_skip_space(struct line_parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\r'))
		ps->p++;
}

static bool line_take(struct line_parser *ps, char c)
{
	line_skip_space(ps);
	if (ps->p == ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

/* Four hex digits at ps->p. */
static int line_hex4(struct line_parser *ps, unsigned int *ret)
{
	unsigned int v = 0;

	if (ps->end - ps->p < 4)
		return -EINVAL;
	for (int i = 0; i < 4; i++) {
		char c = *ps->p++;

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= (unsigned int)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v |= (unsigned int)((c | 32) - 'a' + 10);
		else
			return -EINVAL;
	}
	*ret = v;
	return 0;
}

static size_t line_put_utf8(struct buf *out, unsigned int cp)
{
	unsigned char u[4];
	size_t n;

	if (cp < 0x80) {
		u[0] = (unsigned char)cp;
		n = 1;
	} else if (cp < 0x800) {
		u[0] = (unsigned char)(0xc0 | cp >> 6);
		u[1] = (unsigned char)(0x80 | (cp & 63));
		n = 2;
	} else if (cp < 0x10000) {
		u[0] = (unsigned char)(0xe0 | cp >> 12);
		u[1] = (unsigned char)(0x80 | (cp >> 6 & 63));
		u[2] = (unsigned char)(0x80 | (cp & 63));
		n = 3;
	} else {
		u[0] = (unsigned char)(0xf0 | cp >> 18);
		u[1] = (unsigned char)(0x80 | (cp >> 12 & 63));
		u[2] = (unsigned char)(0x80 | (cp >> 6 & 63));
		u[3] = (unsigned char)(0x80 | (cp & 63));
		n = 4;
	}
	buf_add(out, u, n);
	return n;
}

/* After "\u". The escape \ufffd stands for one byte of the process. */
static int line_unicode(struct line_parser *ps, struct buf *out, uint64_t *bytes)
{
	unsigned int cp, low;
	int r;

	r = line_hex4(ps, &cp);
	if (r < 0)
		return r;
	if (cp >= 0xd800 && cp < 0xdc00 && ps->end - ps->p >= 6 && ps->p[0] == '\\' &&
	    ps->p[1] == 'u') {
		ps->p += 2;
		r = line_hex4(ps, &low);
		if (r < 0)
			return r;
		if (low < 0xdc00 || low > 0xdfff)
			return -EINVAL;
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
	} else if (cp >= 0xd800 && cp < 0xe000) {
		return -EINVAL;
	}
	if (cp == 0xfffd) {
		(void)line_put_utf8(out, cp);
		*bytes += 1;
	} else {
		*bytes += line_put_utf8(out, cp);
	}
	return 0;
}

static int line_escaped(struct line_parser *ps, struct buf *out, uint64_t *bytes)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char c;

	if (ps->p == ps->end)
		return -EINVAL;
	c = *ps->p++;
	if (c == 'u')
		return line_unicode(ps, out, bytes);
	at = c ? strchr(from, c) : NULL;
	if (!at)
		return -EINVAL;
	buf_add(out, &to[at - from], 1);
	*bytes += 1;
	return 0;
}

/* A JSON string, opening quote taken already; out is replaced. */
static int line_string(struct line_parser *ps, struct buf *out, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	const char *start;
	int r;

	buf_reset(out);
	buf_add(out, "", 0); /* data is never NULL */
	for (;;) {
		start = ps->p;
		while (ps->p < ps->end && *ps->p != '"' && *ps->p != '\\')
			ps->p++;
		if (ps->p == ps->end)
			return -EINVAL;
		buf_add(out, start, (size_t)(ps->p - start));
		bytes += (uint64_t)(ps->p - start);
		if (*ps->p++ == '"')
			break;
		r = line_escaped(ps, out, &bytes);
		if (r < 0)
			return r;
	}
	*ret_bytes = bytes;
	return out->failed ? -ENOMEM : 0;
}

/* A value nobody wants: a number, a word, or an object/array with its strings. */
static int line_skip_value(struct line_parser *ps, struct buf *scratch)
{
	uint64_t bytes;
	int depth = 0, r;

	while (ps->p < ps->end) {
		char c = *ps->p;

		if (depth == 0 && (c == ',' || c == '}'))
			return 0;
		ps->p++;
		if (c == '"') {
			r = line_string(ps, scratch, &bytes);
			if (r < 0)
				return r;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return -EINVAL;
}

static int line_member(struct line_parser *ps, struct log_line *line, struct buf *key,
		       struct buf *scratch)
{
	uint64_t bytes;
	int r;

	if (!line_take(ps, '"'))
		return -EINVAL;
	r = line_string(ps, key, &bytes);
	if (r < 0)
		return r;
	if (!line_take(ps, ':'))
		return -EINVAL;
	line_skip_space(ps);
	if (ps->p == ps->end)
		return -EINVAL;
	if (*ps->p != '"')
		return line_skip_value(ps, scratch);
	ps->p++;
	if (str_eq(key->data, "log"))
		return line_string(ps, &line->text, &line->bytes);
	r = line_string(ps, scratch, &bytes);
	if (r < 0)
		return r;
	if (str_eq(key->data, "stream"))
		line->stream = str_eq(scratch->data, "stderr") ? 2 : 1;
	else if (str_eq(key->data, "time"))
		return clock_parse_rfc3339(scratch->data, &line->at_ns);
	return 0;
}

/**
 * log_line_decode() - Read one record
 * @record: The record, without or with its newline
 * @len:    Its length
 * @line:   Filled; text is reused, the caller frees it with buf_done(); undefined on failure
 *
 * Return: 0, -EINVAL if it is not a record, or -ENOMEM
 */
int log_line_decode(const char *record, size_t len, struct log_line *line)
{
	_cleanup_buf_ struct buf key = {0}, scratch = {0};
	struct line_parser ps = {.p = record, .end = record + len};
	int r;

	while (ps.end > ps.p && (ps.end[-1] == '\n' || ps.end[-1] == '\r'))
		ps.end--;
	buf_reset(&line->text);
	buf_add(&line->text, "", 0);
	line->bytes = 0;
	line->stream = 1;
	line->at_ns = 0;
	if (!line_take(&ps, '{'))
		return -EINVAL;
	if (!line_take(&ps, '}')) {
		do {
			r = line_member(&ps, line, &key, &scratch);
			if (r < 0)
				return r;
		} while (line_take(&ps, ','));
		if (!line_take(&ps, '}'))
			return -EINVAL;
	}
	line_skip_space(&ps);
	return ps.p == ps.end ? 0 : -EINVAL;
}
