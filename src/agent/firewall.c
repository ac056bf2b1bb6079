/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall.c - what may go where between NIC, WireGuard and containers
 *
 * DOC: Theory of operation
 *
 * The rules are set once, while the template boots, and never change: interfaces are known by their
 * groups, and what differs from network to network is in sets. So to attach a network is to add a
 * few elements, in one transaction.
 *
 *	pairs	{in . out}			may be forwarded
 *	target	{underlay's gateway : address}	where forwarded ports arrive
 *	host	{in . address : address}	what a container calls the host, and what that is
 *	quiet	{port}				WireGuard begins no handshake from it for now
 *	linked	{in . out . peer}		answers between a container and a peer
 *	open	{in . out . peer . protocol . port}	which ports may be connected to
 *
 *	v<n> <-> wg<n>	peers; WireGuard lets nobody send from an address that is not his. Where
 *			members are kept apart, not by `pairs` but as `linked` and `open` have it
 *	v<n> -> NIC	not from internal networks; leaves with the VM's address
 *	NIC -> v<n>	answers, and what the underlay's gateway connects to; the container sees its
 *			network's gateway as the client
 *	all others	nothing: not from one network to another, not from a peer to the NIC
 *
 * A container sends from its own addresses only (its packets are dropped where an answer would not
 * go back to it), and reaches nothing of the VM itself but ICMP. WireGuard's own packets are not
 * tracked: it knows its peers better.
 *
 * Names and numbers of types are nft(8)'s, so `nft list ruleset` can read it.
 */
#include "agent/firewall.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <string.h>

#include "agent/nft.h"

#define FIREWALL_FAMILY NFPROTO_INET
#define FIREWALL_TABLE "arca"

/* nft(8)'s include/datatype.h; parts of a concatenation have 6 bits each */
#define TYPE_IPADDR 7
#define TYPE_IP6ADDR 8
#define TYPE_INET_PROTOCOL 12
#define TYPE_INET_SERVICE 13
#define TYPE_IFINDEX 20
#define TYPE_CONCAT(a, b) ((a) << 6 | (b))

#define TYPE_LINK TYPE_CONCAT(TYPE_CONCAT(TYPE_IFINDEX, TYPE_IFINDEX), TYPE_IPADDR)
#define TYPE_OPEN TYPE_CONCAT(TYPE_CONCAT(TYPE_LINK, TYPE_INET_PROTOCOL), TYPE_INET_SERVICE)

#define IP4_SOURCE 12
#define IP4_DESTINATION 16
#define IP6_SOURCE 8
#define IP6_DESTINATION 24
#define UDP_SOURCE_PORT 0
#define UDP_DESTINATION_PORT 2
#define UDP_PAYLOAD 8

static const char *const firewall_target_maps[2] = {"target4", "target6"};
static const char *const firewall_host_maps[2] = {"host4", "host6"};

static const struct nft_set firewall_sets[] = {
	{"pairs", TYPE_CONCAT(TYPE_IFINDEX, TYPE_IFINDEX), 8, 0, 0},
	{"target4", TYPE_IPADDR, 4, TYPE_IPADDR, 4},
	{"target6", TYPE_IP6ADDR, 16, TYPE_IP6ADDR, 16},
	{"host4", TYPE_CONCAT(TYPE_IFINDEX, TYPE_IPADDR), 8, TYPE_IPADDR, 4},
	{"host6", TYPE_CONCAT(TYPE_IFINDEX, TYPE_IP6ADDR), 20, TYPE_IP6ADDR, 16},
	{"quiet", TYPE_INET_SERVICE, 2, 0, 0, true},
	{"linked", TYPE_LINK, 12, 0, 0},
	{"open", TYPE_OPEN, 20, 0, 0},
};

static const struct nft_chain firewall_chains[] = {
	{"guard", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW, NF_ACCEPT},
	{"untracked", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_RAW, NF_ACCEPT},
	{"input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, NF_ACCEPT},
	{"forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, NF_DROP},
	{"arrive", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST, NF_ACCEPT},
	{"leave", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, NF_ACCEPT},
};

static void match_u32(struct netlink_batch *b, enum nft_meta_keys key, enum nft_cmp_ops op,
		      uint32_t value)
{
	nft_meta(b, key, NFT_REG(0));
	nft_cmp(b, NFT_REG(0), op, &value, sizeof(value));
}

static void match_u8(struct netlink_batch *b, enum nft_meta_keys key, enum nft_cmp_ops op,
		     uint8_t value)
{
	nft_meta(b, key, NFT_REG(0));
	nft_cmp(b, NFT_REG(0), op, &value, sizeof(value));
}

/* Bits of a connection's state or status: one of them is enough. */
static void match_ct(struct netlink_batch *b, enum nft_ct_keys key, uint32_t bits)
{
	static const uint32_t none;

	nft_ct(b, key, NFT_REG(0));
	nft_mask(b, NFT_REG(0), &bits, sizeof(bits));
	nft_cmp(b, NFT_REG(0), NFT_CMP_NEQ, &none, sizeof(none));
}

static void match_pair(struct netlink_batch *b)
{
	nft_meta(b, NFT_META_IIF, NFT_REG(0));
	nft_meta(b, NFT_META_OIF, NFT_REG(1));
	nft_lookup(b, "pairs", NFT_REG(0), 0);
}

static void match_mesh_port(struct netlink_batch *b, uint32_t offset)
{
	const uint16_t first = htons(FIREWALL_MESH_PORT);
	const uint16_t last = htons(FIREWALL_MESH_PORT + FIREWALL_MESH_PORTS - 1);

	match_u8(b, NFT_META_L4PROTO, NFT_CMP_EQ, IPPROTO_UDP);
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2, NFT_REG(0));
	nft_cmp(b, NFT_REG(0), NFT_CMP_GTE, &first, sizeof(first));
	nft_cmp(b, NFT_REG(0), NFT_CMP_LTE, &last, sizeof(last));
}

static size_t rule(struct netlink_batch *b, const char *chain)
{
	return nft_rule(b, FIREWALL_FAMILY, FIREWALL_TABLE, chain);
}

static void rule_end(struct netlink_batch *b, size_t at, uint32_t verdict)
{
	nft_verdict(b, verdict);
	netlink_unnest(b, at);
}

/* Before anything else is known of a packet. */
static void firewall_guard(struct netlink_batch *b)
{
	static const uint8_t initiation[4] = {1}; /* WireGuard's message type 1, little-endian */
	static const uint8_t link_local_mask[16] = {0xff, 0xc0}, link_local[16] = {0xfe, 0x80};
	size_t at;

	/* Neighbour discovery speaks from link-local addresses; they are never forwarded. */
	at = rule(b, "guard");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_CONTAINER);
	match_u8(b, NFT_META_NFPROTO, NFT_CMP_EQ, NFPROTO_IPV6);
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP6_SOURCE, 16, NFT_REG(0));
	nft_mask(b, NFT_REG(0), link_local_mask, sizeof(link_local_mask));
	nft_cmp(b, NFT_REG(0), NFT_CMP_EQ, link_local, sizeof(link_local));
	rule_end(b, at, NF_ACCEPT);

	at = rule(b, "guard");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_CONTAINER);
	nft_fib_source(b, NFT_REG(0));
	nft_cmp(b, NFT_REG(0), NFT_CMP_EQ, (uint32_t[]){0}, sizeof(uint32_t));
	rule_end(b, at, NF_DROP);

	/* A mesh port that is forwarded to a container comes from the gateway, and is tracked. */
	at = rule(b, "guard");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_u8(b, NFT_META_NFPROTO, NFT_CMP_EQ, NFPROTO_IPV4);
	match_mesh_port(b, UDP_DESTINATION_PORT);
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP4_SOURCE, 4, NFT_REG(0));
	nft_lookup(b, firewall_target_maps[0], NFT_REG(0), NFT_REG(1));
	rule_end(b, at, NF_ACCEPT);

	at = rule(b, "guard");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_mesh_port(b, UDP_DESTINATION_PORT);
	nft_notrack(b);
	netlink_unnest(b, at);

	at = rule(b, "untracked");
	match_u32(b, NFT_META_OIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_u8(b, NFT_META_L4PROTO, NFT_CMP_EQ, IPPROTO_UDP);
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_SOURCE_PORT, 2, NFT_REG(0));
	nft_lookup(b, "quiet", NFT_REG(0), 0);
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_PAYLOAD, sizeof(initiation), NFT_REG(0));
	nft_cmp(b, NFT_REG(0), NFT_CMP_EQ, initiation, sizeof(initiation));
	rule_end(b, at, NF_DROP);

	at = rule(b, "untracked");
	match_u32(b, NFT_META_OIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_mesh_port(b, UDP_SOURCE_PORT);
	nft_notrack(b);
	netlink_unnest(b, at);
}

static void firewall_input_icmp(struct netlink_batch *b, uint32_t group)
{
	static const uint8_t protocols[] = {IPPROTO_ICMP, IPPROTO_ICMPV6};

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		size_t at = rule(b, "input");

		match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, group);
		match_u8(b, NFT_META_L4PROTO, NFT_CMP_EQ, protocols[i]);
		rule_end(b, at, NF_ACCEPT);
	}
}

/* What reaches the VM itself. */
static void firewall_input(struct netlink_batch *b)
{
	size_t at;

	firewall_input_icmp(b, FIREWALL_GROUP_CONTAINER);
	at = rule(b, "input");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_CONTAINER);
	nft_reject(b);
	netlink_unnest(b, at);

	at = rule(b, "input");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_MESH);
	rule_end(b, at, NF_DROP);

	firewall_input_icmp(b, FIREWALL_GROUP_NIC);
	at = rule(b, "input");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_mesh_port(b, UDP_DESTINATION_PORT);
	rule_end(b, at, NF_ACCEPT);
	at = rule(b, "input");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_ct(b, NFT_CT_STATE,
		 NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	rule_end(b, at, NF_ACCEPT);
	at = rule(b, "input");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	rule_end(b, at, NF_DROP);
}

static void match_link(struct netlink_batch *b, uint32_t peer_offset)
{
	match_u8(b, NFT_META_NFPROTO, NFT_CMP_EQ, NFPROTO_IPV4);
	nft_meta(b, NFT_META_IIF, NFT_REG(0));
	nft_meta(b, NFT_META_OIF, NFT_REG(1));
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, peer_offset, 4, NFT_REG(2));
}

/* From a peer, or to one. A fragment has no port, but is put together before it comes here. */
static void firewall_forward_linked(struct netlink_batch *b, uint32_t peer_offset)
{
	size_t at = rule(b, "forward");

	match_link(b, peer_offset);
	nft_lookup(b, "linked", NFT_REG(0), 0);
	match_ct(b, NFT_CT_STATE,
		 NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	rule_end(b, at, NF_ACCEPT);
	at = rule(b, "forward");
	match_link(b, peer_offset);
	nft_meta(b, NFT_META_L4PROTO, NFT_REG(3));
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_DESTINATION_PORT, 2, NFT_REG(4));
	nft_lookup(b, "open", NFT_REG(0), 0);
	rule_end(b, at, NF_ACCEPT);
}

static void firewall_forward(struct netlink_batch *b)
{
	size_t at = rule(b, "forward");

	match_pair(b);
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_NEQ, FIREWALL_GROUP_NIC);
	rule_end(b, at, NF_ACCEPT);
	at = rule(b, "forward");
	match_pair(b);
	match_ct(b, NFT_CT_STATE,
		 NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	rule_end(b, at, NF_ACCEPT);
	at = rule(b, "forward");
	match_pair(b);
	match_ct(b, NFT_CT_STATUS, IPS_DST_NAT);
	rule_end(b, at, NF_ACCEPT);
	firewall_forward_linked(b, IP4_SOURCE);
	firewall_forward_linked(b, IP4_DESTINATION);
}

/* What comes from the underlay's gateway goes to the container, but for ICMP. */
static void firewall_arrive(struct netlink_batch *b, bool six)
{
	uint32_t len = six ? 16 : 4;
	uint8_t family = six ? NFPROTO_IPV6 : NFPROTO_IPV4;
	size_t at = rule(b, "arrive");

	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_u8(b, NFT_META_NFPROTO, NFT_CMP_EQ, family);
	match_u8(b, NFT_META_L4PROTO, NFT_CMP_NEQ, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, six ? IP6_SOURCE : IP4_SOURCE, len, NFT_REG(0));
	nft_lookup(b, firewall_target_maps[six], NFT_REG(0), NFT_REG(4));
	nft_dnat(b, family, NFT_REG(4), 0);
	netlink_unnest(b, at);

	at = rule(b, "arrive");
	match_u32(b, NFT_META_IIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_CONTAINER);
	match_u8(b, NFT_META_NFPROTO, NFT_CMP_EQ, family);
	nft_meta(b, NFT_META_IIF, NFT_REG(0));
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, six ? IP6_DESTINATION : IP4_DESTINATION, len,
		    NFT_REG(1));
	nft_lookup(b, firewall_host_maps[six], NFT_REG(0), NFT_REG(8));
	nft_dnat(b, family, NFT_REG(8), 0);
	netlink_unnest(b, at);
}

static void firewall_leave(struct netlink_batch *b)
{
	const uint16_t first = htons(FIREWALL_MESH_PORT + FIREWALL_MESH_PORTS);
	const uint16_t last = htons(UINT16_MAX);
	size_t at = rule(b, "leave");

	/* Answers to a mesh port are taken for the mesh's. */
	match_u32(b, NFT_META_OIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	match_mesh_port(b, UDP_SOURCE_PORT);
	nft_immediate(b, NFT_REG(0), &first, sizeof(first));
	nft_immediate(b, NFT_REG(1), &last, sizeof(last));
	nft_masquerade_ports(b, NFT_REG(0), NFT_REG(1));
	netlink_unnest(b, at);

	at = rule(b, "leave");
	match_u32(b, NFT_META_OIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_NIC);
	nft_masquerade(b);
	netlink_unnest(b, at);
	at = rule(b, "leave");
	match_u32(b, NFT_META_OIFGROUP, NFT_CMP_EQ, FIREWALL_GROUP_CONTAINER);
	match_ct(b, NFT_CT_STATUS, IPS_DST_NAT);
	nft_masquerade(b);
	netlink_unnest(b, at);
}

/**
 * firewall_boot() - Set the rules, for interfaces that are yet to come
 * @nl: NETLINK_NETFILTER in the VM's own namespace
 *
 * Return: 0, or negative errno with no rule set
 */
int firewall_boot(struct netlink *nl)
{
	_cleanup_batch_ struct netlink_batch b = {};

	nft_begin(&b);
	nft_table(&b, FIREWALL_FAMILY, FIREWALL_TABLE);
	for (size_t i = 0; i < ARRAY_SIZE(firewall_sets); i++)
		nft_set(&b, FIREWALL_FAMILY, FIREWALL_TABLE, &firewall_sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < ARRAY_SIZE(firewall_chains); i++)
		nft_chain(&b, FIREWALL_FAMILY, FIREWALL_TABLE, &firewall_chains[i]);
	firewall_guard(&b);
	firewall_input(&b);
	firewall_forward(&b);
	firewall_arrive(&b, false);
	firewall_arrive(&b, true);
	firewall_leave(&b);
	nft_end(&b);
	return netlink_send(nl, &b);
}

static void firewall_pair(struct netlink_batch *b, bool add, uint32_t in, uint32_t out)
{
	const uint32_t key[2] = {in, out};

	nft_element(b, add, FIREWALL_FAMILY, FIREWALL_TABLE, "pairs", key, sizeof(key), NULL, 0, 0);
}

static void firewall_put_way(struct netlink_batch *b, bool add, const struct firewall_way *way)
{
	if (!way->apart) {
		firewall_pair(b, add, way->container, way->mesh);
		firewall_pair(b, add, way->mesh, way->container);
	}
	if (way->nic) {
		firewall_pair(b, add, way->container, way->nic);
		firewall_pair(b, add, way->nic, way->container);
	}
}

static void firewall_put_maps(struct netlink_batch *b, bool add, const struct firewall_entry *e)
{
	for (int i = 0; i < 2; i++) {
		uint8_t key[sizeof(uint32_t) + 16];

		if (e->gateway[i].len && e->target[i].len)
			nft_element(b, add, FIREWALL_FAMILY, FIREWALL_TABLE,
				    firewall_target_maps[i], e->gateway[i].bytes, e->gateway[i].len,
				    e->target[i].bytes, e->target[i].len, 0);
		if (!e->host[i].len || !e->host_target[i].len)
			continue;
		memcpy(key, &e->way.container, sizeof(uint32_t));
		memcpy(key + sizeof(uint32_t), e->host[i].bytes, e->host[i].len);
		nft_element(b, add, FIREWALL_FAMILY, FIREWALL_TABLE, firewall_host_maps[i], key,
			    sizeof(uint32_t) + e->host[i].len, e->host_target[i].bytes,
			    e->host_target[i].len, 0);
	}
}

/**
 * firewall_set() - Put one network's entry in the place of another, at once
 * @nl:	    NETLINK_NETFILTER in the VM's own namespace
 * @old:    What is in force; NULL: nothing
 * @wanted: NULL: nothing from now on
 *
 * Return: 0, or negative errno with nothing changed
 */
int firewall_set(struct netlink *nl, const struct firewall_entry *old,
		 const struct firewall_entry *wanted)
{
	_cleanup_batch_ struct netlink_batch b = {};

	nft_begin(&b);
	if (old) {
		firewall_put_way(&b, false, &old->way);
		firewall_put_maps(&b, false, old);
	}
	if (wanted) {
		firewall_put_way(&b, true, &wanted->way);
		firewall_put_maps(&b, true, wanted);
	}
	nft_end(&b);
	return netlink_send(nl, &b);
}

static void firewall_put_open(struct netlink_batch *b, bool add, const uint32_t way[2],
			      const uint8_t *peer, const uint32_t *ports, size_t n)
{
	uint8_t key[20] = {};

	memcpy(key, way, 8);
	memcpy(key + 8, peer, 4);
	nft_element(b, add, FIREWALL_FAMILY, FIREWALL_TABLE, "linked", key, 12, NULL, 0, 0);
	for (size_t i = 0; i < n; i++) {
		const uint16_t port = htons((uint16_t)ports[i]);

		key[12] = (uint8_t)FIREWALL_PORT_PROTOCOL(ports[i]);
		memcpy(key + 16, &port, sizeof(port));
		nft_element(b, add, FIREWALL_FAMILY, FIREWALL_TABLE, "open", key, sizeof(key), NULL,
			    0, 0);
	}
}

/**
 * firewall_set_link() - Open ports between a container and one of its peers, or close them
 * @nl:	  NETLINK_NETFILTER in the VM's own namespace
 * @add:  Which
 * @link: What; on a way that is apart
 *
 * Return: 0, or negative errno with nothing changed
 */
int firewall_set_link(struct netlink *nl, bool add, const struct firewall_link *link)
{
	const uint32_t in[2] = {link->mesh, link->container}, out[2] = {in[1], in[0]};
	_cleanup_batch_ struct netlink_batch b = {};

	nft_begin(&b);
	firewall_put_open(&b, add, in, link->peer, link->ports_in, link->n_in);
	firewall_put_open(&b, add, out, link->peer, link->ports_out, link->n_out);
	nft_end(&b);
	return netlink_send(nl, &b);
}

/**
 * firewall_quiet() - Let WireGuard begin no handshake for a while, only answer
 * @nl:		NETLINK_NETFILTER in the VM's own namespace
 * @port:	UDP port it listens on
 * @timeout_ms: How long, milliseconds
 *
 * Return: 0 or negative errno
 */
int firewall_quiet(struct netlink *nl, uint16_t port, unsigned int timeout_ms)
{
	const uint16_t key = htons(port);
	_cleanup_batch_ struct netlink_batch b = {};

	nft_begin(&b);
	nft_element(&b, true, FIREWALL_FAMILY, FIREWALL_TABLE, "quiet", &key, sizeof(key), NULL, 0,
		    timeout_ms);
	nft_end(&b);
	return netlink_send(nl, &b);
}

static void firewall_redirect_port(struct netlink_batch *b, uint8_t protocol, uint16_t port)
{
	static const uint8_t server[4] = {127, 0, 0, 11};
	const uint16_t from = htons(53), to = htons(port);
	size_t at = nft_rule(b, NFPROTO_IPV4, FIREWALL_TABLE, "names");

	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP4_DESTINATION, 4, NFT_REG(0));
	nft_cmp(b, NFT_REG(0), NFT_CMP_EQ, server, sizeof(server));
	match_u8(b, NFT_META_L4PROTO, NFT_CMP_EQ, protocol);
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_DESTINATION_PORT, 2, NFT_REG(0));
	nft_cmp(b, NFT_REG(0), NFT_CMP_EQ, &from, sizeof(from));
	nft_immediate(b, NFT_REG(0), server, sizeof(server));
	nft_immediate(b, NFT_REG(1), &to, sizeof(to));
	nft_dnat(b, NFPROTO_IPV4, NFT_REG(0), NFT_REG(1));
	netlink_unnest(b, at);
}

/**
 * firewall_redirect_names() - In a container: 127.0.0.11:53 is served on other ports
 * @nl:	      NETLINK_NETFILTER in the container's namespace, see netlink_open_in()
 * @udp_port: On 127.0.0.11
 * @tcp_port: On 127.0.0.11
 *
 * So the container may bind port 53 of all its addresses itself.
 *
 * Return: 0 or negative errno
 */
int firewall_redirect_names(struct netlink *nl, uint16_t udp_port, uint16_t tcp_port)
{
	static const struct nft_chain chain = {"names", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST,
					       NF_ACCEPT};
	_cleanup_batch_ struct netlink_batch b = {};

	nft_begin(&b);
	nft_table(&b, NFPROTO_IPV4, FIREWALL_TABLE);
	nft_chain(&b, NFPROTO_IPV4, FIREWALL_TABLE, &chain);
	firewall_redirect_port(&b, IPPROTO_UDP, udp_port);
	firewall_redirect_port(&b, IPPROTO_TCP, tcp_port);
	nft_end(&b);
	return netlink_send(nl, &b);
}
