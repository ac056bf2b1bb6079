/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-underlay.c - what a VM can send into the underlay, and what arrives
 *
 * The taps are real, the VMs are this program: it writes raw frames where QEMU would. Needs root,
 * /dev/net/tun, nft and pasta. The tests share one underlay, as the VMs of a daemon do.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "frame.h"
#include "host.h"
#include "test.h"

TEST_MAIN()

#define WG_PORT 51821

static char dir[64], net_dir[80];
static char *host_before;
static struct underlay *underlay;
static struct vm vm_a = {.fd = -EBADF}, vm_b = {.fd = -EBADF};

static bool can_run(void)
{
	return geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

#define NEEDS_RIG()                                                                                \
	do {                                                                                       \
		if (!can_run())                                                                    \
			TEST_SKIP("needs root and /dev/net/tun");                                  \
		ASSERT(underlay);                                                                  \
		frame_drain(&vm_a);                                                                \
		frame_drain(&vm_b);                                                                \
	} while (0)

static bool wait_uplink(struct underlay_status *ret_status)
{
	for (int i = 0; i < 100; i++) {
		underlay_status(underlay, ret_status);
		if (ret_status->uplink)
			return true;
		usleep(50000);
	}
	return false;
}

static int open_underlay(struct err *err)
{
	const struct underlay_config config = {.dir = net_dir};

	return underlay_open(&config, &underlay, err);
}

TEST(the_underlay_comes_up)
{
	struct err err = {};

	if (!can_run())
		TEST_SKIP("needs root and /dev/net/tun");
	(void)snprintf(dir, sizeof(dir), "/tmp/arca-underlay.XXXXXX");
	ASSERT(mkdtemp(dir));
	(void)snprintf(net_dir, sizeof(net_dir), "%s/net", dir);
	host_before = host_state();
	ASSERT_OK(open_underlay(&err));
	if (underlay_wait(underlay, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_OK(underlay_tap_open(underlay, &vm_a.fd, &vm_a.addr, &err));
	ASSERT_OK(underlay_tap_open(underlay, &vm_b.fd, &vm_b.addr, &err));
	ASSERT(vm_a.addr.index != vm_b.addr.index);
	ASSERT(vm_a.addr.index >= UNDERLAY_INDEX_MIN);
}

TEST(wireguard_passes_between_vms)
{
	struct packet p = {.proto = IPPROTO_UDP,
			   .source_port = WG_PORT,
			   .dest_port = WG_PORT,
			   .payload = "hello",
			   .payload_len = 5};
	struct frame f;

	NEEDS_RIG();
	p.dest = vm_b.addr.v4;
	frame_send(&vm_a, &p);
	ASSERT(frame_expect(&vm_b, IPPROTO_UDP, vm_a.addr.v4, 4, &f));
	ASSERT(memcmp(f.data + 8, "hello", 5) == 0);
	ASSERT(memcmp(f.dest_mac, vm_b.addr.mac, 6) == 0);
	ASSERT(memcmp(f.source_mac, underlay_gateway()->mac, 6) == 0);
	p.v6 = true;
	p.dest = vm_b.addr.v6;
	frame_send(&vm_a, &p);
	ASSERT(frame_expect(&vm_b, IPPROTO_UDP, vm_a.addr.v6, 16, &f));
}

/* Goal: whatever is not WireGuard stays where it is. */
TEST(nothing_else_passes_between_vms)
{
	struct packet packets[] = {
		{.proto = IPPROTO_UDP, .source_port = WG_PORT, .dest_port = 53, .payload = "x"},
		{.proto = IPPROTO_UDP,
		 .source_port = WG_PORT,
		 .dest_port = UNDERLAY_WG_PORT_MIN - 1},
		{.proto = IPPROTO_UDP,
		 .source_port = WG_PORT,
		 .dest_port = UNDERLAY_WG_PORT_MAX + 1},
		{.proto = IPPROTO_TCP, .source_port = WG_PORT, .dest_port = WG_PORT},
		{.proto = IPPROTO_TCP, .source_port = 4000, .dest_port = 22},
		{.proto = IPPROTO_ICMP},
	};

	NEEDS_RIG();
	for (size_t i = 0; i < ARRAY_SIZE(packets) * 2; i++) {
		struct packet *p = &packets[i / 2];

		p->v6 = i % 2;
		p->dest = p->v6 ? vm_b.addr.v6 : vm_b.addr.v4;
		frame_send(&vm_a, p);
	}
	ASSERT(frame_silent(&vm_b));
}

TEST(forged_sources_are_dropped)
{
	static const uint8_t elsewhere[4] = {198, 18, 77, 77}, loop[4] = {127, 0, 0, 1};
	static const uint8_t elsewhere6[16] = {0xfd, 0x61, 0x72, 0x63, 0x61, 0, [15] = 77};
	const uint8_t *sources4[] = {elsewhere, loop, underlay_gateway()->v4, vm_b.addr.v4,
				     underlay_gateway()->host4};
	const uint8_t *sources6[] = {elsewhere6, underlay_gateway()->v6, vm_b.addr.v6};
	struct packet p = {.proto = IPPROTO_UDP, .source_port = WG_PORT, .dest_port = WG_PORT};

	NEEDS_RIG();
	for (size_t i = 0; i < ARRAY_SIZE(sources4); i++) {
		p.source = sources4[i];
		p.dest = vm_b.addr.v4;
		frame_send(&vm_a, &p);
	}
	p.v6 = true;
	for (size_t i = 0; i < ARRAY_SIZE(sources6); i++) {
		p.source = sources6[i];
		p.dest = vm_b.addr.v6;
		frame_send(&vm_a, &p);
	}
	ASSERT(frame_silent(&vm_b));
}

/* Goal: a MAC says nothing here. The other VM's, as a source or in ARP, brings none of its traffic.
 */
TEST(forged_macs_take_nothing)
{
	uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 2};
	struct packet ping = {
		.proto = IPPROTO_ICMP, .dest = underlay_gateway()->v4, .source_mac = vm_b.addr.mac};
	struct frame f;

	NEEDS_RIG();
	frame_send(&vm_a, &ping); /* as B */
	ASSERT(frame_expect(&vm_a, IPPROTO_ICMP, underlay_gateway()->v4, 4, &f));
	ASSERT(memcmp(f.dest_mac, vm_a.addr.mac, 6) == 0);
	memcpy(arp + 8, vm_a.addr.mac, 6); /* "B's address is at A's MAC", to the gateway */
	memcpy(arp + 14, vm_b.addr.v4, 4);
	memcpy(arp + 18, underlay_gateway()->mac, 6);
	memcpy(arp + 24, underlay_gateway()->v4, 4);
	frame_send_raw(&vm_a, 0x0806, NULL, arp, sizeof(arp));
	ping.source_mac = NULL;
	frame_send(&vm_b, &ping);
	ASSERT(frame_expect(&vm_b, IPPROTO_ICMP, underlay_gateway()->v4, 4, &f));
	ASSERT(memcmp(f.dest_mac, vm_b.addr.mac, 6) == 0);
	ASSERT(frame_silent(&vm_a));
	/* A frame for another's MAC is not ours to route. */
	frame_send_raw(&vm_a, 0x0800, vm_b.addr.mac, arp, sizeof(arp));
	ASSERT(frame_silent(&vm_b));
}

TEST(the_gateway_answers_arp_and_neighbour_discovery)
{
	uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1}, ns[40 + 32] = {0x60, [5] = 32, 58, 255};
	uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 1};
	const uint8_t group[16] = {0xff, 2, [11] = 1, 0xff, 0, 0, 1};
	uint32_t sum = 58 + 32;
	struct frame f;
	uint16_t check;

	NEEDS_RIG();
	memcpy(arp + 8, vm_a.addr.mac, 6);
	memcpy(arp + 14, vm_a.addr.v4, 4);
	memcpy(arp + 24, underlay_gateway()->v4, 4);
	frame_send_raw(&vm_a, 0x0806, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", arp,
		       sizeof(arp));
	ASSERT(frame_receive(&vm_a, FRAME_WAIT_MS, &f));
	ASSERT_EQ(f.type, 0x0806);
	ASSERT(memcmp(f.data + 8, underlay_gateway()->mac, 6) == 0);

	memcpy(ns + 8, vm_a.addr.v6, 16);
	memcpy(ns + 24, group, 16);
	ns[40] = 135;
	memcpy(ns + 48, underlay_gateway()->v6, 16);
	ns[64] = ns[65] = 1;
	memcpy(ns + 66, vm_a.addr.mac, 6);
	for (int i = 8; i < 40; i++)
		sum += i % 2 ? ns[i] : (uint32_t)ns[i] << 8;
	check = frame_checksum(ns + 40, 32, sum);
	memcpy(ns + 42, &check, 2);
	frame_send_raw(&vm_a, 0x86dd, group_mac, ns, sizeof(ns));
	ASSERT(frame_expect(&vm_a, IPPROTO_ICMPV6, underlay_gateway()->v6, 16, &f));
	ASSERT_EQ(f.data[0], 136);
}

/* Goal: the gateway answers pings and nothing else, whatever listens in the namespace. */
TEST(the_gateway_answers_pings_only)
{
	struct packet packets[] = {
		{.proto = IPPROTO_UDP, .source_port = 5000, .dest_port = 53},
		{.proto = IPPROTO_UDP, .source_port = WG_PORT, .dest_port = WG_PORT},
		{.proto = IPPROTO_TCP, .source_port = 5000, .dest_port = 80},
	};
	struct packet ping = {.proto = IPPROTO_ICMP};
	struct frame f;

	NEEDS_RIG();
	for (size_t i = 0; i < ARRAY_SIZE(packets) * 2; i++) {
		struct packet *p = &packets[i / 2];

		p->v6 = i % 2;
		p->dest = p->v6 ? underlay_gateway()->v6 : underlay_gateway()->v4;
		frame_send(&vm_a, p);
	}
	ASSERT(frame_silent(&vm_a));
	ping.dest = underlay_gateway()->v4;
	frame_send(&vm_a, &ping);
	ASSERT(frame_expect(&vm_a, IPPROTO_ICMP, underlay_gateway()->v4, 4, &f));
	ping.v6 = true;
	ping.dest = underlay_gateway()->v6;
	frame_send(&vm_a, &ping);
	ASSERT(frame_expect(&vm_a, IPPROTO_ICMPV6, underlay_gateway()->v6, 16, &f));
}

struct inside {
	int type;
	bool done;
};

/* What the forwarder does: a socket in the namespace that is connected to a VM, and answered. */
static void *connect_from_inside(void *arg)
{
	_cleanup_free_ char *path = str_format("%s/ns", net_dir);
	_cleanup_close_ int ns = open(path, O_RDONLY | O_CLOEXEC);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(7777)};
	const struct timeval limit = {.tv_sec = 3};
	_cleanup_close_ int fd = -EBADF;
	struct inside *inside = arg;
	char answer[8];

	memcpy(&sa.sin_addr, vm_a.addr.v4, 4);
	if (setns(ns, CLONE_NEWNET) < 0)
		return NULL;
	fd = socket(AF_INET, inside->type | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (void *)&sa, sizeof(sa)) < 0)
		return NULL;
	inside->done = inside->type == SOCK_STREAM ||
		       (send(fd, "q", 1, 0) == 1 && recv(fd, answer, 8, 0) == 1 && *answer == 'a');
	return NULL;
}

static uint16_t frame_port(const struct frame *f)
{
	return (uint16_t)(f->data[0] << 8 | f->data[1]);
}

/* Goal: VMs answer the forwarder, and only who was asked; nobody begins anything with it. */
TEST(answers_to_the_forwarder_pass)
{
	struct inside tcp = {.type = SOCK_STREAM}, udp = {.type = SOCK_DGRAM};
	struct packet p = {.proto = IPPROTO_UDP,
			   .dest = underlay_gateway()->v4,
			   .source_port = 7777,
			   .payload = "b",
			   .payload_len = 1};
	pthread_t thread;
	struct frame f;

	NEEDS_RIG();
	ASSERT_OK(pthread_create(&thread, NULL, connect_from_inside, &udp));
	ASSERT(frame_expect(&vm_a, IPPROTO_UDP, underlay_gateway()->v4, 4, &f));
	p.dest_port = frame_port(&f);
	ASSERT(p.dest_port >= 10000 && p.dest_port < UNDERLAY_WG_PORT_MIN);
	frame_send(&vm_b, &p); /* was not asked */
	p.payload = "a";
	frame_send(&vm_a, &p);
	ASSERT_OK(pthread_join(thread, NULL));
	ASSERT(udp.done);

	ASSERT_OK(pthread_create(&thread, NULL, connect_from_inside, &tcp));
	ASSERT(frame_expect(&vm_a, IPPROTO_TCP, underlay_gateway()->v4, 4, &f));
	p = (struct packet){.proto = IPPROTO_TCP,
			    .dest = underlay_gateway()->v4,
			    .source_port = 7777,
			    .dest_port = frame_port(&f),
			    .tcp_flags = 0x12};
	for (int i = 0; i < 4; i++)
		p.tcp_ack = p.tcp_ack << 8 | f.data[4 + i];
	p.tcp_ack++;
	frame_send(&vm_a, &p);
	ASSERT_OK(pthread_join(thread, NULL));
	ASSERT(tcp.done);
	frame_drain(&vm_a);
	p.tcp_flags = 0; /* a beginning: not even refused */
	frame_send(&vm_a, &p);
	while (frame_receive(&vm_a, FRAME_SILENT_MS, &f))
		ASSERT(f.proto != IPPROTO_TCP || f.data[13] == 0x11); /* our own end, again */
}

/* Goal: the host's loopback is for those that asked, and is asked for anew with each VM. */
TEST(the_host_is_refused_unless_asked_for)
{
	const uint8_t *host = underlay_gateway()->host4;
	_cleanup_close_ int fd = -EBADF;
	struct err err = {};
	uint16_t port;

	NEEDS_RIG();
	fd = listen_tcp("127.0.0.1", &port);
	ASSERT(fd >= 0);
	ASSERT(!connects(&vm_a, host, port, 2));
	ASSERT_OK(underlay_host_gateway(underlay, vm_a.addr.index, true, &err));
	ASSERT(connects(&vm_a, host, port, 10));
	ASSERT(!connects(&vm_b, host, port, 2));
	ASSERT_OK(underlay_host_gateway(underlay, vm_a.addr.index, false, &err));
	ASSERT(!connects(&vm_a, host, port, 2));
	ASSERT_ERROR(underlay_host_gateway(underlay, 1, true, &err), EINVAL);
}

/* Goal: no spelling of the host's loopback, or of another VM, is a way around the rule. */
TEST(other_names_of_the_host_lead_nowhere)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
	static const uint8_t compatible[16] = {[12] = 127, 0, 0, 1}, loop6[16] = {[15] = 1};
	static const uint8_t uplink6[16] = {0xfd, 0x61, 0x72, 0x63, 0x61, 0xff, [15] = 1};
	static const uint8_t loop[4] = {127, 0, 0, 1}, any[4], nobody[4] = {198, 18, 9, 9};
	const uint8_t *dest6[] = {mapped, compatible, loop6, uplink6};
	const uint8_t *dest4[] = {loop, any, nobody, underlay_gateway()->uplink4};
	_cleanup_close_ int fd = -EBADF;
	uint16_t port;

	NEEDS_RIG();
	fd = listen_tcp("0.0.0.0", &port);
	ASSERT(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(dest4); i++)
		ASSERT(!connects(&vm_a, dest4[i], port, 1));
	for (size_t i = 0; i < ARRAY_SIZE(dest6); i++) {
		struct packet p = {.proto = IPPROTO_TCP,
				   .v6 = true,
				   .dest = dest6[i],
				   .source_port = 6000,
				   .dest_port = port};
		struct frame f;

		frame_send(&vm_a, &p);
		while (frame_receive(&vm_a, FRAME_SILENT_MS, &f))
			ASSERT(f.proto != IPPROTO_TCP || f.type != 0x86dd);
	}
}

TEST(the_outside_is_reached_by_the_uplink)
{
	_cleanup_close_ int fd = -EBADF;
	struct underlay_status status;
	uint8_t dest[4];
	uint16_t port;

	NEEDS_RIG();
	if (!host_address(dest))
		TEST_SKIP("the host has no address but loopback's");
	ASSERT(wait_uplink(&status));
	fd = listen_tcp("0.0.0.0", &port);
	ASSERT(connects(&vm_a, dest, port, 10));
	ASSERT(connects(&vm_b, dest, port, 10));
}

TEST(the_hosts_resolver_answers)
{
	struct packet p = {.proto = IPPROTO_UDP,
			   .dest = underlay_gateway()->dns4,
			   .source_port = 7000,
			   .dest_port = 53,
			   .payload = dns_query,
			   .payload_len = DNS_QUERY_LEN};
	struct frame f;

	NEEDS_RIG();
	if (!host_resolver_answers())
		TEST_SKIP("the host has no resolver that answers over IPv4");
	frame_send(&vm_a, &p);
	ASSERT(frame_expect(&vm_a, IPPROTO_UDP, underlay_gateway()->dns4, 4, &f));
	ASSERT(memcmp(f.data + 8, "\x12\x34", 2) == 0);
	p.dest_port = 54;
	frame_send(&vm_a, &p);
	ASSERT(!frame_expect(&vm_a, IPPROTO_UDP, underlay_gateway()->dns4, 4, &f));
}

TEST(the_hosts_resolver_answers_over_tcp)
{
	NEEDS_RIG();
	if (!host_resolver_has_tcp())
		TEST_SKIP("the host has no resolver beyond loopback that answers over TCP");
	ASSERT(connects(&vm_a, underlay_gateway()->dns4, 53, 10));
	ASSERT(!connects(&vm_a, underlay_gateway()->dns4, 54, 1));
}

TEST(a_killed_pasta_is_replaced)
{
	_cleanup_close_ int fd = -EBADF;
	struct underlay_status before, after;
	uint8_t dest[4];
	uint16_t port;

	NEEDS_RIG();
	if (!host_address(dest))
		TEST_SKIP("the host has no address but loopback's");
	ASSERT(wait_uplink(&before));
	fd = listen_tcp("0.0.0.0", &port);
	ASSERT_OK(kill(before.pasta, SIGKILL));
	for (int i = 0; i < 100; i++) {
		usleep(20000);
		if (wait_uplink(&after) && after.pasta != before.pasta)
			break;
	}
	ASSERT(after.pasta != before.pasta);
	ASSERT(connects(&vm_a, dest, port, 20));
}

struct found {
	size_t n;
	bool a, b, a_host;
};

static void note_tap(const struct underlay_tap *tap, void *user)
{
	struct found *found = user;

	found->n++;
	found->a |= tap->addr.index == vm_a.addr.index && tap->running;
	found->b |= tap->addr.index == vm_b.addr.index && tap->running;
	found->a_host |= tap->addr.index == vm_a.addr.index && tap->host_gateway;
}

/* Goal: a new daemon finds namespace, taps, permissions and uplink as they were. */
TEST(a_new_daemon_finds_everything)
{
	struct underlay_status before, after;
	_cleanup_close_ int fd = -EBADF;
	struct found found = {};
	struct err err = {};
	uint16_t port;

	NEEDS_RIG();
	ASSERT_OK(underlay_host_gateway(underlay, vm_a.addr.index, true, &err));
	ASSERT(wait_uplink(&before));
	underlay_close(underlay);
	underlay = NULL;
	ASSERT_OK(open_underlay(&err));
	ASSERT_OK(underlay_list(underlay, note_tap, &found, &err));
	ASSERT_EQ(found.n, 2);
	ASSERT(found.a && found.b && found.a_host);
	underlay_status(underlay, &after);
	ASSERT_EQ(after.ns, before.ns);
	ASSERT_EQ(after.pasta, before.pasta);
	ASSERT_EQ(after.n_taps, 2);
	fd = listen_tcp("127.0.0.1", &port);
	ASSERT(connects(&vm_a, underlay_gateway()->host4, port, 10));
	ASSERT(!connects(&vm_b, underlay_gateway()->host4, port, 2));
}

/* Goal: a pasta that nobody wrote down (the daemon was killed right then) does not stay beside
 * ours. */
TEST(an_unknown_pasta_is_replaced)
{
	_cleanup_free_ char *record = str_format("%s/pasta.pid", net_dir);
	struct underlay_status before, after;
	_cleanup_close_ int fd = -EBADF;
	struct err err = {};
	uint8_t dest[4];
	uint16_t port;

	NEEDS_RIG();
	if (!host_address(dest))
		TEST_SKIP("the host has no address but loopback's");
	ASSERT(wait_uplink(&before));
	underlay_close(underlay);
	underlay = NULL;
	ASSERT_OK(unlink(record));
	ASSERT_OK(open_underlay(&err));
	for (int i = 0; i < 100; i++) {
		if (wait_uplink(&after) && after.pasta != before.pasta &&
		    waitpid(before.pasta, NULL, WNOHANG) == before.pasta)
			break;
		(void)usleep(50000);
	}
	ASSERT(after.pasta != before.pasta);
	ASSERT(kill(before.pasta, 0) < 0);
	fd = listen_tcp("0.0.0.0", &port);
	ASSERT(connects(&vm_a, dest, port, 20));
}

/* Goal: an index that is used again does not come with the permission of the VM before. */
TEST(permissions_end_with_the_vm)
{
	struct underlay_config config = {.dir = net_dir, .first_index = vm_a.addr.index};
	_cleanup_close_ int fd = -EBADF;
	struct found found = {};
	struct err err = {};
	uint16_t port;

	NEEDS_RIG();
	ASSERT_OK(underlay_host_gateway(underlay, vm_a.addr.index, true, &err));
	(void)close(vm_a.fd);
	underlay_close(underlay);
	underlay = NULL;
	ASSERT_OK(underlay_open(&config, &underlay, &err));
	ASSERT_OK(underlay_list(underlay, note_tap, &found, &err));
	ASSERT_EQ(found.n, 1);
	ASSERT_OK(underlay_tap_open(underlay, &vm_a.fd, &vm_a.addr, &err));
	ASSERT_EQ(vm_a.addr.index, config.first_index);
	found = (struct found){};
	ASSERT_OK(underlay_list(underlay, note_tap, &found, &err));
	ASSERT(found.a && !found.a_host);
	fd = listen_tcp("127.0.0.1", &port);
	ASSERT(!connects(&vm_a, underlay_gateway()->host4, port, 3));
}

static int count_neighbours(void)
{
	_cleanup_free_ char *command =
		str_format("nsenter --net=%s/ns sh -c 'ip -4 neigh; ip -6 neigh' | wc -l", net_dir);
	FILE *f = popen(command, "r");
	int n = -1;

	if (f && fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		(void)pclose(f);
	return n;
}

/* Goal: the kernel's neighbour table, which the host shares, does not grow by what a guest makes
 * up. */
TEST(made_up_neighbours_are_not_remembered)
{
	uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1};
	int before;

	NEEDS_RIG();
	before = count_neighbours();
	ASSERT(before >= 6);
	memcpy(arp + 8, vm_a.addr.mac, 6);
	memcpy(arp + 24, underlay_gateway()->v4, 4);
	for (unsigned int i = 0; i < 600; i++) {
		const uint8_t sender[4] = {198, (uint8_t)(18 + i % 2), 1, (uint8_t)i};
		uint8_t source6[16] = {0xfe, 0x80, [14] = (uint8_t)(i >> 8), (uint8_t)i};
		struct packet p = {.v6 = true,
				   .proto = IPPROTO_ICMP,
				   .dest = underlay_gateway()->v6,
				   .source = source6};

		memcpy(arp + 14, sender, 4);
		frame_send_raw(&vm_a, 0x0806, NULL, arp, sizeof(arp));
		frame_send(&vm_a, &p);
	}
	ASSERT(count_neighbours() <= before + 2);
}

static atomic_bool flooding;

/* Whatever a guest can make up, as fast as it goes. */
static void *flood(void *arg)
{
	const uint8_t *outside = arg;
	const uint8_t *dests[] = {outside, underlay_gateway()->v4, underlay_gateway()->dns4,
				  underlay_gateway()->host4, vm_b.addr.v4};
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};

	for (uint32_t i = 0; flooding; i++) {
		struct packet p = {.proto = protos[i % 3],
				   .dest = dests[i % ARRAY_SIZE(dests)],
				   .source_port = (uint16_t)(i * 7),
				   .dest_port = (uint16_t)(1024 + i / 3),
				   .payload = "flood",
				   .payload_len = 5};

		frame_send(&vm_a, &p);
	}
	return NULL;
}

/* Goal: a guest that floods, new connections included, stops nobody else. */
TEST(a_flood_stops_nobody_else)
{
	struct packet wireguard = {.proto = IPPROTO_UDP,
				   .source_port = WG_PORT,
				   .dest_port = WG_PORT,
				   .payload = "x",
				   .payload_len = 1};
	_cleanup_close_ int fd = -EBADF;
	struct vm vm_c = {.fd = -EBADF};
	struct err err = {};
	bool reached = false, passed = false;
	pthread_t thread;
	uint8_t dest[4];
	struct frame f;
	uint16_t port;

	NEEDS_RIG();
	if (!host_address(dest))
		TEST_SKIP("the host has no address but loopback's");
	fd = listen_tcp("0.0.0.0", &port);
	ASSERT_OK(underlay_tap_open(underlay, &vm_c.fd, &vm_c.addr, &err));
	flooding = true;
	ASSERT_OK(pthread_create(&thread, NULL, flood, dest));
	(void)usleep(500000);
	reached = connects(&vm_c, dest, port, 20);
	wireguard.dest = vm_c.addr.v4;
	for (int i = 0; i < 5 && !passed; i++) {
		frame_send(&vm_b, &wireguard);
		passed = frame_expect(&vm_c, IPPROTO_UDP, vm_b.addr.v4, 4, &f);
	}
	flooding = false;
	ASSERT_OK(pthread_join(thread, NULL));
	(void)close(vm_c.fd);
	ASSERT(reached);
	ASSERT(passed);
}

struct lonely {
	int before, after;
};

/* A host without a default route, then with one; in a namespace that stands for it. */
static void *lonely_host(void *arg)
{
	_cleanup_free_ char *other_dir = str_format("%s/lonely", dir);
	const struct underlay_config config = {.dir = other_dir};
	struct underlay_status status;
	struct underlay *other = NULL;
	struct lonely *result = arg;
	struct err err = {};

	if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0 ||
	    underlay_open(&config, &other, &err) < 0 || underlay_wait(other, &err) < 0)
		return NULL;
	underlay_status(other, &status);
	result->before = !status.uplink && strstr(status.reason, "default route");
	if (system("ip link add d0 type veth peer name d1 && ip link set d1 up && ip addr add "
		   "192.0.2.9/24 dev d0 && "
		   "ip link set d0 up && ip route add default via 192.0.2.1") != 0)
		return NULL;
	for (int i = 0; i < 100 && !result->after; i++) {
		usleep(50000);
		underlay_status(other, &status);
		result->after = status.uplink;
	}
	underlay_remove(other);
	return NULL;
}

TEST(the_uplink_comes_with_the_hosts_route)
{
	struct lonely lonely = {};
	pthread_t thread;

	NEEDS_RIG();
	ASSERT_OK(pthread_create(&thread, NULL, lonely_host, &lonely));
	ASSERT_OK(pthread_join(thread, NULL));
	ASSERT(lonely.before);
	ASSERT(lonely.after);
}

TEST(two_daemons_do_not_meet)
{
	_cleanup_free_ char *other_dir = str_format("%s/other", dir);
	const struct underlay_config config = {.dir = other_dir};
	struct underlay *other = NULL;
	struct vm vm = {.fd = -EBADF};
	struct packet p = {.proto = IPPROTO_UDP, .source_port = WG_PORT, .dest_port = WG_PORT};
	struct err err = {};
	struct frame f;

	NEEDS_RIG();
	ASSERT_OK(underlay_open(&config, &other, &err));
	ASSERT_OK(underlay_tap_open(other, &vm.fd, &vm.addr, &err));
	p.dest = vm_a.addr.v4;
	if (vm.addr.index != vm_a.addr.index)
		frame_send(&vm, &p);
	while (frame_receive(&vm_a, FRAME_SILENT_MS, &f))
		ASSERT(f.proto != IPPROTO_UDP);
	(void)close(vm.fd);
	underlay_remove(other);
	ASSERT(!fs_exists(other_dir));
	ASSERT(connects(&vm_a, underlay_gateway()->host4, 1, 1) == false);
}

TEST(missing_packages_are_named)
{
	_cleanup_free_ char *other_dir = str_format("%s/other", dir);
	struct underlay_config config = {.dir = other_dir, .nft = "/nonexistent/nft"};
	struct underlay_status status = {};
	struct underlay *other = NULL;
	struct underlay_addr addr;
	struct err err = {};
	int fd = -EBADF;

	NEEDS_RIG();
	ASSERT_OK(underlay_open(&config, &other, &err));
	ASSERT_ERROR(underlay_tap_open(other, &fd, &addr, &err), EAGAIN);
	ASSERT(strstr(err.msg, "package nftables"));
	ASSERT_EQ(fd, -EBADF);
	underlay_remove(other);
	ASSERT(!fs_exists(other_dir));

	config = (struct underlay_config){.dir = other_dir, .pasta = "/nonexistent/pasta"};
	ASSERT_OK(underlay_open(&config, &other, &err));
	ASSERT_OK(underlay_tap_open(other, &fd, &addr, &err)); /* VMs still reach each other */
	underlay_status(other, &status);
	ASSERT(status.ready && !status.uplink);
	ASSERT(strstr(status.reason, "package passt"));
	(void)close(fd);
	underlay_remove(other);
}

TEST(a_tap_costs_little)
{
	uint64_t start_us;
	struct err err = {};
	struct vm vm[32];

	NEEDS_RIG();
	start_us = clock_us();
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++)
		ASSERT_OK(underlay_tap_open(underlay, &vm[i].fd, &vm[i].addr, &err));
	printf("# a tap in %llu us\n",
	       (unsigned long long)(clock_us() - start_us) / ARRAY_SIZE(vm));
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++)
		(void)close(vm[i].fd);
}

/* Goal: with a VM it stays, without one it goes, and the host is as it was. */
TEST(the_end_leaves_nothing)
{
	_cleanup_free_ char *after = NULL;
	struct underlay_status status;
	struct err err = {};

	NEEDS_RIG();
	underlay_remove(underlay);
	underlay = NULL;
	ASSERT(fs_exists(net_dir));
	ASSERT_OK(open_underlay(&err));
	(void)wait_uplink(&status);
	ASSERT_EQ(status.n_taps, 2);
	(void)close(vm_a.fd);
	(void)close(vm_b.fd);
	underlay_remove(underlay);
	underlay = NULL;
	ASSERT(!fs_exists(net_dir));
	ASSERT(!status.pasta || kill(status.pasta, 0) < 0);
	after = host_state();
	if (!str_eq(after, host_before)) {
		(void)fs_write_file("/tmp/arca-host-before", host_before, strlen(host_before),
				    0600);
		(void)fs_write_file("/tmp/arca-host-after", after, strlen(after), 0600);
	}
	ASSERT_STREQ(str_eq(after, host_before) ? "same" : "different", "same");
	free(host_before);
	(void)rmdir(dir);
}
