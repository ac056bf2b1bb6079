/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.c - the channel to the daemon: a virtio-serial port
 *
 * Edge triggered: a port whose host side is not connected reports EPOLLHUP for as long as that
 * lasts, and a template has to be idle in that state.
 */
#include "agent/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define PORT_NAME "arca.agent"
#define PORT_CLASS "/sys/class/virtio-ports"
#define PORT_TRIES 500 /* of 10 ms: the driver finds its ports in its own time */

static int port_find(char **ret_device)
{
	_cleanup_closedir_ DIR *dir = opendir(PORT_CLASS);
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		_cleanup_free_ char *path = str_format(PORT_CLASS "/%s/name", e->d_name);
		_cleanup_free_ char *name = NULL;

		if (!path)
			return -ENOMEM;
		if (e->d_name[0] == '.' || fs_read_file(path, 4096, &name, NULL) < 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (!str_eq(name, PORT_NAME))
			continue;
		*ret_device = str_format("/dev/%s", e->d_name);
		return *ret_device ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

/**
 * port_open() - Find and open the port
 * @ret_fd: Non-blocking, owned by the caller; set on success
 *
 * Return: 0 or negative errno
 */
int port_open(int *ret_fd)
{
	int fd = -EBADF, r = -ENOENT;

	for (int i = 0; i < PORT_TRIES; i++) {
		_cleanup_free_ char *device = NULL;

		r = port_find(&device);
		if (r == 0) {
			fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
			if (fd >= 0) {
				*ret_fd = fd;
				return 0;
			}
			r = -errno;
		}
		(void)usleep(10000);
	}
	return r;
}

static void port_event(struct poll_watch *watch, uint32_t events)
{
	struct agent *agent = container_of(watch, struct agent, port);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		(void)rpc_server_on_readable(agent->server); /* never fatal */
	if (events & EPOLLOUT)
		(void)rpc_server_on_writable(agent->server); /* as above */
}

/**
 * port_serve() - Answer calls that come through @fd
 * @agent: Agent
 * @fd:	   Port, or a stream socket; becomes the agent's
 *
 * Return: 0 or negative errno
 */
int port_serve(struct agent *agent, int fd)
{
	int r = rpc_server_new(fd, agent_methods, NULL, agent, &agent->server);

	if (r < 0)
		return r;
	return poll_add(&agent->poller, &agent->port, fd, EPOLLIN | EPOLLOUT | EPOLLET, port_event);
}

/**
 * port_flush() - Send what handlers queued since the last event
 * @agent: Agent
 *
 * Return: 0, or negative errno
 */
int port_flush(struct agent *agent)
{
	return rpc_server_wants_write(agent->server) ? rpc_server_on_writable(agent->server) : 0;
}
