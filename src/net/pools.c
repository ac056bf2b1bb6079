/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pools.c - default address pools
 *
 * The defaults are Docker's: 172.17.0.0/16 to 172.31.0.0/16, 192.168.0.0/16 in twenties, and for
 * IPv6 a unique local /48 of the installation's own in sixty-fours. Where dockerd would then have
 * no subnet left, its pool for networks of global scope follows (10.0.0.0/8 in twenty-fours), so
 * that the number of networks ends far beyond thirty-one.
 *
 * The search jumps from one taken prefix to the next, so it costs as much as there are networks,
 * not as there are subnets.
 */
#include "net/pools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static int source_refuse(struct err *err, const char *text, const char *why)
{
	return err_user(err, ERR_INVALID,
			"invalid argument \"%.200s\" for \"--default-address-pool\" flag: %s", text,
			why);
}

static int source_size(const char *text, const char *value, unsigned int *ret_size, struct err *err)
{
	char why[320];
	uint64_t size;

	if (str_u64(value, 1u << 30, &size) < 0) {
		(void)snprintf(why, sizeof(why),
			       "invalid size value: %.64s (must be integer): strconv.Atoi: "
			       "parsing \"%.64s\": invalid syntax",
			       value, value);
		return source_refuse(err, text, why);
	}
	*ret_size = (unsigned int)size;
	return 0;
}

static int source_field(const char *text, const char *field, struct net_pool_source *source,
			struct err *err)
{
	const char *value = strchr(field, '=');
	char why[320];

	if (!value)
		(void)snprintf(why, sizeof(why), "invalid field '%.64s' must be a key=value pair",
			       field);
	else if (str_starts(field, "size="))
		return source_size(text, value + 1, &source->size, err);
	else if (!str_starts(field, "base="))
		(void)snprintf(why, sizeof(why), "unexpected key '%.*s' in '%.64s'",
			       (int)MIN(value - field, 64), field, field);
	else if (net_prefix_parse(value + 1, &source->base) < 0)
		(void)snprintf(why, sizeof(why), "invalid base prefix \"%.64s\"", value + 1);
	else
		return 0;
	return source_refuse(err, text, why);
}

/**
 * net_pool_source_parse() - Read "base=10.0.0.0/8,size=24"
 * @text:	Value of --default-address-pool
 * @ret_source: Set on success
 * @err:	Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int net_pool_source_parse(const char *text, struct net_pool_source *ret_source, struct err *err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct net_pool_source source = {0};
	char *save = NULL;
	int r = 0;

	if (!copy)
		return err_oom(err);
	for (char *field = strtok_r(copy, ",", &save); field && r == 0;
	     field = strtok_r(NULL, ",", &save))
		r = source_field(text, field, &source, err);
	if (r < 0)
		return r;
	if (source.base.addr.family == 0)
		return source_refuse(err, text, "base is missing");
	source.base = net_prefix_masked(source.base);
	if (source.size < source.base.bits ||
	    source.size > net_family_bits(source.base.addr.family))
		return source_refuse(err, text, "invalid pools size");
	*ret_source = source;
	return 0;
}

/**
 * net_pool_sources_add() - One source more
 * @sources: Sources
 * @source:  The new one, asked after the others
 *
 * Return: 0 or -ENOSPC
 */
int net_pool_sources_add(struct net_pool_sources *sources, struct net_pool_source source)
{
	if (sources->n == NET_POOL_SOURCES_MAX)
		return -ENOSPC;
	sources->items[sources->n++] = source;
	return 0;
}

static struct net_pool_source source_v4(unsigned int a, unsigned int b, unsigned int bits,
					unsigned int size)
{
	return (struct net_pool_source){
		.base = {.addr = {.family = 4, .number = a << 24 | b << 16}, .bits = bits},
		.size = size};
}

/**
 * net_pool_sources_default() - What there is when no pool was configured
 * @sources: Filled up: for each family that has no source, the defaults
 * @ula_id:  The installation's 40 bits of a unique local prefix (RFC 4193)
 */
void net_pool_sources_default(struct net_pool_sources *sources, const uint8_t ula_id[static 5])
{
	struct net_pool_source v6 = {.base = {.addr = {.family = 6, .number = 0xfd}, .bits = 48},
				     .size = 64};
	bool have_v4 = false, have_v6 = false;

	for (size_t i = 0; i < sources->n; i++) {
		have_v4 |= sources->items[i].base.addr.family == 4;
		have_v6 |= sources->items[i].base.addr.family == 6;
	}
	for (size_t i = 0; i < 5; i++)
		v6.base.addr.number = v6.base.addr.number << 8 | ula_id[i];
	v6.base.addr.number <<= 80;
	/* More sources than fit have been refused before. */
	if (!have_v4) {
		for (unsigned int b = 17; b < 32; b++)
			(void)net_pool_sources_add(sources, source_v4(172, b, 16, 16));
		(void)net_pool_sources_add(sources, source_v4(192, 168, 16, 20));
		(void)net_pool_sources_add(sources, source_v4(10, 0, 8, 24));
	}
	if (!have_v6)
		(void)net_pool_sources_add(sources, v6);
}

static int by_first(const void *a, const void *b)
{
	const struct net_prefix *x = a, *y = b;
	net_number m = net_prefix_first(*x).number, n = net_prefix_first(*y).number;

	if (x->addr.family != y->addr.family)
		return x->addr.family < y->addr.family ? -1 : 1;
	return m < n ? -1 : m > n;
}

/* used is sorted. Prefixes nest or are apart, so that in this order a later one may end earlier,
 * but never begins behind the gap. */
static int source_next(const struct net_pool_source *source, const struct net_prefix *used,
		       size_t n_used, struct net_prefix *ret_subnet)
{
	net_number end = net_prefix_last(source->base).number;
	struct net_prefix subnet = {net_prefix_first(source->base), source->size};

	for (size_t i = 0; i < n_used; i++) {
		net_number last = net_prefix_last(used[i]).number;

		if (!net_prefix_overlaps(used[i], subnet))
			continue;
		if (last >= end)
			return -ENOSPC;
		if (last > net_prefix_last(subnet).number)
			subnet.addr.number = last + 1; /* used is the larger one: aligned for us */
		else
			subnet.addr.number = net_prefix_last(subnet).number + 1;
		if (subnet.addr.number > end || subnet.addr.number == 0)
			return -ENOSPC;
	}
	*ret_subnet = subnet;
	return 0;
}

/**
 * net_pool_next() - The first subnet of the sources that nobody has
 * @sources:	Sources, in order
 * @family:	4 or 6
 * @used:	Prefixes that must not be touched; sorted by this function
 * @n_used:	How many
 * @ret_subnet: Set on success
 *
 * Return: 0, or -ENOSPC if all are taken
 */
int net_pool_next(const struct net_pool_sources *sources, unsigned int family,
		  struct net_prefix *used, size_t n_used, struct net_prefix *ret_subnet)
{
	if (n_used > 0)
		qsort(used, n_used, sizeof(*used), by_first);
	for (size_t i = 0; i < sources->n; i++) {
		if (sources->items[i].base.addr.family == family &&
		    source_next(&sources->items[i], used, n_used, ret_subnet) == 0)
			return 0;
	}
	return -ENOSPC;
}
