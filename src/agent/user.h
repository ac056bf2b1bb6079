/* SPDX-License-Identifier: Apache-2.0 */
/* user.h - "name:group" to numbers, from the container's own passwd and group files */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define USER_GROUPS_MAX 1024
#define USER_FILE_BYTES_MAX (4 * 1024 * 1024)
#define USER_HOME_MAX 4096

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX]; /* gid first */
	size_t n_groups;
	char home[USER_HOME_MAX];
};

int user_lookup(const char *spec, const char *const *add_groups, size_t n_add, const char *passwd,
		size_t passwd_len, const char *group, size_t group_len, struct user *ret_user,
		struct err *err);
int user_load(const char *spec, char *const *add_groups, size_t n_add, struct user *ret_user,
	      struct err *err);
