/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.c - requests to the kernel: messages in one buffer, one datagram, one answer
 *
 * DOC: Theory of operation
 *
 * A batch holds messages that belong together and go in one sendmsg(). The kernel works them off
 * one by one before that returns, and its answers wait in the socket then: an error for each that
 * it refused, and an acknowledgement of the last one, the only one that is asked for. So nothing
 * here waits, and a receive buffer is never full of acknowledgements.
 *
 * rtnetlink goes on after an error; nf_tables takes all of a batch or nothing. Either way the first
 * error is what netlink_send() returns.
 *
 * Formats: netlink(7), linux/netlink.h. The kernel is trusted; its lengths are checked all the
 * same.
 */
#include "agent/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#define NETLINK_ANSWER_MAX 32768 /* the kernel's own largest piece of a dump */

/**
 * netlink_open() - A socket for one family of requests, in the network namespace we are in
 * @protocol: NETLINK_*
 * @ret_nl:   Set on success; netlink_close() ends it
 *
 * Return: 0 or negative errno
 */
int netlink_open(int protocol, struct netlink *ret_nl)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	const int one = 1;

	if (fd < 0)
		return -errno;
	/* An error need not bring the request back. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)) < 0)
		return -errno;
	*ret_nl = (struct netlink){.fd = TAKE_FD(fd)};
	return 0;
}

/**
 * netlink_open_in() - A socket in another network namespace
 * @netns_fd: That namespace
 * @home_fd:  Ours, come back to
 * @protocol: NETLINK_*
 * @ret_nl:   Set on success
 *
 * Return: 0 or negative errno
 */
int netlink_open_in(int netns_fd, int home_fd, int protocol, struct netlink *ret_nl)
{
	int r;

	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	r = netlink_open(protocol, ret_nl);
	if (setns(home_fd, CLONE_NEWNET) < 0) { /* cannot fail: it is a namespace, and ours */
		int saved = errno;

		if (r == 0)
			netlink_close(ret_nl);
		return -saved;
	}
	return r;
}

/**
 * netlink_close() - Close
 * @nl: Open or not; not open afterwards
 */
void netlink_close(struct netlink *nl)
{
	cleanup_close(&nl->fd);
	nl->fd = -EBADF;
}

/**
 * netlink_batch_done() - Forget the messages
 * @b: Empty afterwards
 */
void netlink_batch_done(struct netlink_batch *b)
{
	if (b->bytes.data)
		explicit_bzero(b->bytes.data, b->bytes.cap); /* there may be a key in it */
	buf_done(&b->bytes);
	*b = (struct netlink_batch){};
}

static void netlink_pad(struct netlink_batch *b)
{
	static const char zeros[NLMSG_ALIGNTO];

	buf_add(&b->bytes, zeros, NLMSG_ALIGN(b->bytes.len) - b->bytes.len);
}

/* Lengths are only known behind what they count. */
static void netlink_close_message(struct netlink_batch *b)
{
	struct nlmsghdr *h;

	if (b->n == 0 || b->bytes.failed)
		return;
	h = (struct nlmsghdr *)(void *)(b->bytes.data + b->at);
	h->nlmsg_len = (uint32_t)(b->bytes.len - b->at);
}

/**
 * netlink_begin_silent() - Begin a message that is never acknowledged
 * @b:		Batch; the message before this one is complete
 * @type:	nlmsg_type
 * @header:	What its family has before the attributes
 * @header_len: Bytes
 *
 * nf_tables frames its batches in two of these.
 */
void netlink_begin_silent(struct netlink_batch *b, uint16_t type, const void *header,
			  size_t header_len)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST};

	netlink_close_message(b);
	b->at = b->bytes.len;
	b->n++;
	buf_add(&b->bytes, &h, sizeof(h));
	buf_add(&b->bytes, header, header_len);
	netlink_pad(b);
}

/**
 * netlink_begin() - Begin a message
 * @b:		Batch; the message before this one is complete
 * @type:	nlmsg_type
 * @flags:	NLM_F_* beyond NLM_F_REQUEST
 * @header:	What its family has before the attributes
 * @header_len: Bytes
 */
void netlink_begin(struct netlink_batch *b, uint16_t type, uint16_t flags, const void *header,
		   size_t header_len)
{
	netlink_begin_silent(b, type, header, header_len);
	if (b->bytes.failed)
		return;
	((struct nlmsghdr *)(void *)(b->bytes.data + b->at))->nlmsg_flags |= flags;
	b->last = (unsigned int)b->at;
}

/**
 * netlink_put() - Add an attribute
 * @b:	  Batch with a message
 * @type: Attribute
 * @data: Its value
 * @len:  Bytes, less than 64 KiB
 */
void netlink_put(struct netlink_batch *b, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};

	if (len > UINT16_MAX - NLA_HDRLEN) {
		b->bytes.failed = true;
		return;
	}
	buf_add(&b->bytes, &a, sizeof(a));
	if (len)
		buf_add(&b->bytes, data, len);
	netlink_pad(b);
}

/**
 * netlink_put_u8() - Add a byte
 * @b:	   Batch with a message
 * @type:  Attribute
 * @value: Value
 */
void netlink_put_u8(struct netlink_batch *b, uint16_t type, uint8_t value)
{
	netlink_put(b, type, &value, sizeof(value));
}

/**
 * netlink_put_u16() - Add a 16 bit number in the machine's order
 * @b:	   Batch with a message
 * @type:  Attribute
 * @value: Value
 */
void netlink_put_u16(struct netlink_batch *b, uint16_t type, uint16_t value)
{
	netlink_put(b, type, &value, sizeof(value));
}

/**
 * netlink_put_u32() - Add a 32 bit number in the machine's order
 * @b:	   Batch with a message
 * @type:  Attribute
 * @value: Value
 */
void netlink_put_u32(struct netlink_batch *b, uint16_t type, uint32_t value)
{
	netlink_put(b, type, &value, sizeof(value));
}

/**
 * netlink_put_be32() - Add a 32 bit number in network order, as all of nf_tables'
 * @b:	   Batch with a message
 * @type:  Attribute
 * @value: Value
 */
void netlink_put_be32(struct netlink_batch *b, uint16_t type, uint32_t value)
{
	netlink_put_u32(b, type, htonl(value));
}

/**
 * netlink_put_str() - Add a string with its NUL
 * @b:	  Batch with a message
 * @type: Attribute
 * @s:	  String
 */
void netlink_put_str(struct netlink_batch *b, uint16_t type, const char *s)
{
	netlink_put(b, type, s, strlen(s) + 1);
}

/**
 * netlink_nest() - Begin an attribute that consists of attributes
 * @b:	  Batch with a message
 * @type: Attribute
 *
 * Return: for netlink_unnest()
 */
size_t netlink_nest(struct netlink_batch *b, uint16_t type)
{
	size_t nest = b->bytes.len;

	netlink_put(b, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

/**
 * netlink_unnest() - The attribute is complete
 * @b:	  Batch
 * @nest: What netlink_nest() returned
 */
void netlink_unnest(struct netlink_batch *b, size_t nest)
{
	size_t len = b->bytes.len - nest;

	if (len > UINT16_MAX)
		b->bytes.failed = true;
	if (!b->bytes.failed)
		((struct nlattr *)(void *)(b->bytes.data + nest))->nla_len = (uint16_t)len;
}

static int netlink_seal(struct netlink *nl, struct netlink_batch *b, uint16_t flags)
{
	size_t at = 0;

	netlink_close_message(b);
	if (b->bytes.failed)
		return -ENOMEM;
	while (at < b->bytes.len) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)(b->bytes.data + at);

		h->nlmsg_seq = ++nl->seq;
		if (at == b->last)
			h->nlmsg_flags |= flags;
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	if (send(nl->fd, b->bytes.data, b->bytes.len, 0) < 0)
		return -errno;
	return 0;
}

static uint32_t netlink_last_seq(const struct netlink_batch *b)
{
	return ((const struct nlmsghdr *)(const void *)(b->bytes.data + b->last))->nlmsg_seq;
}

/* Return: what it says, 0 for an acknowledgement */
static int netlink_error_of(struct netlink *nl, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
		return -EPROTO;
	if (e->error < 0 && nl->failed_type == 0)
		nl->failed_type = e->msg.nlmsg_type;
	return e->error;
}

/**
 * netlink_send() - Send all messages of a batch, hear what became of them
 * @nl: Socket
 * @b:	Batch, empty afterwards. An empty one is sent by doing nothing
 *
 * Return: 0, or the errno of the first message that was refused (nl->failed_type is its type)
 */
int netlink_send(struct netlink *nl, struct netlink_batch *b)
{
	char answers[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool acknowledged = false;
	int r;

	nl->failed_type = 0;
	if (b->n == 0)
		return 0;
	r = netlink_seal(nl, b, NLM_F_ACK);
	while (r != -ENOMEM && b->bytes.len) {
		ssize_t n = recv(nl->fd, answers, sizeof(answers), MSG_DONTWAIT);
		const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answers;

		if (n < 0)
			break; /* there is no more */
		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			int error = h->nlmsg_type == NLMSG_ERROR ? netlink_error_of(nl, h) : 0;

			if (r == 0)
				r = error;
			acknowledged = acknowledged || h->nlmsg_seq == netlink_last_seq(b);
		}
	}
	netlink_batch_done(b);
	return r == 0 && !acknowledged ? -EPROTO : r;
}

/* Return: 1 while there is more, 0 at the end, or negative errno */
static int netlink_dump_some(struct netlink *nl, const char *answers, ssize_t n,
			     netlink_answer_fn answer, void *user)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answers;
	int r = 1;

	for (; r == 1 && NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_seq != nl->seq)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return netlink_error_of(nl, h);
		r = answer(user, h) < 0 ? -EPROTO : 1;
		if (r == 1 && !(h->nlmsg_flags & NLM_F_MULTI))
			return 0;
	}
	return r;
}

/**
 * netlink_dump() - Send one question, take every answer
 * @nl:	    Socket
 * @b:	    Batch with one message, empty afterwards; NLM_F_DUMP or not
 * @answer: Called for each; a negative return ends it with -EPROTO
 * @user:   Its argument
 *
 * The answers' bytes are wiped.
 *
 * Return: 0 or negative errno
 */
int netlink_dump(struct netlink *nl, struct netlink_batch *b, netlink_answer_fn answer, void *user)
{
	static char answers[NETLINK_ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	int r = netlink_seal(nl, b, 0);

	netlink_batch_done(b);
	if (r < 0)
		return r;
	do {
		ssize_t n = recv(nl->fd, answers, sizeof(answers), MSG_DONTWAIT);

		r = n < 0 ? -errno : netlink_dump_some(nl, answers, n, answer, user);
		explicit_bzero(answers, n > 0 ? (size_t)n : 0);
	} while (r == 1);
	/* What is left would be taken for the answer to the next question; it is not (seq). */
	while (r < 0 && recv(nl->fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		explicit_bzero(answers, sizeof(answers));
	return r;
}

/**
 * netlink_find() - The first attribute of a type
 * @attributes: Where they begin
 * @len:	Bytes of all
 * @type:	Type, without flags
 *
 * Return: borrowed, wholly inside of @attributes; NULL if there is none
 */
const struct nlattr *netlink_find(const void *attributes, size_t len, uint16_t type)
{
	const char *at = attributes;

	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)(const void *)at;
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		if (step >= len)
			return NULL;
		at += step;
		len -= step;
	}
	return NULL;
}

/**
 * netlink_payload() - The length of an attribute's value, which lies behind the header
 * @attribute: Attribute
 *
 * Return: bytes
 */
size_t netlink_payload(const struct nlattr *attribute)
{
	return attribute->nla_len - NLA_HDRLEN;
}
