/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - arca-forward: published ports of containers, from the host into their VMs
 *
 * DOC: Theory of operation
 *
 *	arca-forward FOLDER [MILLISECONDS until an idle UDP session ends]
 *
 * arcad starts it inside the underlay's network namespace, with the host's as descriptor 3. It
 *serves FOLDER/forward.sock (control.c), says one byte on its standard output when it does, and
 *lives until it is ended by a signal, whatever becomes of the daemon. One thread does everything
 *(poller.c) but to open listening sockets, which are the host's (listen.c). Hostile: the bytes of
 *clients, which are passed on unread, and how VMs behave on a connection. What the daemon says is
 *checked as well (wire.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "forward/control.h"
#include "forward/listen.h"
#include "forward/poller.h"
#include "forward/sandbox.h"
#include "forward/udp.h"

#define FORWARD_HOST_NS_FD 3
#define FORWARD_EXPIRE_MS 10000

static int forward_start(const char *folder)
{
	int fd, r;

	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN); /* splice(2) would raise it */
	if (chdir(folder) < 0)
		return -errno;
	r = sandbox_limits();
	if (r == 0)
		r = poller_init();
	if (r < 0)
		return r;
	fd = control_listen("forward.sock");
	if (fd < 0)
		return fd;
	r = listen_init(FORWARD_HOST_NS_FD);
	if (r == 0)
		r = sandbox_drop(false);
	if (r == 0)
		r = sandbox_filter();
	return r < 0 ? r : control_start(fd);
}

int main(int argc, char **argv)
{
	uint64_t idle_ms;
	int r;

	if (argc < 2 || argc > 3 || (argc == 3 && str_u64(argv[2], UINT32_MAX, &idle_ms) < 0)) {
		fprintf(stderr, "usage: arca-forward FOLDER [MILLISECONDS] (started by arcad)\n");
		return 2;
	}
	if (argc == 3)
		udp_set_idle((unsigned int)idle_ms);
	r = forward_start(argv[1]);
	if (r < 0) {
		log_error("arca-forward does not start: %s", strerror(-r));
		return 1;
	}
	(void)!write(STDOUT_FILENO, "\n", 1); /* whoever waited is told by the end as well */
	(void)close(STDOUT_FILENO);
	r = poller_run();
	log_error("arca-forward ends: %s", strerror(-r));
	return 1;
}
