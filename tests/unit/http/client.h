/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - a bare HTTP client for tests: bytes in, bytes out, with a deadline */
#pragma once

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define CLIENT_DEADLINE_MS 5000

static inline int client_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool client_send(int fd, const char *text)
{
	size_t len = strlen(text);

	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Reads into b until it contains text (NULL: until the server closes). */
static inline bool client_until(int fd, struct buf *b, const char *text)
{
	int64_t end = clock_monotonic_ns() + CLIENT_DEADLINE_MS * NSEC_PER_MSEC;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char data[65536];
		ssize_t n;

		if (text && b->data && memmem(b->data, b->len, text, strlen(text)))
			return true;
		if (clock_monotonic_ns() > end || poll(&p, 1, CLIENT_DEADLINE_MS) <= 0)
			return false;
		n = recv(fd, data, sizeof(data), 0);
		if (n <= 0)
			return !text;
		buf_add(b, data, (size_t)n);
	}
}
