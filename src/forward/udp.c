/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp.c - sessions of clients of a published UDP port
 *
 * A client is an address and port, and the local address that it spoke to: answers come from there.
 * Each has a connected socket towards the VM, so that the VM sees clients apart, until neither side
 * said anything for a while (90 s). A port has UDP_SESSIONS_MAX at most: a new client takes the
 * place of the one that was silent for the longest, so forged clients cannot lock out real ones for
 * ever. Datagrams that cannot be passed on at once are lost, as datagrams are.
 */
#include "forward/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/util.h"
#include "forward/listen.h"
#include "forward/table.h"

#define UDP_IDLE_MS 90000 /* UDPConnTrackTimeout of dockerd's proxy */
#define UDP_SESSIONS_MAX 4096
#define UDP_TURNS 64 /* datagrams of one socket before the others */
#define UDP_DATAGRAM_MAX 65536
#define UDP_MTU6 1280 /* any IPv6 network has that */

struct udp_key {
	struct sockaddr_in6 client; /* also for IPv4: the unused rest is zero */
	uint8_t local[16];
};

union udp_control {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp_session {
	struct poller_source source; /* towards the VM */
	struct port *port;	     /* borrowed: it ends us before it ends */
	struct udp_key key;
	int64_t last_ns;
	UT_hash_handle hh;
	struct udp_session *prev, *next;
};

static char udp_datagram[UDP_DATAGRAM_MAX];
static size_t udp_n; /* sessions of all ports */
static unsigned int udp_idle_ms = UDP_IDLE_MS;

static void udp_free(struct udp_session *session)
{
	struct port *port = session->port;

	HASH_DEL(port->sessions, session);
	DL_DELETE(port->lru, session);
	port->n_sessions--;
	if (--udp_n == 0)
		poller_every(0, NULL);
	poller_remove(&session->source);
	poller_free_later(session);
}

static void udp_touch(struct udp_session *session)
{
	session->last_ns = clock_monotonic_ns();
	DL_DELETE(session->port->lru, session);
	DL_APPEND(session->port->lru, session);
}

/* To the client, from the address that it spoke to. */
static void udp_answer(const struct udp_session *session, size_t len)
{
	bool v6 = session->key.client.sin6_family == AF_INET6;
	struct iovec iov = {.iov_base = udp_datagram, .iov_len = len};
	union udp_control control = {};
	struct msghdr msg = {
		.msg_name = (void *)&session->key.client,
		.msg_namelen = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = v6 ? sizeof(control.v6) : sizeof(control.v4),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (v6) {
		struct in6_pktinfo *info = (void *)CMSG_DATA(c);

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(*info));
		memcpy(&info->ipi6_addr, session->key.local, 16);
	} else {
		struct in_pktinfo *info = (void *)CMSG_DATA(c);

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(*info));
		memcpy(&info->ipi_spec_dst, session->key.local, 4);
	}
	(void)sendmsg(session->port->source.fd, &msg, 0); /* lost, as datagrams are */
}

static void udp_on_target(struct poller_source *source, uint32_t events UNUSED)
{
	struct udp_session *session = container_of(source, struct udp_session, source);

	for (int i = 0; i < UDP_TURNS; i++) {
		ssize_t n = recv(source->fd, udp_datagram, sizeof(udp_datagram), 0);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n >= 0)
			udp_answer(session, (size_t)n);
		/* Refused and the like: the VM may listen later, as with dockerd's proxy. */
	}
	udp_touch(session);
}

static int udp_connect(const struct port *port)
{
	struct sockaddr_storage addr;
	socklen_t len = listen_address(&port->target, port->target_port, &addr);
	int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int dont = IP_PMTUDISC_DONT, least = UDP_MTU6;

	/* A container's network has a smaller MTU than the way to its VM, and nobody sends twice to
	 * find that out. An IPv4 router may split a datagram, an IPv6 one must not. */
	if (fd >= 0 && addr.ss_family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont));
	else if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &least, sizeof(least));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, len) < 0) {
		(void)close(fd);
		return -EHOSTUNREACH;
	}
	return fd < 0 ? -errno : fd;
}

static struct udp_session *udp_session_new(struct port *port, const struct udp_key *key)
{
	struct udp_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	if (port->n_sessions >= UDP_SESSIONS_MAX)
		udp_free(port->lru);
	session->source = (struct poller_source){.fd = udp_connect(port), .fn = udp_on_target};
	if (session->source.fd == -EMFILE && port->lru) {
		udp_free(port->lru);
		session->source.fd = udp_connect(port);
	}
	session->port = port;
	session->key = *key;
	if (session->source.fd < 0 || poller_add(&session->source, EPOLLIN) < 0) {
		poller_remove(&session->source);
		free(session);
		return NULL;
	}
	HASH_ADD(hh, port->sessions, key, sizeof(session->key), session);
	DL_APPEND(port->lru, session);
	port->n_sessions++;
	if (udp_n++ == 0)
		poller_every(udp_idle_ms / 8 + 1, table_expire);
	return session;
}

static void udp_read_local(struct msghdr *msg, uint8_t local[static 16])
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			const struct in_pktinfo *info = (const void *)CMSG_DATA(c);

			memcpy(local, &info->ipi_spec_dst, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			const struct in6_pktinfo *info = (const void *)CMSG_DATA(c);

			memcpy(local, &info->ipi6_addr, 16);
		}
	}
}

static ssize_t udp_receive(int fd, struct udp_key *ret_key)
{
	struct iovec iov = {.iov_base = udp_datagram, .iov_len = sizeof(udp_datagram)};
	union udp_control control;
	struct msghdr msg = {
		.msg_name = &ret_key->client,
		.msg_namelen = sizeof(ret_key->client),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	memset(ret_key, 0, sizeof(*ret_key));
	n = recvmsg(fd, &msg, 0);
	if (n >= 0)
		udp_read_local(&msg, ret_key->local);
	return n;
}

/**
 * udp_set_idle() - After how long without a datagram a session ends; before the first of them
 * @idle_ms: Milliseconds
 */
void udp_set_idle(unsigned int idle_ms)
{
	udp_idle_ms = idle_ms;
}

/**
 * udp_on_listener() - Clients have sent something
 * @source: Of a struct port
 * @events: EPOLLIN
 */
void udp_on_listener(struct poller_source *source, uint32_t events UNUSED)
{
	struct port *port = container_of(source, struct port, source);

	for (int i = 0; i < UDP_TURNS; i++) {
		struct udp_session *session;
		struct udp_key key;
		ssize_t n = udp_receive(source->fd, &key);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			continue; /* an ICMP error about an answer of ours */
		HASH_FIND(hh, port->sessions, &key, sizeof(key), session);
		if (!session)
			session = udp_session_new(port, &key);
		if (!session)
			continue;
		/* The first try may only report that an earlier datagram was refused. */
		if (send(session->source.fd, udp_datagram, (size_t)n, 0) < 0 &&
		    errno == ECONNREFUSED)
			(void)send(session->source.fd, udp_datagram, (size_t)n, 0);
		udp_touch(session);
	}
}

/**
 * udp_close_sessions() - End all sessions of a port
 * @port: Port
 */
void udp_close_sessions(struct port *port)
{
	while (port->lru)
		udp_free(port->lru);
}

/**
 * udp_expire() - End the sessions of a port that were idle for too long
 * @port: Port
 */
void udp_expire(struct port *port)
{
	int64_t now_ns = clock_monotonic_ns();

	while (port->lru && now_ns - port->lru->last_ns > udp_idle_ms * NSEC_PER_MSEC)
		udp_free(port->lru);
}
