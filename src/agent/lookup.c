/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.c - find the program a process names, with runc's words when it is not there
 *
 * Runs in the child after it became the container's user, so a program that only root may execute
 * is refused here and not by execve.
 */
#include "agent/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/words.h"
#include "base/cleanup.h"
#include "base/str.h"

/* Return: 0 if it may be executed, or negative errno; *ret_op names the call for the message */
static int lookup_check(const char *path, const char **ret_op)
{
	struct stat st;

	*ret_op = "stat";
	if (stat(path, &st) < 0)
		return -errno;
	*ret_op = NULL;
	if (S_ISDIR(st.st_mode))
		return -EACCES; /* as runc says it */
	if (!(st.st_mode & 0111) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return -EACCES;
	return 0;
}

static int lookup_plain(const char *name, char **ret_path, struct err *err)
{
	const char *op;
	int r = lookup_check(name, &op);
	enum err_kind kind = r == -ENOENT || r == -ENOTDIR ? ERR_NOT_FOUND : ERR_FORBIDDEN;
	char *path;

	if (r < 0 && op)
		return err_user(err, kind, "exec: \"%s\": %s %s: %s", name, op, name,
				words_errno(r));
	if (r < 0)
		return err_user(err, kind, "exec: \"%s\": %s", name, words_errno(r));
	path = strdup(name);
	if (!path)
		return err_oom(err);
	*ret_path = path;
	return 0;
}

static const char *lookup_path_variable(char *const *env)
{
	for (; env && *env; env++) {
		if (str_starts(*env, "PATH="))
			return *env + strlen("PATH=");
	}
	return "";
}

/**
 * lookup_program() - Find a program
 * @name:     args[0]: a path if it has a slash, else looked for in PATH
 * @env:      NULL-terminated; PATH is taken from here
 * @ret_path: Heap string, owned by the caller; set on success
 * @err:      ERR_NOT_FOUND or ERR_FORBIDDEN, in runc's words
 *
 * Return: 0 or negative errno
 */
int lookup_program(const char *name, char *const *env, char **ret_path, struct err *err)
{
	const char *dir = lookup_path_variable(env), *op;

	if (strchr(name, '/'))
		return lookup_plain(name, ret_path, err);
	while (*name && *dir) {
		size_t len = strcspn(dir, ":");
		_cleanup_free_ char *path = NULL;

		path = len ? str_format("%.*s/%s", (int)len, dir, name) : str_format("./%s", name);
		if (!path)
			return err_oom(err);
		if (lookup_check(path, &op) == 0) {
			*ret_path = TAKE_PTR(path);
			return 0;
		}
		dir += len + (dir[len] == ':');
	}
	return err_user(err, ERR_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH",
			name);
}
