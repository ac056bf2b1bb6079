/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.c - "name:group" to numbers, from the container's own passwd and group files
 *
 * Runs in the child, inside the container's root. Both files are the image's, so hostile: any
 * bytes, NULs, endless lines. They are read only if they are regular files of at most
 * USER_FILE_BYTES_MAX, and parsed in place with explicit lengths. A malformed line matches nothing.
 */
#include "agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/words.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define USER_ID_MAX INT32_MAX

/* Bytes that need not end in NUL. */
struct user_text {
	const char *p;
	size_t len;
};

static bool user_text_eq(struct user_text t, const char *s)
{
	return strlen(s) == t.len && memcmp(t.p, s, t.len) == 0;
}

/* Cut @from at @sep: the part before it is returned, the rest stays in @from (empty at the end). */
static struct user_text user_cut(struct user_text *from, char sep)
{
	const char *at = from->len ? memchr(from->p, sep, from->len) : NULL;
	struct user_text head = {from->p, at ? (size_t)(at - from->p) : from->len};

	from->p += head.len + (at ? 1 : 0);
	from->len -= head.len + (at ? 1 : 0);
	return head;
}

static int user_text_id(struct user_text t, int64_t *ret_id)
{
	char digits[24];

	if (!t.len || t.len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, t.p, t.len);
	digits[t.len] = '\0';
	if (strlen(digits) != t.len)
		return -EINVAL;
	return str_i64(digits, ret_id);
}

struct user_entry {
	struct user_text name, home;
	int64_t uid, gid;
};

/* name:password:uid:gid:gecos:home:shell; Return: false at the end of the file */
static bool user_next_passwd(struct user_text *file, struct user_entry *ret_entry)
{
	while (file->len) {
		struct user_text line = user_cut(file, '\n'), uid, gid;

		ret_entry->name = user_cut(&line, ':');
		(void)user_cut(&line, ':');
		uid = user_cut(&line, ':');
		gid = user_cut(&line, ':');
		(void)user_cut(&line, ':');
		ret_entry->home = user_cut(&line, ':');
		if (!ret_entry->name.len || ret_entry->name.p[0] == '#' ||
		    user_text_id(uid, &ret_entry->uid) < 0 ||
		    user_text_id(gid, &ret_entry->gid) < 0)
			continue;
		return true;
	}
	return false;
}

struct user_group {
	struct user_text name, members;
	int64_t gid;
};

/* name:password:gid:member,member; Return: false at the end of the file */
static bool user_next_group(struct user_text *file, struct user_group *ret_group)
{
	while (file->len) {
		struct user_text line = user_cut(file, '\n'), gid;

		ret_group->name = user_cut(&line, ':');
		(void)user_cut(&line, ':');
		gid = user_cut(&line, ':');
		ret_group->members = user_cut(&line, ':');
		if (!ret_group->name.len || ret_group->name.p[0] == '#' ||
		    user_text_id(gid, &ret_group->gid) < 0)
			continue;
		return true;
	}
	return false;
}

static bool user_is_member(struct user_text members, struct user_text name)
{
	while (members.len) {
		struct user_text m = user_cut(&members, ',');

		if (m.len && m.len == name.len && memcmp(m.p, name.p, m.len) == 0)
			return true;
	}
	return false;
}

static int user_check_id(int64_t id, struct err *err)
{
	if (id < 0 || id > USER_ID_MAX)
		return err_user(err, ERR_INVALID, "uids and gids must be in range 0-%d",
				USER_ID_MAX);
	return 0;
}

static void user_add_group(struct user *u, gid_t gid)
{
	for (size_t i = 0; i < u->n_groups; i++) {
		if (u->groups[i] == gid)
			return;
	}
	if (u->n_groups < USER_GROUPS_MAX)
		u->groups[u->n_groups++] = gid;
}

/* The passwd half: sets uid, gid, home and the name whose groups count. */
static int user_find(const char *name, struct user_text passwd, struct user *u,
		     struct user_text *ret_name, struct err *err)
{
	int64_t want = 0;
	bool numeric = !*name || str_i64(name, &want) == 0;
	struct user_entry e;
	int r;

	while (user_next_passwd(&passwd, &e)) {
		if (numeric ? e.uid != want : !user_text_eq(e.name, name))
			continue;
		r = user_check_id(e.uid, err);
		if (r == 0)
			r = user_check_id(e.gid, err);
		if (r < 0)
			return r;
		u->uid = (uid_t)e.uid;
		u->gid = (gid_t)e.gid;
		*ret_name = e.name;
		if (e.home.len && e.home.len < sizeof(u->home) &&
		    !memchr(e.home.p, 0, e.home.len)) {
			memcpy(u->home, e.home.p, e.home.len);
			u->home[e.home.len] = '\0';
		}
		return 0;
	}
	if (!numeric)
		return err_user(err, ERR_INVALID,
				"unable to find user %s: no matching entries in passwd file", name);
	r = user_check_id(want, err);
	if (r < 0)
		return r;
	u->uid = (uid_t)want;
	return 0;
}

/* One group by name or number. @strict: a name that also looks like a number may be a name. */
static int user_find_group(const char *name, struct user_text group, bool name_first,
			   gid_t *ret_gid, struct err *err)
{
	int64_t want = 0;
	bool numeric = str_i64(name, &want) == 0;
	struct user_group g;
	int r;

	while (user_next_group(&group, &g)) {
		bool hit = numeric && g.gid == want;

		if (!hit && (!numeric || name_first))
			hit = user_text_eq(g.name, name);
		if (!hit)
			continue;
		r = user_check_id(g.gid, err);
		if (r < 0)
			return r;
		*ret_gid = (gid_t)g.gid;
		return 0;
	}
	if (!numeric)
		return err_user(err, ERR_INVALID,
				"unable to find group %s: no matching entries in group file", name);
	r = user_check_id(want, err);
	if (r < 0)
		return r;
	*ret_gid = (gid_t)want;
	return 0;
}

/**
 * user_lookup() - Resolve a user as Docker does
 * @spec:	"", "uid", "name", "uid:gid", "name:group"
 * @add_groups: Further groups, names or numbers
 * @n_add:	How many
 * @passwd:	Contents of /etc/passwd, hostile
 * @passwd_len: Bytes
 * @group:	Contents of /etc/group, hostile
 * @group_len:	Bytes
 * @ret_user:	Filled on success
 * @err:	Filled on failure, in runc's words
 *
 * Return: 0 or negative errno
 */
int user_lookup(const char *spec, const char *const *add_groups, size_t n_add, const char *passwd,
		size_t passwd_len, const char *group, size_t group_len, struct user *ret_user,
		struct err *err)
{
	struct user_text passwd_text = {passwd, passwd_len}, group_text = {group, group_len};
	struct user_text name = {NULL, 0};
	_cleanup_free_ char *user_part = strdup(spec);
	_cleanup_free_ struct user *u = calloc(1, sizeof(*u));
	char *group_part;
	struct user_group g;
	gid_t gid;
	int r;

	if (!user_part || !u)
		return err_oom(err);
	strcpy(u->home, "/");
	group_part = strchr(user_part, ':');
	if (group_part) {
		*group_part++ = '\0';
		group_part[strcspn(group_part, ":")] = '\0';
	}
	r = user_find(user_part, passwd_text, u, &name, err);
	if (r < 0)
		return r;
	if (!str_empty(group_part)) {
		r = user_find_group(group_part, group_text, false, &u->gid, err);
		if (r < 0)
			return r;
	}
	user_add_group(u, u->gid);
	if (str_empty(group_part) && name.len) {
		struct user_text rest = group_text;

		while (user_next_group(&rest, &g)) {
			if (user_is_member(g.members, name) && g.gid >= 0 && g.gid <= USER_ID_MAX)
				user_add_group(u, (gid_t)g.gid);
		}
	}
	for (size_t i = 0; i < n_add; i++) {
		r = user_find_group(add_groups[i], group_text, true, &gid, err);
		if (r < 0)
			return r;
		user_add_group(u, gid);
	}
	*ret_user = *u;
	return 0;
}

/* A missing file is an empty one. */
static int user_read_file(const char *path, char **ret_data, size_t *ret_len)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *data = NULL;
	struct stat st;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > USER_FILE_BYTES_MAX)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	n = fs_read_full(fd, data, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	*ret_data = TAKE_PTR(data);
	*ret_len = (size_t)n;
	return 0;
}

/**
 * user_load() - user_lookup() with /etc/passwd and /etc/group of the current root
 * @spec:	"", "uid", "name", "uid:gid", "name:group"
 * @add_groups: Further groups
 * @n_add:	How many
 * @ret_user:	Filled on success
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int user_load(const char *spec, char *const *add_groups, size_t n_add, struct user *ret_user,
	      struct err *err)
{
	_cleanup_free_ char *passwd = NULL, *group = NULL;
	size_t passwd_len = 0, group_len = 0;
	int r;

	r = user_read_file("/etc/passwd", &passwd, &passwd_len);
	if (r < 0)
		return err_user(err, ERR_INVALID, "unable to find user %s: %s", spec,
				words_errno(r));
	r = user_read_file("/etc/group", &group, &group_len);
	if (r < 0)
		return err_user(err, ERR_INVALID, "unable to find groups for %s: %s", spec,
				words_errno(r));
	return user_lookup(spec, (const char *const *)add_groups, n_add, passwd ? passwd : "",
			   passwd_len, group ? group : "", group_len, ret_user, err);
}
