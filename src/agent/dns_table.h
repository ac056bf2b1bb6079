/* SPDX-License-Identifier: Apache-2.0 */
/* dns_table.h - what a zone is made of; for dns_zone.c, which changes it, and dns_lookup.c */
#pragma once

#include <uthash.h>

#include "agent/dns_name.h"

/* A container on a network. */
struct dns_member {
	char *id;    /* owned */
	char *title; /* owned: what reverse lookups answer, in its case; NULL: nothing */
	bool has_v4, has_v6;
	uint8_t v4[4], v6[16];
	struct dns_entry *entries; /* owned: all its names, linked by of_member */
	UT_hash_handle hh;	   /* dns_network.members, by id */
};

/* That a member has a name. */
struct dns_entry {
	struct dns_member *member; /* borrowed: its owner */
	struct dns_bucket *bucket; /* borrowed: from the network */
	struct dns_entry *of_member;
	struct dns_entry *prev, *next; /* dns_bucket.entries */
};

/* A name, and all who have it: more than one for the name of a service. */
struct dns_bucket {
	struct dns_entry *entries;
	UT_hash_handle hh; /* dns_network.buckets, by the bytes of wire */
	uint8_t len;
	uint8_t wire[]; /* dns_name's, in small letters */
};

/* A name that only this container knows somebody by. */
struct dns_link {
	struct dns_name alias, target; /* in small letters */
	struct dns_link *next;
};

struct dns_network {
	char *id, *text;      /* owned; text: its name */
	struct dns_name name; /* the same on the wire; len 0: no name can be asked for with it */
	int rank;
	struct dns_member *members;
	struct dns_bucket *buckets;
	struct dns_link *links;
	struct dns_network *prev, *next;
};

struct dns_zone {
	struct dns_network *networks; /* in the order that they are asked in */
};
