/* SPDX-License-Identifier: Apache-2.0 */
/* test-dev.c - device nodes in a root that an image filled */
#include "agent/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "test.h"

TEST_MAIN()

static char dir[] = "/tmp/test-dev-XXXXXX";
static int root = -EBADF;

__attribute__((constructor)) static void setup(void)
{
	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("root", 0755) < 0 ||
	    fs_write_file("secret", "x", 1, 0600) < 0 ||
	    fs_write_file("root/file", "x", 1, 0600) < 0 || symlink("../secret", "root/link") < 0)
		abort();
	root = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

__attribute__((destructor)) static void teardown(void)
{
	(void)fs_remove_tree(dir);
}

static int add(const char *path, struct err *err)
{
	Arca__V1__ContainerSpec spec = ARCA__V1__CONTAINER_SPEC__INIT;
	Arca__V1__Device device = ARCA__V1__DEVICE__INIT, *list[] = {&device};

	device.path = (char *)path;
	device.type = "c";
	device.major = 1;
	device.minor = 3;
	device.mode = 0666;
	spec.devices = list;
	spec.n_devices = 1;
	return dev_add(root, &spec, err);
}

/* Goal: where the image has something else, nothing behind it is touched. */
TEST(what_an_image_put_there_is_not_followed)
{
	struct err err = {0};
	struct stat st;

	ASSERT(add("/link", &err) < 0);
	ASSERT(strstr(err.msg, "/link"));
	ASSERT(add("/file", &err) < 0);
	ASSERT_OK(stat("secret", &st));
	ASSERT_EQ(st.st_mode & 07777, 0600);
	ASSERT_OK(stat("root/file", &st));
	ASSERT_EQ(st.st_mode & 07777, 0600);
}

TEST(a_node_that_is_there_gets_mode_and_owner)
{
	struct err err = {0};
	struct stat st;

	if (mknod("probe", S_IFCHR | 0600, makedev(1, 3)) < 0)
		return; /* not root: nodes cannot be made */
	for (int i = 0; i < 2; i++)
		ASSERT_OK(add("/sub/null", &err));
	ASSERT_OK(stat("root/sub/null", &st));
	ASSERT(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}
