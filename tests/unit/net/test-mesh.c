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
	bool pending, mute, refuses, held;
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
	a->held = update->hold;
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

static int join_as(struct mesh *mesh, int n, bool held)
{
	struct agent *a = &agents[n];
	struct mesh_peer peer = peer_of(n, 1);
	int r;

	*a = (struct agent){.held = held};
	r = mesh_join(mesh, &peer, held, agent_send, a, &a->member);
	return r < 0 ? r : mesh_peers(a->member, take_along, a);
}

static int join(struct mesh *mesh, int n)
{
	return join_as(mesh, n, false);
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

	ASSERT_EQ(mesh_join(mesh, &peer, false, agent_send, NULL, &again), -EEXIST);
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

static void answer(int n)
{
	agents[n].pending = false;
	mesh_acked(agents[n].member, true);
}

/* Goal: first it has its peers, then they hear of it, and only then may it send. */
TEST(a_held_member_is_shown_when_it_is_ready_and_opened_when_all_know_it)
{
	struct mesh *mesh = mesh_of(3);

	ASSERT_EQ(join_as(mesh, 3, true), 0);
	settle(4);
	ASSERT_EQ(agents[0].messages + agents[1].messages + agents[2].messages, 0);
	mesh_ready(agents[3].member);
	ASSERT(agents[3].pending && agents[3].held);
	ASSERT(!agents[0].pending && !mesh_is_settled(mesh));
	answer(3);
	ASSERT(agents[0].knows[3] && agents[1].knows[3] && agents[2].knows[3]);
	answer(0);
	answer(1);
	ASSERT_EQ(agents[3].messages, 1);
	ASSERT(agents[3].held);
	answer(2);
	ASSERT_EQ(agents[3].messages, 2);
	ASSERT(!agents[3].held);
	settle(4);
	ASSERT(mesh_is_settled(mesh));
	for (int i = 0; i < 3; i++) {
		ASSERT(!agents[i].poked[3]);
		ASSERT_EQ(agents[i].messages, 1);
	}
	ASSERT(mesh_open(agents[3].member));
	ASSERT_EQ(agents[3].messages, 2);
	drop(mesh);
}

TEST(a_held_member_that_is_alone_is_opened_at_once)
{
	struct mesh *mesh = mesh_of(0);

	ASSERT_EQ(join_as(mesh, 0, true), 0);
	mesh_ready(agents[0].member);
	ASSERT(agents[0].held);
	settle(1);
	ASSERT(!agents[0].held && mesh_is_settled(mesh));
	drop(mesh);
}

/* Goal: a start that ends before anybody was told costs the others nothing. */
TEST(a_held_member_that_leaves_before_it_is_shown_was_never_there)
{
	struct mesh *mesh = mesh_of(3);

	ASSERT_EQ(join_as(mesh, 3, true), 0);
	mesh_ready(agents[3].member);
	leave(3);
	settle(3);
	ASSERT_EQ(agents[0].messages + agents[1].messages + agents[2].messages, 0);

	/* but who has it from its list hears of it */
	ASSERT_EQ(join_as(mesh, 3, true), 0);
	ASSERT_EQ(join_as(mesh, 4, true), 0);
	ASSERT(agents[4].knows[3]);
	mesh_ready(agents[4].member);
	leave(3);
	settle(5);
	ASSERT(!agents[4].knows[3] && !agents[4].held && all_know(5, 4));
	ASSERT(mesh_is_settled(mesh));
	drop(mesh);
}

TEST(a_held_member_is_opened_without_those_that_are_mute_and_they_greet_it_later)
{
	struct mesh *mesh = mesh_of(3);

	ASSERT_EQ(join_as(mesh, 3, true), 0);
	ASSERT(!mesh_open(agents[3].member)); /* has not set its peers: nobody may call it */
	agents[2].mute = true;
	mesh_ready(agents[3].member);
	settle(4);
	ASSERT(agents[3].held);
	ASSERT(mesh_open(agents[3].member));
	settle(4);
	ASSERT(!agents[3].held);
	agents[2].mute = false;
	settle(4);
	ASSERT(agents[2].poked[3] && !agents[0].poked[3] && !agents[1].poked[3]);
	ASSERT_EQ(agents[3].messages, 2);
	ASSERT(mesh_is_settled(mesh));
	drop(mesh);
}

TEST(a_held_member_does_not_wait_for_those_that_leave)
{
	struct mesh *mesh = mesh_of(3);

	agents[1].mute = true;
	ASSERT_EQ(join_as(mesh, 3, true), 0);
	mesh_ready(agents[3].member);
	settle(4);
	ASSERT(agents[3].held);
	leave(1);
	settle(4);
	ASSERT(!agents[3].held && mesh_is_settled(mesh));
	drop(mesh);
}

TEST(two_held_members_learn_of_each_other)
{
	struct mesh *mesh = mesh_of(3);

	ASSERT_EQ(join_as(mesh, 3, true), 0);
	ASSERT_EQ(join_as(mesh, 4, true), 0);
	mesh_ready(agents[4].member);
	answer(4); /* 3 is not up: it is told later, and greets */
	ASSERT(!agents[3].pending);
	settle(5);
	ASSERT(!agents[4].held && all_know(3, 4) && !agents[3].knows[4]);
	mesh_ready(agents[3].member);
	settle(5);
	ASSERT(!agents[3].held && all_know(5, 3) && all_know(5, 4));
	ASSERT(agents[3].poked[4] && mesh_is_settled(mesh));
	drop(mesh);
}

/* Goal: a failure of its own or of another's ends in the same state. */
TEST(a_held_member_survives_failures)
{
	struct mesh *mesh = mesh_of(3);

	ASSERT_EQ(join_as(mesh, 3, true), 0);
	mesh_ready(agents[3].member);
	agents[3].pending = false;
	mesh_acked(agents[3].member, false);
	ASSERT(!agents[0].knows[3]);
	mesh_resync(agents[3].member);
	ASSERT(agents[3].held);
	agents[1].refuses = true;
	settle(4);
	ASSERT(agents[0].knows[3] && agents[3].held);
	agents[1].refuses = false;
	mesh_resync(agents[1].member);
	settle(4);
	ASSERT(all_know(4, 3) && !agents[3].held && mesh_is_settled(mesh));
	drop(mesh);
}

/* Goal: what is to be known of one member changes for one other, who alone is told. */
TEST(one_member_is_told_of_another)
{
	struct mesh *mesh = mesh_of(4);

	agents[1].knows[2] = false;
	mesh_tell(agents[1].member, agents[2].member);
	settle(4);
	ASSERT(agents[1].knows[2]);
	ASSERT_EQ(agents[1].messages, 1);
	ASSERT_EQ(agents[0].messages + agents[2].messages + agents[3].messages, 0);
	ASSERT(mesh_is_settled(mesh));
	drop(mesh);
}

TEST(a_member_is_not_told_of_one_that_is_held)
{
	struct mesh *mesh = mesh_of(3);

	ASSERT_EQ(join_as(mesh, 3, true), 0);
	mesh_tell(agents[1].member, agents[3].member);
	ASSERT_EQ(agents[1].messages, 0);
	mesh_ready(agents[3].member);
	settle(4);
	ASSERT(agents[1].knows[3] && mesh_is_settled(mesh));
	drop(mesh);
}

TEST_MAIN()
