/* SPDX-License-Identifier: Apache-2.0 */
/* test-dns-server.c - the server with real sockets on loopback; upstream is played by the tests */
#include "agent/dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/dns_state.h"
#include "agent/dns_zone.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "test.h"
#include "dns-rig.h"

TEST_MAIN()

#define WAIT_MS 15000

struct rig {
	struct poller poller;
	struct dns_zone *zone;
	struct dns_server *server;
	int up[2], up_tcp; /* two servers upstream, the first over TCP as well */
	struct dns_config config;
	struct dns_upstream upstreams[2];
	struct sockaddr_in from; /* of the query that rig_upstream() took */
	uint8_t msg[DNS_MESSAGE_MAX];
	size_t len;
};

static int rig_listen(int type, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr = {htonl(INADDR_LOOPBACK)},
				.sin_port = htons(*port)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		abort();
	if (bind(fd, (struct sockaddr *)&a, len) < 0) { /* somebody else has that port */
		(void)close(fd);
		return -1;
	}
	if ((type == SOCK_STREAM && listen(fd, 8) < 0) ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

static void rig_init(struct rig *rig)
{
	static const char *const names[] = {"c1", NULL};
	static const uint8_t v4[] = {172, 18, 0, 2};
	struct dns_endpoint one = {.id = "e1", .names = names, .n_names = 1, .v4 = v4};

	memset(rig, 0, sizeof(*rig));
	rig->zone = dns_zone_new();
	if (poll_init(&rig->poller) < 0 || !rig->zone ||
	    dns_zone_network_add(rig->zone, "n", "net", 0) < 0 ||
	    dns_zone_set(rig->zone, "n", &one) < 0)
		abort();
	for (int i = 0; i < 2; i++) {
		rig->upstreams[i].address = (struct dns_address){{127, 0, 0, 1}, 4};
		rig->up[i] = rig_listen(SOCK_DGRAM, &rig->upstreams[i].port);
	}
	/* Of one number, which nobody else on this machine may have. */
	while ((rig->up_tcp = rig_listen(SOCK_STREAM, &rig->upstreams[0].port)) < 0) {
		cleanup_close(&rig->up[0]);
		rig->upstreams[0].port = 0;
		rig->up[0] = rig_listen(SOCK_DGRAM, &rig->upstreams[0].port);
	}
	rig->config = (struct dns_config){
		.netns_fd = -1, .upstreams = rig->upstreams, .n_upstreams = 2, .forward = true};
}

static void rig_start(struct rig *rig)
{
	if (dns_server_new(&rig->config, rig->zone, &rig->poller, &rig->server) < 0)
		abort();
}

static void rig_done(struct rig *rig)
{
	dns_server_free(rig->server);
	dns_zone_free(rig->zone);
	poll_done(&rig->poller);
	for (int i = 0; i < 2; i++)
		cleanup_close(&rig->up[i]);
	cleanup_close(&rig->up_tcp);
}
#define _cleanup_rig_ _cleanup_(rig_done)

/* Let the server run until @fd can be read. Return: false after WAIT_MS without anything */
static bool rig_wait(struct rig *rig, int fd)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
			      {.fd = rig->poller.epoll_fd, .events = POLLIN}};

	for (;;) {
		if (poll(p, 2, WAIT_MS) <= 0)
			return false;
		if (p[1].revents && poll_once(&rig->poller) < 0)
			return false;
		if (p[0].revents)
			return true;
	}
}

/* Let the server do all it can do without new bytes. */
static void rig_settle(struct rig *rig)
{
	struct pollfd p = {.fd = rig->poller.epoll_fd, .events = POLLIN};

	while (poll(&p, 1, 50) > 0)
		(void)poll_once(&rig->poller);
}

static void rig_expire(struct rig *rig)
{
	if (rig->server->forwards)
		rig->server->forwards->due_ns = 1;
	poll_timer_set(&rig->poller, &rig->server->timer, 0, rig->server->timer.fn);
	(void)poll_once(&rig->poller);
}

static int rig_client(struct rig *rig, int type)
{
	uint16_t port = type == SOCK_DGRAM ? dns_server_udp_port(rig->server)
					   : dns_server_tcp_port(rig->server);
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr = {htonl(0x7f00000b)}, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		abort();
	return fd;
}

static void rig_send(int fd, uint16_t id, const char *name, uint16_t type, uint16_t udp_size)
{
	uint8_t msg[600];
	size_t len = rig_query(msg, id, name, type, udp_size);

	if (send(fd, msg, len, 0) != (ssize_t)len)
		abort();
}

static void rig_send_tcp(int fd, uint16_t id, const char *name)
{
	uint8_t msg[600];
	size_t len = rig_query(msg + 2, id, name, DNS_TYPE_A, 0);

	dns_put16(msg, (uint16_t)len);
	if (send(fd, msg, len + 2, MSG_NOSIGNAL) != (ssize_t)len + 2)
		abort();
}

static bool rig_receive(struct rig *rig, int fd)
{
	ssize_t n = rig_wait(rig, fd) ? recv(fd, rig->msg, sizeof(rig->msg), 0) : -1;

	rig->len = n < 0 ? 0 : (size_t)n;
	return n >= DNS_HEADER_LEN;
}

static bool rig_receive_tcp(struct rig *rig, int fd)
{
	uint8_t prefix[2];

	if (!rig_wait(rig, fd) || recv(fd, prefix, 2, MSG_WAITALL) != 2)
		return false;
	rig->len = dns_get16(prefix);
	for (size_t at = 0; at < rig->len;) {
		ssize_t n = rig_wait(rig, fd) ? recv(fd, rig->msg + at, rig->len - at, 0) : -1;

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* Take a query at server @i. */
static bool rig_upstream(struct rig *rig, int i)
{
	socklen_t len = sizeof(rig->from);
	ssize_t n = -1;

	if (rig_wait(rig, rig->up[i]))
		n = recvfrom(rig->up[i], rig->msg, sizeof(rig->msg), 0,
			     (struct sockaddr *)&rig->from, &len);
	rig->len = n < 0 ? 0 : (size_t)n;
	return n >= DNS_HEADER_LEN;
}

/* Answer what rig_upstream() took: @flags, and an address unless there is an error. */
static void rig_respond(struct rig *rig, int i, uint16_t flags)
{
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 77, 0, 4, 9, 9, 9, 9};
	uint8_t *msg = rig->msg;

	dns_put16(msg + 2, 0x8180 | flags);
	if (!(flags & 15)) {
		msg[7] = 1;
		memcpy(msg + rig->len, record, sizeof(record));
		rig->len += sizeof(record);
	}
	if (sendto(rig->up[i], msg, rig->len, 0, (struct sockaddr *)&rig->from, sizeof(rig->from)) <
	    0)
		abort();
}

/* Goal: names of the zone are answered over UDP and TCP, and changes are seen at once. */
TEST(dns_server_answers_from_the_zone)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF, tcp = -EBADF;

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	tcp = rig_client(&rig, SOCK_STREAM);
	rig_send(udp, 1, "C1", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(dns_get16(rig.msg), 1);
	ASSERT_EQ(rig_answers(rig.msg), 1);
	ASSERT(memcmp(rig.msg + rig.len - 4, "\254\22\0\2", 4) == 0);
	rig_send_tcp(tcp, 2, "c1.net");
	ASSERT(rig_receive_tcp(&rig, tcp));
	ASSERT_EQ(rig_answers(rig.msg), 1);
	dns_zone_remove(rig.zone, "n", "e1");
	dns_server_set_forward(rig.server, false);
	rig_send(udp, 3, "c1", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_rcode(rig.msg), DNS_SERVFAIL);
	ASSERT_EQ(dns_get16(rig.msg + 2), 0x8102); /* RA not set */
}

/* Goal: what goes upstream has another id and port each time; the client gets its own id and case.
 */
TEST(dns_server_forwards)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF;
	uint16_t ids[4], ports[4];

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	for (int i = 0; i < 4; i++) {
		rig_send(udp, 77, "ExAmple.org", DNS_TYPE_A, 0);
		ASSERT(rig_upstream(&rig, 0));
		ids[i] = dns_get16(rig.msg);
		ports[i] = rig.from.sin_port;
		rig.msg[13] = 'e'; /* a server that lowers names */
		rig_respond(&rig, 0, 0);
		ASSERT(rig_receive(&rig, udp));
		ASSERT_EQ(dns_get16(rig.msg), 77);
		ASSERT(memcmp(rig.msg + 12, "\7ExAmple\3org", 13) == 0);
		ASSERT_EQ(rig_answers(rig.msg), 1);
	}
	ASSERT(ids[0] != ids[1] || ids[0] != ids[2] || ids[0] != ids[3]);
	ASSERT(ports[0] != ports[1] || ports[0] != ports[2] || ports[0] != ports[3]);
	ASSERT(!rig.server->forwards);
	ASSERT_EQ(rig.server->n_forwards, 0);
	ASSERT(!rig.server->timer.due_ns);
}

/* Goal: forged answers (another id, question or sender) are dropped, and the right one still
 * counts. */
TEST(dns_server_drops_forgeries)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF;

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	rig_send(udp, 1, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_upstream(&rig, 0));
	rig.msg[2] |= 0x80;
	rig.msg[3] = 3;
	rig.msg[0] ^= 1;
	(void)sendto(rig.up[0], rig.msg, rig.len, 0, (struct sockaddr *)&rig.from,
		     sizeof(rig.from)); /* its id */
	rig.msg[0] ^= 1;
	rig.msg[13] ^= 1;
	(void)sendto(rig.up[0], rig.msg, rig.len, 0, (struct sockaddr *)&rig.from,
		     sizeof(rig.from)); /* its question */
	rig.msg[13] ^= 1;
	(void)sendto(rig.up[1], rig.msg, rig.len, 0, (struct sockaddr *)&rig.from,
		     sizeof(rig.from)); /* its sender */
	rig_settle(&rig);
	ASSERT_EQ(rig.server->n_forwards, 1);
	rig_respond(&rig, 0, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_rcode(rig.msg), 0);
	ASSERT_EQ(rig_answers(rig.msg), 1);
}

/* Goal: SERVFAIL, REFUSED, silence and what is no message lead to the next server, then SERVFAIL.
 */
TEST(dns_server_fails_over)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF;

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	for (uint16_t rcode = DNS_SERVFAIL; rcode <= DNS_REFUSED; rcode += 3) {
		rig_send(udp, 1, "example.org", DNS_TYPE_A, 0);
		ASSERT(rig_upstream(&rig, 0));
		rig_respond(&rig, 0, rcode);
		ASSERT(rig_upstream(&rig, 1));
		rig_respond(&rig, 1, DNS_NXDOMAIN); /* is an answer */
		ASSERT(rig_receive(&rig, udp));
		ASSERT_EQ(rig_rcode(rig.msg), DNS_NXDOMAIN);
	}
	rig_send(udp, 2, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_upstream(&rig, 0));
	rig_expire(&rig);
	ASSERT(rig_upstream(&rig, 1));
	rig.msg[2] |= 0x80;
	rig.msg[7] = 9; /* records that are not there */
	(void)sendto(rig.up[1], rig.msg, rig.len, 0, (struct sockaddr *)&rig.from,
		     sizeof(rig.from));
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(dns_get16(rig.msg), 2);
	ASSERT_EQ(rig_rcode(rig.msg), DNS_SERVFAIL);
	cleanup_close(&rig.up[0]); /* nobody listens: told by ICMP */
	rig.up[0] = -EBADF;
	rig_send(udp, 3, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_upstream(&rig, 1));
	rig_respond(&rig, 1, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_answers(rig.msg), 1);
}

/* Goal: nothing of these goes upstream: internal networks, ndots, ourselves. */
TEST(dns_server_keeps_for_itself)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF;

	rig_init(&rig);
	rig.config.ndots_set = true;
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	rig_send(udp, 1, "single", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(dns_get16(rig.msg + 2), 0x8180);
	ASSERT_EQ(rig_answers(rig.msg), 0);
	rig_send(udp, 2, "single", 16 /* TXT */, 0);
	ASSERT(rig_upstream(&rig, 0));
	rig_respond(&rig, 0, DNS_NXDOMAIN);
	ASSERT(rig_receive(&rig, udp));
	dns_server_free(rig.server);
	rig.server = NULL;
	cleanup_close(&udp);
	rig.upstreams[0].address = (struct dns_address){{127, 0, 0, 11}, 4};
	rig.config.n_upstreams = 1;
	rig_start(&rig);
	ASSERT_EQ(rig.server->n_upstreams, 0);
	udp = rig_client(&rig, SOCK_DGRAM);
	rig_send(udp, 3, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_rcode(rig.msg), DNS_SERVFAIL);
	ASSERT_EQ(recv(rig.up[0], rig.msg, 1, MSG_DONTWAIT), -1);
}

/* Goal: what TCP clients ask is asked over TCP, in pieces also; a server that hangs up is the next.
 */
TEST(dns_server_forwards_tcp)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int tcp = -EBADF, up = -EBADF;
	uint8_t prefix[2];

	rig_init(&rig);
	rig.upstreams[1] = rig.upstreams[0];
	rig_start(&rig);
	tcp = rig_client(&rig, SOCK_STREAM);
	rig_send_tcp(tcp, 5, "big.example");
	ASSERT(rig_wait(&rig, rig.up_tcp));
	up = accept(rig.up_tcp, NULL, NULL);
	cleanup_close(&up);
	ASSERT(rig_wait(&rig, rig.up_tcp));
	up = accept(rig.up_tcp, NULL, NULL);
	ASSERT(rig_receive_tcp(&rig, up));
	dns_put16(rig.msg + 2, 0x8180);
	dns_put16(rig.msg + 6, 3000);
	for (int i = 0; i < 3000; i++, rig.len += 16)
		memcpy(rig.msg + rig.len, "\xc0\x0c\0\1\0\1\0\0\0\7\0\4\1\2\3\4", 16);
	dns_put16(prefix, (uint16_t)rig.len);
	ASSERT_EQ(send(up, prefix, 1, 0), 1);
	rig_settle(&rig);
	ASSERT_EQ(send(up, prefix + 1, 1, 0), 1);
	for (size_t at = 0; at < rig.len; at += 10000) {
		size_t n = MIN(rig.len - at, 10000UL);

		ASSERT_EQ(send(up, rig.msg + at, n, 0), n);
		rig_settle(&rig);
	}
	ASSERT(rig_receive_tcp(&rig, tcp));
	ASSERT_EQ(dns_get16(rig.msg), 5);
	ASSERT_EQ(rig_answers(rig.msg), 3000);
}

/* Goal: a truncated answer reaches the client, and so does one that is larger than it asked for. */
TEST(dns_server_truncation_of_others)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF;

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	rig_send(udp, 1, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_upstream(&rig, 0));
	rig_respond(&rig, 0, 0x200);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(dns_get16(rig.msg + 2), 0x8380);
	for (uint16_t size = 0; size <= 600; size += 600) { /* without EDNS: as it is, as dockerd */
		rig_send(udp, 2, "example.org", DNS_TYPE_A, size);
		ASSERT(rig_upstream(&rig, 0));
		dns_put16(rig.msg + 2, 0x8180);
		rig.msg[11] = 0;
		rig.msg[7] = 60;
		rig.len -= size ? 11 : 0;
		for (int i = 0; i < 60; i++, rig.len += 16)
			memcpy(rig.msg + rig.len, "\xc0\x0c\0\1\0\1\0\0\0\7\0\4\1\2\3\4", 16);
		(void)sendto(rig.up[0], rig.msg, rig.len, 0, (struct sockaddr *)&rig.from,
			     sizeof(rig.from));
		ASSERT(rig_receive(&rig, udp));
		ASSERT_EQ(dns_get16(rig.msg + 2), size ? 0x8380 : 0x8180);
		ASSERT_EQ(rig_answers(rig.msg), size ? 0 : 60);
	}
}

/* Goal: a client that pipelines more than the limit gets every answer, its end closed or not. */
TEST(dns_server_pipelines)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int tcp = -EBADF;
	uint8_t seen[1000] = {0};

	rig_init(&rig);
	rig_start(&rig);
	tcp = rig_client(&rig, SOCK_STREAM);
	for (uint16_t i = 0; i < 1000; i++)
		rig_send_tcp(tcp, i, "c1");
	ASSERT_OK(shutdown(tcp, SHUT_WR));
	for (int i = 0; i < 1000; i++) {
		ASSERT(rig_receive_tcp(&rig, tcp));
		ASSERT_EQ(rig_answers(rig.msg), 1);
		seen[dns_get16(rig.msg)]++;
	}
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(seen[i], 1);
	ASSERT(rig_wait(&rig, tcp));
	ASSERT_EQ(recv(tcp, rig.msg, 1, 0), 0);
	ASSERT_EQ(rig.server->n_clients, 0);
}

/* Goal: at most DNS_PIPELINE_MAX of a connection wait upstream; when they end, the rest goes on. */
TEST(dns_server_bounds_a_connection)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int tcp = -EBADF;

	rig_init(&rig);
	rig.config.n_upstreams = 1;
	rig_start(&rig);
	tcp = rig_client(&rig, SOCK_STREAM);
	for (uint16_t i = 0; i < DNS_PIPELINE_MAX + 20; i++)
		rig_send_tcp(tcp, i, "example.org");
	rig_settle(&rig);
	ASSERT_EQ(rig.server->n_forwards, DNS_PIPELINE_MAX);
	cleanup_close(&rig.up_tcp); /* hangs up on those that connected, refuses the others */
	rig.up_tcp = -EBADF;
	for (int i = 0; i < DNS_PIPELINE_MAX + 20; i++) {
		ASSERT(rig_receive_tcp(&rig, tcp));
		ASSERT_EQ(rig_rcode(rig.msg), DNS_SERVFAIL);
	}
	ASSERT_EQ(rig.server->n_forwards, 0);
}

/* Goal: who does not read answers is not read from for ever, and ends; so does who says nothing. */
TEST(dns_server_ends_slow_clients)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int slow = -EBADF, mute = -EBADF;
	uint8_t msg[600];
	size_t len = rig_query(msg + 2, 1, "c1", DNS_TYPE_A, 0) + 2;

	rig_init(&rig);
	rig_start(&rig);
	mute = rig_client(&rig, SOCK_STREAM);
	slow = rig_client(&rig, SOCK_STREAM);
	dns_put16(msg, (uint16_t)(len - 2));
	for (size_t at = 0;;) {
		ssize_t n = send(slow, msg + at, len - at, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			rig_settle(&rig);
			n = send(slow, msg + at, len - at, MSG_DONTWAIT);
		}
		if (n < 0)
			break; /* the server takes no more */
		at = (at + (size_t)n) % len;
	}
	ASSERT(rig.server->clients->next->out.len >= DNS_BACKLOG_MAX);
	ASSERT(rig.server->clients->next->out.len < DNS_BACKLOG_MAX + 1000);
	ASSERT_EQ(rig.server->n_clients, 2);
	for (int i = 0; i < 2; i++) {
		rig.server->clients->due_ns = 1;
		rig_expire(&rig);
	}
	ASSERT_EQ(rig.server->n_clients, 0);
	ASSERT(!rig.server->timer.due_ns);
}

/* Goal: a query that came while too much was unsent is answered when that goes out at once. */
TEST(dns_server_goes_on_after_a_backlog)
{
	static const char zeros[DNS_BACKLOG_MAX];
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int tcp = -EBADF;
	uint8_t msg[600];
	size_t len = rig_query(msg + 2, 9, "c1", DNS_TYPE_A, 0);
	struct dns_client *client;

	rig_init(&rig);
	rig_start(&rig);
	tcp = rig_client(&rig, SOCK_STREAM);
	rig_settle(&rig);
	client = rig.server->clients;
	ASSERT_OK(setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int)));
	dns_put16(msg, (uint16_t)len);
	buf_add(&client->in, msg, len + 2);
	buf_add(&client->out, zeros, sizeof(zeros));
	dns_client_update(client);
	for (size_t at = 0; at < sizeof(zeros);) {
		ASSERT(rig_wait(&rig, tcp));
		at += (size_t)recv(tcp, rig.msg, MIN(sizeof(zeros) - at, sizeof(rig.msg)), 0);
	}
	ASSERT(rig_receive_tcp(&rig, tcp));
	ASSERT_EQ(dns_get16(rig.msg), 9);
}

/* Goal: with all slots taken, a new connection is served and the stillest one ends. */
TEST(dns_server_bounds_connections)
{
	_cleanup_rig_ struct rig rig;
	int fds[DNS_CLIENTS_MAX + 1];

	rig_init(&rig);
	rig_start(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = rig_client(&rig, SOCK_STREAM);
		rig_send_tcp(fds[i], 1, "c1");
		ASSERT(rig_receive_tcp(&rig, fds[i]));
	}
	ASSERT_EQ(rig.server->n_clients, DNS_CLIENTS_MAX);
	ASSERT_EQ(recv(fds[0], rig.msg, 1, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
}

/* Goal: more waiting queries than the limit are refused, and the zone is still answered. */
TEST(dns_server_bounds_forwards)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF;

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	for (uint16_t i = 0; i < DNS_FORWARDS_MAX; i++) {
		rig_send(udp, i, "example.org", DNS_TYPE_A, 0);
		(void)poll_once(&rig.poller);
	}
	ASSERT_EQ(rig.server->n_forwards, DNS_FORWARDS_MAX);
	rig_send(udp, 1, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_rcode(rig.msg), DNS_REFUSED);
	rig_send(udp, 1, "c1", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_answers(rig.msg), 1);
}

/* Goal: bytes that are no query are refused or ignored, and end the connection they came over. */
TEST(dns_server_bad_bytes)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF, tcp = -EBADF;

	rig_init(&rig);
	rig_start(&rig);
	udp = rig_client(&rig, SOCK_DGRAM);
	ASSERT_EQ(send(udp, "short", 5, 0), 5);
	ASSERT_EQ(send(udp, "\1\2\x80\0\0\1\0\0\0\0\0\0", 12, 0), 12); /* an answer */
	ASSERT_EQ(send(udp, "\1\2\1\0\0\2\0\0\0\0\0\0", 12, 0), 12);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig.len, 12);
	ASSERT_EQ(rig_rcode(rig.msg), DNS_FORMERR);
	tcp = rig_client(&rig, SOCK_STREAM);
	ASSERT_EQ(send(tcp, "\xff\xff", 2, 0), 2);
	ASSERT(rig_wait(&rig, tcp));
	ASSERT_EQ(recv(tcp, rig.msg, 1, 0), 0);
	cleanup_close(&tcp);
	/* A client that goes while its query waits */
	tcp = rig_client(&rig, SOCK_STREAM);
	rig_send_tcp(tcp, 1, "example.org");
	rig_settle(&rig);
	ASSERT_EQ(rig.server->n_forwards, 1);
	(void)setsockopt(tcp, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	cleanup_close(&tcp);
	tcp = -EBADF;
	rig_settle(&rig);
	ASSERT_EQ(rig.server->n_clients, 0);
	ASSERT_EQ(rig.server->n_forwards, 0);
}

/* In the child: a network of its own, loopback up. Return: only on failure */
static void netns_child(int ready)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0 || write(ready, "x", 1) != 1)
		return;
	(void)pause();
}

/* Goal: the server listens in the container's network only, and asks from where it is told to. */
TEST(dns_server_in_a_network_namespace)
{
	_cleanup_rig_ struct rig rig;
	_cleanup_close_ int udp = -EBADF, netns = -EBADF, home = -EBADF;
	_cleanup_free_ char *path = NULL;
	int ready[2];
	char byte;
	pid_t child;

	rig_init(&rig);
	ASSERT_OK(pipe2(ready, O_CLOEXEC));
	child = fork();
	if (child == 0) {
		netns_child(ready[1]);
		_exit(1);
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		TEST_SKIP("no network namespace can be made here");
	(void)close(ready[0]);
	path = str_format("/proc/%d/ns/net", (int)child);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSERT(netns >= 0 && home >= 0);
	rig.config.netns_fd = netns;
	rig.upstreams[0].in_container = true; /* where nobody listens */
	rig_start(&rig);
	ASSERT_OK(setns(netns, CLONE_NEWNET));
	udp = rig_client(&rig, SOCK_DGRAM);
	ASSERT_OK(setns(home, CLONE_NEWNET));
	rig_send(udp, 1, "c1", DNS_TYPE_A, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_answers(rig.msg), 1);
	rig_send(udp, 2, "example.org", DNS_TYPE_A, 0);
	ASSERT(rig_upstream(&rig, 1));
	rig_respond(&rig, 1, 0);
	ASSERT(rig_receive(&rig, udp));
	ASSERT_EQ(rig_answers(rig.msg), 1);
	ASSERT_EQ(recv(rig.up[0], rig.msg, 1, MSG_DONTWAIT), -1);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}
