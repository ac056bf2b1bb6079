/* SPDX-License-Identifier: Apache-2.0 */
/* test-spawn.c - what another program gets from us */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test.h"

/* Goal: a descriptor that a library left open for children does not get there; those that are
 * named do, under their numbers. */
TEST(a_child_has_the_named_descriptors_and_no_other)
{
	_cleanup_close_ int named = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int stray = dup(named), far = fcntl(named, F_DUPFD, 150); /* not cloexec */
	_cleanup_close_ int out = -EBADF, in = -EBADF;
	/* the shell's own test of descriptors: it opens none for it */
	const char *const argv[] = {
		"sh", "-c",
		"i=3; while [ $i -lt 512 ]; do "
		"[ ! -e /proc/$$/fd/$i ] || printf '%s ' $i; i=$((i + 1)); done",
		NULL};
	const int pass[] = {named, -EBADF, named};
	struct spawn_spec spec = {.argv = argv,
				  .stdin_fd = -EBADF,
				  .stderr_fd = -EBADF,
				  .pass_fds = pass,
				  .n_pass_fds = 3};
	char text[64] = "";
	int pipes[2], status;
	pid_t pid;

	ASSERT(stray >= 0 && far >= 0);
	ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
	in = pipes[0];
	out = pipes[1];
	spec.stdout_fd = out;
	ASSERT_EQ(spawn_process(&spec, &pid, NULL), 0);
	ASSERT_EQ(spawn_wait(pid, &status), 0);
	ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ASSERT(read(in, text, sizeof(text) - 1) >= 0);
	ASSERT_STREQ(text, "3 5 ");
}

TEST(what_is_not_there_is_not_started)
{
	const char *const argv[] = {"/nonexistent/program", NULL};
	struct spawn_spec spec = {
		.argv = argv, .stdin_fd = -EBADF, .stdout_fd = -EBADF, .stderr_fd = -EBADF};
	pid_t pid = 7;

	ASSERT_EQ(spawn_process(&spec, &pid, NULL), -ENOENT);
	ASSERT_EQ(pid, 7);
}

TEST_MAIN()
