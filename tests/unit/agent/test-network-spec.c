/* SPDX-License-Identifier: Apache-2.0 */
/* test-network-spec.c - what of a network's description is refused */
#include "agent/network_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/network.h"
#include "test.h"

static uint8_t mac[6] = {2, 0x42, 1, 2, 3, 4}, v4[4] = {172, 17, 0, 2},
	       gateway4[4] = {172, 17, 0, 1}, key[32], endpoint[4] = {198, 18, 0, 2};

static Arca__V1__NetworkAttach good(void)
{
	Arca__V1__NetworkAttach spec = ARCA__V1__NETWORK_ATTACH__INIT;

	spec.network_id = (char *)"net";
	spec.interface = (char *)"eth0";
	spec.mac = (ProtobufCBinaryData){sizeof(mac), mac};
	spec.v4 = (ProtobufCBinaryData){sizeof(v4), v4};
	spec.v4_prefix = 16;
	spec.v4_gateway = (ProtobufCBinaryData){sizeof(gateway4), gateway4};
	spec.mtu = 1500;
	spec.default_route4 = true;
	return spec;
}

static int parse(Arca__V1__NetworkAttach spec)
{
	struct network n = {};
	struct err err = {};
	int r = network_parse(&spec, &n, &err);

	return r < 0 && err.kind == ERR_INVALID ? -EINVAL : r;
}

TEST(a_network_is_read)
{
	Arca__V1__NetworkAttach spec = good();
	struct network n = {};
	struct err err = {};

	spec.index = 255;
	ASSERT_OK(network_parse(&spec, &n, &err));
	ASSERT_STREQ(n.interface, "eth0");
	ASSERT_EQ(n.index, 255);
	ASSERT_EQ(n.address[0].len, 4);
	ASSERT_EQ(n.address[0].prefix, 16);
	ASSERT_EQ(n.gateway[0].prefix, 32);
	ASSERT_EQ(n.address[1].len, 0);
	ASSERT(n.is_default[0] && !n.is_default[1]);
}

TEST(malformed_networks_are_refused)
{
	Arca__V1__NetworkAttach s;

	s = good(), s.network_id = (char *)"";
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.interface = (char *)"";
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.interface = (char *)"../x";
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.interface = (char *)"sixteen-letters-";
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.mac.len = 5;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.v4.len = 3;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.v4_gateway.len = 1;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.v4_prefix = 33;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.v4_prefix = 0;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.mtu = 67;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.mtu = 65536;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.index = 256;
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.offered_key = (ProtobufCBinaryData){31, key};
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.v4_gateway.len = 0; /* and a default route */
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.internal = true; /* likewise */
	ASSERT_ERROR(parse(s), EINVAL);
	s = good(), s.default_route6 = true; /* without an address */
	ASSERT_ERROR(parse(s), EINVAL);
}

static Arca__V1__Peer good_peer(void)
{
	Arca__V1__Peer p = ARCA__V1__PEER__INIT;

	p.endpoint_id = (char *)"e";
	p.public_key = (ProtobufCBinaryData){sizeof(key), key};
	p.underlay4 = (ProtobufCBinaryData){sizeof(endpoint), endpoint};
	p.port = 51820;
	p.v4 = (ProtobufCBinaryData){sizeof(v4), v4};
	return p;
}

static int parse_peer(Arca__V1__Peer spec)
{
	struct network_peer p = {};

	return network_parse_peer(&spec, &p, NULL);
}

TEST(malformed_peers_are_refused)
{
	Arca__V1__Peer p;

	ASSERT_OK(parse_peer(good_peer()));
	p = good_peer(), p.endpoint_id = (char *)"";
	ASSERT_ERROR(parse_peer(p), EINVAL);
	p = good_peer(), p.public_key.len = 31;
	ASSERT_ERROR(parse_peer(p), EINVAL);
	p = good_peer(), p.underlay4.len = 0;
	ASSERT_ERROR(parse_peer(p), EINVAL);
	p = good_peer(), p.port = 0;
	ASSERT_ERROR(parse_peer(p), EINVAL);
	p = good_peer(), p.port = 65536;
	ASSERT_ERROR(parse_peer(p), EINVAL);
	p = good_peer(), p.v4.len = 0; /* and no v6 */
	ASSERT_ERROR(parse_peer(p), EINVAL);
	p = good_peer(), p.v6 = (ProtobufCBinaryData){sizeof(v4), v4};
	ASSERT_ERROR(parse_peer(p), EINVAL);
}

static Arca__V1__Peer linked_peer(uint32_t *in, size_t n_in, uint32_t *out, size_t n_out)
{
	Arca__V1__Peer p = good_peer();

	p.linked_key = p.public_key;
	p.public_key = (ProtobufCBinaryData){};
	p.ports_in = in;
	p.n_ports_in = n_in;
	p.ports_out = out;
	p.n_ports_out = n_out;
	return p;
}

TEST(a_linked_peer_is_reached_by_ports_only)
{
	uint32_t in[] = {FIREWALL_PORT(6, 80)};
	Arca__V1__Peer spec = linked_peer(in, 1, NULL, 0);
	struct network_peer p = {};

	ASSERT_OK(network_parse_peer(&spec, &p, NULL));
	ASSERT(p.linked);
	spec = good_peer();
	ASSERT_OK(network_parse_peer(&spec, &p, NULL));
	ASSERT(!p.linked);
	spec.linked_key = spec.public_key; /* not both: which would count? */
	ASSERT_ERROR(parse_peer(spec), EINVAL);
	spec = linked_peer(in, 1, NULL, 0), spec.linked_key.len = 31;
	ASSERT_ERROR(parse_peer(spec), EINVAL);
	spec = linked_peer(in, 1, NULL, 0), spec.v6 = spec.linked_key, spec.v6.len = 16,
	spec.v4.len = 0;
	ASSERT_ERROR(parse_peer(spec), EINVAL);
	in[0] = FIREWALL_PORT(6, 0);
	ASSERT_ERROR(parse_peer(linked_peer(in, 1, NULL, 0)), EINVAL);
	ASSERT_ERROR(parse_peer(linked_peer(NULL, 0, in, 1)), EINVAL);
	in[0] = FIREWALL_PORT(256, 80);
	ASSERT_ERROR(parse_peer(linked_peer(in, 1, NULL, 0)), EINVAL);
}

TEST(ports_are_the_same_in_any_order)
{
	uint32_t in[] = {FIREWALL_PORT(17, 53), FIREWALL_PORT(6, 80), FIREWALL_PORT(17, 53)};
	uint32_t other[] = {FIREWALL_PORT(6, 80), FIREWALL_PORT(17, 53)};
	Arca__V1__Peer spec = linked_peer(in, 3, NULL, 0);
	struct network_peer p = {};

	ASSERT_OK(network_linked_copy(&spec, &p));
	ASSERT_EQ(p.n_ports[0], 2);
	ASSERT_EQ(p.ports[0][0], FIREWALL_PORT(6, 80));
	ASSERT_EQ(p.n_ports[1], 0);
	spec = linked_peer(other, 2, NULL, 0);
	ASSERT(network_linked_same(&spec, &p));
	spec = linked_peer(other, 1, NULL, 0);
	ASSERT(!network_linked_same(&spec, &p));
	spec = linked_peer(NULL, 0, other, 2);
	ASSERT(!network_linked_same(&spec, &p));
	other[1]++;
	spec = linked_peer(other, 2, NULL, 0);
	ASSERT(!network_linked_same(&spec, &p));
	free(p.ports[0]);
	free(p.ports[1]);
}

TEST_MAIN()
