/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.c - sockets in the host's network namespace
 *
 * The main thread lives in the underlay's namespace, where the sockets towards VMs are made. This
 * thread lives in the host's, and does nothing but open sockets there when it is asked. So nobody
 * needs the privilege to change namespaces once both are where they belong; this thread keeps the
 * one to bind ports below 1024.
 */
#include "forward/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "forward/sandbox.h"

#define LISTEN_BACKLOG 4096   /* Go's, and the kernel's somaxconn */
#define LISTEN_KEEPALIVE_S 15 /* Go's; accepted sockets inherit it */
#define LISTEN_UDP_BUF_BYTES (1024 * 1024)

enum listen_state { LISTEN_STARTING, LISTEN_IDLE, LISTEN_ASKED, LISTEN_FAILED };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	enum listen_state state;
	int ns_fd;
	uint8_t proto;
	struct forward_ip ip;
	uint16_t port;
	int *fds; /* the answer: consecutive ports */
	size_t n;
	size_t n_open; /* how many of them are open */
	int error;     /* of the first that is not */
} listener = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

/**
 * listen_address() - A socket address
 * @ip:	      Address
 * @port:     Port
 * @ret_addr: Filled
 *
 * Return: its length, bytes
 */
socklen_t listen_address(const struct forward_ip *ip, uint16_t port,
			 struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in *v4 = (void *)ret_addr;
	struct sockaddr_in6 *v6 = (void *)ret_addr;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (ip->family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->bytes, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

static int listen_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* As Go's net package sets a listener up, which dockerd's proxy uses. */
static int listen_options(int fd, uint8_t proto, bool v6)
{
	int r = 0;

	if (v6)
		r = listen_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (proto == IPPROTO_TCP) {
		r = r < 0 ? r : listen_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		/* What follows makes it better only. */
		(void)listen_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		(void)listen_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		(void)listen_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, LISTEN_KEEPALIVE_S);
		(void)listen_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, LISTEN_KEEPALIVE_S);
		return r;
	}
	(void)listen_set(fd, SOL_SOCKET, SO_RCVBUF, LISTEN_UDP_BUF_BYTES);
	(void)listen_set(fd, SOL_SOCKET, SO_SNDBUF, LISTEN_UDP_BUF_BYTES);
	/* An answer must come from the address that was asked. */
	return r < 0 ? r
	       : v6  ? listen_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
		     : listen_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static int listen_make(uint8_t proto, const struct forward_ip *ip, uint16_t port)
{
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, r;
	struct sockaddr_storage addr;
	socklen_t len = listen_address(ip, port, &addr);
	_cleanup_close_ int fd = socket(addr.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);

	if (fd < 0)
		return -errno;
	r = listen_options(fd, proto, ip->family == 6);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&addr, len) < 0)
		return -errno;
	if (proto == IPPROTO_TCP && listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void listen_make_all(void)
{
	listener.error = 0;
	for (listener.n_open = 0; listener.n_open < listener.n; listener.n_open++) {
		int fd = listen_make(listener.proto, &listener.ip,
				     (uint16_t)(listener.port + listener.n_open));

		if (fd < 0) {
			listener.error = fd;
			return;
		}
		listener.fds[listener.n_open] = fd;
	}
}

static void *listen_thread(void *arg UNUSED)
{
	int r = setns(listener.ns_fd, CLONE_NEWNET) < 0 ? -errno : sandbox_drop(true);

	(void)pthread_setname_np(pthread_self(), "arca-listen"); /* only a label */
	pthread_mutex_lock(&listener.lock);
	listener.state = r < 0 ? LISTEN_FAILED : LISTEN_IDLE;
	listener.error = r;
	pthread_cond_broadcast(&listener.cond);
	while (r == 0) {
		while (listener.state != LISTEN_ASKED)
			pthread_cond_wait(&listener.cond, &listener.lock);
		listen_make_all();
		listener.state = LISTEN_IDLE;
		pthread_cond_broadcast(&listener.cond);
	}
	pthread_mutex_unlock(&listener.lock);
	return NULL;
}

/**
 * listen_init() - Start the thread
 * @host_ns_fd: The host's network namespace; closed
 *
 * Return: 0, or negative errno
 */
int listen_init(int host_ns_fd)
{
	pthread_t thread;
	int r;

	listener.ns_fd = host_ns_fd;
	r = -pthread_create(&thread, NULL, listen_thread, NULL);
	if (r < 0)
		return r;
	(void)pthread_detach(thread); /* lives as long as we do */
	pthread_mutex_lock(&listener.lock);
	while (listener.state == LISTEN_STARTING)
		pthread_cond_wait(&listener.cond, &listener.lock);
	r = listener.state == LISTEN_FAILED ? listener.error : 0;
	pthread_mutex_unlock(&listener.lock);
	(void)close(host_ns_fd); /* the thread is in it */
	return r;
}

/**
 * listen_port() - The port that a socket is bound to
 * @fd:	      Of listen_open()
 * @ret_port: Set on success
 *
 * Return: 0, or negative errno
 */
int listen_port(int fd, uint16_t *ret_port)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	*ret_port = ntohs(addr.ss_family == AF_INET ? ((struct sockaddr_in *)&addr)->sin_port
						    : ((struct sockaddr_in6 *)&addr)->sin6_port);
	return 0;
}

/**
 * listen_open() - Bound sockets on the host; TCP ones listen
 * @proto:  IPPROTO_TCP or IPPROTO_UDP
 * @ip:	    Address; all zeros: every one of its family
 * @port:   Port of the first; 0: the kernel chooses, @n is 1
 * @fds:    Non-blocking descriptors of consecutive ports, owned by the caller
 * @n:	    How many
 * @ret_n:  How many are open, also on failure
 *
 * Return: 0, or why the first that is not open is not: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES,
 *	   -EMFILE, or another negative errno
 */
int listen_open(uint8_t proto, const struct forward_ip *ip, uint16_t port, int *fds, size_t n,
		size_t *ret_n)
{
	int r;

	pthread_mutex_lock(&listener.lock);
	listener.proto = proto;
	listener.ip = *ip;
	listener.port = port;
	listener.fds = fds;
	listener.n = n;
	listener.state = LISTEN_ASKED;
	pthread_cond_broadcast(&listener.cond);
	while (listener.state == LISTEN_ASKED)
		pthread_cond_wait(&listener.cond, &listener.lock);
	*ret_n = listener.n_open;
	r = listener.error;
	pthread_mutex_unlock(&listener.lock);
	return r;
}
