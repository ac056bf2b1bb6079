/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-agent-network.c - two real VMs in networks, with the test as their daemon and underlay
 *
 * usage: test-agent-network WORK GUEST AGENT_VM; agent-network.sh prepares WORK and runs it in a
 * network namespace of its own.
 *
 *	container a 172.17.0.2	container b 172.17.0.3		network one, WireGuard
 *	VM 198.18.0.2		VM 198.18.0.3			routed taps
 *	the namespace: gateway 198.18.0.1, 203.0.113.1 as the world outside, 198.19.255.3 as the
 *	host's resolver
 *
 * The tests go on with the same VMs, in order. The namespace forwards everything between the VMs,
 * which is less than the real underlay has: what is refused here is refused by the agent's rules.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/str.h"
#include "net-rig.h"
#include "rpc/client.h"
#include "unit/test.h"

#define WORLD "203.0.113.1"
#define WORLD_PORT 7000
#define RESOLVER "198.19.255.3"
#define FETCH_TIMEOUT_S 4
#define PING "%s/root/bin/busybox ping -q -c 1 -W 5 "

static const char *work;
static struct rig_vm a = {.name = 'a', .index = 2}, b = {.name = 'b', .index = 3};

/* One end of a network, with the memory that its messages point to. */
struct end {
	Arca__V1__NetworkAttach attach;
	Arca__V1__Peer peer; /* what others know of it */
	Arca__V1__Peer *others[2];
	Arca__V1__Alias link, *links[1];
	char *names[2];
	uint8_t mac[6], v4[4], gateway4[4], v6[16], gateway6[16], underlay[4], key[RIG_KEY_LEN];
	char id[16], network[16], endpoint[16], interface[16];
};

static ProtobufCBinaryData bytes(uint8_t *data, size_t len)
{
	return (ProtobufCBinaryData){.len = len, .data = data};
}

static void end_init(struct end *e, const struct rig_vm *vm, const char *id, unsigned int subnet,
		     unsigned int index, const char *interface)
{
	uint8_t host = (uint8_t)vm->index;

	*e = (struct end){.mac = {0x02, 0x42, 172, (uint8_t)subnet, 0, host},
			  .v4 = {172, (uint8_t)subnet, 0, host},
			  .gateway4 = {172, (uint8_t)subnet, 0, 1},
			  .v6 = {0xfd, 0, 0, (uint8_t)subnet, [15] = host},
			  .gateway6 = {0xfd, 0, 0, (uint8_t)subnet, [15] = 1},
			  .underlay = {198, 18, 0, host}};
	(void)snprintf(e->id, sizeof(e->id), "%s", id);
	(void)snprintf(e->endpoint, sizeof(e->endpoint), "%s-%c", id, vm->name);
	(void)snprintf(e->interface, sizeof(e->interface), "%s", interface);
	(void)snprintf(e->network, sizeof(e->network), "net-%s", id);
	arca__v1__network_attach__init(&e->attach);
	arca__v1__peer__init(&e->peer);
	e->attach.network_id = e->id;
	e->attach.interface = e->interface;
	e->attach.network_name = e->network;
	e->attach.name_rank = (int32_t)subnet;
	e->attach.embedded_names = true;
	e->names[0] = (char *)(vm->name == 'a' ? "alpha" : "beta");
	e->names[1] = (char *)(vm->name == 'a' ? "app" : "data.base");
	e->attach.own_names = e->peer.names = e->names;
	e->attach.n_own_names = e->peer.n_names = 2;
	e->attach.mac = bytes(e->mac, sizeof(e->mac));
	e->attach.v4 = e->peer.v4 = bytes(e->v4, sizeof(e->v4));
	e->attach.v4_prefix = 16;
	e->attach.v4_gateway = bytes(e->gateway4, sizeof(e->gateway4));
	e->attach.v6 = e->peer.v6 = bytes(e->v6, sizeof(e->v6));
	e->attach.v6_prefix = 64;
	e->attach.v6_gateway = bytes(e->gateway6, sizeof(e->gateway6));
	e->attach.mtu = 8920;
	e->attach.index = index;
	e->attach.peers = e->others;
	e->peer.endpoint_id = e->endpoint;
	e->peer.underlay4 = bytes(e->underlay, sizeof(e->underlay));
	e->peer.port = 51820 + index;
	e->peer.public_key = bytes(e->key, sizeof(e->key));
}

static void end_knows(struct end *e, struct end *other)
{
	e->others[0] = &other->peer;
	e->attach.n_peers = 1;
}

static int end_attach(struct rig_vm *vm, struct end *e, struct err *err)
{
	Arca__V1__AttachNetworkRequest request = ARCA__V1__ATTACH_NETWORK_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	int r;

	request.container_id = vm->container;
	request.network = &e->attach;
	r = rig_call(vm, "/arca.v1.Network/Attach", &request.base,
		     &arca__v1__attach_network_response__descriptor, &reply, err);
	if (r == 0) {
		memcpy(e->key, ((Arca__V1__AttachNetworkResponse *)reply)->public_key.data,
		       RIG_KEY_LEN);
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	return r;
}

static int end_detach(struct rig_vm *vm, struct end *e, struct err *err)
{
	Arca__V1__DetachNetworkRequest request = ARCA__V1__DETACH_NETWORK_REQUEST__INIT;

	request.container_id = vm->container;
	request.network_id = e->id;
	return rig_call(vm, "/arca.v1.Network/Detach", &request.base, &arca__v1__empty__descriptor,
			NULL, err);
}

static int end_set_peers(struct rig_vm *vm, struct end *e, bool complete, struct end *set,
			 const char *removed, bool poke, struct err *err)
{
	Arca__V1__SetPeersRequest request = ARCA__V1__SET_PEERS_REQUEST__INIT;
	Arca__V1__Peer *list[1] = {set ? &set->peer : NULL};
	char *names[1] = {(char *)removed};

	request.container_id = vm->container;
	request.network_id = e->id;
	request.complete = complete;
	request.set = list;
	request.n_set = set ? 1 : 0;
	request.removed_endpoint_ids = names;
	request.n_removed_endpoint_ids = removed ? 1 : 0;
	request.poke = poke;
	request.hold = e->attach.hold;
	return rig_call(vm, "/arca.v1.Network/SetPeers", &request.base,
			&arca__v1__empty__descriptor, NULL, err);
}

static int end_rotate(struct rig_vm *vm, struct end *e, const uint8_t *old_key, struct err *err)
{
	Arca__V1__RotateRequest request = ARCA__V1__ROTATE_REQUEST__INIT;
	uint8_t key[RIG_KEY_LEN];
	ProtobufCMessage *reply = NULL;
	int r;

	memcpy(key, old_key, sizeof(key));
	request.container_id = vm->container;
	request.network_id = e->id;
	request.old_key = bytes(key, sizeof(key));
	r = rig_call(vm, "/arca.v1.Network/Rotate", &request.base,
		     &arca__v1__rotate_response__descriptor, &reply, err);
	if (r == 0) {
		memcpy(e->key, ((Arca__V1__RotateResponse *)reply)->public_key.data, RIG_KEY_LEN);
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	return r;
}

/* What a TCP server says after a request; "" for none. */
static const char *fetch(const char *address, int port, const char *request)
{
	struct timeval timeout = {.tv_sec = FETCH_TIMEOUT_S};
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool six = inet_pton(AF_INET6, address, &sa6.sin6_addr) == 1;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char answer[4096];
	size_t len = 0;
	ssize_t n = 0;

	(void)inet_pton(AF_INET, address, &sa.sin_addr);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)); /* connect's */
	if (connect(fd, six ? (struct sockaddr *)&sa6 : (struct sockaddr *)&sa,
		    six ? sizeof(sa6) : sizeof(sa)) == 0 &&
	    send(fd, request, strlen(request), MSG_NOSIGNAL) >= 0)
		while (len < sizeof(answer) - 1 &&
		       (n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
			len += (size_t)n;
	answer[len] = '\0';
	(void)close(fd);
	return answer;
}

/* The world outside: tells each client who it is. */
static void *world_thread(void *arg)
{
	int fd = *(int *)arg;

	for (;;) {
		struct sockaddr_in sa;
		socklen_t len = sizeof(sa);
		int client = accept(fd, (struct sockaddr *)&sa, &len);
		char text[INET_ADDRSTRLEN + 1];

		if (client < 0)
			return NULL;
		(void)inet_ntop(AF_INET, &sa.sin_addr, text, INET_ADDRSTRLEN);
		strcat(text, "\n");
		(void)!write(client, text, strlen(text));
		(void)close(client);
	}
}

static int world_open(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(WORLD_PORT)};
	static int fd;
	pthread_t thread;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)inet_pton(AF_INET, WORLD, &sa.sin_addr);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 16) < 0)
		return -errno;
	return -pthread_create(&thread, NULL, world_thread, &fd);
}

static struct err err; /* of the last call */
static struct end one_a, one_b, two_a, two_b, inner_a, inner_b;

#define CALL(call)                                                                                 \
	do {                                                                                       \
		err = (struct err){0};                                                             \
		int _r = (call);                                                                   \
		if (_r != 0)                                                                       \
			TEST_FAIL("%s: %d %s", #call, _r, err.msg);                                \
	} while (0)
#define RUN(vm, command, code)                                                                     \
	do {                                                                                       \
		int _code = rig_run(vm, command);                                                  \
		if (_code != (code))                                                               \
			TEST_FAIL("%s: exit code %d: %s", command, _code, rig_output());           \
	} while (0)
#define HAS(text)                                                                                  \
	do {                                                                                       \
		if (!strstr(rig_output(), text))                                                   \
			TEST_FAIL("no \"%s\" in: %s", text, rig_output());                         \
	} while (0)

TEST(a_template_with_a_nic_is_cloned_onto_other_taps)
{
	uint64_t t0;

	ASSERT_OK(rig_template());
	ASSERT_OK(rig_vm_start(&a));
	ASSERT_OK(rig_vm_start(&b));
	t0 = clock_us();
	CALL(rig_vm_hello(&a, true, &err));
	CALL(rig_vm_hello(&b, true, &err));
	printf("# Hello: %.1f ms\n", (double)(clock_us() - t0) / 2e3);
	ASSERT_OK(rig_sh(PING "198.18.0.2 >/dev/null", work));
	ASSERT_OK(rig_sh(PING "fd61:7263:6100::3 >/dev/null", work));
	ASSERT_OK(rig_sh(PING "-s 8972 198.18.0.3 >/dev/null", work)); /* the MTU */
}

/* Goal: four different keys each, no two VMs the same; a repeated Hello changes nothing. */
TEST(keys_are_offered)
{
	uint8_t before[RIG_OFFERS][RIG_KEY_LEN];

	ASSERT_EQ(a.n_keys, RIG_OFFERS);
	for (int i = 0; i < RIG_OFFERS; i++) {
		ASSERT(memcmp(a.keys[i], b.keys[i], RIG_KEY_LEN) != 0);
		for (int j = 0; j < i; j++)
			ASSERT(memcmp(a.keys[i], a.keys[j], RIG_KEY_LEN) != 0);
	}
	memcpy(before, a.keys, sizeof(before));
	CALL(rig_vm_hello(&a, false, &err));
	ASSERT(memcmp(before, a.keys, sizeof(before)) == 0);
}

/* Goal: an address that the kernel refuses ends the start, says so, and leaves nothing. */
TEST(a_refused_address_ends_the_start)
{
	Arca__V1__NetworkAttach *networks[1];
	struct end bad;

	end_init(&bad, &a, "one", 17, 0, "eth0");
	memset(bad.v6, 0xff, 2); /* multicast */
	networks[0] = &bad.attach;
	ASSERT_EQ(rig_container(&a, networks, 1, NULL, NULL, &err), RPC_INVALID_ARGUMENT);
	ASSERT(strstr(err.msg, "network one"));
	printf("# %s\n", err.msg);
	CALL(rig_vm_hello(&a, false, &err));
	ASSERT_EQ(a.n_networks, 0);
	ASSERT_EQ(a.n_keys, RIG_OFFERS);
}

static Arca__V1__Dns dns_a, dns_b;

/* One server upstream. */
static void names_of_host(Arca__V1__Dns *dns, const char *address)
{
	ProtobufCBinaryData *servers = calloc(1, sizeof(*servers)); /* the test's, for ever */

	arca__v1__dns__init(dns);
	servers[0] = bytes((uint8_t *)(uintptr_t)address, 4);
	dns->servers = servers;
	dns->n_servers = 1;
}

TEST(containers_start_in_a_network)
{
	static uint8_t called[4] = {172, 17, 0, 1}, world[4] = {203, 0, 113, 1};
	Arca__V1__HostGateway host = ARCA__V1__HOST_GATEWAY__INIT;
	Arca__V1__NetworkAttach *networks[1];
	uint64_t t0;

	host.v4 = bytes(called, sizeof(called));
	host.v4_target = bytes(world, sizeof(world));
	end_init(&one_a, &a, "one", 17, 0, "eth0");
	end_init(&one_b, &b, "one", 17, 0, "eth0");
	memcpy(one_a.key, a.keys[0], RIG_KEY_LEN);
	memcpy(one_b.key, b.keys[0], RIG_KEY_LEN);
	one_a.attach.offered_key = bytes(one_a.key, RIG_KEY_LEN);
	one_b.attach.offered_key = bytes(one_b.key, RIG_KEY_LEN);
	one_a.attach.default_route4 = one_a.attach.default_route6 = true;
	one_b.attach.default_route4 = one_b.attach.default_route6 = true;
	end_knows(&one_a, &one_b);
	end_knows(&one_b, &one_a);
	networks[0] = &one_a.attach;
	names_of_host(&dns_a, "\306\23\377\3");
	names_of_host(&dns_b, "\313\0\161\1");
	dns_b.from_container = dns_b.ndots_set = true;
	arca__v1__alias__init(&one_a.link);
	one_a.link.name = (char *)"db";
	one_a.link.target = (char *)"beta";
	one_a.links[0] = &one_a.link;
	one_a.attach.links = one_a.links;
	one_a.attach.n_links = 1;
	CALL(rig_container(&a, networks, 1, &host, &dns_a, &err));
	networks[0] = &one_b.attach;
	t0 = clock_us();
	CALL(rig_container(&b, networks, 1, NULL, &dns_b, &err));
	printf("# the first start of a VM, in a network: %.1f ms\n",
	       (double)(clock_us() - t0) / 1e3);
	RUN(&a, "ip addr show eth0; ip route; ip -6 route", 0);
	HAS("mtu 8920");
	HAS("02:42:ac:11:00:02");
	HAS("inet 172.17.0.2/16 brd 172.17.255.255");
	HAS("inet6 fd00:11::2/64");
	HAS("default via 172.17.0.1 dev eth0");
	HAS("default via fd00:11::1 dev eth0");
	CALL(rig_vm_hello(&a, false, &err));
	ASSERT_EQ(a.n_networks, 1);
}

TEST(they_reach_each_other)
{
	RUN(&a, "ping -q -c 3 -W 5 172.17.0.3", 0);
	RUN(&a, "ping -q -c 1 -W 5 fd00:11::3", 0);
	RUN(&b, "ping -q -c 1 -W 5 -s 8892 172.17.0.2", 0); /* the MTU, in one packet */
	RUN(&b, "ping -q -c 1 -W 5 172.17.0.1", 0);
	RUN(&b, "nc -ll -p 9000 -e cat >/dev/null 2>&1 & httpd -p 8080 -h /www", 0);
	RUN(&a, "sleep 1; seq 20000 | nc -w 20 172.17.0.3 9000 | md5sum; seq 20000 | md5sum", 0);
	ASSERT(strlen(rig_output()) > 40 &&
	       memcmp(rig_output(), strchr(rig_output(), '\n') + 1, 32) == 0);
}

#define ASK(vm, name) (void)rig_run(vm, "nslookup " name " 127.0.0.11 2>&1")
#define HAS_NOT(text)                                                                              \
	do {                                                                                       \
		if (strstr(rig_output(), text))                                                    \
			TEST_FAIL("\"%s\" in: %s", text, rig_output());                            \
	} while (0)

/* Goal: each name of a container, in both families, with the network's name, over UDP and TCP. */
TEST(names_are_known)
{
	ASK(&a, "beta");
	HAS("Address: 172.17.0.3\n");
	HAS("Address: fd00:11::3\n");
	ASK(&a, "DATA.base.net-one");
	HAS("Address: 172.17.0.3\n");
	ASK(&a, "alpha"); /* itself */
	HAS("Address: 172.17.0.2\n");
	ASK(&b, "app");
	HAS("Address: 172.17.0.2\n");
	ASK(&a, "172.17.0.3");
	HAS("name = beta.net-one\n");
	ASK(&a, "fd00:11::3");
	HAS("name = beta.net-one\n");
	RUN(&a,
	    "printf '\\0\\026\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4beta\\0\\0\\1\\0\\1' |"
	    " nc -w 5 127.0.0.11 53 | hexdump -v -e '1/1 \"%02x\"'",
	    0);
	HAS("ac110003");
}

/* Goal: a link is for who has it. */
TEST(links_are_names)
{
	ASK(&a, "db");
	HAS("Address: 172.17.0.3\n");
	ASK(&b, "db.x");
	HAS("NXDOMAIN");
}

/* Goal: what no network knows is asked for, from the VM or from the container. */
TEST(other_names_are_asked_upstream)
{
	ASK(&a, "www.test");
	HAS("Address: 198.18.0.2\n");
	ASK(&b, "www.test");
	HAS("Address: 198.18.0.3\n");
	ASK(&a, "single");
	HAS("NXDOMAIN");
	ASK(&b, "single"); /* which has chosen ndots */
	HAS_NOT("NXDOMAIN");
	HAS_NOT("SERVFAIL");
}

/* Goal: the container may serve names itself, on all its addresses. */
TEST(port_53_is_free)
{
	RUN(&a, "nc -ll -p 53 -e echo own >/dev/null 2>&1 & sleep 1; nc -w 5 127.0.0.1 53", 0);
	HAS("own\n");
	ASK(&a, "beta");
	HAS("Address: 172.17.0.3\n");
}

/* Goal: who is not there is not answered for by the world. */
TEST(others_are_unreachable)
{
	RUN(&a, "ping -q -c 1 -W 3 172.17.0.77", 1);
	RUN(&a, "ping -q -c 1 -W 3 172.18.0.3", 1);
	RUN(&a, "ping -q -c 1 -W 3 fd00:11::77", 1);
}

TEST(the_world_sees_the_vms_address)
{
	RUN(&a, "nc -w 5 " WORLD " 7000", 0);
	HAS("198.18.0.2\n");
	RUN(&b, "nc -w 5 " WORLD " 7000", 0);
	HAS("198.18.0.3\n");
}

/* Goal: the host has a name for the container that asked, and for no other. */
TEST(a_host_gateway_is_for_who_asked)
{
	RUN(&a, "nc -w 5 172.17.0.1 7000", 0);
	HAS("198.18.0.2\n");
	RUN(&b, "nc -w 5 172.17.0.1 7000 2>&1", 1);
	HAS("refused");
}

/* Goal: what the gateway connects to arrives in the container, which sees its own gateway. */
TEST(forwarded_ports_arrive)
{
	static const char get[] = "GET /cgi-bin/who HTTP/1.0\r\n\r\n";

	if (!strstr(fetch("198.18.0.3", 8080, get), "172.17.0.1]"))
		TEST_FAIL("%s", fetch("198.18.0.3", 8080, get));
	if (!strstr(fetch("fd61:7263:6100::3", 8080, get), "fd00:11::1]"))
		TEST_FAIL("%s", fetch("fd61:7263:6100::3", 8080, get));
	/* a port of WireGuard's range as well: the gateway is no peer */
	RUN(&b, "(echo here | nc -w 10 -l -p 51820 >/dev/null) & sleep 0.3", 0);
	ASSERT_STREQ(fetch("198.18.0.3", 51820, "x"), "here\n");
}

/* Goal: nobody but the gateway: not over the underlay, not the VM itself. */
TEST(the_underlay_is_no_way_in)
{
	RUN(&a, "nc -w 3 198.18.0.3 8080 </dev/null", 1);
	RUN(&a, "nc -w 3 198.18.0.2 8080 </dev/null 2>&1", 1);
	HAS("refused");
	RUN(&a, "nc -w 3 172.17.0.1 22 </dev/null", 1);
}

/* Goal: a root in the container sends from no address but its own. */
TEST(a_forged_source_goes_nowhere)
{
	RUN(&a, "ip addr add 172.17.0.99/32 dev eth0; ip addr add 10.1.2.3/32 dev eth0", 0);
	RUN(&a, "ping -q -c 1 -W 2 -I 172.17.0.99 172.17.0.3", 1);
	RUN(&a, "ping -q -c 1 -W 2 -I 10.1.2.3 " WORLD, 1);
	RUN(&a, "ip addr del 172.17.0.99/32 dev eth0; ip addr del 10.1.2.3/32 dev eth0", 0);
	RUN(&a, "ping -q -c 1 -W 2 172.17.0.3", 0);
}

/* Goal: a second network, while the container runs; indices beyond the offers; twice is once. */
TEST(a_network_is_attached_live)
{
	uint8_t key[RIG_KEY_LEN];

	end_init(&two_a, &a, "two", 18, 1, "eth1");
	end_init(&two_b, &b, "two", 18, 77, "eth1");
	CALL(end_attach(&b, &two_b, &err));
	end_knows(&two_a, &two_b);
	CALL(end_attach(&a, &two_a, &err));
	ASSERT(memcmp(two_a.key, a.keys[1], RIG_KEY_LEN) == 0);
	CALL(end_set_peers(&b, &two_b, true, &two_a, NULL, false, &err));
	RUN(&a, "ping -q -c 1 -W 5 172.18.0.3", 0);
	RUN(&a, "ping -q -c 1 -W 5 172.17.0.3", 0);
	ASK(&a, "beta.net-two");
	HAS("Address: 172.18.0.3\n");
	ASK(&a, "beta"); /* by rank */
	HAS("Address: 172.17.0.3\n");
	HAS_NOT("172.18.0.3");
	ASK(&b, "172.18.0.2");
	HAS("name = alpha.net-two\n");
	memcpy(key, two_a.key, RIG_KEY_LEN);
	CALL(end_attach(&a, &two_a, &err));
	ASSERT(memcmp(key, two_a.key, RIG_KEY_LEN) == 0);
	two_a.attach.index = 2;
	ASSERT_EQ(end_attach(&a, &two_a, &err), RPC_ALREADY_EXISTS);
	two_a.attach.index = 1;
}

/* Goal: one network is no way into another, though both VMs are in both. */
TEST(networks_are_apart)
{
	RUN(&a, "ip addr add 172.18.0.9/32 dev lo; ping -q -c 1 -W 2 -I 172.18.0.9 172.17.0.3", 1);
	RUN(&a, "ip addr del 172.18.0.9/32 dev lo", 0);
	/* b's address in "two", by way of "one" */
	RUN(&a, "ip route add 172.18.0.3/32 via 172.17.0.1 dev eth0", 0);
	RUN(&a, "ping -q -c 1 -W 2 -I eth0 172.18.0.3", 1);
	RUN(&a, "ip route del 172.18.0.3/32 via 172.17.0.1 dev eth0", 0);
	RUN(&a, "ping -q -c 1 -W 2 172.18.0.3", 0);
}

/* Goal: the default route moves, and what the gateway connects to moves with it. */
TEST(the_default_route_moves)
{
	static const char get[] = "GET /cgi-bin/who HTTP/1.0\r\n\r\n";

	end_knows(&two_b, &two_a);
	two_b.attach.default_route4 = true;
	CALL(end_attach(&b, &two_b, &err));
	RUN(&b, "ip route", 0);
	HAS("default via 172.18.0.1 dev eth1");
	ASSERT(!strstr(rig_output(), "default via 172.17.0.1"));
	ASSERT(strstr(fetch("198.18.0.3", 8080, get), "172.18.0.1]"));
	RUN(&b, "nc -w 5 " WORLD " 7000", 0);
	CALL(end_attach(&b, &one_b, &err)); /* which says that it is the default */
	RUN(&b, "ip route", 0);
	HAS("default via 172.17.0.1 dev eth0");
	ASSERT(strstr(fetch("198.18.0.3", 8080, get), "172.17.0.1]"));
	two_b.attach.default_route4 = false;
}

TEST(an_internal_network_has_peers_only)
{
	end_init(&inner_a, &a, "inner", 19, 5, "eth2");
	end_init(&inner_b, &b, "inner", 19, 5, "eth2");
	inner_a.attach.internal = inner_b.attach.internal = true;
	inner_b.attach.embedded_names = false;
	CALL(end_attach(&a, &inner_a, &err));
	end_knows(&inner_b, &inner_a);
	CALL(end_attach(&b, &inner_b, &err));
	CALL(end_set_peers(&a, &inner_a, true, &inner_b, NULL, false, &err));
	RUN(&a, "ping -q -c 1 -W 5 172.19.0.3", 0);
	ASK(&a, "beta.net-inner");
	HAS("Address: 172.19.0.3\n");
	ASK(&b, "alpha.net-inner");
	HAS("NXDOMAIN");
	ASK(&a, "www.test"); /* by another network */
	HAS("Address: 198.18.0.2\n");
	RUN(&a, "ip route add " WORLD "/32 via 172.19.0.1 dev eth2; nc -w 3 " WORLD " 7000", 1);
	RUN(&a, "ip route del " WORLD "/32; nc -w 3 " WORLD " 7000", 0);
	CALL(end_detach(&a, &inner_a, &err));
	CALL(end_detach(&b, &inner_b, &err));
}

/* Goal: what is sent in a network that is held is late, not lost; so it is where nobody releases
 * the network. */
TEST(a_held_network_keeps_what_is_sent)
{
	static struct end many_a, many_b;
	static struct rig_exec ping;

	for (int released = 1; released >= 0; released--) {
		end_init(&many_a, &a, "many", 20, 6, "eth3");
		end_init(&many_b, &b, "many", 20, 6, "eth3");
		CALL(end_attach(&b, &many_b, &err));
		end_knows(&many_a, &many_b);
		many_a.attach.hold = true;
		CALL(end_attach(&a, &many_a, &err));
		rig_exec_begin(&a, "ping -q -c 1 -W 9 172.20.0.3", &ping);
		usleep(300000);
		if (released)
			CALL(end_set_peers(&a, &many_a, false, NULL, NULL, false, &err));
		CALL(end_set_peers(&b, &many_b, true, &many_a, NULL, false, &err));
		RUN(&b, "ping -q -c 1 -W 1 172.20.0.2", 1); /* the answer waits as well */
		many_a.attach.hold = false;
		if (released)
			CALL(end_set_peers(&a, &many_a, false, NULL, NULL, false, &err));
		rig_exec_wait(&ping);
		if (ping.code != 0)
			TEST_FAIL("%d: %s", released, ping.output);
		RUN(&a, "ping -q -c 1 -W 1 fd00:14::3", 0);
		RUN(&b, "ping -q -c 1 -W 1 172.20.0.2", 0);
		CALL(end_detach(&a, &many_a, &err));
		CALL(end_detach(&b, &many_b, &err));
	}
}

/* Goal: whoever is not named any more is cut off by then; who stays does not notice. */
TEST(peers_come_and_go)
{
	RUN(&a, "ping -q -c 1 -W 5 172.17.0.3", 0);
	CALL(end_set_peers(&a, &one_a, true, NULL, NULL, false, &err));
	ASK(&a, "beta.net-one");
	HAS("NXDOMAIN");
	ASK(&a, "beta"); /* in the other network */
	HAS("Address: 172.18.0.3\n");
	ASK(&a, "alpha");
	HAS("Address: 172.17.0.2\n");
	RUN(&a, "ping -q -c 1 -W 2 172.17.0.3", 1);
	RUN(&b, "ping -q -c 1 -W 2 172.17.0.2", 1);
	CALL(end_set_peers(&a, &one_a, false, &one_b, NULL, true, &err));
	CALL(end_set_peers(&a, &one_a, false, &one_b, NULL, true, &err));
	RUN(&a, "ping -q -c 1 -W 5 172.17.0.3", 0);
	ASK(&a, "beta");
	HAS("Address: 172.17.0.3\n");
	CALL(end_set_peers(&a, &one_a, false, NULL, one_b.endpoint, false, &err));
	CALL(end_set_peers(&a, &one_a, false, NULL, one_b.endpoint, false, &err));
	ASK(&a, "beta.net-one");
	HAS("NXDOMAIN");
	ASK(&a, "172.17.0.3");
	HAS("NXDOMAIN");
	RUN(&a, "ping -q -c 1 -W 2 172.17.0.3", 1);
	RUN(&a, "ping -q -c 1 -W 2 172.18.0.3", 0);
	CALL(end_set_peers(&a, &one_a, true, &one_b, NULL, true, &err));
	RUN(&a, "ping -q -c 1 -W 5 172.17.0.3", 0);
	RUN(&a, "ping -q -c 1 -W 5 fd00:11::3", 0);
}

/* Goal: keys are replaced under a TCP connection that goes on, and nothing is lost; a lost answer
 * does no harm. */
TEST(rotation_keeps_a_connection)
{
	static struct rig_exec client, pinger;
	uint8_t old[RIG_KEY_LEN], key[RIG_KEY_LEN];
	char last[16];

	rig_exec_begin(&a, "ping -q -i 0.05 -c 100 172.17.0.3", &pinger);
	rig_exec_begin(&a,
		       "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); usleep 100000; done"
		       " | nc 172.17.0.3 9000; echo end",
		       &client);
	for (int round = 0; round < 3; round++) {
		usleep(1000000);
		memcpy(old, one_a.key, RIG_KEY_LEN);
		CALL(end_rotate(&a, &one_a, old, &err));
		ASSERT(memcmp(old, one_a.key, RIG_KEY_LEN) != 0);
		memcpy(key, one_a.key, RIG_KEY_LEN);
		CALL(end_rotate(&a, &one_a, old, &err));
		ASSERT(memcmp(key, one_a.key, RIG_KEY_LEN) == 0);
		CALL(end_set_peers(&b, &one_b, false, &one_a, NULL, true, &err));
	}
	rig_exec_wait(&client);
	rig_exec_wait(&pinger);
	printf("# %s", strstr(pinger.output, "100 packets") ?: "no answers\n");
	ASSERT(strstr(pinger.output, " 0% packet loss"));
	ASSERT_EQ(client.code, 0);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(last, sizeof(last), "line %d\n", i);
		if (!strstr(client.output, last))
			TEST_FAIL("%s is missing: %s", last, client.output);
	}
	RUN(&a, "ping -q -c 2 -W 2 172.17.0.3", 0);
	RUN(&b, "ping -q -c 1 -W 2 172.17.0.2", 0);
}

/* Goal: a detached network is gone at once, and comes back with another key. */
TEST(a_network_is_detached_live)
{
	uint8_t key[RIG_KEY_LEN];

	memcpy(key, two_a.key, RIG_KEY_LEN);
	CALL(end_detach(&a, &two_a, &err));
	CALL(end_detach(&a, &two_a, &err));
	RUN(&a, "! ip link show eth1", 0);
	ASK(&a, "beta.net-two");
	HAS("NXDOMAIN");
	RUN(&b, "ping -q -c 1 -W 2 172.18.0.2", 1);
	RUN(&a, "ping -q -c 1 -W 2 172.17.0.3", 0);
	CALL(end_attach(&a, &two_a, &err));
	ASSERT(memcmp(key, two_a.key, RIG_KEY_LEN) != 0);
	CALL(end_set_peers(&b, &two_b, true, &two_a, NULL, false, &err));
	RUN(&a, "ping -q -c 1 -W 5 172.18.0.3", 0);
}

/* Goal: with the container go its interfaces and keys; the VM could take another one. */
TEST(removal_takes_interfaces_along)
{
	Arca__V1__RemoveContainerRequest request = ARCA__V1__REMOVE_CONTAINER_REQUEST__INIT;

	request.container_id = a.container;
	CALL(rig_call(&a, "/arca.v1.Sandbox/RemoveContainer", &request.base,
		      &arca__v1__empty__descriptor, NULL, &err));
	RUN(&b, "ping -q -c 1 -W 2 172.17.0.2", 1);
	CALL(rig_vm_hello(&a, false, &err));
	ASSERT_EQ(a.n_networks, 0);
	ASSERT_EQ(a.n_keys, RIG_OFFERS);
	ASSERT(memcmp(a.keys[0], one_a.key, RIG_KEY_LEN) != 0);
	ASSERT(memcmp(a.keys[1], two_a.key, RIG_KEY_LEN) != 0);
}

/* Goal: the VM takes another container, in the same place. */
TEST(another_container_follows)
{
	Arca__V1__RemoveContainerRequest request = ARCA__V1__REMOVE_CONTAINER_REQUEST__INIT;
	Arca__V1__ReleaseRequest release = ARCA__V1__RELEASE_REQUEST__INIT;
	Arca__V1__NetworkAttach *networks[1] = {&one_a.attach};
	uint64_t t0, t1;

	request.container_id = release.id = a.container;
	for (int n = 0; n < 4; n++) {
		CALL(rig_call(&a, "/arca.v1.Process/Release", &release.base,
			      &arca__v1__empty__descriptor, NULL, &err));
		memcpy(one_a.key, a.keys[0], RIG_KEY_LEN);
		t0 = clock_us();
		CALL(rig_container(&a, networks, n % 2, NULL, n % 2 ? &dns_a : NULL, &err));
		t1 = clock_us();
		printf("# a later start, in %d networks: %.1f ms", n % 2, (double)(t1 - t0) / 1e3);
		if (n < 3)
			CALL(rig_call(&a, "/arca.v1.Sandbox/RemoveContainer", &request.base,
				      &arca__v1__empty__descriptor, NULL, &err));
		printf(", removed %.1f ms", (double)(clock_us() - t1) / 1e3);
		t0 = clock_us();
		CALL(rig_vm_hello(&a, false, &err));
		printf(", Hello %.1f ms\n", (double)(clock_us() - t0) / 1e3);
	}
	CALL(end_set_peers(&b, &one_b, true, &one_a, NULL, true, &err));
	RUN(&a, "ping -q -c 1 -W 5 172.17.0.3", 0);
}

/* Goal: out of internal networks no question leaves; with another network it may again. */
TEST(an_internal_container_asks_nobody)
{
	inner_a.attach.n_peers = inner_b.attach.n_peers = 0;
	CALL(end_attach(&a, &inner_a, &err));
	CALL(end_detach(&a, &one_a, &err));
	ASK(&a, "www.test");
	HAS("SERVFAIL");
	ASK(&a, "alpha");
	HAS("Address: 172.19.0.2\n");
	one_a.attach.offered_key.len = 0;
	CALL(end_attach(&a, &one_a, &err));
	ASK(&a, "www.test");
	HAS("Address: 198.18.0.2\n");
}

/* TEST_MAIN() with arguments */
struct test_case *test_first, **test_last = &test_first;
int test_failed;
const char *test_skip_reason;

int main(int argc, char **argv)
{
	int n = 0, failures = 0;

	work = argc > 1 ? argv[1] : "";
	if (argc < 4 || rig_open(argv[1], argv[2], argv[3]) < 0 ||
	    rig_sh("ip link set lo up; ip addr add 198.18.0.1/32 dev lo;"
		   "ip addr add " WORLD "/32 dev lo; ip addr add " RESOLVER "/32 dev lo;"
		   "echo 1 >/proc/sys/net/ipv4/ip_forward") != 0 ||
	    world_open() < 0 || rig_dns_open(WORLD) < 0 || rig_dns_open(RESOLVER) < 0) {
		printf("Bail out! cannot set up\n");
		return 1;
	}
	for (struct test_case *t = test_first; t; t = t->next) {
		test_failed = 0;
		t->fn();
		printf("%sok %d - %s\n", test_failed ? "not " : "", ++n, t->name);
		fflush(stdout);
		failures += test_failed;
	}
	printf("1..%d\n", n);
	if (a.pid > 0)
		rig_vm_stop(&a);
	if (b.pid > 0)
		rig_vm_stop(&b);
	rig_close();
	return failures ? 1 : 0;
}
