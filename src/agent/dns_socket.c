/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_socket.c - sockets of a DNS server, made in the network namespace where they belong
 *
 * A socket stays in the namespace it was made in, so that the agent's only thread enters the
 * container's for that one call and comes back.
 */
#include "agent/dns_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/dns_server.h"
#include "base/cleanup.h"
#include "base/log.h"

#define DNS_ADDRESS 0x7f00000b /* 127.0.0.11 */
#define DNS_PORT 53
#define DNS_TCP_BACKLOG 64

/**
 * dns_netns_open() - Remember a container's network namespace and the way back
 * @netns_fd:  Borrowed; -1: the namespace where this process is
 * @ret_netns: To be closed with dns_netns_close(); set on success
 *
 * Return: 0 or negative errno
 */
int dns_netns_open(int netns_fd, struct dns_netns *ret_netns)
{
	_cleanup_close_ int container = -EBADF, home = -EBADF;

	if (netns_fd >= 0) {
		container = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
		if (container < 0)
			return -errno;
		home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (home < 0)
			return -errno;
	}
	ret_netns->container_fd = TAKE_FD(container);
	ret_netns->home_fd = TAKE_FD(home);
	return 0;
}

/**
 * dns_netns_close() - Forget a namespace
 * @netns: May be closed already
 */
void dns_netns_close(struct dns_netns *netns)
{
	cleanup_close(&netns->container_fd);
	cleanup_close(&netns->home_fd);
	netns->container_fd = netns->home_fd = -EBADF;
}

static int dns_socket_here(int family, int type)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int dns_socket_in(const struct dns_netns *netns, int family, int type)
{
	int fd;

	if (netns->container_fd < 0)
		return dns_socket_here(family, type);
	if (setns(netns->container_fd, CLONE_NEWNET) < 0)
		return -errno;
	fd = dns_socket_here(family, type);
	if (setns(netns->home_fd, CLONE_NEWNET) < 0) {
		/* What the agent did next would happen in the container's network. */
		log_error("cannot leave a container's network: %s", strerror(errno));
		abort();
	}
	return fd;
}

/**
 * dns_socket_listen() - Open a socket for the container's queries
 * @netns:    Where; its loopback interface is up
 * @type:     SOCK_DGRAM or SOCK_STREAM
 * @wish:     Port to take if it is free; 0: none is better than others
 * @ret_port: Port of 127.0.0.11, @wish or one that the kernel chose; set on success
 *
 * Return: the caller's descriptor, or negative errno
 */
int dns_socket_listen(const struct dns_netns *netns, int type, uint16_t wish, uint16_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(DNS_ADDRESS)}, .sin_port = htons(wish)};
	socklen_t len = sizeof(address);
	_cleanup_close_ int fd = dns_socket_in(netns, AF_INET, type);
	int r;

	if (fd < 0)
		return fd;
	r = bind(fd, (struct sockaddr *)&address, len);
	if (r < 0 && wish && errno == EADDRINUSE) {
		address.sin_port = 0;
		r = bind(fd, (struct sockaddr *)&address, len);
	}
	if (r < 0 || (type == SOCK_STREAM && listen(fd, DNS_TCP_BACKLOG) < 0) ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	*ret_port = ntohs(address.sin_port);
	return TAKE_FD(fd);
}

/**
 * dns_socket_connect() - Open a socket to a server upstream
 * @netns:    The container's namespace, for upstreams that are asked from there
 * @type:     SOCK_DGRAM or SOCK_STREAM; the latter may be still connecting
 * @upstream: Server
 *
 * The kernel chooses a random free port, and takes only what comes from the server.
 *
 * Return: the caller's descriptor, or negative errno
 */
int dns_socket_connect(const struct dns_netns *netns, int type, const struct dns_upstream *upstream)
{
	static const struct dns_netns here = {-EBADF, -EBADF};
	uint16_t port = htons(upstream->port ? upstream->port : DNS_PORT);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
	bool is_v4 = upstream->address.len == sizeof(v4.sin_addr);
	const struct sockaddr *to = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	_cleanup_close_ int fd = -EBADF;

	memcpy(&v4.sin_addr, upstream->address.bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, upstream->address.bytes, sizeof(v6.sin6_addr));
	fd = dns_socket_in(upstream->in_container ? netns : &here, to->sa_family, type);
	if (fd < 0)
		return fd;
	if (connect(fd, to, is_v4 ? sizeof(v4) : sizeof(v6)) < 0 && errno != EINPROGRESS)
		return -errno;
	return TAKE_FD(fd);
}
