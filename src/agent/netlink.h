/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.h - requests to the kernel: messages in one buffer, one datagram, one answer */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "base/buf.h"
#include "base/cleanup.h"

/* A datagram is sent once it has this much in it; attributes have 16 bits for their length. */
#define NETLINK_BATCH_BYTES (32 * 1024)

/* Zero-initialised is not open: .fd = -EBADF is. */
struct netlink {
	int fd; /* owned */
	uint32_t seq;
	uint16_t failed_type; /* nlmsg_type of the first message that was refused */
};

/* Messages to be sent together. Zero-initialised is empty. */
struct netlink_batch {
	struct buf bytes;
	size_t at;	   /* offset of the message being built */
	unsigned int n;	   /* messages */
	unsigned int last; /* offset of the last one that the kernel acknowledges */
};

typedef int (*netlink_answer_fn)(void *user, const struct nlmsghdr *message);

int netlink_open(int protocol, struct netlink *ret_nl);
int netlink_open_in(int netns_fd, int home_fd, int protocol, struct netlink *ret_nl);
void netlink_close(struct netlink *nl);

void netlink_batch_done(struct netlink_batch *b);
void netlink_begin(struct netlink_batch *b, uint16_t type, uint16_t flags, const void *header,
		   size_t header_len);
void netlink_begin_silent(struct netlink_batch *b, uint16_t type, const void *header,
			  size_t header_len);
void netlink_put(struct netlink_batch *b, uint16_t type, const void *data, size_t len);
void netlink_put_u8(struct netlink_batch *b, uint16_t type, uint8_t value);
void netlink_put_u16(struct netlink_batch *b, uint16_t type, uint16_t value);
void netlink_put_u32(struct netlink_batch *b, uint16_t type, uint32_t value);
void netlink_put_be32(struct netlink_batch *b, uint16_t type, uint32_t value);
void netlink_put_str(struct netlink_batch *b, uint16_t type, const char *s);
size_t netlink_nest(struct netlink_batch *b, uint16_t type);
void netlink_unnest(struct netlink_batch *b, size_t nest);

int netlink_send(struct netlink *nl, struct netlink_batch *b);
int netlink_dump(struct netlink *nl, struct netlink_batch *b, netlink_answer_fn answer, void *user);
const struct nlattr *netlink_find(const void *attributes, size_t len, uint16_t type);
size_t netlink_payload(const struct nlattr *attribute);

#define _cleanup_netlink_ _cleanup_(netlink_close)
#define _cleanup_batch_ _cleanup_(netlink_batch_done)
