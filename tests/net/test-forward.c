/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-forward.c - the daemon's client of the forwarder, in a real underlay
 *
 * Servers listen in the underlay's namespace, at the gateway's own address, in place of VMs. Needs
 * root, /dev/net/tun and nft.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "net/forward.h"
#include "net/underlay.h"
#include "test.h"

TEST_MAIN()

static char dir[64], net_dir[80];
static struct underlay *underlay;
static struct forward *forward;
static atomic_size_t restarts, restarted_n, restarted_lost;

static bool can_run(void)
{
	return geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

#define NEEDS_RIG()                                                                                \
	do {                                                                                       \
		if (!can_run())                                                                    \
			TEST_SKIP("needs root and /dev/net/tun");                                  \
		ASSERT(underlay &&forward);                                                        \
	} while (0)

static void on_restarted(size_t n, size_t lost, void *user UNUSED)
{
	restarted_n = n;
	restarted_lost = lost;
	restarts++;
}

static int open_client(struct err *err)
{
	const struct forward_config config = {.underlay = underlay,
					      .dir = net_dir,
					      .program = ARCA_FORWARD,
					      .restarted = on_restarted};

	return forward_open(&config, &forward, err);
}

static int open_both(struct err *err)
{
	const struct underlay_config config = {.dir = net_dir};
	int r = underlay_open(&config, &underlay, err);

	return r < 0 ? r : open_client(err);
}

static void close_both(void)
{
	forward_close(forward);
	underlay_close(underlay);
	forward = NULL;
	underlay = NULL;
}

struct server {
	int fd;
	uint16_t port;
};

static void *server_open(void *arg)
{
	_cleanup_free_ char *path = str_format("%s/ns", net_dir);
	_cleanup_close_ int ns = open(path, O_RDONLY | O_CLOEXEC);
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	struct server *server = arg;

	memcpy(&sa.sin_addr, underlay_gateway()->v4, 4);
	server->fd = -1;
	if (setns(ns, CLONE_NEWNET) < 0)
		return NULL;
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, (void *)&sa, sizeof(sa)) == 0 && listen(server->fd, 8) == 0 &&
	    getsockname(server->fd, (void *)&sa, &len) == 0)
		server->port = ntohs(sa.sin_port);
	return NULL;
}

static struct server server_start(void)
{
	struct server server = {};
	pthread_t thread;

	if (pthread_create(&thread, NULL, server_open, &server) == 0)
		(void)pthread_join(thread, NULL);
	return server;
}

static struct forward_mapping to(const struct server *server, uint16_t host_port)
{
	struct forward_mapping m = {.proto = IPPROTO_TCP,
				    .host = {.family = 4, .bytes = {127, 0, 0, 1}},
				    .target = {.family = 4},
				    .host_port = host_port,
				    .target_port = server->port,
				    .count = 1};

	memcpy(m.target.bytes, underlay_gateway()->v4, 4);
	return m;
}

static bool reaches(const struct server *server, uint16_t host_port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(host_port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval limit = {.tv_sec = 5};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int peer = -EBADF;
	char data[8] = "";

	if (connect(fd, (void *)&sa, sizeof(sa)) < 0 || write(fd, "hello", 5) != 5)
		return false;
	(void)setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	peer = accept(server->fd, NULL, NULL);
	return peer >= 0 && fs_read_full(peer, data, 5) == 5 && str_eq(data, "hello");
}

struct seen {
	size_t n;
	bool one, two;
};

static void note_owner(const char *owner, const struct forward_mapping *mappings, size_t n,
		       void *user)
{
	struct seen *seen = user;

	seen->n++;
	seen->one |= str_eq(owner, "one") && n == 2 && mappings[0].host_port != 0;
	seen->two |= str_eq(owner, "two") && n == 1;
}

static struct server server_one, server_two;
static struct forward_mapping one[2], two[1];

TEST(ports_are_published)
{
	struct forward_failure failure;
	struct err err = {};

	if (!can_run())
		TEST_SKIP("needs root and /dev/net/tun");
	(void)snprintf(dir, sizeof(dir), "/tmp/arca-forward.XXXXXX");
	ASSERT(mkdtemp(dir));
	(void)snprintf(net_dir, sizeof(net_dir), "%s/net", dir);
	ASSERT_OK(open_both(&err));
	ASSERT_OK(underlay_wait(underlay, &err));
	server_one = server_start();
	server_two = server_start();
	ASSERT(server_one.port && server_two.port);
	one[0] = to(&server_one, 0);
	one[1] = to(&server_two, 0);
	ASSERT_OK(forward_add(forward, "one", one, 2, &failure, &err));
	ASSERT(one[0].host_port && one[1].host_port);
	ASSERT(reaches(&server_one, one[0].host_port));
	ASSERT(reaches(&server_two, one[1].host_port));
}

TEST(a_taken_port_is_an_outcome)
{
	struct forward_mapping taken[2];
	struct forward_failure failure = {};
	struct err err = {};

	NEEDS_RIG();
	taken[0] = to(&server_two, 0);
	taken[1] = to(&server_two, one[1].host_port);
	ASSERT_EQ(forward_add(forward, "two", taken, 2, &failure, &err), FORWARD_E_PORT);
	ASSERT_EQ(failure.index, 1);
	ASSERT_EQ(failure.port, one[1].host_port);
	ASSERT_EQ(failure.error, -EADDRINUSE);
	ASSERT_STREQ(failure.holder, "one");
	ASSERT(!forward_has(forward, "two"));
	ASSERT_ERROR(forward_add(forward, "one", taken, 1, &failure, &err), EEXIST);
	taken[0].target_port = 0;
	ASSERT(forward_add(forward, "two", taken, 1, &failure, &err) < 0);
	two[0] = to(&server_two, 0);
	ASSERT_OK(forward_add(forward, "two", two, 1, &failure, &err));
}

/* Goal: ports go on without a daemon, and the next one knows them. */
TEST(ports_survive_the_daemon)
{
	struct seen seen = {};
	struct err err = {};
	pid_t pid;

	NEEDS_RIG();
	pid = forward_pid(forward);
	ASSERT(pid > 0);
	close_both();
	ASSERT(reaches(&server_one, one[0].host_port));
	ASSERT_OK(open_both(&err));
	ASSERT_OK(forward_list(forward, note_owner, &seen, &err));
	ASSERT_EQ(seen.n, 2);
	ASSERT(seen.one && seen.two);
	ASSERT_EQ(forward_pid(forward), pid);
	ASSERT_OK(forward_del(forward, "two")); /* who has gone meanwhile */
	ASSERT(!reaches(&server_two, two[0].host_port));
	ASSERT_ERROR(forward_del(forward, "two"), ENOENT);
	ASSERT(reaches(&server_two, one[1].host_port));
}

/* Goal: the namespace is found by the forwarder if its mount is not to be seen (systemd's own). */
TEST(the_namespace_is_found_without_its_mount)
{
	_cleanup_free_ char *command = str_format("umount -l %s/ns", net_dir);
	struct underlay_status before, after;
	struct err err = {};

	NEEDS_RIG();
	underlay_status(underlay, &before);
	close_both();
	ASSERT_OK(system(command));
	ASSERT_OK(open_both(&err));
	ASSERT_OK(underlay_wait(underlay, &err));
	underlay_status(underlay, &after);
	ASSERT_EQ(after.ns, before.ns);
	ASSERT(forward_has(forward, "one"));
	ASSERT(reaches(&server_one, one[0].host_port));
}

TEST(a_killed_forwarder_is_replaced_with_all_its_ports)
{
	struct seen seen = {};
	struct err err = {};
	size_t before;
	pid_t pid;

	NEEDS_RIG();
	for (int round = 0; round < 3; round++) {
		before = restarts;
		pid = forward_pid(forward);
		ASSERT_OK(kill(pid, SIGKILL));
		for (int i = 0; i < 500 && restarts == before; i++)
			usleep(10000);
		ASSERT_EQ(restarts, before + 1);
		ASSERT_EQ(restarted_n, 1);
		ASSERT_EQ(restarted_lost, 0);
		ASSERT(forward_pid(forward) != pid);
		ASSERT(reaches(&server_one, one[0].host_port));
		ASSERT(reaches(&server_two, one[1].host_port));
	}
	ASSERT_OK(forward_list(forward, note_owner, &seen, &err));
	ASSERT_EQ(seen.n, 1);
}

/* Goal: a request that meets a dead forwarder is answered by the next. */
TEST(a_request_does_not_notice_a_killed_forwarder)
{
	struct forward_failure failure;
	struct err err = {};

	NEEDS_RIG();
	for (int i = 0; i < 5; i++) {
		struct forward_mapping m = to(&server_two, 0);

		ASSERT_OK(kill(forward_pid(forward), SIGKILL));
		if (forward_add(forward, "three", &m, 1, &failure, &err) != 0)
			TEST_FAIL("round %d: %s", i, err.msg);
		ASSERT(reaches(&server_two, m.host_port));
		ASSERT(reaches(&server_one, one[0].host_port));
		ASSERT_OK(kill(forward_pid(forward), SIGKILL));
		ASSERT_OK(forward_del(forward, "three"));
		ASSERT(!forward_has(forward, "three"));
	}
}

/* Goal: a forwarder that died together with the daemon leaves a client that can start over. */
TEST(both_killed_begins_anew)
{
	struct forward_failure failure;
	struct err err = {};
	pid_t pid;

	NEEDS_RIG();
	pid = forward_pid(forward);
	close_both();
	ASSERT_OK(kill(pid, SIGKILL));
	(void)usleep(50000);
	ASSERT_OK(open_both(&err));
	ASSERT(!forward_has(forward, "one"));
	ASSERT_OK(forward_add(forward, "one", one, 2, &failure, &err));
	ASSERT(reaches(&server_one, one[0].host_port));
}

TEST(the_end_leaves_nothing)
{
	pid_t pid;

	NEEDS_RIG();
	pid = forward_pid(forward);
	ASSERT_OK(forward_del(forward, "one"));
	(void)close(server_one.fd);
	(void)close(server_two.fd);
	forward_remove(forward);
	underlay_remove(underlay);
	ASSERT(!fs_exists(net_dir));
	ASSERT(kill(pid, 0) < 0);
	(void)rmdir(dir);
}
