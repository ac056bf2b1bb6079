/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_zone.c - the names that one container sees on its networks
 *
 * DOC: Theory of operation
 *
 * A zone has networks, a network has members (containers, by endpoint id) and buckets (names). An
 * entry says that a member has a name; it is in the list of both. Links hold the name of whom they
 * mean, not the addresses: who comes back with another address is found again.
 *
 * Everything here comes from the daemon, which is trusted; dns_lookup.c is asked by the container.
 * One thread: a lookup sees a change whole or not at all.
 */
#include "agent/dns_zone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/dns_table.h"
#include "base/cleanup.h"
#include "base/str.h"

static struct dns_network *dns_network_find(const struct dns_zone *zone, const char *id)
{
	struct dns_network *network;

	DL_FOREACH (zone->networks, network) {
		if (str_eq(network->id, id))
			return network;
	}
	return NULL;
}

static void dns_entry_free(struct dns_network *network, struct dns_entry *entry)
{
	struct dns_bucket *bucket = entry->bucket;

	DL_DELETE(bucket->entries, entry);
	if (!bucket->entries) {
		HASH_DEL(network->buckets, bucket);
		free(bucket);
	}
	free(entry);
}

static void dns_member_forget_names(struct dns_network *network, struct dns_member *member)
{
	while (member->entries) {
		struct dns_entry *entry = member->entries;

		member->entries = entry->of_member;
		dns_entry_free(network, entry);
	}
}

static void dns_member_free(struct dns_network *network, struct dns_member *member)
{
	dns_member_forget_names(network, member);
	HASH_DEL(network->members, member);
	free(member->title);
	free(member->id);
	free(member);
}

static void dns_network_free(struct dns_network *network)
{
	struct dns_member *member, *next;
	struct dns_link *link, *next_link;

	HASH_ITER (hh, network->members, member, next) {
		dns_member_free(network, member);
	}
	LL_FOREACH_SAFE (network->links, link, next_link) {
		free(link);
	}
	free(network->text);
	free(network->id);
	free(network);
}

/**
 * dns_zone_new() - Make a zone without networks
 *
 * Return: the caller's, or NULL without memory
 */
struct dns_zone *dns_zone_new(void)
{
	return calloc(1, sizeof(struct dns_zone));
}

/**
 * dns_zone_free() - Forget all names
 * @zone: May be NULL
 */
void dns_zone_free(struct dns_zone *zone)
{
	struct dns_network *network, *next;

	if (!zone)
		return;
	DL_FOREACH_SAFE (zone->networks, network, next) {
		dns_network_free(network);
	}
	free(zone);
}

static int dns_network_compare(const struct dns_network *a, const struct dns_network *b)
{
	return a->rank != b->rank ? (a->rank > b->rank ? 1 : -1) : strcmp(a->text, b->text);
}

/**
 * dns_zone_network_add() - A network that the container is on
 * @zone: Zone
 * @id:	  Network's id
 * @name: Network's name, with which its members can be asked for: "name.network"
 * @rank: Networks are asked in the order of rank, smallest first; those of one rank by their name
 *
 * Nothing happens if it is there. dockerd's rank is: a higher gateway priority first, then networks
 * that are not internal, then those with IPv4 and IPv6.
 *
 * Return: 0 or -ENOMEM
 */
int dns_zone_network_add(struct dns_zone *zone, const char *id, const char *name, int rank)
{
	struct dns_network *network;

	if (dns_network_find(zone, id))
		return 0;
	network = calloc(1, sizeof(*network));
	if (!network)
		return -ENOMEM;
	network->id = strdup(id);
	network->text = strdup(name);
	if (!network->id || !network->text) {
		dns_network_free(network);
		return -ENOMEM;
	}
	network->rank = rank;
	(void)dns_name_from_text(name, &network->name); /* a name that DNS cannot say: len 0 */
	DL_INSERT_INORDER(zone->networks, network, dns_network_compare);
	return 0;
}

/**
 * dns_zone_network_remove() - The container left a network
 * @zone: Zone
 * @id:	  Network's id; nothing happens if it is not there
 */
void dns_zone_network_remove(struct dns_zone *zone, const char *id)
{
	struct dns_network *network = dns_network_find(zone, id);

	if (!network)
		return;
	DL_DELETE(zone->networks, network);
	dns_network_free(network);
}

static struct dns_bucket *dns_bucket_get(struct dns_network *network, const struct dns_name *name)
{
	struct dns_bucket *bucket;

	HASH_FIND(hh, network->buckets, name->wire, name->len, bucket);
	if (bucket)
		return bucket;
	bucket = calloc(1, sizeof(*bucket) + name->len);
	if (!bucket)
		return NULL;
	bucket->len = name->len;
	memcpy(bucket->wire, name->wire, name->len);
	HASH_ADD_KEYPTR(hh, network->buckets, bucket->wire, bucket->len, bucket);
	return bucket;
}

static int dns_member_add_name(struct dns_network *network, struct dns_member *member,
			       const char *text)
{
	struct dns_entry *entry;
	struct dns_bucket *bucket;
	struct dns_name name;

	if (dns_name_from_text(text, &name) < 0)
		return 0; /* nobody can ask for it */
	dns_name_lower(&name);
	LL_FOREACH2(member->entries, entry, of_member)
	{
		if (entry->bucket->len == name.len &&
		    memcmp(entry->bucket->wire, name.wire, name.len) == 0)
			return 0; /* it has that already */
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	bucket = dns_bucket_get(network, &name);
	if (!bucket) {
		free(entry);
		return -ENOMEM;
	}
	entry->member = member;
	entry->bucket = bucket;
	DL_APPEND(bucket->entries, entry);
	LL_PREPEND2(member->entries, entry, of_member);
	return 0;
}

static struct dns_member *dns_member_get(struct dns_network *network, const char *id)
{
	struct dns_member *member;

	HASH_FIND_STR(network->members, id, member);
	if (member)
		return member;
	member = calloc(1, sizeof(*member));
	if (!member)
		return NULL;
	member->id = strdup(id);
	if (!member->id) {
		free(member);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, network->members, member->id, strlen(member->id), member);
	return member;
}

static void dns_member_set_addresses(struct dns_member *member, const struct dns_endpoint *endpoint)
{
	member->has_v4 = endpoint->v4;
	if (endpoint->v4)
		memcpy(member->v4, endpoint->v4, sizeof(member->v4));
	member->has_v6 = endpoint->v6;
	if (endpoint->v6)
		memcpy(member->v6, endpoint->v6, sizeof(member->v6));
}

/**
 * dns_zone_set() - A container on a network: its names and addresses, whatever they were before
 * @zone:     Zone
 * @network:  Network's id
 * @endpoint: Copied. Names that DNS cannot say are left out
 *
 * On failure the endpoint has no names left; setting it again mends that.
 *
 * Return: 0, -ENOENT if the container is not on that network, -E2BIG with more names than
 * DNS_ENDPOINT_NAMES_MAX, -ENOMEM
 */
int dns_zone_set(struct dns_zone *zone, const char *network, const struct dns_endpoint *endpoint)
{
	struct dns_network *on = dns_network_find(zone, network);
	struct dns_member *member;
	int r = 0;

	if (!on)
		return -ENOENT;
	if (endpoint->n_names > DNS_ENDPOINT_NAMES_MAX)
		return -E2BIG;
	member = dns_member_get(on, endpoint->id);
	if (!member)
		return -ENOMEM;
	dns_member_forget_names(on, member);
	dns_member_set_addresses(member, endpoint);
	free(member->title);
	member->title = endpoint->n_names ? strdup(endpoint->names[0]) : NULL;
	if (endpoint->n_names && !member->title)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < endpoint->n_names; i++)
		r = dns_member_add_name(on, member, endpoint->names[i]);
	if (r < 0)
		dns_member_free(on, member);
	return r;
}

/**
 * dns_zone_remove() - A container left a network
 * @zone:     Zone
 * @network:  Network's id
 * @endpoint: Endpoint's id; nothing happens if it is not there
 */
void dns_zone_remove(struct dns_zone *zone, const char *network, const char *endpoint)
{
	struct dns_network *on = dns_network_find(zone, network);
	struct dns_member *member = NULL;

	if (on)
		HASH_FIND_STR(on->members, endpoint, member);
	if (member)
		dns_member_free(on, member);
}

/**
 * dns_zone_clear() - All containers left a network: before its whole set is told again
 * @zone:    Zone
 * @network: Network's id; nothing happens if it is not there
 * @keep:    Endpoint's id of the one that stays (the container itself), or NULL
 */
void dns_zone_clear(struct dns_zone *zone, const char *network, const char *keep)
{
	struct dns_network *on = dns_network_find(zone, network);
	struct dns_member *member, *next;

	if (!on)
		return;
	HASH_ITER (hh, on->members, member, next) {
		if (!keep || !str_eq(member->id, keep))
			dns_member_free(on, member);
	}
}

/**
 * dns_zone_link() - A name that only this container knows another one by
 * @zone:    Zone
 * @network: Network's id
 * @alias:   Name; on this network it hides others of the same name. Set again: it means @target now
 * @target:  Any name of the other one on that network
 *
 * Return: 0, -ENOENT if the container is not on that network, -EINVAL for what cannot be a name,
 * -ENOMEM
 */
int dns_zone_link(struct dns_zone *zone, const char *network, const char *alias, const char *target)
{
	struct dns_network *on = dns_network_find(zone, network);
	struct dns_name from, to;
	struct dns_link *link;

	if (!on)
		return -ENOENT;
	if (dns_name_from_text(alias, &from) < 0 || dns_name_from_text(target, &to) < 0)
		return -EINVAL;
	dns_name_lower(&from);
	dns_name_lower(&to);
	LL_FOREACH (on->links, link) {
		if (link->alias.len == from.len &&
		    memcmp(link->alias.wire, from.wire, from.len) == 0) {
			link->target = to;
			return 0;
		}
	}
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->alias = from;
	link->target = to;
	LL_APPEND(on->links, link);
	return 0;
}
