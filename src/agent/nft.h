/* SPDX-License-Identifier: Apache-2.0 */
/* nft.h - nf_tables messages: tables, chains, sets, and rules made of expressions */
#pragma once

#include <netinet/in.h> /* before linux/in.h, which gives way to it */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/netlink.h"

/* Registers of 4 bytes; wider values take as many as they need. The first ones hold verdicts. */
#define NFT_REG(n) (NFT_REG32_00 + (n))

struct nft_chain {
	const char *name;
	const char *type; /* "filter", "nat" */
	uint32_t hook;	  /* NF_INET_* */
	int32_t priority;
	uint32_t policy; /* NF_ACCEPT, NF_DROP */
};

struct nft_set {
	const char *name;
	uint32_t key_type, key_len;   /* nft(8)'s number, for listings; bytes */
	uint32_t data_type, data_len; /* of a map; 0: a set */
	bool timed;		      /* elements go by themselves */
};

void nft_begin(struct netlink_batch *b);
void nft_end(struct netlink_batch *b);
void nft_table(struct netlink_batch *b, uint8_t family, const char *table);
void nft_chain(struct netlink_batch *b, uint8_t family, const char *table,
	       const struct nft_chain *chain);
void nft_set(struct netlink_batch *b, uint8_t family, const char *table, const struct nft_set *set,
	     uint32_t id);
void nft_element(struct netlink_batch *b, bool add, uint8_t family, const char *table,
		 const char *set, const void *key, size_t key_len, const void *data,
		 size_t data_len, uint64_t timeout_ms);

size_t nft_rule(struct netlink_batch *b, uint8_t family, const char *table, const char *chain);
void nft_meta(struct netlink_batch *b, enum nft_meta_keys key, uint32_t reg);
void nft_ct(struct netlink_batch *b, enum nft_ct_keys key, uint32_t reg);
void nft_payload(struct netlink_batch *b, enum nft_payload_bases base, uint32_t offset,
		 uint32_t len, uint32_t reg);
void nft_mask(struct netlink_batch *b, uint32_t reg, const void *mask, size_t len);
void nft_cmp(struct netlink_batch *b, uint32_t reg, enum nft_cmp_ops op, const void *data,
	     size_t len);
void nft_lookup(struct netlink_batch *b, const char *set, uint32_t reg, uint32_t data_reg);
void nft_fib_source(struct netlink_batch *b, uint32_t reg);
void nft_immediate(struct netlink_batch *b, uint32_t reg, const void *data, size_t len);
void nft_dnat(struct netlink_batch *b, uint32_t family, uint32_t address_reg, uint32_t port_reg);
void nft_masquerade(struct netlink_batch *b);
void nft_masquerade_ports(struct netlink_batch *b, uint32_t min, uint32_t max);
void nft_notrack(struct netlink_batch *b);
void nft_reject(struct netlink_batch *b);
void nft_verdict(struct netlink_batch *b, uint32_t verdict);
