/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.c - from --host texts to listening sockets
 *
 * A unix socket is made with mode 0660 before anybody can connect, and replaces a stale one: a path
 * on which nobody answers. TCP without TLS is root for everyone who can connect; it is accepted
 * only on a loopback address. Socket activation follows sd_listen_fds(3): LISTEN_PID, LISTEN_FDS,
 * from 3.
 */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define LISTEN_BACKLOG 1024
#define LISTEN_FDS_START 3

static bool listen_unix_answers(const struct sockaddr_un *addr)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
}

/* The group named, or docker, or arca where they exist; a name given by hand must exist. */
static int listen_set_group(const char *path, const char *group, struct err *err)
{
	static const char *const defaults[] = {"docker", "arca"};
	struct group *gr = NULL;

	if (!str_empty(group)) {
		gr = getgrnam(group);
		if (!gr)
			return err_user(err, ERR_INVALID, "group %s not found", group);
	}
	for (size_t i = 0; i < ARRAY_SIZE(defaults) && !gr && geteuid() == 0; i++)
		gr = getgrnam(defaults[i]);
	if (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0)
		return err_sys(err, -errno, "cannot give %s to group %s", path, gr->gr_name);
	if (chmod(path, 0660) < 0)
		return err_sys(err, -errno, "cannot set the mode of %s", path);
	return 0;
}

static int listen_unix(const char *path, const char *group, struct listen_socket *ret,
		       struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_free_ char *dir = strdup(path), *copy = strdup(path);
	_cleanup_close_ int fd = -EBADF;
	mode_t old;
	int r;

	if (!dir || !copy)
		return err_oom(err);
	if (path[0] != '/' || strlen(path) >= sizeof(addr.sun_path))
		return err_user(err, ERR_INVALID, "socket path \"%s\" is not absolute or too long",
				path);
	strcpy(addr.sun_path, path);
	*strrchr(dir, '/') = '\0';
	r = *dir ? fs_mkdir_p(dir, 0755) : 0;
	if (r < 0)
		return err_sys(err, r, "cannot make the folder %s", dir);
	if (listen_unix_answers(&addr))
		return err_user(err, ERR_CONFLICT, "another server answers on %s", path);
	(void)unlink(path); /* stale; bind() tells if it could not go */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, "cannot make a socket");
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(old);
	if (r < 0)
		return err_sys(err, r, "cannot bind %s", path);
	r = listen_set_group(path, group, err);
	if (r < 0)
		return r;
	if (listen(fd, LISTEN_BACKLOG) < 0)
		return err_sys(err, -errno, "cannot listen on %s", path);
	*ret = (struct listen_socket){.fd = TAKE_FD(fd), .path = TAKE_PTR(copy)};
	return 0;
}

static bool listen_is_loopback(const struct addrinfo *ai)
{
	const struct sockaddr_in *v4 = (const void *)ai->ai_addr;
	const struct sockaddr_in6 *v6 = (const void *)ai->ai_addr;

	if (ai->ai_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return ai->ai_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int listen_tcp(const char *text, bool tls, struct listen_socket *ret, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
			*found = NULL;
	_cleanup_free_ char *copy = strdup(text);
	_cleanup_close_ int fd = -EBADF;
	char *port, *host;
	int r;

	if (!copy)
		return err_oom(err);
	host = copy;
	port = strrchr(copy, ':');
	if (!port || !port[1])
		return err_user(err, ERR_INVALID, "tcp://%s: give an address and a port", text);
	*port++ = '\0';
	if (host[0] == '[' && str_ends(host, "]")) {
		host[strlen(host) - 1] = '\0';
		host++;
	}
	r = getaddrinfo(*host ? host : "127.0.0.1", port, &hints, &found);
	if (r != 0)
		return err_user(err, ERR_INVALID, "tcp://%s: %s", text, gai_strerror(r));
	if (!tls && !listen_is_loopback(found)) {
		freeaddrinfo(found);
		return err_user(
			err, ERR_INVALID,
			"tcp://%s: without TLS only loopback addresses are served, since whoever "
			"connects is root; use --tlsverify",
			text);
	}
	r = 0;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		r = -errno;
	freeaddrinfo(found);
	if (r < 0)
		return err_sys(err, r, "cannot listen on tcp://%s", text);
	if (!tls)
		log_warn("tcp://%s is served without TLS: every local user who connects is root",
			 text);
	*ret = (struct listen_socket){.fd = TAKE_FD(fd), .tcp = true};
	return 0;
}

static int listen_activation(struct listen_socket *sockets, int *n, struct err *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t count = 0;

	if (!pid || !fds || atol(pid) != (long)getpid() ||
	    str_u64(fds, LISTEN_FDS_MAX, &count) < 0 || count == 0)
		return err_user(
			err, ERR_INVALID,
			"fd://: no socket was passed; is arcad started by socket activation?");
	for (uint64_t i = 0; i < count && *n < LISTEN_FDS_MAX; i++) {
		int fd = LISTEN_FDS_START + (int)i, domain = 0;
		socklen_t len = sizeof(domain);

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
		    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
			return err_sys(err, -errno, "fd://: descriptor %d is no socket", fd);
		sockets[(*n)++] = (struct listen_socket){.fd = fd, .tcp = domain != AF_UNIX};
	}
	return 0;
}

/**
 * listen_open() - Open the socket(s) that one --host names
 * @host:    "unix://PATH", "tcp://ADDRESS:PORT", "fd://..."
 * @group:   Group of a unix socket; NULL or "": docker or arca where they exist
 * @tls:     TCP will be served with TLS
 * @sockets: Appended to
 * @n:	     How many are in @sockets; at most LISTEN_FDS_MAX
 * @err:     Filled on failure
 *
 * Return: 0, or negative errno
 */
int listen_open(const char *host, const char *group, bool tls,
		struct listen_socket sockets[static LISTEN_FDS_MAX], int *n, struct err *err)
{
	int r;

	if (*n >= LISTEN_FDS_MAX)
		return err_user(err, ERR_INVALID, "more than %d sockets", LISTEN_FDS_MAX);
	if (str_starts(host, "fd://"))
		return listen_activation(sockets, n, err);
	if (str_starts(host, "unix://"))
		r = listen_unix(host + strlen("unix://"), group, &sockets[*n], err);
	else if (str_starts(host, "tcp://"))
		r = listen_tcp(host + strlen("tcp://"), tls, &sockets[*n], err);
	else
		return err_user(err, ERR_INVALID,
				"unable to parse docker host \"%s\": use unix://, tcp:// or fd://",
				host);
	if (r == 0)
		(*n)++;
	return r;
}

/**
 * listen_close() - Close what is still ours and remove the unix sockets we made
 * @sockets: Sockets; fd -EBADF where it was handed on
 * @n:	     How many
 */
void listen_close(struct listen_socket *sockets, int n)
{
	for (int i = 0; i < n; i++) {
		cleanup_close(&sockets[i].fd);
		if (sockets[i].path)
			(void)unlink(sockets[i].path); /* somebody may have been quicker */
		free(sockets[i].path);
	}
}
