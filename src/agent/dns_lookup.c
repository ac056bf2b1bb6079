/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_lookup.c - who has a name or an address: dns_zone.h, asked
 *
 * DOC: Theory of operation
 *
 * Names of containers and networks may hold dots, so a.b.c is looked for as a.b.c on every network,
 * then as a.b on the network c, then as a on the network b.c; in each step links come before the
 * names that all see, and the first network that has an address of the family asked for wins. This
 * is dockerd's order; letters have no case, where dockerd has one for links and networks.
 */
#include "agent/dns_zone.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "agent/dns_table.h"

/* What is asked for, and what was found of it so far. */
struct dns_search {
	uint8_t family_len; /* 4, 16, or 0 if only the name matters */
	struct dns_address *addresses;
	size_t max, n;
	bool known; /* somebody has the name */
};

static void dns_search_add(struct dns_search *search, const uint8_t *bytes, uint8_t len)
{
	if (search->n == search->max)
		return;
	for (size_t i = 0; i < search->n; i++) {
		if (memcmp(search->addresses[i].bytes, bytes, len) == 0)
			return; /* on its way from one endpoint to the next */
	}
	search->addresses[search->n].len = len;
	memcpy(search->addresses[search->n++].bytes, bytes, len);
}

static void dns_search_bucket(struct dns_search *search, const struct dns_network *network,
			      const struct dns_name *name)
{
	const struct dns_entry *entry;
	struct dns_bucket *bucket;

	HASH_FIND(hh, network->buckets, name->wire, name->len, bucket);
	if (!bucket)
		return;
	search->known = true;
	DL_FOREACH (bucket->entries, entry) {
		if (search->family_len == 4 && entry->member->has_v4)
			dns_search_add(search, entry->member->v4, 4);
		if (search->family_len == 16 && entry->member->has_v6)
			dns_search_add(search, entry->member->v6, 16);
	}
}

static const struct dns_link *dns_link_find(const struct dns_network *network,
					    const struct dns_name *alias)
{
	const struct dns_link *link;

	LL_FOREACH (network->links, link) {
		if (link->alias.len == alias->len &&
		    memcmp(link->alias.wire, alias->wire, alias->len) == 0)
			return link;
	}
	return NULL;
}

/* One step: @name on the network @on, or on all for NULL. Links first, then what all see. */
static void dns_search_step(struct dns_search *search, const struct dns_zone *zone,
			    const struct dns_name *name, const struct dns_name *on)
{
	for (int links = 1; links >= 0 && !search->n; links--) {
		const struct dns_network *network;

		DL_FOREACH (zone->networks, network) {
			const struct dns_link *link;

			if (on && (network->name.len != on->len ||
				   !dns_bytes_equal(network->name.wire, on->wire, on->len)))
				continue;
			link = dns_link_find(network, name);
			if (links && link)
				dns_search_bucket(search, network, &link->target);
			else if (!links && !link)
				dns_search_bucket(search, network, name);
			if (search->n)
				break;
		}
	}
}

/* @name without its last labels, which become @ret_network: all but the first @keep bytes */
static void dns_name_split(const struct dns_name *name, size_t keep, struct dns_name *ret_name,
			   struct dns_name *ret_network)
{
	*ret_name = *name;
	ret_name->wire[keep] = 0;
	ret_name->len = (uint8_t)(keep + 1);
	ret_network->len = (uint8_t)(name->len - keep);
	memcpy(ret_network->wire, name->wire + keep, ret_network->len);
}

/**
 * dns_zone_addresses() - The addresses of a name
 * @zone:	Zone
 * @name:	As it was asked for
 * @family_len:	4 for IPv4, 16 for IPv6, 0 if only the name matters
 * @addresses:	Filled, in no meant order
 * @max:	Of @addresses; what goes beyond is left out
 * @ret_n:	How many; 0 if the name is known but has none of the family
 *
 * Return: 0 or DNS_ZONE_UNKNOWN
 */
int dns_zone_addresses(const struct dns_zone *zone, const struct dns_name *name, uint8_t family_len,
		       struct dns_address *addresses, size_t max, size_t *ret_n)
{
	struct dns_search search = {.family_len = family_len, .addresses = addresses, .max = max};
	uint8_t at[DNS_NAME_MAX / 2 + 1]; /* where labels begin */
	struct dns_name lower = *name, first, network;
	size_t labels = 0;

	dns_name_lower(&lower);
	for (size_t i = 0; lower.wire[i]; i += 1U + lower.wire[i])
		at[labels++] = (uint8_t)i;
	dns_search_step(&search, zone, &lower, NULL);
	for (size_t i = labels; i-- > 1 && !search.n;) {
		dns_name_split(&lower, at[i], &first, &network);
		dns_search_step(&search, zone, &first, &network);
	}
	if (!search.known)
		return DNS_ZONE_UNKNOWN;
	*ret_n = search.n;
	return 0;
}

static bool dns_member_has(const struct dns_member *member, const struct dns_address *address)
{
	if (address->len == 4)
		return member->has_v4 && memcmp(member->v4, address->bytes, 4) == 0;
	return member->has_v6 && memcmp(member->v6, address->bytes, 16) == 0;
}

/* Return: 0, or -EINVAL if DNS cannot say it */
static int dns_member_title(const struct dns_network *network, const struct dns_member *member,
			    struct dns_name *ret_name)
{
	struct dns_name title;

	if (!member->title || !network->name.len || dns_name_from_text(member->title, &title) < 0)
		return -EINVAL;
	return dns_name_join(&title, &network->name, ret_name);
}

/**
 * dns_zone_reverse() - Who has an address
 * @zone:     Zone
 * @address:  Address
 * @ret_name: The container's name and the network's, in their case; set on success
 *
 * Return: 0 or DNS_ZONE_UNKNOWN
 */
int dns_zone_reverse(const struct dns_zone *zone, const struct dns_address *address,
		     struct dns_name *ret_name)
{
	const struct dns_network *network;

	DL_FOREACH (zone->networks, network) {
		const struct dns_member *member;

		for (member = network->members; member; member = member->hh.next) {
			if (dns_member_has(member, address) &&
			    dns_member_title(network, member, ret_name) == 0)
				return 0;
		}
	}
	return DNS_ZONE_UNKNOWN;
}
