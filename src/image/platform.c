/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform.c - what a machine must be to run an image
 *
 * The words are Go's (GOOS, GOARCH); people and other tools write them differently, so they are
 * compared in one form, that of containerd's platforms package: x86_64 is amd64, arm64's v8 and
 * amd64's v1 go without saying, arm is arm/v7. All texts come from API clients and images.
 */
#include "image/platform.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "image/image.h"
#include "image/oci.h"

static const char *const known_os[] = {
	"aix",	 "android", "darwin", "dragonfly", "freebsd", "hurd",	 "illumos", "ios",    "js",
	"linux", "nacl",    "netbsd", "openbsd",   "plan9",   "solaris", "wasip1",  "windows"};
static const char *const known_architectures[] = {
	"386",	  "amd64", "arm",     "arm64", "loong64", "mips", "mips64", "mips64le",
	"mipsle", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",  "wasm"};

static const struct {
	const char *alias, *name, *variant; /* variant: "" keeps what was said */
} architecture_aliases[] = {
	{"i386", "386", ""},	  {"x86_64", "amd64", ""}, {"x86-64", "amd64", ""},
	{"aarch64", "arm64", ""}, {"armhf", "arm", "v7"},  {"armel", "arm", "v6"},
};

static bool word_among(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(words[i], word))
			return true;
	return false;
}

static void word_set(char *to, const char *text)
{
	size_t len = strnlen(text, PLATFORM_WORD_MAX - 1);

	for (size_t i = 0; i < len; i++)
		to[i] = (char)tolower((unsigned char)text[i]);
	to[len] = '\0';
}

static void platform_normalise(const struct platform *p, struct platform *ret)
{
	word_set(ret->os, str_eq(p->os, "macos") ? "darwin" : p->os);
	word_set(ret->architecture, p->architecture);
	word_set(ret->variant, p->variant);
	for (size_t i = 0; i < ARRAY_SIZE(architecture_aliases); i++) {
		if (!str_eq(ret->architecture, architecture_aliases[i].alias))
			continue;
		word_set(ret->architecture, architecture_aliases[i].name);
		if (*architecture_aliases[i].variant)
			word_set(ret->variant, architecture_aliases[i].variant);
		break;
	}
	if (isdigit((unsigned char)ret->variant[0]) && !ret->variant[1])
		(void)snprintf(ret->variant, PLATFORM_WORD_MAX, "v%c", p->variant[0]);
	if (str_eq(ret->architecture, "arm64") && str_eq(ret->variant, "v8"))
		ret->variant[0] = '\0';
	if (str_eq(ret->architecture, "amd64") && str_eq(ret->variant, "v1"))
		ret->variant[0] = '\0';
	if (str_eq(ret->architecture, "arm") && !*ret->variant)
		word_set(ret->variant, "v7");
}

/**
 * platform_parse_json() - A platform as most of the API has it
 * @text: {"os": ..., "architecture": ..., "variant": ...}
 * @ret:  Set on success only
 * @err:  ERR_INVALID in dockerd's words
 *
 * Return: 0 or negative errno
 */
int platform_parse_json(const char *text, struct platform *ret, struct err *err)
{
	static const char *const keys[] = {"os", "architecture", "variant"};
	struct platform p = {};
	char *const words[] = {p.os, p.architecture, p.variant};
	json_error_t why;
	json_t *doc;
	int r = 0;

	if (*text && !strchr("{[\"0123456789-", *text) && strncmp(text, "null", 4) != 0)
		return err_user(err, ERR_INVALID,
				"failed to parse platform: invalid character '%c' looking for "
				"beginning of value",
				*text);
	doc = json_loads(text, 0, &why);
	if (!json_is_object(doc))
		r = err_user(err, ERR_INVALID, "failed to parse platform: %.100s",
			     doc || *text != '{' ? "it is no object" : why.text);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
		json_t *value = json_object_get(doc, keys[i]);

		if (value && !json_is_string(value))
			r = err_user(err, ERR_INVALID, "failed to parse platform: %s is no text",
				     keys[i]);
		else if (value)
			(void)snprintf(words[i], PLATFORM_WORD_MAX, "%s", json_string_value(value));
	}
	json_decref(doc);
	if (r == 0 && (!*p.os || !*p.architecture))
		r = err_user(err, ERR_INVALID, "both OS and Architecture must be provided");
	if (r == 0)
		*ret = p;
	return r;
}

/* One word: an operating system of this machine's architecture, or an architecture under Linux. */
static int platform_parse_word(const char *text, const char *word, struct platform *p,
			       struct err *err)
{
	struct platform n = {}, given = {};

	word_set(given.architecture, word);
	platform_normalise(&given, &n);
	if (word_among(given.architecture, known_os, ARRAY_SIZE(known_os))) {
		word_set(p->os, word);
		word_set(p->architecture, oci_host_architecture());
		return 0;
	}
	if (!word_among(n.architecture, known_architectures, ARRAY_SIZE(known_architectures)))
		return err_user(err, ERR_INVALID,
				"\"%.100s\": unknown operating system or architecture: invalid "
				"argument",
				text);
	*p = n;
	word_set(p->os, "linux");
	return 0;
}

/**
 * platform_parse() - A platform as the CLI's --platform has it
 * @text: "linux/arm64/v8", "arm64", "linux"
 * @ret:  In containerd's normal form; set on success only
 * @err:  ERR_INVALID in dockerd's words
 *
 * Return: 0 or negative errno
 */
int platform_parse(const char *text, struct platform *ret, struct err *err)
{
	char words[3][PLATFORM_WORD_MAX] = {};
	struct platform p = {}, n = {};
	size_t count = 0;

	for (const char *at = text;; count++) {
		size_t len = strcspn(at, "/");
		bool ok = count < 3 && len > 0 && len < PLATFORM_WORD_MAX;

		for (size_t i = 0; ok && i < len; i++)
			ok = isalnum((unsigned char)at[i]) || strchr("_-.()", at[i]);
		if (!ok)
			return err_user(err, ERR_INVALID,
					"\"%.100s\" is an invalid OS component of \"%.100s\": OS "
					"and architecture must be words: invalid argument",
					at, text);
		memcpy(words[count], at, len);
		at += len;
		if (!*at++)
			break;
	}
	if (count == 0) {
		int r = platform_parse_word(text, words[0], &p, err);

		if (r < 0)
			return r;
	} else {
		word_set(p.os, words[0]);
		word_set(p.architecture, words[1]);
		word_set(p.variant, words[2]);
	}
	platform_normalise(&p, &n);
	if (count == 2 && str_eq(n.architecture, "arm64") && !*n.variant)
		word_set(n.variant, "v8"); /* who spells it out gets it spelled out */
	*ret = n;
	return 0;
}

/**
 * platform_of_image() - What an image says that it needs
 * @image: Image
 * @ret:   Its words; "" where it says nothing
 */
void platform_of_image(const struct image *image, struct platform *ret)
{
	*ret = (struct platform){};
	(void)snprintf(ret->os, PLATFORM_WORD_MAX, "%s", image->os ? image->os : "");
	(void)snprintf(ret->architecture, PLATFORM_WORD_MAX, "%s",
		       image->architecture ? image->architecture : "");
	(void)snprintf(ret->variant, PLATFORM_WORD_MAX, "%s", image->variant ? image->variant : "");
}

/* The level of x86-64 as the psABI counts them, which is what containerd calls the variant. */
static const char *host_variant(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512vl"))
		return "v4";
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
	    __builtin_cpu_supports("fma"))
		return "v3";
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
		return "v2";
	return "";
#elif defined(__aarch64__)
	return "v8";
#else
	return "";
#endif
}

/**
 * platform_of_host() - This machine
 * @ret: Its words
 */
void platform_of_host(struct platform *ret)
{
	*ret = (struct platform){.os = "linux"};
	word_set(ret->architecture, oci_host_architecture());
	word_set(ret->variant, host_variant());
}

/**
 * platform_format() - As people read it
 * @p:	 Platform
 * @ret: Text
 */
void platform_format(const struct platform *p, char ret[static PLATFORM_TEXT_MAX])
{
	(void)snprintf(ret, PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os, p->architecture,
		       *p->variant ? "/" : "", p->variant);
}

/**
 * platform_fits() - Whether an image is what was asked for
 * @wanted: What was asked for
 * @have:   Of the image; what it does not say fits all
 *
 * Return: the answer
 */
bool platform_fits(const struct platform *wanted, const struct platform *have)
{
	struct platform w, h;

	platform_normalise(wanted, &w);
	platform_normalise(have, &h);
	if (*have->os && !str_eq(w.os, h.os))
		return false;
	if (*have->architecture && !str_eq(w.architecture, h.architecture))
		return false;
	return str_eq(w.variant, h.variant) || !*have->variant;
}

/**
 * platform_runs_here() - Whether this machine's processor runs it
 * @p: Platform of an image
 *
 * A level of x86-64 above this processor's is not asked for: dockerd does not either.
 *
 * Return: the answer
 */
bool platform_runs_here(const struct platform *p)
{
	struct platform n;

	platform_normalise(p, &n);
	if (*n.os && !str_eq(n.os, "linux"))
		return false;
	if (!*n.architecture || str_eq(n.architecture, oci_host_architecture()))
		return true;
	/* the guest's kernel runs the 32 bit programs of its own processor */
	return str_eq(n.architecture, "386") && str_eq(oci_host_architecture(), "amd64");
}

/**
 * platform_check_image() - Refuse an image that is of another platform
 * @wanted: What was asked for
 * @image:  Image
 * @ref:    What it was called
 * @err:    ERR_NOT_FOUND in dockerd's words
 *
 * Return: 0 or negative errno
 */
int platform_check_image(const struct platform *wanted, const struct image *image, const char *ref,
			 struct err *err)
{
	char have_text[PLATFORM_TEXT_MAX], wanted_text[PLATFORM_TEXT_MAX];
	struct platform have;

	platform_of_image(image, &have);
	if (platform_fits(wanted, &have))
		return 0;
	platform_format(&have, have_text);
	platform_format(wanted, wanted_text);
	return err_user(
		err, ERR_NOT_FOUND,
		"image with reference %.300s was found but its platform (%s) does not match "
		"the specified platform (%s)",
		ref, have_text, wanted_text);
}
