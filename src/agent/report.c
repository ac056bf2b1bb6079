/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - what a process that is about to become the container's tells the agent
 *
 * A SOCK_SEQPACKET pair, close-on-exec on the child's side: the end of the stream without
 * REPORT_FAIL before it is the news that execve succeeded.
 */
#include "agent/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/client.h"

union report_control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static int report_send_message(int fd, const struct report *report, int pass_fd)
{
	union report_control control = {0};
	struct iovec iov = {.iov_base = (void *)report, .iov_len = sizeof(*report)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (pass_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/**
 * report_send() - Send a message without text
 * @fd:	     Child's end
 * @kind:    Any but REPORT_FAIL
 * @pass_fd: Descriptor to hand over, or negative
 *
 * Return: 0 or negative errno
 */
int report_send(int fd, enum report_kind kind, int pass_fd)
{
	struct report report = {.kind = kind};

	return report_send_message(fd, &report, pass_fd);
}

/**
 * report_status() - The gRPC status that carries an error
 * @err: Error
 *
 * Return: enum rpc_status
 */
int report_status(const struct err *err)
{
	switch (err->kind) {
	case ERR_NOT_FOUND:
		return RPC_NOT_FOUND;
	case ERR_FORBIDDEN:
	case ERR_CANNOT_RUN:
		return RPC_PERMISSION_DENIED;
	case ERR_INVALID:
		return RPC_INVALID_ARGUMENT;
	case ERR_CONFLICT:
		return RPC_ALREADY_EXISTS;
	case ERR_UNAVAILABLE:
		return RPC_FAILED_PRECONDITION;
	default:
		return RPC_INTERNAL;
	}
}

/**
 * report_fail() - Say why the process cannot start, and end
 * @fd:	 Child's end
 * @err: Why
 */
void report_fail(int fd, const struct err *err)
{
	struct report report = {.kind = REPORT_FAIL, .status = report_status(err)};

	memcpy(report.text, err->msg, sizeof(report.text));
	(void)report_send_message(fd, &report, -EBADF); /* nobody else to tell */
	_exit(1);
}

/**
 * report_receive() - The next message, agent's side
 * @fd:		Agent's end, blocking or not
 * @ret_report: Set when a message came
 * @ret_fd:	Descriptor that came along, owned by the caller, or -EBADF
 *
 * Return: 1 for a message, 0 at the end of the stream, or negative errno (-EAGAIN: nothing yet)
 */
int report_receive(int fd, struct report *ret_report, int *ret_fd)
{
	union report_control control = {0};
	struct report report;
	struct iovec iov = {.iov_base = &report, .iov_len = sizeof(report)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	if ((size_t)n != sizeof(report))
		return -EBADMSG;
	report.text[sizeof(report.text) - 1] = '\0';
	*ret_fd = -EBADF;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	}
	*ret_report = report;
	return 1;
}
