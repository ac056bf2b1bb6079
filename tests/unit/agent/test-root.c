/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/root.h"

#include <errno.h>
#include <fcntl.h>
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

/* Goal: a link to nowhere is not followed to make something there. */
TEST(root_make_refuses_dangling_links)
{
	int fd = -EBADF;

	ASSERT(root_make_directory(root, "/absolute/made", 0755, &fd) < 0);
	ASSERT(root_make_directory(root, "/up/made", 0755, &fd) < 0);
	ASSERT(root_make_file(root, "/up/made", 0644, &fd) < 0);
	ASSERT(root_make_file(root, "/absolute", 0644, &fd) < 0);
	ASSERT_EQ(fd, -EBADF);
	ASSERT(!fs_exists("outside/made"));
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
