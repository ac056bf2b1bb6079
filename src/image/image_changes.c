/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_changes.c - Dockerfile instructions applied to an image's config
 *
 * For `docker import --change` and `docker commit --change`: the instructions that only touch the
 * config. The texts are joined and read as the lines of a Dockerfile (comments, continuations); a
 * table maps each instruction to a function over the rest of its line. Words are image_words.c's.
 * All texts come from API clients.
 */
#include "image/image_changes.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "image/image_words.h"

#define CHANGE_BYTES_MAX 65536
#define CHANGE_PORTS_MAX 65536

struct change {
	json_t *config;	   /* borrowed: the "config" object of an image */
	const json_t *env; /* borrowed: its variables before this instruction */
	bool cmd_set;	   /* by an instruction before this one */
};

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static int need_argument(const char *name, struct err *err)
{
	return err_user(err, ERR_INVALID, "%s requires at least one argument", name);
}

/* ["a", 1]: neither a list of words nor a text */
static int check_json_form(const char *rest, struct err *err)
{
	json_t *array = *rest == '[' ? json_loads(rest, 0, NULL) : NULL, *entry;
	bool strings = true;
	size_t i;

	if (json_is_array(array))
		json_array_foreach (array, i, entry)
			strings &= json_is_string(entry);
	json_decref(array);
	if (strings)
		return 0;
	return err_user(err, ERR_INVALID,
			"when using JSON array syntax, arrays must be comprised of strings only");
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

	if (*rest && json_array_append_new(argv, json_string(rest)) < 0) {
		json_decref(argv);
		return NULL;
	}
	return argv;
}

static int set_new(json_t *config, const char *key, json_t *value, struct err *err)
{
	return json_object_set_new(config, key, value) < 0 ? err_oom(err) : 0;
}

static int change_cmd(struct change *c, const char *rest, struct err *err)
{
	json_t *argv = json_form(rest);
	int r = check_json_form(rest, err);

	if (r < 0)
		return r;
	c->cmd_set = true;
	return set_new(c->config, "Cmd", argv ? argv : shell_form(c->config, rest), err);
}

static int change_entrypoint(struct change *c, const char *rest, struct err *err)
{
	json_t *argv = json_form(rest);
	int r = check_json_form(rest, err);

	if (r < 0)
		return r;
	/* as in a Dockerfile, an entrypoint of one's own drops the inherited command */
	if (!c->cmd_set)
		(void)json_object_del(c->config, "Cmd");
	if (!*rest)
		argv = json_null();
	return set_new(c->config, "Entrypoint", argv ? argv : shell_form(c->config, rest), err);
}

/* What a word or a whole line says, variables taken from the config's Env */
static int expand(const struct change *c, const char *text, char **ret, struct err *err)
{
	return image_word_expand(text, c->env, ret, err);
}

typedef int (*pair_fn)(json_t *config, const char *name, const char *value);

static int add_pair(struct change *c, const char *key, const char *value, const char *name,
		    pair_fn fn, struct err *err)
{
	_cleanup_free_ char *k = NULL, *v = NULL;
	int r = expand(c, key, &k, err);

	if (r == 0)
		r = expand(c, value, &v, err);
	if (r < 0)
		return r;
	if (!*k)
		return err_user(err, ERR_INVALID, "%s names can not be blank", name);
	return fn(c->config, k, v) < 0 ? err_oom(err) : 0;
}

/* "a=b c='d e'", or the old "a the rest" */
static int each_pair(struct change *c, const char *rest, const char *name, pair_fn fn,
		     struct err *err)
{
	_cleanup_free_ char *first = NULL;
	const char *at = rest;
	int r = image_word_next(&at, &first);

	if (r < 0)
		return err_oom(err);
	if (!strchr(first, '=')) {
		at = skip_blanks(at);
		if (!*at)
			return err_user(err, ERR_INVALID, "%s must have two arguments", name);
		return add_pair(c, first, at, name, fn, err);
	}
	for (;;) {
		_cleanup_free_ char *word = NULL;
		char *equals;

		if (image_word_next(&rest, &word) < 0)
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
		*equals = '\0';
		r = add_pair(c, word, equals + 1, name, fn, err);
		if (r < 0)
			return r;
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

static int change_env(struct change *c, const char *rest, struct err *err)
{
	return each_pair(c, rest, "ENV", pair_env, err);
}

static int change_label(struct change *c, const char *rest, struct err *err)
{
	return each_pair(c, rest, "LABEL", pair_label, err);
}

/* "80", "80/udp", "8000-8010/tcp"; what is before a colon is for those who publish it */
static int expose(json_t *config, const char *word, struct err *err)
{
	json_t *ports = sub_value(config, "ExposedPorts", json_object);
	const char *colon = strrchr(word, ':'), *slash, *protocol;
	_cleanup_free_ char *range = NULL;
	uint64_t from, to;
	char *dash;

	word = colon ? colon + 1 : word;
	slash = strchr(word, '/');
	protocol = slash ? slash + 1 : "tcp";
	range = strndup(word, slash ? (size_t)(slash - word) : strlen(word));
	if (!range)
		return err_oom(err);
	dash = strchr(range, '-');
	if (dash)
		*dash = '\0';
	if (str_u64(range, 65535, &from) < 0 || str_u64(dash ? dash + 1 : range, 65535, &to) < 0 ||
	    to < from)
		return err_user(err, ERR_INVALID, "Invalid containerPort: %.*s",
				(int)MIN(strcspn(word, "/"), (size_t)60), word);
	if (strcasecmp(protocol, "tcp") != 0 && strcasecmp(protocol, "udp") != 0 &&
	    strcasecmp(protocol, "sctp") != 0)
		return err_user(err, ERR_INVALID, "Invalid proto: %.60s", protocol);
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

static int change_expose(struct change *c, const char *rest, struct err *err)
{
	for (;;) {
		_cleanup_free_ char *word = NULL, *text = NULL;
		int r = image_word_next(&rest, &word);

		if (r < 0)
			return err_oom(err);
		if (!word)
			return 0;
		r = expand(c, word, &text, err);
		if (r == 0)
			r = expose(c->config, text, err);
		if (r < 0)
			return r;
	}
}

static int add_volume(struct change *c, const char *word, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = expand(c, word, &path, err);

	if (r < 0)
		return r;
	if (!*path)
		return err_user(err, ERR_INVALID, "VOLUME specified can not be an empty string");
	return json_object_set_new(sub_value(c->config, "Volumes", json_object), path,
				   json_object()) < 0
		       ? err_oom(err)
		       : 0;
}

static int change_volume(struct change *c, const char *rest, struct err *err)
{
	_cleanup_(json_decrefp) json_t *array = json_form(rest);
	json_t *entry;
	size_t i;
	int r = check_json_form(rest, err);

	if (r < 0)
		return r;
	if (array && !json_array_size(array))
		return need_argument("VOLUME", err);
	json_array_foreach (array, i, entry)
		if (r == 0)
			r = add_volume(c, json_string_value(entry), err);
	while (!array && r == 0) {
		_cleanup_free_ char *word = NULL;

		if (image_word_next(&rest, &word) < 0)
			return err_oom(err);
		if (!word)
			break;
		r = add_volume(c, word, err);
	}
	return r;
}

static int change_user(struct change *c, const char *rest, struct err *err)
{
	_cleanup_free_ char *user = NULL;
	int r = expand(c, rest, &user, err);

	return r < 0 ? r : set_new(c->config, "User", json_string(user), err);
}

static bool signal_known(const char *text)
{
	uint64_t number;

	if (str_u64(text, INT32_MAX, &number) == 0)
		return number > 0;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < 32; i++)
		if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), text) == 0)
			return true;
	return strncasecmp(text, "RTMIN", 5) == 0 || strncasecmp(text, "RTMAX", 5) == 0;
}

static int change_stopsignal(struct change *c, const char *rest, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	int r = expand(c, rest, &name, err);

	if (r < 0)
		return r;
	if (!signal_known(name))
		return err_user(err, ERR_INVALID, "invalid signal: %.60s", name);
	return set_new(c->config, "StopSignal", json_string(name), err);
}

/* "/a/../b/" -> "/b", in place; it begins with a slash */
static void clean_path(char *path)
{
	size_t len = 0, n;

	for (const char *at = path; *at; at += n) {
		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n == 0 || (n == 1 && at[0] == '.'))
			continue;
		if (n == 2 && at[0] == '.' && at[1] == '.') {
			while (len && path[--len] != '/')
				;
			continue;
		}
		path[len++] = '/'; /* never beyond where it is read */
		memmove(path + len, at, n);
		len += n;
	}
	if (!len)
		path[len++] = '/';
	path[len] = '\0';
}

static int change_workdir(struct change *c, const char *rest, struct err *err)
{
	const char *old = json_string_value(json_object_get(c->config, "WorkingDir"));
	_cleanup_free_ char *path = NULL, *given = NULL;
	int r = expand(c, rest, &given, err);

	if (r < 0)
		return r;
	path = str_format("%s/%s", *given == '/' || str_empty(old) ? "" : old, given);
	if (!path)
		return err_oom(err);
	clean_path(path);
	return set_new(c->config, "WorkingDir", json_string(path), err);
}

static int change_onbuild(struct change *c, const char *rest, struct err *err)
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
	return json_array_append_new(sub_value(c->config, "OnBuild", json_array),
				     json_string(rest)) < 0
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

static int health_duration(json_t *health, const char *key, const char *name, const char *text,
			   struct err *err)
{
	int64_t ns;

	if (parse_duration(text, &ns) < 0)
		return err_user(err, ERR_INVALID, "time: invalid duration \"%.60s\"", text);
	if (ns != 0 && ns < 1000000)
		return err_user(err, ERR_INVALID, "Interval \"%s\" cannot be less than 1ms", name);
	return ns ? set_new(health, key, json_integer(ns), err) : 0;
}

static int health_flag(json_t *health, const char *word, struct err *err)
{
	static const struct {
		const char *name, *key;
	} flags[] = {{"interval", "Interval"},
		     {"timeout", "Timeout"},
		     {"start-period", "StartPeriod"},
		     {"start-interval", "StartInterval"}};
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : "";
	int64_t retries;

	if (len == strlen("--retries") && str_starts(word, "--retries=")) {
		if (str_i64(value, &retries) < 0 || retries > INT32_MAX)
			return err_user(err, ERR_INVALID,
					"strconv.ParseInt: parsing \"%.60s\": invalid syntax",
					value);
		if (retries < 0)
			return err_user(err, ERR_INVALID, "--retries cannot be negative (%lld)",
					(long long)retries);
		return retries ? set_new(health, "Retries", json_integer(retries), err) : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (strlen(flags[i].name) + 2 == len && word[len] &&
		    strncmp(word + 2, flags[i].name, len - 2) == 0)
			return health_duration(health, flags[i].key, flags[i].name, value, err);
	return err_user(err, ERR_INVALID, "unknown flag: %.*s", (int)MIN(len, (size_t)60), word);
}

/* "NONE", "CMD [...]", "CMD text" */
static int health_test(const char *rest, json_t *health, struct err *err)
{
	size_t len = strcspn(rest, " \t");
	const char *command = skip_blanks(rest + len);
	char type[61];
	json_t *test;

	for (size_t i = 0; i <= MIN(len, sizeof(type) - 1); i++)
		type[i] = i < MIN(len, sizeof(type) - 1) ? (char)toupper((unsigned char)rest[i])
							 : '\0';
	if (str_eq(type, "NONE")) {
		if (*command)
			return err_user(err, ERR_INVALID, "HEALTHCHECK NONE takes no arguments");
		(void)json_object_clear(health);
		test = json_pack("[s]", "NONE");
	} else if (str_eq(type, "CMD")) {
		if (!*command)
			return err_user(err, ERR_INVALID, "Missing command after HEALTHCHECK CMD");
		test = json_form(command);
		if (test)
			(void)json_array_insert_new(test, 0, json_string("CMD"));
		else
			test = json_pack("[s, s]", "CMD-SHELL", command);
	} else {
		return err_user(err, ERR_INVALID, "Unknown type \"%s\" in HEALTHCHECK (try CMD)",
				type);
	}
	return set_new(health, "Test", test, err);
}

static int change_healthcheck(struct change *c, const char *rest, struct err *err)
{
	_cleanup_(json_decrefp) json_t *health = json_object();
	int r = 0;

	while (str_starts(rest, "--") && r == 0) {
		_cleanup_free_ char *word = NULL;

		if (image_word_next(&rest, &word) < 0)
			return err_oom(err);
		r = health_flag(health, word, err);
		rest = skip_blanks(rest);
	}
	if (r == 0)
		r = health_test(rest, health, err);
	return r < 0 ? r : set_new(c->config, "Healthcheck", json_incref(health), err);
}

enum arguments { ARGS_ANY, ARGS_SOME, ARGS_ONE };

static const struct {
	const char *name;
	enum arguments arguments;
	int (*apply)(struct change *c, const char *rest, struct err *err);
} instructions[] = {
	{"CMD", ARGS_ANY, change_cmd},
	{"ENTRYPOINT", ARGS_ANY, change_entrypoint},
	{"ENV", ARGS_SOME, change_env},
	{"EXPOSE", ARGS_SOME, change_expose},
	{"HEALTHCHECK", ARGS_SOME, change_healthcheck},
	{"LABEL", ARGS_SOME, change_label},
	{"ONBUILD", ARGS_SOME, change_onbuild},
	{"STOPSIGNAL", ARGS_ONE, change_stopsignal},
	{"USER", ARGS_ONE, change_user},
	{"VOLUME", ARGS_SOME, change_volume},
	{"WORKDIR", ARGS_ONE, change_workdir},
};

static int change_apply(struct change *c, const char *line, struct err *err)
{
	_cleanup_(json_decrefp) json_t *env = NULL;
	size_t len = strcspn(line, " \t\r\n");
	const char *rest = skip_blanks(line + len);

	/* a line sees the variables as they were before it */
	env = json_copy(json_object_get(c->config, "Env"));
	c->env = env;
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (strlen(instructions[i].name) != len ||
		    strncasecmp(instructions[i].name, line, len) != 0)
			continue;
		if (!*rest && instructions[i].arguments == ARGS_ONE)
			return err_user(err, ERR_INVALID, "%s requires exactly one argument",
					instructions[i].name);
		if (!*rest && instructions[i].arguments == ARGS_SOME)
			return need_argument(instructions[i].name, err);
		return instructions[i].apply(c, rest, err);
	}
	return err_user(err, ERR_INVALID, "%.*s is not a valid change command",
			(int)MIN(len, (size_t)60), line);
}

/* The next instruction of a Dockerfile, continued lines joined, blank ends cut; false at the end */
static bool next_line(const char **at, struct buf *line)
{
	bool more = true;

	buf_consume(line, line->len);
	while (**at && more) {
		size_t len = strcspn(*at, "\n"), end = len;
		const char *text = *at;

		*at += len + (text[len] == '\n');
		while (end && isspace((unsigned char)text[end - 1]))
			end--;
		if (end == 0 || *skip_blanks(text) == '#')
			continue; /* also between continued lines */
		more = text[end - 1] == '\\';
		buf_add(line, text, end - more);
	}
	while (line->len && isspace((unsigned char)line->data[line->len - 1]))
		line->len--;
	buf_add(line, "", 1);
	return line->len > 1;
}

/**
 * image_changes_apply() - Apply instructions in order
 * @config:  The "config" object of an image; half-changed on failure
 * @changes: Lines of a Dockerfile, which may go on in the next text
 * @n:	     Number of texts
 * @err:     ERR_INVALID
 *
 * Return: 0 or negative errno
 */
int image_changes_apply(json_t *config, const char *const *changes, size_t n, struct err *err)
{
	_cleanup_buf_ struct buf all = {}, line = {};
	struct change c = {.config = config};
	bool found = false;
	const char *at;
	int r;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (strlen(changes[i]) > CHANGE_BYTES_MAX || !json_is_object(config))
			return err_user(err, ERR_INVALID, "invalid change");
		buf_adds(&all, changes[i]);
		buf_adds(&all, "\n");
	}
	buf_add(&all, "", 1);
	if (all.failed)
		return err_oom(err);
	for (at = all.data; next_line(&at, &line);) {
		if (line.failed)
			return err_oom(err);
		found = true;
		r = change_apply(&c, skip_blanks(line.data), err);
		if (r < 0)
			return r;
	}
	return found ? 0 : err_user(err, ERR_INVALID, "file with no instructions");
}
