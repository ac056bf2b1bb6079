/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lookup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "test.h"

TEST_MAIN()

static char dir[] = "/tmp/test-lookup-XXXXXX";

__attribute__((constructor)) static void setup(void)
{
	int fd;

	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("bin", 0755) < 0 || mkdir("bin/sub", 0755) < 0)
		abort();
	fd = open("bin/tool", O_CREAT | O_WRONLY, 0755);
	(void)close(fd);
	fd = open("bin/plain", O_CREAT | O_WRONLY, 0644);
	(void)close(fd);
	if (symlink("tool", "bin/link") < 0 || symlink("loop", "bin/loop") < 0)
		abort();
}

__attribute__((destructor)) static void teardown(void)
{
	(void)fs_remove_tree(dir);
}

static struct err err;
static char *env[] = {(char *)"A=b", NULL, NULL};

static int look(const char *name, const char *path, char **ret)
{
	_cleanup_free_ char *variable = path ? str_format("PATH=%s", path) : NULL;

	env[1] = variable;
	err = (struct err){0};
	return lookup_program(name, env, ret, &err);
}

/* Goal: found through PATH, a link, or its own path. */
TEST(lookup_finds_programs)
{
	_cleanup_free_ char *a = NULL, *b = NULL, *c = NULL, *d = NULL;
	_cleanup_free_ char *path = str_format("/nowhere:%s/bin", dir);

	ASSERT_OK(look("tool", path, &a));
	ASSERT(str_ends(a, "/bin/tool"));
	ASSERT_OK(look("link", path, &b));
	ASSERT_OK(look("bin/tool", NULL, &c));
	ASSERT_STREQ(c, "bin/tool");
	ASSERT_OK(look("tool", "/nowhere:bin", &d));
	ASSERT_STREQ(d, "bin/tool");
}

/* Goal: runc's words and Docker's exit codes (127 not found, 126 not executable). */
TEST(lookup_refusals)
{
	char *p = NULL;

	ASSERT(look("foo", "/nowhere:bin", &p) < 0);
	ASSERT_STREQ(err.msg, "exec: \"foo\": executable file not found in $PATH");
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT(look("/x/y", NULL, &p) < 0);
	ASSERT_STREQ(err.msg, "exec: \"/x/y\": stat /x/y: no such file or directory");
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT(look("bin/plain", NULL, &p) < 0);
	ASSERT_STREQ(err.msg, "exec: \"bin/plain\": permission denied");
	ASSERT_EQ(err.kind, ERR_FORBIDDEN);
	ASSERT(look("bin/sub", NULL, &p) < 0);
	ASSERT_STREQ(err.msg, "exec: \"bin/sub\": permission denied");
	ASSERT_EQ(err.kind, ERR_FORBIDDEN);
	ASSERT(look("bin/loop", NULL, &p) < 0);
	ASSERT(look("bin/tool/x", NULL, &p) < 0);
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT(!p);
}

/* Goal: PATH holds only programs: directories and plain files in it are passed over. */
TEST(lookup_passes_over_what_cannot_run)
{
	char *p = NULL;

	ASSERT(look("plain", "bin", &p) < 0);
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
	ASSERT(look("sub", "bin", &p) < 0);
	ASSERT(look("tool", "", &p) < 0);
	ASSERT(look("tool", NULL, &p) < 0);
	ASSERT(look("", "bin", &p) < 0);
	ASSERT_STREQ(err.msg, "exec: \"\": executable file not found in $PATH");
	ASSERT(!p);
}
