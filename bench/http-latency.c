/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-latency.c - how long one GET takes over a kept-alive unix socket, median of many
 *
 *   http-latency SOCKET PATH ROUNDS     microseconds as JSON
 *   http-latency --floor ROUNDS         the same against a bare libmicrohttpd in this process: the
 * floor
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/util.h"

#define LATENCY_WARMUP 50
#define LATENCY_REPLY_MAX (16 * 1024 * 1024)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		die("socket");
	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect");
	return fd;
}

/* Whether reply[0..len) is a whole answer: by Content-Length, or by the last chunk. */
static bool complete(char *reply, size_t len)
{
	char *end, *length;

	reply[len] = '\0';
	end = strstr(reply, "\r\n\r\n");
	if (!end)
		return false;
	length = strcasestr(reply, "content-length:");
	if (length && length < end)
		return len >= (size_t)(end + 4 - reply) + strtoul(length + 15, NULL, 10);
	return len >= 5 && memcmp(reply + len - 5, "0\r\n\r\n", 5) == 0;
}

static double one(int fd, const char *request, char *reply, size_t *ret_len)
{
	int64_t start = clock_monotonic_ns();
	size_t len = 0;

	if (fs_write_all(fd, request, strlen(request)) < 0)
		die("write");
	do {
		ssize_t n = read(fd, reply + len, LATENCY_REPLY_MAX - len);

		if (n <= 0)
			die("read");
		len += (size_t)n;
	} while (!complete(reply, len));
	*ret_len = len;
	return (double)(clock_monotonic_ns() - start) / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *socket_path, const char *path, int rounds)
{
	char *reply = malloc(LATENCY_REPLY_MAX + 1), request[1024];
	double *us = calloc((size_t)rounds, sizeof(*us));
	int fd = dial(socket_path);
	size_t len = 0;

	if (!reply || !us)
		die("malloc");
	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		       path);
	for (int i = -LATENCY_WARMUP; i < rounds; i++) {
		double t = one(fd, request, reply, &len);

		if (i >= 0)
			us[i] = t;
	}
	if (strncmp(reply, "HTTP/1.1 200", 12) != 0) {
		(void)fprintf(stderr, "%s: %.60s\n", path, reply);
		exit(1);
	}
	qsort(us, (size_t)rounds, sizeof(*us), by_value);
	printf("{\"path\":\"%s\",\"p50_us\":%.1f,\"p99_us\":%.1f,\"min_us\":%.1f,\"n\":%d,"
	       "\"bytes\":%zu}\n",
	       path, us[rounds / 2], us[rounds * 99 / 100], us[0], rounds, len);
	(void)close(fd);
	free(us);
	free(reply);
}

static enum MHD_Result answer(void *cls UNUSED, struct MHD_Connection *c, const char *url UNUSED,
			      const char *method UNUSED, const char *version UNUSED,
			      const char *data UNUSED, size_t *size UNUSED, void **request)
{
	static char seen, body[] = "OK";
	struct MHD_Response *r;
	enum MHD_Result queued;

	if (!*request) {
		*request = &seen;
		return MHD_YES;
	}
	r = MHD_create_response_from_buffer(2, body, MHD_RESPMEM_PERSISTENT);
	queued = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return queued;
}

static void measure_floor(int rounds)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct MHD_Daemon *daemon;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/arca-floor.%d", (int)getpid());
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		die("listen");
	daemon = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0,
		NULL, NULL, answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
	if (!daemon)
		die("libmicrohttpd");
	measure(addr.sun_path, "/floor", rounds);
	MHD_stop_daemon(daemon);
	(void)unlink(addr.sun_path);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--floor") == 0) {
		measure_floor(atoi(argv[2]));
	} else if (argc == 4) {
		measure(argv[1], argv[2], atoi(argv[3]));
	} else {
		(void)fprintf(stderr, "usage: http-latency SOCKET PATH ROUNDS | --floor ROUNDS\n");
		return 2;
	}
	return 0;
}
