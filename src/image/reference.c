/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference.c - image names: Docker's grammar, its defaults, its familiar forms
 *
 *     reference = name [ ":" tag ] [ "@" digest ]
 *     name      = [ domain "/" ] component { "/" component }
 *     domain    = label { "." label } [ ":" port ] | "[" IPv6 "]" [ ":" port ]
 *     component = [a-z0-9]+ { ( "." | "_" | "__" | "-"+ ) [a-z0-9]+ }
 *     tag       = [A-Za-z0-9_] [A-Za-z0-9_.-]{0,127}
 *     digest    = "sha256:" 64 lower-case hex digits
 *
 * A first component is a domain if it has a dot or a colon, is "localhost", or has upper-case
 * letters; otherwise the name lives on docker.io, and there a single component lives below
 * "library". Texts come from API clients, archives and registries: all bytes are hostile.
 */
#include "image/reference.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sha256.h"
#include "base/str.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL "library/"

static int reference_bad(struct err *err)
{
	return err_user(err, ERR_INVALID, "invalid reference format");
}

/* isalnum() without a locale's opinion */
static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || is_upper(c);
}

/* One path component; returns how many bytes of s it takes, 0 if none is there. */
static size_t component_len(const char *s)
{
	size_t at = 0, end;

	if (!is_lower_alnum(s[0]))
		return 0;
	for (;;) {
		while (is_lower_alnum(s[at]))
			at++;
		end = at;
		if (s[at] == '.') {
			at++;
		} else if (s[at] == '_') {
			at += s[at + 1] == '_' ? 2 : 1;
		} else if (s[at] == '-') {
			while (s[at] == '-')
				at++;
		} else {
			return end;
		}
		if (!is_lower_alnum(s[at]))
			return end;
	}
}

static bool path_valid(const char *path, size_t len)
{
	size_t at = 0;

	for (;;) {
		size_t n = component_len(path + at);

		/* component_len() never reads past the text: what follows the path ends it */
		if (n == 0 || at + n > len)
			return false;
		at += n;
		if (at == len)
			return true;
		if (path[at] != '/')
			return false;
		at++;
	}
}

static bool port_valid(const char *s, const char *end)
{
	if (s == end)
		return true;
	if (*s != ':' || s + 1 == end)
		return false;
	for (s++; s < end; s++)
		if (*s < '0' || *s > '9')
			return false;
	return true;
}

static bool domain_valid(const char *s, size_t len)
{
	const char *end = s + len;

	if (len && *s == '[') {
		const char *close = memchr(s, ']', len);

		if (!close || close == s + 1)
			return false;
		for (const char *p = s + 1; p < close; p++)
			if (!isxdigit((unsigned char)*p) && *p != ':')
				return false;
		return port_valid(close + 1, end);
	}
	for (;;) {
		const char *label = s;

		while (s < end && (is_alnum(*s) || *s == '-'))
			s++;
		if (s == label || *label == '-' || s[-1] == '-')
			return false;
		if (s == end || *s != '.')
			return port_valid(s, end);
		s++;
	}
}

/**
 * reference_tag_valid() - Whether a text may be a tag
 * @tag: Text
 *
 * Return: the answer
 */
bool reference_tag_valid(const char *tag)
{
	size_t len = strlen(tag);

	if (len == 0 || len > REFERENCE_TAG_MAX || (!is_alnum(tag[0]) && tag[0] != '_'))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(tag[i]) && tag[i] != '_' && tag[i] != '.' && tag[i] != '-')
			return false;
	return true;
}

/* Split off "@digest" and ":tag"; text is cut in place. */
static int reference_split_tail(char *text, const char **ret_tag, const char **ret_digest,
				struct err *err)
{
	char *at = strchr(text, '@'), *colon;

	if (at) {
		*at = '\0';
		*ret_digest = at + 1;
		if (str_starts(at + 1, DIGEST_PREFIX) && strlen(at + 1) != DIGEST_LEN)
			return err_user(err, ERR_INVALID,
					"invalid reference format: invalid checksum digest length");
		if (!digest_valid(at + 1))
			return reference_bad(err);
	}
	colon = strrchr(text, ':');
	if (colon && !strchr(colon, '/')) {
		*colon = '\0';
		*ret_tag = colon + 1;
		if (!reference_tag_valid(colon + 1))
			return reference_bad(err);
	}
	return 0;
}

/* Docker's rule for "is the first component a domain?" */
static bool reference_has_domain(const char *text, const char *slash)
{
	size_t len = (size_t)(slash - text);

	if (len == strlen("localhost") && memcmp(text, "localhost", len) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '.' || text[i] == ':' || is_upper(text[i]))
			return true;
	return false;
}

static int reference_check_case(const char *path, const char *prefix, struct err *err)
{
	size_t len = strcspn(path, ":@");

	for (size_t i = 0; i < len; i++)
		if (is_upper(path[i]))
			return err_user(err, ERR_INVALID,
					"invalid reference format: repository name (%s%.*s) must "
					"be lowercase",
					prefix, (int)len, path);
	return 0;
}

/**
 * reference_parse() - Read an image name and fill in the default domain and "library/"
 * @text:    Name as a user, an archive or a registry wrote it; any length
 * @ret_ref: Parts, reference_done(); set on success only. Tag and digest only if given.
 * @err:     ERR_INVALID in Docker's words
 *
 * Return: 0 or negative errno
 */
int reference_parse(const char *text, struct reference *ret_ref, struct err *err)
{
	_cleanup_free_ char *copy = NULL;
	_cleanup_reference_ struct reference ref = {};
	const char *tag = NULL, *digest = NULL, *prefix;
	char *slash, *rest;
	int r;

	if (strlen(text) > REFERENCE_TEXT_MAX)
		return reference_bad(err);
	if (strlen(text) == 64 && str_is_hex(text))
		return err_user(err, ERR_INVALID,
				"invalid repository name (%s), cannot specify 64-byte hexadecimal "
				"strings",
				text);
	copy = strdup(text);
	if (!copy)
		return err_oom(err);
	rest = copy;
	slash = strchr(copy, '/');
	if (slash && reference_has_domain(copy, slash)) {
		*slash = '\0';
		rest = slash + 1;
		if (!domain_valid(copy, strlen(copy)))
			return reference_bad(err);
		ref.domain = strdup(str_eq(copy, LEGACY_DOMAIN) ? DEFAULT_DOMAIN : copy);
	} else {
		ref.domain = strdup(DEFAULT_DOMAIN);
	}
	if (!ref.domain)
		return err_oom(err);

	prefix = str_eq(ref.domain, DEFAULT_DOMAIN) && !strchr(rest, '/') ? OFFICIAL : "";
	r = reference_check_case(rest, prefix, err);
	if (r < 0)
		return r;
	r = reference_split_tail(rest, &tag, &digest, err);
	if (r < 0)
		return r;
	if (!path_valid(rest, strlen(rest)))
		return reference_bad(err);
	if (strlen(prefix) + strlen(rest) > REFERENCE_PATH_MAX)
		return err_user(
			err, ERR_INVALID,
			"invalid reference format: repository name must not be more than %d "
			"characters",
			REFERENCE_PATH_MAX);
	ref.path = str_format("%s%s", prefix, rest);
	ref.tag = tag ? strdup(tag) : NULL;
	ref.digest = digest ? strdup(digest) : NULL;
	if (!ref.path || (tag && !ref.tag) || (digest && !ref.digest))
		return err_oom(err);
	*ret_ref = ref;
	ref = (struct reference){};
	return 0;
}

/**
 * reference_done() - Free the parts
 * @ref: Reference; becomes empty
 */
void reference_done(struct reference *ref)
{
	free(ref->domain);
	free(ref->path);
	free(ref->tag);
	free(ref->digest);
	*ref = (struct reference){};
}

static char *reference_join(const struct reference *ref, const char *domain, const char *slash,
			    const char *path)
{
	return str_format("%s%s%s%s%s%s%s", domain, slash, path, ref->tag ? ":" : "",
			  ref->tag ? ref->tag : "", ref->digest ? "@" : "",
			  ref->digest ? ref->digest : "");
}

/**
 * reference_name() - Domain and path
 * @ref: Reference
 *
 * Return: heap text, NULL without memory
 */
char *reference_name(const struct reference *ref)
{
	return str_format("%s/%s", ref->domain, ref->path);
}

/**
 * reference_canonical() - All parts, nothing abbreviated
 * @ref: Reference
 *
 * Return: heap text, NULL without memory
 */
char *reference_canonical(const struct reference *ref)
{
	return reference_join(ref, ref->domain, "/", ref->path);
}

/* The path without docker.io/ and library/; NULL where the rest alone would mean something else. */
static const char *reference_short_path(const struct reference *ref)
{
	const char *path = ref->path, *slash;

	if (!str_eq(ref->domain, DEFAULT_DOMAIN))
		return NULL;
	if (str_starts(path, OFFICIAL) && !strchr(path + strlen(OFFICIAL), '/'))
		path += strlen(OFFICIAL);
	slash = strchr(path, '/');
	if (slash ? reference_has_domain(path, slash) : strlen(path) == 64 && str_is_hex(path))
		return NULL;
	return path;
}

/**
 * reference_familiar() - All parts as people write them: docker.io and library/ left out
 * @ref: Reference
 *
 * Always means the same name: docker.io/a.b/c stays as it is, for a.b/c is on another host.
 *
 * Return: heap text, NULL without memory
 */
char *reference_familiar(const struct reference *ref)
{
	const char *path = reference_short_path(ref);

	return path ? reference_join(ref, "", "", path) : reference_canonical(ref);
}

/**
 * reference_familiar_name() - The familiar form without tag and digest
 * @ref: Reference
 *
 * Return: heap text, NULL without memory
 */
char *reference_familiar_name(const struct reference *ref)
{
	const char *path = reference_short_path(ref);

	return path ? strdup(path) : reference_name(ref);
}

/**
 * reference_shorten() - Familiar form of a canonical text
 * @canonical: Made by reference_canonical()
 *
 * Return: heap text, NULL without memory
 */
char *reference_shorten(const char *canonical)
{
	_cleanup_reference_ struct reference ref = {};

	if (reference_parse(canonical, &ref, NULL) < 0)
		return strdup(canonical);
	return reference_familiar(&ref);
}

/**
 * reference_set_tag() - Replace the tag
 * @ref: Reference
 * @tag: New tag
 * @err: ERR_INVALID if it is none
 *
 * Return: 0 or negative errno with @ref unchanged
 */
int reference_set_tag(struct reference *ref, const char *tag, struct err *err)
{
	char *copy;

	if (!reference_tag_valid(tag))
		return err_user(err, ERR_INVALID, "invalid tag format");
	copy = strdup(tag);
	if (!copy)
		return err_oom(err);
	free(ref->tag);
	ref->tag = copy;
	return 0;
}

/**
 * reference_default_tag() - "latest" where neither tag nor digest was given
 * @ref: Reference
 *
 * Return: 0 or -ENOMEM
 */
int reference_default_tag(struct reference *ref)
{
	if (ref->tag || ref->digest)
		return 0;
	ref->tag = strdup("latest");
	return ref->tag ? 0 : -ENOMEM;
}
