/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "test.h"

TEST_MAIN()

static char dir[] = "/tmp/test-root-XXXXXX";
static int root = -EBADF;

/* outside/ beside root/, and links in root/ that point at it in every way */
__attribute__((constructor)) static void setup(void)
{
	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("root", 0755) < 0 ||
	    mkdir("outside", 0755) < 0 || mkdir("root/dir", 0755) < 0 ||
	    symlink("/outside", "root/absolute") < 0 ||
	    symlink("../../../../outside", "root/up") < 0 || symlink("/dir", "root/inside") < 0 ||
	    symlink("self", "root/self") < 0 || symlink("/proc/self/fd", "root/magic") < 0)
		abort();
	root = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

__attribute__((destructor)) static void teardown(void)
{
	(void)fs_remove_tree(dir);
}

/* Goal: links of the image stay inside its root. */
TEST(root_open_stays_inside)
{
	_cleanup_close_ int fd = -EBADF;

	ASSERT_ERROR(root_open(root, "/absolute", O_PATH), ENOENT);
	ASSERT_ERROR(root_open(root, "/up", O_PATH), ENOENT);
	ASSERT_ERROR(root_open(root, "/../outside", O_PATH), ENOENT);
	ASSERT_ERROR(root_open(root, "/self", O_PATH), ELOOP);
	fd = root_open(root, "/inside", O_PATH | O_DIRECTORY);
	ASSERT(fd >= 0);
}

/* Goal: what is made is made inside, through links that are there. */
TEST(root_make_directory_stays_inside)
{
	_cleanup_close_ int a = -EBADF, b = -EBADF, c = -EBADF, d = -EBADF;

	ASSERT_OK(root_make_directory(root, "/x/y/z", 0755, &a));
	ASSERT(fs_exists("root/x/y/z"));
	ASSERT_OK(root_make_directory(root, "/inside/made", 0755, &b));
	ASSERT(fs_exists("root/dir/made"));
	ASSERT_OK(root_make_directory(root, "/x/y/z", 0755, &c));
	ASSERT_OK(root_make_directory(root, "/", 0755, &d));
}

/* Goal: what a link to nowhere names is made, inside the root however the link is written. */
TEST(root_make_follows_dangling_links)
{
	_cleanup_close_ int a = -EBADF, b = -EBADF, c = -EBADF, d = -EBADF, e = -EBADF;
	struct stat st;

	ASSERT_OK(mkdir("root/conf", 0755));
	ASSERT_OK(symlink("../run/systemd/resolve/stub", "root/conf/resolv"));
	ASSERT_OK(root_make_file(root, "/conf/resolv", 0644, &a));
	ASSERT_OK(lstat("root/run/systemd/resolve/stub", &st));
	ASSERT(S_ISREG(st.st_mode));
	ASSERT_OK(lstat("root/conf/resolv", &st));
	ASSERT(S_ISLNK(st.st_mode));

	ASSERT_OK(root_make_directory(root, "/absolute/made", 0755, &b));
	ASSERT(fs_exists("root/outside/made"));
	ASSERT_OK(root_make_file(root, "/up/file", 0644, &c));
	ASSERT(fs_exists("root/outside/file"));
	ASSERT(!fs_exists("outside/made"));
	ASSERT(!fs_exists("outside/file"));

	/* a chain of links, with ".." after a name that does not exist, as text */
	ASSERT_OK(symlink("second/./x", "root/first"));
	ASSERT_OK(symlink("/none/../../../../third", "root/second"));
	ASSERT_OK(root_make_directory(root, "first/y/", 0755, &d));
	ASSERT(fs_exists("root/third/x/y"));
	ASSERT(!fs_exists("root/none"));
	ASSERT_OK(root_make_directory(root, "/nowhere/..", 0755, &e));
	ASSERT(!fs_exists("root/nowhere"));
}

/* Goal: what no path can mean is refused, and nothing is made. */
TEST(root_make_refuses_what_ends_nowhere)
{
	char far[PATH_MAX], *at = far;
	int fd = -EBADF;

	ASSERT_ERROR(root_make_file(root, "/self", 0644, &fd), ELOOP);
	ASSERT_ERROR(root_make_directory(root, "/gone/../self/x", 0755, &fd), ELOOP);
	ASSERT_ERROR(root_make_file(root, "/nowhere/..", 0644, &fd), EISDIR);
	for (int i = 0; i < 1000; i++)
		at = stpcpy(at, "abc");
	ASSERT_OK(symlink(far, "root/far"));
	ASSERT_ERROR(root_make_file(root, "/far", 0644, &fd), ENAMETOOLONG);
	ASSERT_EQ(fd, -EBADF);
}

/* Goal: a file to bind over appears with its parents, and what is there stays. */
TEST(root_make_file_makes_parents)
{
	_cleanup_close_ int a = -EBADF, b = -EBADF;
	struct stat st;

	ASSERT_OK(root_make_file(root, "/etc/hosts", 0640, &a));
	ASSERT_OK(stat("root/etc/hosts", &st));
	ASSERT(S_ISREG(st.st_mode));
	ASSERT_OK(root_make_file(root, "/etc/hosts", 0640, &b));
	ASSERT(root_make_file(root, "/etc/hosts/x", 0640, &b) < 0);
}
