/* SPDX-License-Identifier: Apache-2.0 */
/* test-mesh.c - what members are told, when, and how often */
#include "net/mesh.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "test.h"

#define AGENTS_MAX 1000

/* A simulated agent: knows what it was told, answers when it is let. */
struct agent {
	struct mesh_member *member;
	bool knows[AGENTS_MAX];
	uint8_t key[AGENTS_MAX];
	bool pending, mute, refuses;
	bool poked[AGENTS_MAX];
	unsigned int messages;
};

static struct agent agents[AGENTS_MAX];

static int number(const char *id)
{
	return atoi(id);
}

static int agent_send(void *user, const struct mesh_update *update)
{
	struct agent *a = user;

	if (a->refuses)
		return -EPIPE;
	if (update->complete)
		memset(a->knows, 0, sizeof(a->knows));
	for (size_t i = 0; i < update->set_n; i++) {
		int n = number(update->set[i]->id);

		a->knows[n] = true;
		a->key[n] = update->set[i]->key[0];
		a->poked[n] |= update->poke;
	}
	for (size_t i = 0; i < update->removed_n; i++)
		a->knows[number(update->removed[i])] = false;
	a->messages++;
	a->pending = true;
	return 0;
}

static struct mesh_peer peer_of(int n, uint8_t key)
{
	struct mesh_peer peer = {.key = {key}};

	(void)snprintf(peer.id, sizeof(peer.id), "%064d", n);
	return peer;
}

static int take_along(void *user, const struct mesh_peer *peer)
{
	struct agent *a = user;

	a->knows[number(peer->id)] = true;
	a->key[number(peer->id)] = peer->key[0];
	return 0;
}

static int join(struct mesh *mesh, int n)
{
	struct agent *a = &agents[n];
	struct mesh_peer peer = peer_of(n, 1);
	int r;

	*a = (struct agent){};
	r = mesh_join(mesh, &peer, agent_send, a, &a->member);
	return r < 0 ? r : mesh_peers(a->member, take_along, a);
}

/* Let everybody answer until nobody has anything to say. */
static void settle(size_t n)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < n; i++) {
			if (!agents[i].member || !agents[i].pending || agents[i].mute)
				continue;
			agents[i].pending = false;
			again = true;
			mesh_acked(agents[i].member, true);
		}
	}
}

static void leave(int n)
{
	mesh_leave(agents[n].member);
	agents[n].member = NULL;
}

static bool all_know(size_t n, int whom)
{
	for (size_t i = 0; i < n; i++)
		if (agents[i].member && (int)i != whom && !agents[i].knows[whom])
			return false;
	return true;
}

static struct mesh *mesh_of(int n)
{
	struct mesh *mesh = mesh_new();

	for (int i = 0; i < n; i++) {
		(void)join(mesh, i);
		mesh_ready(agents[i].member);
		settle((size_t)i + 1);
	}
	for (int i = 0; i < n; i++)
		agents[i].messages = 0;
	return mesh;
}

static void drop(struct mesh *mesh)
{
	for (size_t i = 0; i < AGENTS_MAX; i++)
		if (agents[i].member)
			leave((int)i);
	mesh_free(mesh);
}

TEST(a_member_takes_the_list_along_and_the_others_hear_once)
{
	struct mesh *mesh = mesh_of(5);

	ASSERT_EQ(join(mesh, 5), 0);
	for (int i = 0; i < 5; i++)
		ASSERT(agents[5].knows[i]);
	mesh_ready(agents[5].member);
	settle(6);
	ASSERT(all_know(6, 5));
	ASSERT(mesh_is_settled(mesh));
	ASSERT_EQ(agents[5].messages, 0);
	leave(5);
	settle(5);
	for (int i = 0; i < 5; i++)
		ASSERT(!agents[i].knows[5]);
	drop(mesh);
}

TEST(who_hears_in_time_is_not_asked_to_greet)
{
	struct mesh *mesh = mesh_of(3);

	agents[2].mute = true;
	ASSERT_EQ(join(mesh, 3), 0);
	settle(4);
	mesh_ready(agents[3].member); /* 0 and 1 have said that they know it, 2 has not */
	agents[2].mute = false;
	settle(4);
	ASSERT(!agents[0].poked[3] && !agents[1].poked[3]);
	ASSERT(agents[2].poked[3]);
	ASSERT_EQ(agents[0].messages, 1);
	ASSERT_EQ(agents[2].messages, 2);
	drop(mesh);
}

TEST(a_mute_member_holds_up_nobody_and_its_list_does_not_grow)
{
	struct mesh *mesh = mesh_of(3);

	agents[0].mute = true;
	for (int round = 0; round < 100; round++) {
		ASSERT_EQ(join(mesh, 3), 0);
		mesh_ready(agents[3].member);
		settle(4);
		ASSERT(all_know(4, 3) || !agents[0].knows[3]);
		ASSERT(agents[1].knows[3] && agents[2].knows[3]);
		leave(3);
		settle(3);
	}
	ASSERT_EQ(agents[0].messages, 1); /* the one it never answered */
	ASSERT(!mesh_is_settled(mesh));
	agents[0].mute = false;
	settle(3);
	ASSERT_EQ(agents[0].messages, 2); /* all that it missed, at once */
	ASSERT(!agents[0].knows[3] && mesh_is_settled(mesh));
	drop(mesh);
}

TEST(after_a_failure_the_whole_list_is_sent)
{
	struct mesh *mesh = mesh_of(3);

	agents[1].refuses = true;
	ASSERT_EQ(join(mesh, 3), 0);
	mesh_ready(agents[3].member);
	settle(4);
	ASSERT(!agents[1].knows[3] && !mesh_is_settled(mesh));
	agents[1].refuses = false;
	mesh_resync(agents[1].member);
	settle(4);
	ASSERT(agents[1].knows[0] && agents[1].knows[2] && agents[1].knows[3]);
	ASSERT(mesh_is_settled(mesh));
	agents[2].pending = false;
	leave(3);
	mesh_acked(agents[2].member, false); /* heard or not: nobody knows */
	mesh_resync(agents[2].member);
	settle(3);
	ASSERT(!agents[2].knows[3] && agents[2].knows[0] && mesh_is_settled(mesh));
	drop(mesh);
}

TEST(a_new_key_reaches_all_and_one_that_joins_meanwhile)
{
	struct mesh *mesh = mesh_of(4);
	struct mesh_peer peer = peer_of(2, 9);

	ASSERT_EQ(join(mesh, 4), 0); /* has the old key along */
	ASSERT_EQ(mesh_change(agents[2].member, &peer), 0);
	mesh_ready(agents[4].member);
	settle(5);
	for (int i = 0; i < 5; i++)
		ASSERT(i == 2 || agents[i].key[2] == 9);
	ASSERT(mesh_is_settled(mesh));
	drop(mesh);
}

TEST(the_same_member_twice_is_refused)
{
	struct mesh *mesh = mesh_of(2);
	struct mesh_peer peer = peer_of(1, 1);
	struct mesh_member *again;

	ASSERT_EQ(mesh_join(mesh, &peer, agent_send, NULL, &again), -EEXIST);
	ASSERT_EQ(mesh_members(mesh), 2);
	drop(mesh);
}

TEST(a_join_among_a_thousand_costs_one_message_each)
{
	struct mesh *mesh = mesh_of(AGENTS_MAX - 1);

	ASSERT_EQ(join(mesh, AGENTS_MAX - 1), 0);
	settle(AGENTS_MAX);
	mesh_ready(agents[AGENTS_MAX - 1].member);
	settle(AGENTS_MAX);
	ASSERT(all_know(AGENTS_MAX, AGENTS_MAX - 1));
	for (int i = 0; i < AGENTS_MAX - 1; i++)
		ASSERT_EQ(agents[i].messages, 1);
	drop(mesh);
}

TEST_MAIN()
