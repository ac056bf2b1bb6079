/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-vmnet.c - what a member of a vmnet network can send, and what arrives
 *
 * The taps are real, the VMs are this program, as in test-underlay.c. Two members on one network,
 * one on another, one on an internal one, and a VM's tap on the underlay beside them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "frame.h"
#include "host.h"
#include "net/vmnet.h"
#include "test.h"

TEST_MAIN()

#define ETHERTYPE_LOCAL 0x88b5 /* IEEE 802: for experiments */

static char dir[64], net_dir[80];
static char *host_before;
static struct underlay *underlay;

struct member {
	const char *network, *endpoint; /* of 64 digits, these are enough */
	uint8_t net;			/* 10.<net>.0.0/24, fd81:<net>::/64 */
	uint8_t host;
	bool internal, asked; /* for the host */
	struct vm vm;
};

static struct member mem_a = {"aaaaaaaaaaaa1", "0000000000011", 81, 2, false, false, {-EBADF, {}}};
static struct member mem_b = {"aaaaaaaaaaaa1", "0000000000021", 81, 3, false, false, {-EBADF, {}}};
static struct member mem_c = {"bbbbbbbbbbbb1", "0000000000031", 82, 2, false, false, {-EBADF, {}}};
static struct member mem_i = {"cccccccccccc1", "0000000000041", 83, 2, true, true, {-EBADF, {}}};
static struct vm outsider = {.fd = -EBADF};
static const uint8_t called[4] = {10, 99, 8, 7}; /* the host, by who may reach it */
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool can_run(void)
{
	return geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

static void gateway_of(const struct member *m, uint8_t ret_v4[static 4])
{
	const uint8_t v4[4] = {10, m->net, 0, 1};

	memcpy(ret_v4, v4, 4);
}

static void port_fill(const struct member *m, struct vmnet_port *port)
{
	*port = (struct vmnet_port){
		.network_id = m->network,
		.endpoint_id = m->endpoint,
		.mac = {0x02, 0x42, 10, m->net, 0, m->host},
		.addr = {{.bytes = {10, m->net, 0, m->host}, .len = 4, .bits = 24},
			 {.bytes = {0xfd, m->net, [15] = m->host}, .len = 16, .bits = 64}},
		.mtu = VMNET_MTU,
		.internal = m->internal,
	};
	if (m->asked) {
		port->host[0] = (struct vmnet_addr){.len = sizeof(called), .bits = 32};
		memcpy(port->host[0].bytes, called, sizeof(called));
	}
	if (m->internal)
		return;
	port->gateway[0] = (struct vmnet_addr){.bytes = {10, m->net, 0, 1}, .len = 4, .bits = 24};
	port->gateway[1] =
		(struct vmnet_addr){.bytes = {0xfd, m->net, [15] = 1}, .len = 16, .bits = 64};
}

static int member_open(struct member *m, struct err *err)
{
	struct vmnet_port port;

	port_fill(m, &port);
	memcpy(m->vm.addr.mac, port.mac, 6);
	memcpy(m->vm.addr.v4, port.addr[0].bytes, 4);
	memcpy(m->vm.addr.v6, port.addr[1].bytes, 16);
	return vmnet_port_open(underlay, &port, &m->vm.fd, err);
}

/* Output of a command in the namespace. */
static char *in_ns(const char *command)
{
	_cleanup_free_ char *line = str_format("nsenter --net=%s/ns sh -c '%s'", net_dir, command);
	static char text[256];
	FILE *f = popen(line, "r");

	memset(text, 0, sizeof(text));
	(void)!fread(text, 1, sizeof(text) - 1, f);
	(void)pclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

#define COUNT_BRIDGES "ip -br link show type bridge | wc -l"
#define COUNT_CHAINS "nft list chains netdev | grep -c \"chain vt\""

static void arp_fill(const struct member *m, uint8_t op, const uint8_t *sender,
		     const uint8_t *target, uint8_t arp[static 28])
{
	const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, op};

	memset(arp, 0, 28);
	memcpy(arp, head, 8);
	memcpy(arp + 8, m->vm.addr.mac, 6);
	memcpy(arp + 14, sender, 4);
	memcpy(arp + 24, target, 4);
}

/* Asks for the gateway, which knows the member from then on. */
static bool greet(const struct member *m)
{
	uint8_t arp[28], gateway[4];
	struct frame f;

	gateway_of(m, gateway);
	arp_fill(m, 1, m->vm.addr.v4, gateway, arp);
	frame_send_raw(&m->vm, 0x0806, broadcast, arp, sizeof(arp));
	while (frame_receive(&m->vm, FRAME_WAIT_MS, &f))
		if (f.type == 0x0806 && memcmp(f.data + 14, gateway, 4) == 0)
			return true;
	return false;
}

#define NEEDS_RIG()                                                                                \
	do {                                                                                       \
		if (!can_run())                                                                    \
			TEST_SKIP("needs root and /dev/net/tun");                                  \
		ASSERT(underlay);                                                                  \
		frame_drain(&mem_a.vm);                                                            \
		frame_drain(&mem_b.vm);                                                            \
		frame_drain(&mem_c.vm);                                                            \
		frame_drain(&mem_i.vm);                                                            \
		frame_drain(&outsider);                                                            \
	} while (0)

TEST(networks_come_up)
{
	struct underlay_config config = {.dir = net_dir};
	struct err err = {};

	if (!can_run())
		TEST_SKIP("needs root and /dev/net/tun");
	(void)snprintf(dir, sizeof(dir), "/tmp/arca-vmnet.XXXXXX");
	ASSERT(mkdtemp(dir));
	(void)snprintf(net_dir, sizeof(net_dir), "%s/net", dir);
	host_before = host_state();
	ASSERT_OK(underlay_open(&config, &underlay, &err));
	ASSERT_OK(underlay_tap_open(underlay, &outsider.fd, &outsider.addr, &err));
	if (member_open(&mem_a, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_OK(member_open(&mem_b, &err));
	ASSERT_OK(member_open(&mem_c, &err));
	ASSERT_OK(member_open(&mem_i, &err));
	ASSERT_STREQ(in_ns(COUNT_BRIDGES), "3");
	ASSERT_STREQ(in_ns(COUNT_CHAINS), "4");
	/* takes nothing from the port that there is: see the next test */
	ASSERT_ERROR(
		member_open(
			&(struct member){mem_a.network, mem_a.endpoint, 81, 9, false, false, {}},
			&err),
		EBUSY);
}

/* Goal: also after somebody tried to open a port that there is. */
TEST(members_are_on_one_segment)
{
	struct packet p = {.proto = IPPROTO_UDP,
			   .source_port = 4000,
			   .dest_port = 4001,
			   .payload = "hello",
			   .payload_len = 5};
	struct frame f;

	NEEDS_RIG();
	p.dest = mem_b.vm.addr.v4;
	p.dest_mac = mem_b.vm.addr.mac;
	frame_send(&mem_a.vm, &p);
	ASSERT(frame_expect(&mem_b.vm, IPPROTO_UDP, mem_a.vm.addr.v4, 4, &f));
	ASSERT(memcmp(f.source_mac, mem_a.vm.addr.mac, 6) == 0);
	p.v6 = true;
	p.dest = mem_b.vm.addr.v6;
	frame_send(&mem_a.vm, &p);
	ASSERT(frame_expect(&mem_b.vm, IPPROTO_UDP, mem_a.vm.addr.v6, 16, &f));
	p.v6 = false;
	p.dest = (const uint8_t[]){10, 81, 0, 255};
	p.dest_mac = broadcast;
	frame_send(&mem_b.vm, &p);
	ASSERT(frame_expect(&mem_a.vm, IPPROTO_UDP, mem_b.vm.addr.v4, 4, &f));
	p.dest = (const uint8_t[]){239, 1, 2, 3};
	p.dest_mac = (const uint8_t[]){0x01, 0x00, 0x5e, 1, 2, 3};
	frame_send(&mem_b.vm, &p);
	ASSERT(frame_expect(&mem_a.vm, IPPROTO_UDP, mem_b.vm.addr.v4, 4, &f));
	frame_send_raw(&mem_a.vm, ETHERTYPE_LOCAL, broadcast, "0123456789012345678901234567", 28);
	ASSERT(frame_receive(&mem_b.vm, FRAME_WAIT_MS, &f));
	ASSERT_EQ(f.type, ETHERTYPE_LOCAL);
	frame_drain(&mem_b.vm);
	ASSERT(frame_silent(&mem_c.vm));
	ASSERT(frame_silent(&outsider));
}

TEST(forged_senders_are_dropped)
{
	const uint8_t gateway4[4] = {10, 81, 0, 1}, elsewhere[4] = {192, 0, 2, 1}, none[4] = {0};
	const uint8_t gateway6[16] = {0xfd, 81, [15] = 1}, local6[16] = {0xfe, 0x80, [15] = 1};
	const uint8_t *sources4[] = {gateway4, elsewhere, none, mem_b.vm.addr.v4, mem_c.vm.addr.v4};
	const uint8_t *sources6[] = {gateway6, local6, mem_b.vm.addr.v6, mem_c.vm.addr.v6};
	struct packet p = {.proto = IPPROTO_UDP,
			   .dest = mem_b.vm.addr.v4,
			   .dest_mac = mem_b.vm.addr.mac,
			   .source_port = 4000,
			   .dest_port = 4001};

	NEEDS_RIG();
	for (size_t i = 0; i < ARRAY_SIZE(sources4); i++) {
		p.source = sources4[i];
		frame_send(&mem_a.vm, &p);
	}
	p.source = NULL;
	p.source_mac = mem_b.vm.addr.mac;
	frame_send(&mem_a.vm, &p);
	p.source_mac = underlay_gateway()->mac;
	frame_send(&mem_a.vm, &p);
	p.source_mac = NULL;
	p.v6 = true;
	p.dest = mem_b.vm.addr.v6;
	for (size_t i = 0; i < ARRAY_SIZE(sources6); i++) {
		p.source = sources6[i];
		frame_send(&mem_a.vm, &p);
	}
	ASSERT(frame_silent(&mem_b.vm));
}

/* Goal: nobody takes another's address, the gateway's or the router's part, in ARP or IPv6's. */
TEST(forged_announcements_are_dropped)
{
	const uint8_t gateway4[4] = {10, 81, 0, 1}, gateway6[16] = {0xfd, 81, [15] = 1};
	const uint8_t *taken[] = {gateway4, mem_c.vm.addr.v4}, types[] = {134, 136, 137};
	const uint8_t all_nodes[16] = {0xff, 2, [15] = 1}, group_mac[6] = {0x33, 0x33, [5] = 1};
	uint8_t arp[28];
	struct frame f;

	NEEDS_RIG();
	for (size_t i = 0; i < ARRAY_SIZE(taken) * 2; i++) {
		arp_fill(&mem_a, 1 + i % 2, taken[i / 2], mem_b.vm.addr.v4, arp);
		frame_send_raw(&mem_a.vm, 0x0806, broadcast, arp, sizeof(arp));
	}
	arp_fill(&mem_a, 2, mem_a.vm.addr.v4, mem_b.vm.addr.v4, arp);
	memcpy(arp + 8, mem_c.vm.addr.mac, 6); /* its own address, at another's MAC */
	frame_send_raw(&mem_a.vm, 0x0806, broadcast, arp, sizeof(arp));
	for (size_t i = 0; i < ARRAY_SIZE(types) + 1; i++) {
		uint8_t ip[40 + 32] = {0x60, [5] = 32, 58, 255};
		uint32_t sum = 58 + 32;
		uint16_t check;

		memcpy(ip + 8, mem_a.vm.addr.v6, 16);
		memcpy(ip + 24, all_nodes, 16);
		ip[40] = types[i % ARRAY_SIZE(types)];
		memcpy(ip + 48, i == 3 ? mem_b.vm.addr.v6 : gateway6, 16);
		ip[64] = 2;
		ip[65] = 1;
		memcpy(ip + 66, mem_a.vm.addr.mac, 6);
		for (int k = 8; k < 40; k++)
			sum += k % 2 ? ip[k] : (uint32_t)ip[k] << 8;
		check = frame_checksum(ip + 40, 32, sum);
		memcpy(ip + 42, &check, 2);
		frame_send_raw(&mem_a.vm, 0x86dd, group_mac, ip, sizeof(ip));
	}
	while (frame_receive(&mem_b.vm, FRAME_SILENT_MS, &f))
		ASSERT(memcmp(f.source_mac, mem_a.vm.addr.mac, 6) != 0);
	arp_fill(&mem_a, 1, mem_a.vm.addr.v4, mem_b.vm.addr.v4, arp); /* what is true arrives */
	frame_send_raw(&mem_a.vm, 0x0806, broadcast, arp, sizeof(arp));
	ASSERT(frame_receive(&mem_b.vm, FRAME_WAIT_MS, &f));
	ASSERT_EQ(f.type, 0x0806);
}

/* Goal: a VLAN's tag does not hide a forged sender. */
TEST(tagged_frames_are_checked_or_dropped)
{
	uint8_t inside[4 + 4 + 28] = {0, 5, 0x81, 0x00, 0, 6, 0x08, 0x06}, arp[28];
	struct frame f;

	NEEDS_RIG();
	arp_fill(&mem_a, 2, (const uint8_t[]){10, 81, 0, 1}, mem_b.vm.addr.v4, arp);
	memcpy(inside + 8, arp, 28);
	frame_send_raw(&mem_a.vm, 0x8100, broadcast, inside, sizeof(inside)); /* two tags */
	frame_send_raw(&mem_a.vm, 0x88a8, broadcast, inside, sizeof(inside));
	frame_send_raw(&mem_a.vm, 0x8100, broadcast, inside + 4, sizeof(inside) - 4); /* one */
	while (frame_receive(&mem_b.vm, FRAME_SILENT_MS, &f))
		ASSERT(memcmp(f.source_mac, mem_a.vm.addr.mac, 6) != 0);
}

TEST(the_gateway_answers_its_own_network_only)
{
	const uint8_t own[4] = {10, 81, 0, 1}, other[4] = {10, 82, 0, 1};
	struct packet ping = {.proto = IPPROTO_ICMP, .dest = own};
	struct packet syn = {
		.proto = IPPROTO_TCP, .dest = own, .source_port = 5000, .dest_port = 80};
	struct frame f;

	NEEDS_RIG();
	ASSERT(greet(&mem_a));
	frame_send(&mem_a.vm, &ping);
	ASSERT(frame_expect(&mem_a.vm, IPPROTO_ICMP, own, 4, &f));
	frame_drain(&mem_a.vm);
	ping.dest = other;
	frame_send(&mem_a.vm, &ping);
	ping.dest = underlay_gateway()->v4;
	frame_send(&mem_a.vm, &ping);
	frame_send(&mem_a.vm, &syn);
	ASSERT(frame_silent(&mem_a.vm));
}

TEST(networks_and_vms_are_apart)
{
	const struct vm *vms[] = {&mem_a.vm, &mem_c.vm, &outsider};
	struct packet p = {.proto = IPPROTO_UDP,
			   .source_port = UNDERLAY_WG_PORT_MIN,
			   .dest_port = UNDERLAY_WG_PORT_MIN};

	NEEDS_RIG();
	ASSERT(greet(&mem_a));
	ASSERT(greet(&mem_c));
	frame_drain(&mem_c.vm);
	for (size_t i = 0; i < ARRAY_SIZE(vms) * ARRAY_SIZE(vms); i++) {
		const struct vm *from = vms[i / 3], *to = vms[i % 3];

		if (from == to)
			continue;
		for (int six = 0; six < 2; six++) {
			p.v6 = six;
			p.dest = six ? to->addr.v6 : to->addr.v4;
			frame_send(from, &p);
		}
		ASSERT(frame_silent(to));
		frame_drain(from);
	}
}

TEST(the_outside_is_reached_unless_internal)
{
	_cleanup_close_ int fd = -EBADF;
	struct underlay_status status;
	uint8_t dest[4];
	uint16_t port;

	NEEDS_RIG();
	if (!host_address(dest))
		TEST_SKIP("the host has no address but loopback's");
	for (int i = 0; i < 100; i++) {
		underlay_status(underlay, &status);
		if (status.uplink)
			break;
		usleep(50000);
	}
	fd = listen_tcp("0.0.0.0", &port);
	ASSERT(greet(&mem_a));
	ASSERT(connects(&mem_a.vm, dest, port, 10));
	ASSERT(!connects(&mem_a.vm, underlay_gateway()->host4, port, 2));
	ASSERT(!connects(&mem_i.vm, dest, port, 2));
}

/* Goal: the host's loopback is for the member that asked, by that name, and for no neighbour's.
 * Both are on a network of their own: what they do not answer comes again, for a while. */
TEST(the_host_is_reached_by_who_asked)
{
	struct member asks = {"dddddddddddd1", "0000000000051", 84, 2, false, true, {-EBADF, {}}};
	struct member plain = {"dddddddddddd1", "0000000000061", 84, 3, false, false, {-EBADF, {}}};
	const uint8_t *host = underlay_gateway()->host4;
	_cleanup_close_ int fd = -EBADF;
	struct err err = {};
	uint16_t port;

	NEEDS_RIG();
	fd = listen_tcp("127.0.0.1", &port);
	ASSERT_OK(member_open(&asks, &err));
	ASSERT_OK(member_open(&plain, &err));
	ASSERT(greet(&asks));
	ASSERT(greet(&plain));
	ASSERT(connects(&asks.vm, called, port, 10));
	ASSERT(!connects(&plain.vm, called, port, 2));
	ASSERT(!connects(&mem_i.vm, called, port, 2));
	ASSERT(!connects(&outsider, called, port, 2));
	ASSERT(!connects(&asks.vm, host, port, 2));
	ASSERT(!connects(&plain.vm, host, port, 2));
	cleanup_close(&asks.vm.fd);
	cleanup_close(&plain.vm.fd);
	vmnet_port_close(underlay, asks.network, asks.endpoint);
	vmnet_port_close(underlay, plain.network, plain.endpoint);
}

TEST(a_port_that_is_closed_carries_nothing)
{
	struct packet p = {.proto = IPPROTO_UDP,
			   .source_port = 4000,
			   .dest_port = 4001,
			   .dest = mem_b.vm.addr.v4,
			   .dest_mac = mem_b.vm.addr.mac};

	NEEDS_RIG();
	vmnet_port_close(underlay, mem_a.network, mem_a.endpoint);
	vmnet_port_close(underlay, mem_a.network, mem_a.endpoint); /* it may be told twice */
	frame_send(&mem_a.vm, &p);
	ASSERT(frame_silent(&mem_b.vm));
	ASSERT_STREQ(in_ns(COUNT_BRIDGES), "3");
	ASSERT_STREQ(in_ns(COUNT_CHAINS), "3");
	cleanup_close(&mem_a.vm.fd);
	mem_a.vm.fd = -EBADF;
}

/* Goal: the bridge goes with the last port, by whichever way that goes. */
TEST(nothing_is_left)
{
	struct err err = {};

	if (!can_run())
		TEST_SKIP("needs root and /dev/net/tun");
	cleanup_close(&mem_b.vm.fd);
	vmnet_port_close(underlay, mem_b.network, mem_b.endpoint);
	ASSERT_STREQ(in_ns(COUNT_BRIDGES), "2");
	cleanup_close(&mem_c.vm.fd); /* and no daemon was there */
	ASSERT_OK(vmnet_sweep(underlay, &err));
	ASSERT_STREQ(in_ns(COUNT_BRIDGES), "1");
	ASSERT_STREQ(in_ns(COUNT_CHAINS), "1"); /* one that is in use stays */
	cleanup_close(&mem_i.vm.fd);
	vmnet_port_close(underlay, mem_i.network, mem_i.endpoint);
	ASSERT_STREQ(in_ns(COUNT_BRIDGES), "0");
	ASSERT_STREQ(in_ns(COUNT_CHAINS), "0");
}

TEST(the_host_is_as_before)
{
	_cleanup_free_ char *after = NULL;

	if (!can_run())
		TEST_SKIP("needs root and /dev/net/tun");
	cleanup_close(&outsider.fd);
	underlay_remove(underlay);
	after = host_state();
	ASSERT(host_before && after);
	ASSERT_STREQ(after, host_before);
	free(host_before);
	(void)fs_remove_tree(dir);
}
