/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.h - the little of rtnetlink that the underlay needs: batches of requests, dumps */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Requests that go to the kernel in one system call; zero-initialised is empty. */
struct netlink_batch {
	struct buf bytes;
	size_t start;	/* of the message being built */
	unsigned int n; /* messages */
};

typedef int (*netlink_dump_fn)(const struct nlmsghdr *msg, void *user);

int netlink_open(uint32_t groups, int *ret_fd);
void netlink_begin(struct netlink_batch *batch, uint16_t type, uint16_t flags, const void *head,
		   size_t head_len);
void netlink_attr(struct netlink_batch *batch, uint16_t type, const void *data, size_t len);
size_t netlink_nest(struct netlink_batch *batch, uint16_t type);
void netlink_unnest(struct netlink_batch *batch, size_t nest);
int netlink_run(int fd, struct netlink_batch *batch);
int netlink_dump(int fd, uint16_t type, const void *head, size_t head_len, netlink_dump_fn fn,
		 void *user);
const void *netlink_find(const struct nlmsghdr *msg, size_t head_len, uint16_t type, size_t len);
void netlink_batch_done(struct netlink_batch *batch);
