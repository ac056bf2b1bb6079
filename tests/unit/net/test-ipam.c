/* SPDX-License-Identifier: Apache-2.0 */
/* test-ipam.c - no subnet and no address twice, and none that is nobody's to give */
#include "net/ipam.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
#include "test.h"

struct rig {
	char dir[64];
	struct ipam ipam;
	struct store *store;
};

static void rig_done(struct rig *rig)
{
	store_close(rig->store);
	(void)fs_remove_tree(rig->dir);
}

static int rig_up(struct rig *rig, const char *source)
{
	static const uint8_t ula_id[5] = {1, 2, 3, 4, 5};
	struct net_pool_sources sources = {0};
	_cleanup_free_ char *path = NULL;
	struct err err = {0};

	(void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/test-ipam-XXXXXX");
	if (!mkdtemp(rig->dir))
		return -errno;
	if (source) {
		if (net_pool_source_parse(source, &sources.items[0], &err) < 0)
			return -EINVAL;
		sources.n = 1;
	}
	path = str_format("%s/db", rig->dir);
	if (store_open(path, &rig->store, &err) < 0)
		return -EIO;
	ipam_init(&rig->ipam, rig->store, &sources, ula_id);
	return 0;
}
#define RIG(rig, source)                                                                           \
	_cleanup_(rig_done) struct rig rig = {0};                                                  \
	ASSERT_OK(rig_up(&rig, source))

static struct net_addr addr(const char *text)
{
	struct net_addr out = {0};

	(void)net_addr_parse(text, &out);
	return out;
}

static int add_row(struct rig *rig, const char *id)
{
	return store_exec(rig->store,
			  "INSERT INTO networks VALUES (?, ?, 0, 'bridge', 'local', 1, 0, 0, 0, 0,"
			  " '', 0, '{}', '{}', '{}')",
			  NULL, NULL, "ss", id, id);
}

/* A network with one pool; texts may be NULL. */
static int add(struct rig *rig, const char *id, unsigned int family, const char *subnet,
	       const char *range, const char *gateway, struct ipam_pool *pool, struct err *err)
{
	struct ipam_request request = {.family = family};
	int r;

	if (subnet)
		(void)net_prefix_parse(subnet, &request.subnet);
	if (range)
		(void)net_prefix_parse(range, &request.range);
	if (gateway)
		request.gateway = addr(gateway);
	r = store_begin(rig->store);
	if (r == 0)
		r = add_row(rig, id);
	if (r == 0)
		r = ipam_pool_add(&rig->ipam, id, 0, &request, pool, err);
	if (r < 0) {
		store_rollback(rig->store);
		return r;
	}
	return store_commit(rig->store);
}

static int take(struct rig *rig, const char *id, const char *owner, unsigned int family,
		const char *wanted, char out[NET_ADDR_TEXT])
{
	struct net_addr got = {0};
	struct ipam_pool pool;
	int r = store_begin(rig->store);

	if (r < 0)
		return r;
	r = ipam_take(&rig->ipam, id, owner, family, wanted ? addr(wanted) : (struct net_addr){0},
		      &got, &pool);
	if (r < 0) {
		store_rollback(rig->store);
		return r;
	}
	net_addr_format(got, out);
	return store_commit(rig->store);
}

#define ASSERT_TAKES(rig, id, owner, family, wanted, expected)                                     \
	do {                                                                                       \
		char _out[NET_ADDR_TEXT];                                                          \
		ASSERT_OK(take(rig, id, owner, family, wanted, _out));                             \
		ASSERT_STREQ(_out, expected);                                                      \
	} while (0)
#define ASSERT_REFUSES(rig, id, owner, family, wanted, e)                                          \
	do {                                                                                       \
		char _out[NET_ADDR_TEXT];                                                          \
		ASSERT_ERROR(take(rig, id, owner, family, wanted, _out), e);                       \
	} while (0)

TEST(addresses_ascend_behind_the_gateway)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};
	char text[NET_ADDR_TEXT];

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/16", NULL, NULL, &pool, &err));
	net_addr_format(pool.gateway, text);
	ASSERT_STREQ(text, "10.1.0.1");
	ASSERT_TAKES(&rig, "n", "a", 4, NULL, "10.1.0.2");
	ASSERT_TAKES(&rig, "n", "b", 4, NULL, "10.1.0.3");
	ASSERT_EQ(ipam_free(&rig.ipam, "a", NULL), 1);
	ASSERT_EQ(ipam_free(&rig.ipam, "a", NULL), 0); /* freed once */
	ASSERT_TAKES(&rig, "n", "c", 4, NULL, "10.1.0.2");
}

/* Goal: an address stays its container's while that is stopped, unless it is needed. */
TEST(resting_addresses_come_back_to_their_owner)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/29", NULL, NULL, &pool, &err)); /* .2 to .6 */
	ASSERT_TAKES(&rig, "n", "a", 4, NULL, "10.1.0.2");
	ASSERT_TAKES(&rig, "n", "b", 4, NULL, "10.1.0.3");
	ASSERT_EQ(ipam_rest(&rig.ipam, "a", NULL), 1);
	ASSERT_EQ(ipam_rest(&rig.ipam, "a", NULL), 0);
	ASSERT_TAKES(&rig, "n", "c", 4, NULL, "10.1.0.4");
	ASSERT_TAKES(&rig, "n", "a", 4, NULL, "10.1.0.2");
	ASSERT_EQ(ipam_rest(&rig.ipam, "a", NULL), 1);
	ASSERT_TAKES(&rig, "n", "d", 4, NULL, "10.1.0.5");
	ASSERT_TAKES(&rig, "n", "e", 4, NULL, "10.1.0.6");
	ASSERT_TAKES(&rig, "n", "f", 4, NULL, "10.1.0.2"); /* or none */
	ASSERT_REFUSES(&rig, "n", "a", 4, NULL, ENOSPC);
	ASSERT_EQ(ipam_rest(&rig.ipam, "b", NULL), 1);
	ASSERT_EQ(ipam_free(&rig.ipam, "f", NULL), 1);
	ASSERT_TAKES(&rig, "n", "g", 4, "10.1.0.3", "10.1.0.3"); /* asked for by number */
	ASSERT_TAKES(&rig, "n", "b", 4, NULL, "10.1.0.2");
}

TEST(special_addresses_are_never_given)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/30", NULL, NULL, &pool, &err));
	ASSERT_REFUSES(&rig, "n", "a", 4, "10.1.0.0", EADDRINUSE);
	ASSERT_REFUSES(&rig, "n", "a", 4, "10.1.0.1", EADDRINUSE);
	ASSERT_REFUSES(&rig, "n", "a", 4, "10.1.0.3", EADDRINUSE);
	ASSERT_REFUSES(&rig, "n", "a", 4, "10.1.0.4", ERANGE);
	ASSERT_REFUSES(&rig, "n", "a", 6, NULL, ENOSPC);
	ASSERT_TAKES(&rig, "n", "a", 4, NULL, "10.1.0.2");
	ASSERT_REFUSES(&rig, "n", "b", 4, NULL, ENOSPC);
	ASSERT_REFUSES(&rig, "n", "b", 4, "10.1.0.2", EADDRINUSE);
}

TEST(links_of_two_and_one)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "two", 4, "10.1.0.0/31", NULL, NULL, &pool, &err));
	ASSERT_TAKES(&rig, "two", "a", 4, NULL, "10.1.0.1");
	ASSERT_REFUSES(&rig, "two", "b", 4, NULL, ENOSPC);
	ASSERT_OK(add(&rig, "one", 4, "10.1.0.2/32", NULL, NULL, &pool, &err));
	ASSERT_REFUSES(&rig, "one", "a", 4, NULL, ENOSPC);
	ASSERT_ERROR(add(&rig, "v6", 6, "fd00::/128", NULL, NULL, &pool, &err), EIO);
	ASSERT_STREQ(err.msg, "failed to allocate gateway (): no available addresses on this pool");
}

/* Goal: of a range of the subnet, the subnet's own special addresses count, not the range's. */
TEST(ranges)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};
	char text[NET_ADDR_TEXT];

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/24", "10.1.0.252/30", NULL, &pool, &err));
	net_addr_format(pool.gateway, text);
	ASSERT_STREQ(text, "10.1.0.252");
	ASSERT_TAKES(&rig, "n", "a", 4, NULL, "10.1.0.253");
	ASSERT_TAKES(&rig, "n", "b", 4, NULL, "10.1.0.254");
	ASSERT_REFUSES(&rig, "n", "c", 4, NULL, ENOSPC);
	ASSERT_TAKES(&rig, "n", "c", 4, "10.1.0.7", "10.1.0.7");
	ASSERT_EQ(ipam_rest(&rig.ipam, "c", NULL), 1); /* outside of the range: for nobody else */
	ASSERT_REFUSES(&rig, "n", "d", 4, NULL, ENOSPC);
}

/* Goal: the size of a subnet costs nothing; its highest addresses are as good as any. */
TEST(huge_subnets)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "v6", 6, "fd00::/16", NULL, "fd00::1", &pool, &err));
	ASSERT_TAKES(&rig, "v6", "a", 6, NULL, "fd00::2");
	ASSERT_TAKES(&rig, "v6", "b", 6, "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		     "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	ASSERT_TAKES(&rig, "v6", "c", 6, NULL, "fd00::3");
	ASSERT_REFUSES(&rig, "v6", "d", 6, "fd00::", EADDRINUSE);
	ASSERT_OK(add(&rig, "v4", 4, "10.0.0.0/8", NULL, "10.255.255.254", &pool, &err));
	ASSERT_TAKES(&rig, "v4", "a", 4, NULL, "10.0.0.1");
}

TEST(overlaps_are_refused_in_dockers_words)
{
	static const char *const taken[] = {"10.1.0.0/16", "10.1.5.0/24", "10.0.0.0/8", "0.0.0.0/0",
					    "198.18.7.0/24"};
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/16", NULL, NULL, &pool, &err));
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		ASSERT_ERROR(add(&rig, "m", 4, taken[i], NULL, NULL, &pool, &err), EPERM);
		ASSERT_EQ(err.kind, ERR_FORBIDDEN);
		ASSERT_STREQ(err.msg, "invalid pool request: Pool overlaps with other one on this "
				      "address space");
	}
	ASSERT_OK(add(&rig, "m", 4, "10.2.0.0/16", NULL, NULL, &pool, &err));
	ASSERT_OK(add(&rig, "o", 6, "fd00:a01::/32", NULL, NULL, &pool, &err)); /* other family */
}

TEST(sources_end)
{
	RIG(rig, "base=10.200.0.0/23,size=24");
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "a", 4, NULL, NULL, NULL, &pool, &err));
	ASSERT(!pool.asked);
	ASSERT_OK(add(&rig, "b", 4, NULL, NULL, NULL, &pool, &err));
	ASSERT_ERROR(add(&rig, "c", 4, NULL, NULL, NULL, &pool, &err), EINVAL);
	ASSERT_STREQ(err.msg, "all predefined address pools have been fully subnetted");
	ASSERT_OK(store_exec(rig.store, "DELETE FROM networks WHERE id = 'a'", NULL, NULL, ""));
	ASSERT_OK(add(&rig, "c", 4, NULL, NULL, NULL, &pool, &err));
}

TEST(aux_addresses_are_taken)
{
	RIG(rig, NULL);
	struct ipam_aux aux[] = {{"router", addr("10.1.0.2")}, {"printer", addr("10.1.0.4")}};
	struct ipam_request request = {.family = 4, .aux = aux, .n_aux = 2};
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(net_prefix_parse("10.1.0.0/24", &request.subnet));
	ASSERT_OK(add_row(&rig, "n"));
	ASSERT_OK(ipam_pool_add(&rig.ipam, "n", 0, &request, &pool, &err));
	ASSERT_TAKES(&rig, "n", "a", 4, NULL, "10.1.0.3");
	ASSERT_TAKES(&rig, "n", "b", 4, NULL, "10.1.0.5");
	ASSERT_REFUSES(&rig, "n", "c", 4, "10.1.0.4", EADDRINUSE);
}

#define THREADS 200

struct worker {
	struct rig *rig;
	unsigned int i;
	int r;
	char owner[16], out[NET_PREFIX_TEXT];
	pthread_t thread;
};

static void *worker_take(void *user)
{
	struct worker *w = user;

	w->r = take(w->rig, "n", w->owner, 4, NULL, w->out);
	return NULL;
}

/* Goal: two hundred at once have two hundred addresses, without a gap. */
TEST(no_address_twice)
{
	RIG(rig, NULL);
	static struct worker workers[THREADS];
	bool seen[256] = {0};
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/24", NULL, NULL, &pool, &err));
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.rig = &rig, .i = i};
		(void)snprintf(workers[i].owner, sizeof(workers[i].owner), "c%u", i);
		ASSERT_OK(pthread_create(&workers[i].thread, NULL, worker_take, &workers[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned int i = 0; i < THREADS; i++) {
		unsigned int last = 0;

		ASSERT_OK(workers[i].r);
		ASSERT_EQ(sscanf(workers[i].out, "10.1.0.%u", &last), 1);
		ASSERT(last >= 2 && last < 2 + THREADS && !seen[last]);
		seen[last] = true;
	}
}

static void *worker_add(void *user)
{
	struct worker *w = user;
	struct ipam_pool pool;
	struct err err = {0};
	char text[NET_PREFIX_TEXT];

	w->r = add(w->rig, w->owner, 4, NULL, NULL, NULL, &pool, &err);
	net_prefix_format(pool.subnet, text);
	(void)snprintf(w->out, sizeof(w->out), "%s", text);
	return NULL;
}

TEST(no_subnet_twice)
{
	RIG(rig, "base=10.0.0.0/16,size=24");
	static struct worker workers[THREADS];
	bool seen[256] = {0};

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.rig = &rig, .i = i};
		(void)snprintf(workers[i].owner, sizeof(workers[i].owner), "n%u", i);
		ASSERT_OK(pthread_create(&workers[i].thread, NULL, worker_add, &workers[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned int i = 0; i < THREADS; i++) {
		unsigned int third = 0;

		ASSERT_OK(workers[i].r);
		ASSERT_EQ(sscanf(workers[i].out, "10.0.%u.0/24", &third), 1);
		ASSERT(third < 256 && !seen[third]);
		seen[third] = true;
	}
}

/* Goal: the schema itself refuses what this code must never do. */
TEST(the_database_refuses_doubles)
{
	RIG(rig, NULL);
	struct ipam_pool pool;
	struct err err = {0};

	ASSERT_OK(add(&rig, "n", 4, "10.1.0.0/16", NULL, NULL, &pool, &err));
	ASSERT_ERROR(store_exec(rig.store,
				"INSERT INTO network_addresses SELECT network_id, address, 'x', 1"
				" FROM network_addresses",
				NULL, NULL, ""),
		     EEXIST);
	ASSERT_OK(add_row(&rig, "m"));
	ASSERT_ERROR(store_exec(rig.store,
				"INSERT INTO network_pools SELECT 'm', position, first, last, bits,"
				" range_first, range_last, range_bits, asked FROM network_pools",
				NULL, NULL, ""),
		     EEXIST);
}

TEST_MAIN()
