/* SPDX-License-Identifier: Apache-2.0 */
/* test-network-spec.c - what of a network's description is refused */
#include "agent/network_spec.h"

#include <errno.h>
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

TEST_MAIN()
