/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.c - /etc/hosts of containers that run
 *
 * The file is bound over the root, read-only over a read-only root, and where it is mounted is the
 * container's business: so the child that writes it hands over the descriptor (report.h). The
 * container may edit the file, or fill it with whatever it likes.
 */
#include "agent/hosts.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/agent.h"
#include "agent/container.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/lines.h"

#define HOSTS_BYTES_MAX (4 * 1024 * 1024)

/* In place: it is a mount that must stay the same file. */
static int hosts_edit(int fd, const Arca__V1__EditHostsRequest *request)
{
	_cleanup_buf_ struct buf was = {}, is = {};
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > HOSTS_BYTES_MAX)
		return -EFBIG;
	if (!buf_reserve(&was, (size_t)st.st_size + 1))
		return -ENOMEM;
	n = pread(fd, was.data, (size_t)st.st_size, 0);
	if (n < 0)
		return -errno;
	lines_edit(was.data, (size_t)n, request->removed, request->added, &is);
	if (is.failed)
		return -ENOMEM;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	n = fs_write_all(fd, is.data ?: "", is.len);
	if (n < 0)
		return (int)n;
	return ftruncate(fd, (off_t)is.len) < 0 ? -errno : 0;
}

static bool hosts_same_network(const struct container *a, const struct container *b)
{
	struct stat of_a, of_b;

	return fstat(a->seed->ns_fds[SEED_NS_NETWORK], &of_a) == 0 &&
	       fstat(b->seed->ns_fds[SEED_NS_NETWORK], &of_b) == 0 && of_a.st_ino == of_b.st_ino;
}

/**
 * hosts_edit_call() - EditHosts(EditHostsRequest): of all containers in one's network namespace
 * @call:    Call
 * @message: Request
 */
void hosts_edit_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__EditHostsRequest *request = (const Arca__V1__EditHostsRequest *)message;
	struct agent *agent = agent_of(call);
	struct container *asked = container_find(agent, request->container_id), *c;
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct err err = {0};
	int r = 0;

	if (!asked) {
		rpc_server_finish(call, RPC_NOT_FOUND, "no such container");
		return;
	}
	DL_FOREACH (agent->containers, c) {
		int one = c->hosts_fd >= 0 && hosts_same_network(asked, c)
				  ? hosts_edit(c->hosts_fd, request)
				  : 0;

		r = r < 0 ? r : one; /* the others are told in any case */
	}
	if (r == 0) {
		rpc_server_reply(call, &empty.base);
		return;
	}
	(void)err_sys(&err, r, "cannot edit " HOSTS_PATH);
	rpc_server_finish(call, RPC_INTERNAL, err.msg);
}
