/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/report.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "rpc/client.h"
#include "test.h"

TEST_MAIN()

/* Goal: a descriptor and a failure travel, and the end is told from silence. */
TEST(report_travels)
{
	_cleanup_close_ int ours = -EBADF, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct report report;
	int pair[2], fd = -EBADF, status;
	pid_t pid;

	ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	ours = pair[0];
	ASSERT_OK(fcntl(ours, F_SETFL, O_NONBLOCK));
	ASSERT_ERROR(report_receive(ours, &report, &fd), EAGAIN);
	ASSERT_OK(report_send(pair[1], REPORT_TTY, null));
	pid = fork();
	if (pid == 0) {
		struct err err = {0};

		(void)err_user(&err, ERR_NOT_FOUND, "exec: \"%s\": gone", "x");
		report_fail(pair[1], &err);
	}
	(void)close(pair[1]);
	(void)waitpid(pid, &status, 0);
	ASSERT_EQ(report_receive(ours, &report, &fd), 1);
	ASSERT_EQ(report.kind, REPORT_TTY);
	ASSERT(fd >= 0);
	(void)close(fd);
	ASSERT_EQ(report_receive(ours, &report, &fd), 1);
	ASSERT_EQ(report.kind, REPORT_FAIL);
	ASSERT_EQ(report.status, RPC_NOT_FOUND);
	ASSERT_STREQ(report.text, "exec: \"x\": gone");
	ASSERT_EQ(fd, -EBADF);
	ASSERT_EQ(report_receive(ours, &report, &fd), 0);
	ASSERT_EQ(WEXITSTATUS(status), 1);
}

/* Goal: something else on the socket is refused, not interpreted. */
TEST(report_refuses_garbage)
{
	struct report report;
	int pair[2], fd;

	ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	ASSERT_EQ(send(pair[1], "hello", 5, 0), 5);
	ASSERT_ERROR(report_receive(pair[0], &report, &fd), EBADMSG);
	(void)close(pair[0]);
	(void)close(pair[1]);
}
