/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.c - nf_tables messages: tables, chains, sets, and rules made of expressions
 *
 * DOC: Theory of operation
 *
 * libnftnl would do this, but it needs libmnl, which Debian has no static library of. What is used
 * of nf_tables here is little: one function for each kind of message and expression, named as in
 * linux/netfilter/nf_tables.h, which is the format's source. All numbers are big-endian.
 *
 * nft_begin() and nft_end() frame a transaction: all of it happens, or nothing.
 */
#include "agent/nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static void nft_frame(struct netlink_batch *b, uint16_t type)
{
	const struct nfgenmsg h = {.nfgen_family = AF_UNSPEC,
				   .version = NFNETLINK_V0,
				   .res_id = htons(NFNL_SUBSYS_NFTABLES)};

	netlink_begin_silent(b, type, &h, sizeof(h));
}

static void nft_message(struct netlink_batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	const struct nfgenmsg h = {.nfgen_family = family, .version = NFNETLINK_V0};

	netlink_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &h, sizeof(h));
}

/**
 * nft_begin() - Begin a transaction
 * @b: Batch
 */
void nft_begin(struct netlink_batch *b)
{
	nft_frame(b, NFNL_MSG_BATCH_BEGIN);
}

/**
 * nft_end() - End it
 * @b: Batch
 */
void nft_end(struct netlink_batch *b)
{
	nft_frame(b, NFNL_MSG_BATCH_END);
}

/**
 * nft_table() - Make a table; one that is there stays
 * @b:	    Batch
 * @family: NFPROTO_*
 * @table:  Name
 */
void nft_table(struct netlink_batch *b, uint8_t family, const char *table)
{
	nft_message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
	netlink_put_str(b, NFTA_TABLE_NAME, table);
}

/**
 * nft_chain() - Make a chain on a hook
 * @b:	    Batch
 * @family: NFPROTO_*
 * @table:  Name
 * @chain:  What
 */
void nft_chain(struct netlink_batch *b, uint8_t family, const char *table,
	       const struct nft_chain *chain)
{
	size_t hook;

	nft_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
	netlink_put_str(b, NFTA_CHAIN_TABLE, table);
	netlink_put_str(b, NFTA_CHAIN_NAME, chain->name);
	hook = netlink_nest(b, NFTA_CHAIN_HOOK);
	netlink_put_be32(b, NFTA_HOOK_HOOKNUM, chain->hook);
	netlink_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
	netlink_unnest(b, hook);
	netlink_put_be32(b, NFTA_CHAIN_POLICY, chain->policy);
	netlink_put_str(b, NFTA_CHAIN_TYPE, chain->type);
}

/**
 * nft_set() - Make a set or a map
 * @b:	    Batch
 * @family: NFPROTO_*
 * @table:  Name
 * @set:    What
 * @id:	    Unique in the transaction
 */
void nft_set(struct netlink_batch *b, uint8_t family, const char *table, const struct nft_set *set,
	     uint32_t id)
{
	nft_message(b, NFT_MSG_NEWSET, NLM_F_CREATE, family);
	netlink_put_str(b, NFTA_SET_TABLE, table);
	netlink_put_str(b, NFTA_SET_NAME, set->name);
	netlink_put_be32(b, NFTA_SET_FLAGS,
			 (set->data_len ? NFT_SET_MAP : 0) | (set->timed ? NFT_SET_TIMEOUT : 0));
	netlink_put_be32(b, NFTA_SET_KEY_TYPE, set->key_type);
	netlink_put_be32(b, NFTA_SET_KEY_LEN, set->key_len);
	if (set->data_len) {
		netlink_put_be32(b, NFTA_SET_DATA_TYPE, set->data_type);
		netlink_put_be32(b, NFTA_SET_DATA_LEN, set->data_len);
	}
	netlink_put_be32(b, NFTA_SET_ID, id);
}

static void nft_data(struct netlink_batch *b, uint16_t type, const void *data, size_t len)
{
	size_t nest = netlink_nest(b, type);

	netlink_put(b, NFTA_DATA_VALUE, data, len);
	netlink_unnest(b, nest);
}

/**
 * nft_element() - Add an element to a set, or remove it
 * @b:	      Batch
 * @add:      Which
 * @family:   NFPROTO_*
 * @table:    Name
 * @set:      Name
 * @key:      Its key
 * @key_len:  Bytes
 * @data:     What a map has for it; NULL: none
 * @data_len: Bytes
 * @timeout_ms: Of a timed set: when it goes by itself, milliseconds; 0: never
 *
 * Removing what is not there fails the transaction.
 */
void nft_element(struct netlink_batch *b, bool add, uint8_t family, const char *table,
		 const char *set, const void *key, size_t key_len, const void *data,
		 size_t data_len, uint64_t timeout_ms)
{
	const uint64_t timeout = htobe64(timeout_ms);
	size_t list, element;

	nft_message(b, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0,
		    family);
	netlink_put_str(b, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_put_str(b, NFTA_SET_ELEM_LIST_SET, set);
	list = netlink_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	element = netlink_nest(b, NFTA_LIST_ELEM);
	nft_data(b, NFTA_SET_ELEM_KEY, key, key_len);
	if (data)
		nft_data(b, NFTA_SET_ELEM_DATA, data, data_len);
	if (timeout_ms)
		netlink_put(b, NFTA_SET_ELEM_TIMEOUT, &timeout, sizeof(timeout));
	netlink_unnest(b, element);
	netlink_unnest(b, list);
}

/**
 * nft_rule() - Begin a rule behind those a chain has
 * @b:	    Batch
 * @family: NFPROTO_*
 * @table:  Name
 * @chain:  Name
 *
 * Return: for netlink_unnest(), after its expressions
 */
size_t nft_rule(struct netlink_batch *b, uint8_t family, const char *table, const char *chain)
{
	nft_message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
	netlink_put_str(b, NFTA_RULE_TABLE, table);
	netlink_put_str(b, NFTA_RULE_CHAIN, chain);
	return netlink_nest(b, NFTA_RULE_EXPRESSIONS);
}

/* An expression is closed by nft_close(): its data and its place in the list. */
struct nft_open {
	size_t element, data;
};

static struct nft_open nft_open(struct netlink_batch *b, const char *name)
{
	struct nft_open open;

	open.element = netlink_nest(b, NFTA_LIST_ELEM);
	netlink_put_str(b, NFTA_EXPR_NAME, name);
	open.data = netlink_nest(b, NFTA_EXPR_DATA);
	return open;
}

static void nft_close(struct netlink_batch *b, struct nft_open open)
{
	netlink_unnest(b, open.data);
	netlink_unnest(b, open.element);
}

/**
 * nft_meta() - Load what is known of a packet beside its bytes
 * @b:	 Rule
 * @key: What
 * @reg: Where to
 */
void nft_meta(struct netlink_batch *b, enum nft_meta_keys key, uint32_t reg)
{
	struct nft_open open = nft_open(b, "meta");

	netlink_put_be32(b, NFTA_META_KEY, key);
	netlink_put_be32(b, NFTA_META_DREG, reg);
	nft_close(b, open);
}

/**
 * nft_ct() - Load what is known of its connection
 * @b:	 Rule
 * @key: What
 * @reg: Where to
 */
void nft_ct(struct netlink_batch *b, enum nft_ct_keys key, uint32_t reg)
{
	struct nft_open open = nft_open(b, "ct");

	netlink_put_be32(b, NFTA_CT_KEY, key);
	netlink_put_be32(b, NFTA_CT_DREG, reg);
	nft_close(b, open);
}

/**
 * nft_payload() - Load bytes of a packet
 * @b:	    Rule
 * @base:   Header
 * @offset: Bytes from its beginning
 * @len:    Bytes
 * @reg:    Where to
 */
void nft_payload(struct netlink_batch *b, enum nft_payload_bases base, uint32_t offset,
		 uint32_t len, uint32_t reg)
{
	struct nft_open open = nft_open(b, "payload");

	netlink_put_be32(b, NFTA_PAYLOAD_DREG, reg);
	netlink_put_be32(b, NFTA_PAYLOAD_BASE, base);
	netlink_put_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	netlink_put_be32(b, NFTA_PAYLOAD_LEN, len);
	nft_close(b, open);
}

/**
 * nft_mask() - Keep some bits of a register
 * @b:	  Rule
 * @reg:  Register, from and to
 * @mask: Bits
 * @len:  Bytes, 16 at most
 */
void nft_mask(struct netlink_batch *b, uint32_t reg, const void *mask, size_t len)
{
	static const uint8_t zeros[16];
	struct nft_open open = nft_open(b, "bitwise");

	netlink_put_be32(b, NFTA_BITWISE_SREG, reg);
	netlink_put_be32(b, NFTA_BITWISE_DREG, reg);
	netlink_put_be32(b, NFTA_BITWISE_LEN, (uint32_t)len);
	nft_data(b, NFTA_BITWISE_MASK, mask, len);
	nft_data(b, NFTA_BITWISE_XOR, zeros, len);
	nft_close(b, open);
}

/**
 * nft_cmp() - Go on with the rule only if a register compares
 * @b:	  Rule
 * @reg:  Register
 * @op:	  How, as memcmp() has it
 * @data: With what
 * @len:  Bytes
 */
void nft_cmp(struct netlink_batch *b, uint32_t reg, enum nft_cmp_ops op, const void *data,
	     size_t len)
{
	struct nft_open open = nft_open(b, "cmp");

	netlink_put_be32(b, NFTA_CMP_SREG, reg);
	netlink_put_be32(b, NFTA_CMP_OP, op);
	nft_data(b, NFTA_CMP_DATA, data, len);
	nft_close(b, open);
}

/**
 * nft_lookup() - Go on only if a set has a register's value
 * @b:	      Rule
 * @set:      Name
 * @reg:      Register
 * @data_reg: Where a map's data goes to; 0: a set
 */
void nft_lookup(struct netlink_batch *b, const char *set, uint32_t reg, uint32_t data_reg)
{
	struct nft_open open = nft_open(b, "lookup");

	netlink_put_str(b, NFTA_LOOKUP_SET, set);
	netlink_put_be32(b, NFTA_LOOKUP_SREG, reg);
	if (data_reg)
		netlink_put_be32(b, NFTA_LOOKUP_DREG, data_reg);
	nft_close(b, open);
}

/**
 * nft_fib_source() - Load the interface that an answer to this packet would leave by
 * @b:	 Rule
 * @reg: Where to: 0 unless that is the interface it came by
 */
void nft_fib_source(struct netlink_batch *b, uint32_t reg)
{
	struct nft_open open = nft_open(b, "fib");

	netlink_put_be32(b, NFTA_FIB_DREG, reg);
	netlink_put_be32(b, NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
	netlink_put_be32(b, NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF);
	nft_close(b, open);
}

/**
 * nft_immediate() - Load a constant
 * @b:	  Rule
 * @reg:  Where to
 * @data: Constant
 * @len:  Bytes
 */
void nft_immediate(struct netlink_batch *b, uint32_t reg, const void *data, size_t len)
{
	struct nft_open open = nft_open(b, "immediate");

	netlink_put_be32(b, NFTA_IMMEDIATE_DREG, reg);
	nft_data(b, NFTA_IMMEDIATE_DATA, data, len);
	nft_close(b, open);
}

/**
 * nft_dnat() - Send the connection elsewhere
 * @b:		 Rule
 * @family:	 NFPROTO_IPV4 or NFPROTO_IPV6
 * @address_reg: Where it goes
 * @port_reg:	 And to which port; 0: the same
 */
void nft_dnat(struct netlink_batch *b, uint32_t family, uint32_t address_reg, uint32_t port_reg)
{
	struct nft_open open = nft_open(b, "nat");

	netlink_put_be32(b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	netlink_put_be32(b, NFTA_NAT_FAMILY, family);
	netlink_put_be32(b, NFTA_NAT_REG_ADDR_MIN, address_reg);
	if (port_reg)
		netlink_put_be32(b, NFTA_NAT_REG_PROTO_MIN, port_reg);
	nft_close(b, open);
}

/**
 * nft_masquerade() - Let it come from the interface it leaves by
 * @b: Rule
 */
void nft_masquerade(struct netlink_batch *b)
{
	nft_close(b, nft_open(b, "masq"));
}

/**
 * nft_masquerade_ports() - Likewise, from one of some ports
 * @b:	 Rule
 * @min: Register with the first port
 * @max: Register with the last
 */
void nft_masquerade_ports(struct netlink_batch *b, uint32_t min, uint32_t max)
{
	struct nft_open open = nft_open(b, "masq");

	netlink_put_be32(b, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
	netlink_put_be32(b, NFTA_MASQ_REG_PROTO_MIN, min);
	netlink_put_be32(b, NFTA_MASQ_REG_PROTO_MAX, max);
	nft_close(b, open);
}

/**
 * nft_notrack() - Keep no connection of it
 * @b: Rule
 */
void nft_notrack(struct netlink_batch *b)
{
	nft_close(b, nft_open(b, "notrack"));
}

/**
 * nft_reject() - Refuse it, and say so: port unreachable, in either family
 * @b: Rule
 */
void nft_reject(struct netlink_batch *b)
{
	struct nft_open open = nft_open(b, "reject");

	netlink_put_be32(b, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	netlink_put_u8(b, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
	nft_close(b, open);
}

/**
 * nft_verdict() - The rule's end
 * @b:	     Rule
 * @verdict: NF_ACCEPT or NF_DROP
 */
void nft_verdict(struct netlink_batch *b, uint32_t verdict)
{
	struct nft_open open = nft_open(b, "immediate");
	size_t data, code;

	netlink_put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = netlink_nest(b, NFTA_IMMEDIATE_DATA);
	code = netlink_nest(b, NFTA_DATA_VERDICT);
	netlink_put_be32(b, NFTA_VERDICT_CODE, verdict);
	netlink_unnest(b, code);
	netlink_unnest(b, data);
	nft_close(b, open);
}
