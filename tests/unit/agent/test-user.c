/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "test.h"

TEST_MAIN()

static const char passwd[] = "# comment\n"
			     "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "www:x:33:44::/var/www:/bin/sh\n"
			     "1234:x:50:51::/digits:/bin/sh\n"
			     "nohome:x:60:61:::\n"
			     "huge:x:99999999999:1::/:\n"
			     "last:x:70:71::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "adm:x:4:root,www\n"
			    "www:x:44:www\n"
			    "staff:x:50:other, www\n"
			    "77:x:78:\n"
			    "broken\n";

static struct user user;
static struct err err;

static int lookup(const char *spec)
{
	memset(&user, 0, sizeof(user));
	memset(&err, 0, sizeof(err));
	return user_lookup(spec, NULL, 0, passwd, strlen(passwd), group, strlen(group), &user,
			   &err);
}

/* Goal: no user at all is root, with root's groups and home. */
TEST(user_empty_is_root)
{
	ASSERT_OK(lookup(""));
	ASSERT_EQ(user.uid, 0);
	ASSERT_EQ(user.gid, 0);
	ASSERT_EQ(user.n_groups, 2);
	ASSERT_EQ(user.groups[1], 4);
	ASSERT_STREQ(user.home, "/root");
}

/* Goal: names bring their group, their further groups and their home. */
TEST(user_by_name)
{
	ASSERT_OK(lookup("www"));
	ASSERT_EQ(user.uid, 33);
	ASSERT_EQ(user.gid, 44);
	ASSERT_EQ(user.n_groups, 2);
	ASSERT_EQ(user.groups[0], 44);
	ASSERT_EQ(user.groups[1], 4);
	ASSERT_STREQ(user.home, "/var/www");
	ASSERT_OK(lookup("last"));
	ASSERT_EQ(user.gid, 71);
	ASSERT_OK(lookup("nohome"));
	ASSERT_STREQ(user.home, "/");
}

/* Goal: numbers are numbers, known or not, even where a name looks like one. */
TEST(user_by_number)
{
	ASSERT_OK(lookup("33"));
	ASSERT_EQ(user.gid, 44);
	ASSERT_STREQ(user.home, "/var/www");
	ASSERT_OK(lookup("1234"));
	ASSERT_EQ(user.uid, 1234);
	ASSERT_EQ(user.gid, 0);
	ASSERT_STREQ(user.home, "/");
	ASSERT_EQ(user.n_groups, 1);
}

/* Goal: a group that is named wins, and leaves the user's own groups out. */
TEST(user_with_group)
{
	ASSERT_OK(lookup("www:adm"));
	ASSERT_EQ(user.uid, 33);
	ASSERT_EQ(user.gid, 4);
	ASSERT_EQ(user.n_groups, 1);
	ASSERT_OK(lookup("5:6"));
	ASSERT_EQ(user.uid, 5);
	ASSERT_EQ(user.gid, 6);
	ASSERT_OK(lookup("www:"));
	ASSERT_EQ(user.gid, 44);
	ASSERT_OK(lookup(":adm"));
	ASSERT_EQ(user.uid, 0);
	ASSERT_EQ(user.gid, 4);
}

/* Goal: refusals in runc's words. */
TEST(user_refusals)
{
	ASSERT(lookup("foo") < 0);
	ASSERT_STREQ(err.msg, "unable to find user foo: no matching entries in passwd file");
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT(lookup("www:bar") < 0);
	ASSERT_STREQ(err.msg, "unable to find group bar: no matching entries in group file");
	ASSERT(lookup("2147483648") < 0);
	ASSERT_STREQ(err.msg, "uids and gids must be in range 0-2147483647");
	ASSERT(lookup("-1") < 0);
	ASSERT(lookup("huge") < 0);
	ASSERT(lookup("broken line") < 0);
	ASSERT(lookup("#") < 0);
}

/* Goal: --group-add takes names and numbers, and adds none twice. */
TEST(user_additional_groups)
{
	const char *const add[] = {"adm", "500", "44", "77"};
	const char *const bad[] = {"nope"};

	ASSERT_OK(user_lookup("www", add, 4, passwd, strlen(passwd), group, strlen(group), &user,
			      &err));
	ASSERT_EQ(user.n_groups, 4);
	ASSERT_EQ(user.groups[2], 500);
	ASSERT_EQ(user.groups[3], 78);
	ASSERT(user_lookup("www", bad, 1, passwd, strlen(passwd), group, strlen(group), &user,
			   &err) < 0);
}

/* Goal: files made to hurt: NULs, no newline, endless lines, thousands of groups. */
TEST(user_survives_hostile_files)
{
	static const char nul[] = "www\0:x:1:1::/:\nwww:x:7\0:7::/:\nwww:x:8:8::/a\0b:\n";
	_cleanup_free_ char *many = malloc(4 << 20);
	size_t n = 0;

	ASSERT_OK(user_lookup("www", NULL, 0, nul, sizeof(nul) - 1, "", 0, &user, &err));
	ASSERT_EQ(user.uid, 8);
	ASSERT_STREQ(user.home, "/");
	memset(many, 'a', 1 << 20);
	ASSERT(user_lookup("www", NULL, 0, many, 1 << 20, many, 1 << 20, &user, &err) < 0);
	memset(many, ':', 1 << 20);
	ASSERT(user_lookup("www", NULL, 0, many, 1 << 20, many, 1 << 20, &user, &err) < 0);
	for (int i = 0; i < 5000; i++)
		n += (size_t)sprintf(many + n, "g%d:x:%d:root\n", i, i + 1);
	ASSERT_OK(user_lookup("", NULL, 0, passwd, strlen(passwd), many, n, &user, &err));
	ASSERT_EQ(user.n_groups, USER_GROUPS_MAX);
	ASSERT_OK(user_lookup("", NULL, 0, "", 0, "", 0, &user, &err));
	ASSERT_EQ(user.uid, 0);
	ASSERT_STREQ(user.home, "/");
}
