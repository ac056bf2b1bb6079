/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_changes.c - Dockerfile instructions applied to an image's config
 *
 * For `docker import --change` and `docker commit --change`: the instructions that only touch the
 * config, one a text, without variables. A table maps each to a function over the rest of its line.
 * All texts come from API clients.
 */
#include "image/image_changes.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"

#define CHANGE_BYTES_MAX 65536
#define CHANGE_PORTS_MAX 65536

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static int need_argument(const char *name, struct err *err)
{
	return err_user(err, ERR_INVALID, "%s requires at least one argument", name);
}

/* ["a", "b"]: the array; anything else: NULL */
static json_t *json_form(const char *rest)
{
	json_t *array = *rest == '[' ? json_loads(rest, 0, NULL) : NULL;
	json_t *entry;
	size_t i;

	if (!json_is_array(array)) {
		json_decref(array);
		return NULL;
	}
	json_array_foreach (array, i, entry) {
		if (!json_is_string(entry)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *shell_form(const json_t *config, const char *rest)
{
	const json_t *shell = json_object_get(config, "Shell");
	json_t *argv = json_array_size(shell) ? json_copy((json_t *)shell)
					      : json_pack("[s, s]", "/bin/sh", "-c");

	if (json_array_append_new(argv, json_string(rest)) < 0) {
		json_decref(argv);
		return NULL;
	}
	return argv;
}

static int set_new(json_t *config, const char *key, json_t *value, struct err *err)
{
	return json_object_set_new(config, key, value) < 0 ? err_oom(err) : 0;
}

static int change_cmd(json_t *config, const char *rest, struct err *err)
{
	json_t *argv = json_form(rest);

	return set_new(config, "Cmd", argv ? argv : shell_form(config, rest), err);
}

static int change_entrypoint(json_t *config, const char *rest, struct err *err)
{
	json_t *argv = json_form(rest);

	/* as in a Dockerfile, an entrypoint of one's own drops the inherited command */
	(void)json_object_del(config, "Cmd");
	return set_new(config, "Entrypoint", argv ? argv : shell_form(config, rest), err);
}

/* Next word, quotes and backslashes undone; NULL at the end. -EINVAL for an open quote. */
static int next_word(const char **at, char **ret)
{
	_cleanup_buf_ struct buf word = {};
	const char *s = skip_blanks(*at);
	char quote = 0;

	*ret = NULL;
	if (!*s)
		return 0;
	buf_add(&word, "", 0);
	for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
		if (quote ? *s == quote : *s == '"' || *s == '\'') {
			quote = quote ? 0 : *s;
			continue;
		}
		if (*s == '\\' && s[1] && quote != '\'' && (quote != '"' || strchr("\"\\$", s[1])))
			s++;
		buf_add(&word, s, 1);
	}
	if (quote)
		return -EINVAL;
	*at = s;
	*ret = word.len ? buf_steal(&word) : strdup("");
	return *ret ? 0 : -ENOMEM;
}

typedef int (*pair_fn)(json_t *config, const char *name, const char *value);

/* "a=b c='d e'", or the old "a the rest" */
static int each_pair(json_t *config, const char *rest, const char *name, pair_fn fn,
		     struct err *err)
{
	size_t first = strcspn(rest, " \t=");

	if (rest[first] != '=') {
		_cleanup_free_ char *key = strndup(rest, first);
		const char *value = skip_blanks(rest + first);

		if (!*value)
			return err_user(err, ERR_INVALID, "%s must have two arguments", name);
		return !key || fn(config, key, value) < 0 ? err_oom(err) : 0;
	}
	for (;;) {
		_cleanup_free_ char *word = NULL;
		char *equals;
		int r = next_word(&rest, &word);

		if (r == -EINVAL)
			return err_user(err, ERR_INVALID, "%s: unexpected end of statement", name);
		if (r < 0)
			return err_oom(err);
		if (!word)
			return 0;
		equals = strchr(word, '=');
		if (!equals)
			return err_user(
				err, ERR_INVALID,
				"Syntax error - can't find = in \"%.100s\". Must be of the form: "
				"name=value",
				word);
		if (equals == word)
			return err_user(err, ERR_INVALID, "%s names can not be blank", name);
		*equals = '\0';
		if (fn(config, word, equals + 1) < 0)
			return err_oom(err);
	}
}

static json_t *sub_value(json_t *config, const char *key, json_t *(*make)(void))
{
	json_t *value = json_object_get(config, key);

	if (value && !json_is_null(value))
		return value;
	(void)json_object_set_new(config, key, make()); /* the get below tells */
	return json_object_get(config, key);
}

static int pair_env(json_t *config, const char *name, const char *value)
{
	json_t *env = sub_value(config, "Env", json_array), *entry;
	_cleanup_free_ char *text = str_format("%s=%s", name, value);
	size_t i, len = strlen(name);

	if (!text)
		return -ENOMEM;
	json_array_foreach (env, i, entry) {
		const char *old = json_string_value(entry);

		if (old && strncmp(old, name, len) == 0 && old[len] == '=')
			return json_array_set_new(env, i, json_string(text));
	}
	return json_array_append_new(env, json_string(text));
}

static int pair_label(json_t *config, const char *name, const char *value)
{
	return json_object_set_new(sub_value(config, "Labels", json_object), name,
				   json_string(value));
}

static int change_env(json_t *config, const char *rest, struct err *err)
{
	return each_pair(config, rest, "ENV", pair_env, err);
}

static int change_label(json_t *config, const char *rest, struct err *err)
{
	return each_pair(config, rest, "LABEL", pair_label, err);
}

/* "80", "80/udp", "8000-8010/tcp" */
static int expose(json_t *config, const char *word, struct err *err)
{
	json_t *ports = sub_value(config, "ExposedPorts", json_object);
	const char *slash = strchr(word, '/'), *protocol = slash ? slash + 1 : "tcp";
	_cleanup_free_ char *range = strndup(word, slash ? (size_t)(slash - word) : strlen(word));
	uint64_t from, to;
	char *dash;

	if (!range)
		return err_oom(err);
	dash = strchr(range, '-');
	if (dash)
		*dash = '\0';
	if (str_u64(range, 65535, &from) < 0 || str_u64(dash ? dash + 1 : range, 65535, &to) < 0 ||
	    to < from)
		return err_user(err, ERR_INVALID, "invalid containerPort: %.60s", word);
	if (strcasecmp(protocol, "tcp") != 0 && strcasecmp(protocol, "udp") != 0 &&
	    strcasecmp(protocol, "sctp") != 0)
		return err_user(err, ERR_INVALID, "invalid proto: %.60s", protocol);
	for (uint64_t port = from; port <= to; port++) {
		char key[24];

		(void)snprintf(key, sizeof(key), "%u/%s", (unsigned int)port,
			       strcasecmp(protocol, "tcp") == 0	  ? "tcp"
			       : strcasecmp(protocol, "udp") == 0 ? "udp"
								  : "sctp");
		if (json_object_set_new(ports, key, json_object()) < 0)
			return err_oom(err);
	}
	return 0;
}

static int change_expose(json_t *config, const char *rest, struct err *err)
{
	for (;;) {
		_cleanup_free_ char *word = NULL;
		int r = next_word(&rest, &word);

		if (r < 0)
			return err_user(err, ERR_INVALID, "EXPOSE: unexpected end of statement");
		if (!word)
			return 0;
		r = expose(config, word, err);
		if (r < 0)
			return r;
	}
}

static int add_volume(json_t *config, const char *path, struct err *err)
{
	if (!*path)
		return err_user(err, ERR_INVALID, "VOLUME specified can not be an empty string");
	return json_object_set_new(sub_value(config, "Volumes", json_object), path, json_object()) <
			       0
		       ? err_oom(err)
		       : 0;
}

static int change_volume(json_t *config, const char *rest, struct err *err)
{
	_cleanup_(json_decrefp) json_t *array = json_form(rest);
	json_t *entry;
	size_t i;
	int r = 0;

	json_array_foreach (array, i, entry)
		if (r == 0)
			r = add_volume(config, json_string_value(entry), err);
	while (!array && r == 0) {
		_cleanup_free_ char *word = NULL;

		if (next_word(&rest, &word) < 0)
			return err_user(err, ERR_INVALID, "VOLUME: unexpected end of statement");
		if (!word)
			break;
		r = add_volume(config, word, err);
	}
	return r;
}

static int change_user(json_t *config, const char *rest, struct err *err)
{
	return set_new(config, "User", json_string(rest), err);
}

static int change_stopsignal(json_t *config, const char *rest, struct err *err)
{
	return set_new(config, "StopSignal", json_string(rest), err);
}

static int change_workdir(json_t *config, const char *rest, struct err *err)
{
	const char *old = json_string_value(json_object_get(config, "WorkingDir"));
	_cleanup_free_ char *path = NULL;

	if (*rest == '/')
		path = strdup(rest);
	else
		path = str_format("%s/%s", str_empty(old) || str_eq(old, "/") ? "" : old, rest);
	return path ? set_new(config, "WorkingDir", json_string(path), err) : err_oom(err);
}

static int change_onbuild(json_t *config, const char *rest, struct err *err)
{
	static const char *const refused[] = {"ONBUILD", "MAINTAINER", "FROM"};
	size_t len = strcspn(rest, " \t");

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (strncasecmp(rest, refused[i], len) == 0 && strlen(refused[i]) == len)
			return err_user(
				err, ERR_INVALID,
				i == 0 ? "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
				       : "%s isn't allowed as an ONBUILD trigger",
				refused[i]);
	return json_array_append_new(sub_value(config, "OnBuild", json_array), json_string(rest)) <
			       0
		       ? err_oom(err)
		       : 0;
}

/* Go's "1m30s", "500ms", "1.5h", in nanoseconds */
static int parse_duration(const char *s, int64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double total = 0;

	if (!*s)
		return -EINVAL;
	while (*s) {
		char *end;
		double v;
		size_t i, len;

		if (!isdigit((unsigned char)*s) && *s != '.')
			return -EINVAL;
		v = strtod(s, &end);
		len = strspn(end, "nsumh");
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (strlen(units[i].unit) == len && strncmp(end, units[i].unit, len) == 0)
				break;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		total += v * units[i].ns;
		s = end + len;
	}
	if (!(total < 9e18))
		return -EINVAL;
	*ret_ns = (int64_t)total;
	return 0;
}

static int health_flag(json_t *health, const char *word, struct err *err)
{
	static const struct {
		const char *flag, *key;
	} flags[] = {{"--interval=", "Interval"},
		     {"--timeout=", "Timeout"},
		     {"--start-period=", "StartPeriod"},
		     {"--start-interval=", "StartInterval"}};
	uint64_t retries;
	int64_t ns;

	if (str_starts(word, "--retries=")) {
		if (str_u64(word + strlen("--retries="), 1000000, &retries) < 0)
			return err_user(err, ERR_INVALID, "invalid --retries: %.60s", word);
		return set_new(health, "Retries", json_integer((json_int_t)retries), err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!str_starts(word, flags[i].flag))
			continue;
		if (parse_duration(word + strlen(flags[i].flag), &ns) < 0 ||
		    (ns != 0 && ns < 1000000))
			return err_user(err, ERR_INVALID, "Interval %.60s cannot be less than 1ms",
					word);
		return set_new(health, flags[i].key, json_integer(ns), err);
	}
	return err_user(err, ERR_INVALID, "unknown flag: %.60s", word);
}

static int change_healthcheck(json_t *config, const char *rest, struct err *err)
{
	_cleanup_(json_decrefp) json_t *health = json_object();
	json_t *test;
	size_t len;

	while (str_starts(rest, "--")) {
		_cleanup_free_ char *word = NULL;
		int r;

		if (next_word(&rest, &word) < 0)
			return err_user(err, ERR_INVALID, "HEALTHCHECK: unexpected end");
		r = health_flag(health, word, err);
		if (r < 0)
			return r;
		rest = skip_blanks(rest);
	}
	len = strcspn(rest, " \t");
	if (len == 4 && strncasecmp(rest, "NONE", 4) == 0) {
		test = json_pack("[s]", "NONE");
	} else if (len == 3 && strncasecmp(rest, "CMD", 3) == 0 && *skip_blanks(rest + 3)) {
		rest = skip_blanks(rest + 3);
		test = json_form(rest);
		if (test)
			(void)json_array_insert_new(test, 0, json_string("CMD"));
		else
			test = json_pack("[s, s]", "CMD-SHELL", rest);
	} else {
		return err_user(err, ERR_INVALID, "Unknown type \"%.60s\" in HEALTHCHECK (try CMD)",
				rest);
	}
	if (json_object_set_new(health, "Test", test) < 0)
		return err_oom(err);
	return set_new(config, "Healthcheck", json_incref(health), err);
}

static const struct {
	const char *name;
	int (*apply)(json_t *config, const char *rest, struct err *err);
} instructions[] = {
	{"CMD", change_cmd},	     {"ENTRYPOINT", change_entrypoint},	  {"ENV", change_env},
	{"EXPOSE", change_expose},   {"HEALTHCHECK", change_healthcheck}, {"LABEL", change_label},
	{"ONBUILD", change_onbuild}, {"STOPSIGNAL", change_stopsignal},	  {"USER", change_user},
	{"VOLUME", change_volume},   {"WORKDIR", change_workdir},
};

static int change_apply(json_t *config, const char *text, struct err *err)
{
	const char *line = skip_blanks(text), *rest;
	_cleanup_free_ char *trimmed = NULL;
	size_t len = strcspn(line, " \t\r\n"), end;

	if (strlen(text) > CHANGE_BYTES_MAX || !json_is_object(config))
		return err_user(err, ERR_INVALID, "invalid change");
	rest = skip_blanks(line + len);
	for (end = strlen(rest); end && isspace((unsigned char)rest[end - 1]); end--)
		;
	trimmed = strndup(rest, end);
	if (!trimmed)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (strlen(instructions[i].name) != len ||
		    strncasecmp(instructions[i].name, line, len) != 0)
			continue;
		if (!*trimmed)
			return need_argument(instructions[i].name, err);
		return instructions[i].apply(config, trimmed, err);
	}
	return err_user(err, ERR_INVALID, "%.*s is not a valid change command",
			(int)MIN(len, (size_t)60), line);
}

/**
 * image_changes_apply() - Apply instructions in order
 * @config:  The "config" object of an image; half-changed on failure
 * @changes: One instruction each; blank ones are passed over
 * @n:	     Their number
 * @err:     ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int image_changes_apply(json_t *config, const char *const *changes, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = *skip_blanks(changes[i]) ? change_apply(config, changes[i], err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}
