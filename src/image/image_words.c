/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_words.c - the words of Dockerfile instructions: quotes, backslashes, variables
 *
 * As the builder's shell lexer reads them: 'x' is literal, "x" knows \" \\ \$ and variables,
 * outside of quotes a backslash takes the next character. Variables are $X, ${X}, and ${X:-w}
 * ${X-w}
 * ${X:+w} ${X+w}; one that is not set is empty. The texts are an API client's: nesting is bounded.
 */
#include "image/image_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

#define WORDS_DEPTH_MAX 16
#define WORDS_BYTES_MAX (1u << 20) /* of one word: ${A}${A} of long values grows */

struct lexer {
	const char *at;	   /* borrowed: the rest */
	const char *whole; /* borrowed: for errors */
	const json_t *env; /* borrowed */
	struct err *err;
	int depth;
};

static const char *env_value(const json_t *env, const char *name, size_t len)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (env, i, entry) {
		const char *text = json_string_value(entry);

		if (text && strncmp(text, name, len) == 0 && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

static int unexpected(struct lexer *lx, const char *what)
{
	char quoted[201]; /* as Go's %q */
	size_t n = 0;

	for (const char *s = lx->whole; *s && n < sizeof(quoted) - 2; s++) {
		if (*s == '"' || *s == '\\')
			quoted[n++] = '\\';
		quoted[n++] = *s;
	}
	quoted[n] = '\0';
	return err_user(lx->err, ERR_INVALID,
			"failed to process \"%s\": unexpected end of statement while looking for "
			"matching %s",
			quoted, what);
}

static int expand_until(struct lexer *lx, char end, struct buf *out);

/* Behind "${": the name, maybe a modifier and its word, and '}' */
static int expand_braces(struct lexer *lx, struct buf *out)
{
	_cleanup_buf_ struct buf word = {};
	const char *name = lx->at, *value;
	bool colon, set;
	char modifier;
	size_t len;
	int r;

	len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	value = env_value(lx->env, name, len);
	lx->at += len;
	if (len && *lx->at == '}') {
		lx->at++;
		buf_adds(out, value ? value : "");
		return 0;
	}
	colon = *lx->at == ':';
	lx->at += colon;
	modifier = *lx->at;
	if (!len || (modifier != '-' && modifier != '+'))
		return err_user(lx->err, ERR_INVALID,
				"failed to process \"%.200s\": missing or unsupported modifier in "
				"substitution",
				lx->whole);
	lx->at++;
	r = expand_until(lx, '}', &word);
	if (r < 0)
		return r;
	set = value && (!colon || *value);
	if (modifier == '+')
		buf_add(out, word.data, set ? word.len : 0);
	else if (set)
		buf_adds(out, value);
	else
		buf_add(out, word.data, word.len);
	return 0;
}

/* At '$' */
static int expand_dollar(struct lexer *lx, struct buf *out)
{
	const char *value;
	size_t len;

	lx->at++;
	if (*lx->at == '{') {
		lx->at++;
		return expand_braces(lx, out);
	}
	if (isdigit((unsigned char)*lx->at)) { /* there are no positional ones: empty */
		lx->at += strspn(lx->at, "0123456789");
		return 0;
	}
	if (!isalpha((unsigned char)*lx->at) && *lx->at != '_') {
		buf_adds(out, "$");
		return 0;
	}
	len = strspn(lx->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	value = env_value(lx->env, lx->at, len);
	lx->at += len;
	buf_adds(out, value ? value : "");
	return 0;
}

/* Behind '"' */
static int expand_double(struct lexer *lx, struct buf *out)
{
	int r = 0;

	while (*lx->at != '"' && r == 0) {
		if (!*lx->at)
			return unexpected(lx, "double-quote");
		if (*lx->at == '$') {
			r = expand_dollar(lx, out);
			continue;
		}
		if (*lx->at == '\\' && lx->at[1] && strchr("\"\\$", lx->at[1]))
			lx->at++;
		buf_add(out, lx->at++, 1);
	}
	if (r == 0)
		lx->at++;
	return r;
}

/* Up to `end` (and behind it), or to the end of the text */
static int expand_until(struct lexer *lx, char end, struct buf *out)
{
	size_t len;
	int r = 0;

	if (++lx->depth > WORDS_DEPTH_MAX)
		return err_user(lx->err, ERR_INVALID, "failed to process: nested too deep");
	while (*lx->at && (!end || *lx->at != end) && r == 0) {
		if (out->len > WORDS_BYTES_MAX)
			return err_user(lx->err, ERR_INVALID, "failed to process: too long");
		switch (*lx->at) {
		case '$':
			r = expand_dollar(lx, out);
			break;
		case '"':
			lx->at++;
			r = expand_double(lx, out);
			break;
		case '\'':
			len = strcspn(++lx->at, "'");
			if (!lx->at[len])
				return unexpected(lx, "single-quote");
			buf_add(out, lx->at, len);
			lx->at += len + 1;
			break;
		case '\\':
			lx->at += lx->at[1] != '\0';
			buf_add(out, lx->at++, 1);
			break;
		default:
			buf_add(out, lx->at++, 1);
		}
	}
	if (r == 0 && end && *lx->at != end)
		return unexpected(lx, "brace");
	if (r == 0 && end)
		lx->at++;
	lx->depth--;
	return r;
}

/**
 * image_word_next() - The next word as it is written
 * @at:	 Text, moved behind the word
 * @ret: Heap, quotes and backslashes still in it; NULL at the end
 *
 * Return: 0 or -ENOMEM
 */
int image_word_next(const char **at, char **ret)
{
	const char *s = *at + strspn(*at, " \t\r\n"), *from = s;
	char quote = 0;

	*ret = NULL;
	if (!*s)
		return 0;
	for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
		if (*s == '\\' && s[1] && quote != '\'')
			s++;
		else if (quote ? *s == quote : *s == '"' || *s == '\'')
			quote = quote ? 0 : *s;
	}
	*at = s;
	*ret = strndup(from, (size_t)(s - from));
	return *ret ? 0 : -ENOMEM;
}

/**
 * image_word_expand() - What a word says
 * @word: As written
 * @env:  Array of "X=y", or NULL
 * @ret:  Heap
 * @err:  ERR_INVALID in the builder's words
 *
 * Return: 0 or negative errno
 */
int image_word_expand(const char *word, const json_t *env, char **ret, struct err *err)
{
	struct lexer lx = {.at = word, .whole = word, .env = env, .err = err};
	_cleanup_buf_ struct buf out = {};
	int r;

	buf_add(&out, "", 0);
	r = expand_until(&lx, 0, &out);
	if (r < 0)
		return r;
	if (out.failed)
		return err_oom(err);
	*ret = out.len ? buf_steal(&out) : strdup("");
	return *ret ? 0 : err_oom(err);
}
