/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio_keys.c - detach keys: "ctrl-p,ctrl-q", "a,b", "ctrl-@" ... and finding them in the input
 *
 * Keys that may begin the sequence are held back; when the sequence breaks they are sent on, and
 * the search goes on inside them (the usual prefix table), so "a,a,b" is found in "aaab".
 */
#include "core/stdio_keys.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

/* One key's text. */
static int keys_parse_one(const char *text, size_t len, unsigned char *ret_key)
{
	static const char controls[] = "@abcdefghijklmnopqrstuvwxyz[\\]^_";
	const char *at;

	if (len == 1) {
		*ret_key = (unsigned char)text[0];
		return 0;
	}
	if (len == 3 && strncasecmp(text, "del", 3) == 0) {
		*ret_key = 127;
		return 0;
	}
	if (len != 6 || strncasecmp(text, "ctrl-", 5) != 0)
		return -EINVAL;
	at = memchr(controls, tolower((unsigned char)text[5]), sizeof(controls) - 1);
	if (!at)
		return -EINVAL;
	*ret_key = (unsigned char)(at - controls);
	return 0;
}

static void keys_prepare(struct stdio_keys *keys)
{
	size_t k = 0;

	keys->back[0] = 0;
	for (size_t i = 1; i < keys->n; i++) {
		while (k > 0 && keys->keys[i] != keys->keys[k])
			k = keys->back[k - 1];
		if (keys->keys[i] == keys->keys[k])
			k++;
		keys->back[i] = (unsigned char)k;
	}
}

/**
 * stdio_keys_parse() - Read a detach sequence
 * @text:     Keys separated by commas; "" for none, NULL for Docker's default
 * @ret_keys: The sequence; set on success
 *
 * Return: 0, or -EINVAL
 */
int stdio_keys_parse(const char *text, struct stdio_keys *ret_keys)
{
	struct stdio_keys keys = {.n = 0};

	if (!text)
		text = STDIO_KEYS_DEFAULT;
	while (*text) {
		size_t len = strcspn(text, ",");
		int r;

		if (keys.n == STDIO_KEYS_MAX)
			return -EINVAL;
		r = keys_parse_one(text, len, &keys.keys[keys.n++]);
		if (r < 0)
			return r;
		text += len;
		if (*text == ',' && !*++text)
			return -EINVAL; /* "a," */
	}
	if (keys.n)
		keys_prepare(&keys);
	*ret_keys = keys;
	return 0;
}

/**
 * stdio_keys_filter() - Pass input on, unless it completes the sequence
 * @keys: Sequence and how far it has come
 * @data: Input
 * @len:  Its length
 * @out:  Receives what is to be sent on
 *
 * Return: true once the sequence is complete; what came after it is dropped
 */
bool stdio_keys_filter(struct stdio_keys *keys, const void *data, size_t len, struct buf *out)
{
	const unsigned char *s = data;

	if (!keys->n) {
		buf_add(out, data, len);
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		while (keys->matched && s[i] != keys->keys[keys->matched]) {
			size_t keep = keys->back[keys->matched - 1];

			buf_add(out, keys->keys, keys->matched - keep);
			keys->matched = keep;
		}
		if (s[i] != keys->keys[keys->matched])
			buf_add(out, &s[i], 1);
		else if (++keys->matched == keys->n)
			return true;
	}
	return false;
}
