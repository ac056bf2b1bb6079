/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.c - the little of rtnetlink that the underlay needs
 *
 * A socket belongs to the network namespace in which it was opened, whichever thread uses it later;
 * one thread at a time may use it. Format: rtnetlink(7), netlink(7).
 */
#include "net/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NETLINK_REPLY_BYTES (32 * 1024) /* what the kernel puts into one datagram of a dump */
#define NETLINK_RECV_BYTES (1024 * 1024)

/**
 * netlink_open() - A routing socket in the calling thread's network namespace
 * @groups: RTMGRP_* to be told of, or 0
 * @ret_fd: Non-blocking for a socket with groups; owned by the caller; set on success
 *
 * Return: 0, or negative errno
 */
int netlink_open(uint32_t groups, int *ret_fd)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = groups};
	const int size = NETLINK_RECV_BYTES, one = 1;
	_cleanup_close_ int fd = socket(
		AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0), NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	/* A failure of these leaves smaller buffers and longer acknowledgements. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void netlink_end(struct netlink_batch *batch)
{
	struct nlmsghdr *msg;

	if (batch->bytes.failed || batch->n == 0)
		return;
	msg = (struct nlmsghdr *)(batch->bytes.data + batch->start);
	msg->nlmsg_len = (uint32_t)(batch->bytes.len - batch->start);
}

/**
 * netlink_begin() - Begin a request; attributes follow with netlink_attr()
 * @batch:    Batch; a failure to allocate shows in netlink_run()
 * @type:     RTM_*
 * @flags:    NLM_F_* beyond REQUEST and ACK
 * @head:     The family's header, for instance a struct rtmsg
 * @head_len: Its size, bytes
 */
void netlink_begin(struct netlink_batch *batch, uint16_t type, uint16_t flags, const void *head,
		   size_t head_len)
{
	static const char zeros[NLMSG_ALIGNTO];
	struct nlmsghdr msg = {
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
		.nlmsg_seq = batch->n + 1,
	};

	netlink_end(batch);
	batch->start = batch->bytes.len;
	batch->n++;
	buf_add(&batch->bytes, &msg, sizeof(msg));
	buf_add(&batch->bytes, head, head_len);
	buf_add(&batch->bytes, zeros, NLMSG_ALIGN(head_len) - head_len);
}

/**
 * netlink_attr() - Add an attribute to the request begun last
 * @batch: Batch
 * @type:  Attribute's number
 * @data:  Value
 * @len:   Its length, bytes
 */
void netlink_attr(struct netlink_batch *batch, uint16_t type, const void *data, size_t len)
{
	static const char zeros[RTA_ALIGNTO];
	struct rtattr attr = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

	assert(batch->n > 0);
	buf_add(&batch->bytes, &attr, sizeof(attr));
	buf_add(&batch->bytes, data, len);
	buf_add(&batch->bytes, zeros, RTA_ALIGN(len) - len);
}

/**
 * netlink_nest() - Begin an attribute that is made of attributes
 * @batch: Batch
 * @type:  Attribute's number
 *
 * Return: for netlink_unnest()
 */
size_t netlink_nest(struct netlink_batch *batch, uint16_t type)
{
	size_t nest = batch->bytes.len;

	netlink_attr(batch, type, "", 0);
	return nest;
}

/**
 * netlink_unnest() - End it
 * @batch: Batch
 * @nest:  What netlink_nest() returned
 */
void netlink_unnest(struct netlink_batch *batch, size_t nest)
{
	if (!batch->bytes.failed)
		((struct rtattr *)(batch->bytes.data + nest))->rta_len =
			(uint16_t)(batch->bytes.len - nest);
}

static ssize_t netlink_receive(int fd, char *data, size_t size)
{
	for (;;) {
		ssize_t n = recv(fd, data, size, MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		return (size_t)n > size ? -EMSGSIZE : n;
	}
}

/* The message at *@at, and on to the next; NULL at the end of what was received. */
static const struct nlmsghdr *netlink_walk(const char *data, size_t len, size_t *at)
{
	const struct nlmsghdr *msg = (const void *)(data + *at);

	if (*at > len || len - *at < sizeof(*msg) || msg->nlmsg_len < sizeof(*msg) ||
	    msg->nlmsg_len > len - *at)
		return NULL;
	*at += NLMSG_ALIGN(msg->nlmsg_len);
	return msg;
}

/**
 * netlink_run() - Send a batch and wait for every acknowledgement
 * @fd:	   Socket of netlink_open()
 * @batch: Batch; empty afterwards
 *
 * A request that fails does not keep the later ones from being done.
 *
 * Return: 0, or the first failure as negative errno
 */
int netlink_run(int fd, struct netlink_batch *batch)
{
	char data[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	unsigned int left = batch->n;
	int first = 0;

	netlink_end(batch);
	if (batch->bytes.failed)
		return -ENOMEM;
	if (send(fd, batch->bytes.data, batch->bytes.len, 0) < 0)
		return -errno;
	netlink_batch_done(batch);
	while (left) {
		ssize_t n = netlink_receive(fd, data, sizeof(data));
		const struct nlmsghdr *msg;
		size_t at = 0;

		if (n < 0)
			return (int)n;
		while ((msg = netlink_walk(data, (size_t)n, &at))) {
			const struct nlmsgerr *e = NLMSG_DATA(msg);

			if (msg->nlmsg_type != NLMSG_ERROR || left == 0)
				continue;
			if (e->error && first == 0)
				first = e->error;
			left--;
		}
	}
	return first;
}

/**
 * netlink_dump() - Go through a table of the kernel
 * @fd:	      Socket of netlink_open() without groups
 * @type:     RTM_GET*
 * @head:     The family's header
 * @head_len: Its size, bytes
 * @fn:	      Called for each entry; what it returns other than 0 is the result in the end
 * @user:     Its argument
 *
 * Return: 0, what @fn returned, or negative errno
 */
int netlink_dump(int fd, uint16_t type, const void *head, size_t head_len, netlink_dump_fn fn,
		 void *user)
{
	_cleanup_(netlink_batch_done) struct netlink_batch batch = {};
	_cleanup_free_ char *data = malloc(NETLINK_REPLY_BYTES);
	int result = 0;

	netlink_begin(&batch, type, NLM_F_DUMP, head, head_len);
	netlink_end(&batch);
	if (!data || batch.bytes.failed)
		return -ENOMEM;
	if (send(fd, batch.bytes.data, batch.bytes.len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = netlink_receive(fd, data, NETLINK_REPLY_BYTES);
		const struct nlmsghdr *msg;
		size_t at = 0;

		if (n < 0)
			return (int)n;
		while ((msg = netlink_walk(data, (size_t)n, &at))) {
			if (msg->nlmsg_type == NLMSG_DONE)
				return result;
			if (msg->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(msg))->error;
			if (result == 0)
				result = fn(msg, user);
		}
	}
}

/**
 * netlink_find() - An attribute of a message
 * @msg:      Message
 * @head_len: Size of the family's header, bytes
 * @type:     Attribute
 * @len:      Least length of its value, bytes
 *
 * Return: its value inside @msg, or NULL
 */
const void *netlink_find(const struct nlmsghdr *msg, size_t head_len, uint16_t type, size_t len)
{
	const char *p = (const char *)msg + NLMSG_SPACE(head_len);
	const char *end = (const char *)msg + msg->nlmsg_len;

	while (p + sizeof(struct rtattr) <= end) {
		const struct rtattr *attr = (const void *)p;

		if (attr->rta_len < sizeof(*attr) || p + attr->rta_len > end)
			return NULL;
		if ((attr->rta_type & NLA_TYPE_MASK) == type)
			return RTA_PAYLOAD(attr) >= len ? RTA_DATA(attr) : NULL;
		p += RTA_ALIGN(attr->rta_len);
	}
	return NULL;
}

/**
 * netlink_batch_done() - Free what a batch holds; it is empty afterwards
 * @batch: Batch
 */
void netlink_batch_done(struct netlink_batch *batch)
{
	buf_done(&batch->bytes);
	*batch = (struct netlink_batch){};
}
