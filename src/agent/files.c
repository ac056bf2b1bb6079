/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - /etc/hosts and /etc/resolv.conf of containers that run
 *
 * The files are bound over the root, read-only over a read-only root, and where they are mounted is
 * the container's business: so the child that writes them hands over descriptors (report.h). The
 * container may edit the files, or fill them with whatever it likes. A resolv.conf that it changed
 * is left alone.
 */
#include "agent/files.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/agent.h"
#include "agent/container.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/lines.h"

#define FILES_BYTES_MAX (4 * 1024 * 1024)

static int files_read(int fd, struct buf *out)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > FILES_BYTES_MAX)
		return -EFBIG;
	if (!buf_reserve(out, (size_t)st.st_size))
		return -ENOMEM;
	n = pread(fd, out->data, (size_t)st.st_size, 0);
	if (n < 0)
		return -errno;
	out->len = (size_t)n;
	return 0;
}

/* In place: it is a mount that must stay the same file. */
static int files_write(int fd, const void *data, size_t len)
{
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fs_write_all(fd, data, len);

	if (r == 0 && ftruncate(fd, (off_t)len) < 0)
		r = -errno;
	return r;
}

static int files_edit_hosts(int fd, const Arca__V1__EditFilesRequest *request)
{
	_cleanup_buf_ struct buf was = {}, is = {};
	int r = files_read(fd, &was);

	if (r < 0)
		return r;
	lines_edit(was.data, was.len, request->hosts_removed, request->hosts_added, &is);
	return is.failed ? -ENOMEM : files_write(fd, is.data ?: "", is.len);
}

static int files_edit_resolv(int fd, const Arca__V1__EditFilesRequest *request)
{
	size_t len = strlen(request->resolv_was);
	_cleanup_buf_ struct buf was = {};
	int r = files_read(fd, &was);

	if (r < 0 || was.len != len || memcmp(was.data, request->resolv_was, len) != 0)
		return r;
	return files_write(fd, request->resolv_becomes, strlen(request->resolv_becomes));
}

static int files_edit(const struct container *c, const Arca__V1__EditFilesRequest *request)
{
	bool hosts = *request->hosts_removed || *request->hosts_added;
	int r = hosts && c->hosts_fd >= 0 ? files_edit_hosts(c->hosts_fd, request) : 0;

	if (r == 0 && *request->resolv_becomes && c->resolv_fd >= 0)
		r = files_edit_resolv(c->resolv_fd, request);
	return r;
}

static bool files_same_network(const struct container *a, const struct container *b)
{
	struct stat of_a, of_b;

	return fstat(a->seed->ns_fds[SEED_NS_NETWORK], &of_a) == 0 &&
	       fstat(b->seed->ns_fds[SEED_NS_NETWORK], &of_b) == 0 && of_a.st_ino == of_b.st_ino;
}

/**
 * files_edit_call() - EditFiles(EditFilesRequest): of all containers in one's network namespace
 * @call:    Call
 * @message: Request
 */
void files_edit_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__EditFilesRequest *request = (const Arca__V1__EditFilesRequest *)message;
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
		int one = files_same_network(asked, c) ? files_edit(c, request) : 0;

		r = r < 0 ? r : one; /* the others are told in any case */
	}
	if (r == 0) {
		rpc_server_reply(call, &empty.base);
		return;
	}
	(void)err_sys(&err, r, "cannot edit files");
	rpc_server_finish(call, RPC_INTERNAL, err.msg);
}
