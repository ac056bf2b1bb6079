/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh-plan.c - what a join costs the planner of a network with many members (net/mesh.c)
 *
 * Simulated agents answer at once. For each size: the time from a join until everybody has said
 * that it knows the new member, and the messages that took; medians of ROUNDS joins and leaves. The
 * floor is one message to each member, which is the bare operation. Prints JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/mesh.h"

#define ROUNDS 101

struct agent {
	struct mesh_member *member;
	bool pending;
};

static struct agent *agents;
static unsigned long messages;

static int agent_send(void *user, const struct mesh_update *update)
{
	struct agent *a = user;

	(void)update;
	messages++;
	a->pending = true;
	return 0;
}

static void settle(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		while (agents[i].pending) {
			agents[i].pending = false;
			mesh_acked(agents[i].member, true);
		}
	}
}

static int count_peer(void *user, const struct mesh_peer *peer)
{
	(void)peer;
	(*(size_t *)user)++;
	return 0;
}

static void join(struct mesh *mesh, size_t i, size_t n)
{
	struct mesh_peer peer = {};
	size_t known = 0;

	(void)snprintf(peer.id, sizeof(peer.id), "%064zu", i);
	if (mesh_join(mesh, &peer, false, agent_send, &agents[i], &agents[i].member) < 0)
		exit(1);
	(void)mesh_peers(agents[i].member, count_peer, &known);
	settle(n);
	mesh_ready(agents[i].member);
	settle(n);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(size_t n, bool last)
{
	struct mesh *mesh = mesh_new();
	double us[ROUNDS];
	unsigned long sent = 0;

	agents = calloc(n + 1, sizeof(*agents));
	if (!mesh || !agents)
		exit(1);
	for (size_t i = 0; i < n; i++)
		join(mesh, i, i + 1);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start_ns = clock_monotonic_ns();

		messages = 0;
		join(mesh, n, n + 1);
		us[round] = (double)(clock_monotonic_ns() - start_ns) / 1e3;
		sent = messages;
		if (!mesh_is_settled(mesh))
			exit(1);
		mesh_leave(agents[n].member);
		settle(n);
	}
	qsort(us, ROUNDS, sizeof(us[0]), by_value);
	printf("    {\"members\": %zu, \"join_us\": %.1f, \"join_us_per_member\": %.3f, "
	       "\"messages\": "
	       "%lu, \"floor_messages\": %zu}%s\n",
	       n, us[ROUNDS / 2], us[ROUNDS / 2] / (double)n, sent, n, last ? "" : ",");
	for (size_t i = 0; i < n; i++)
		mesh_leave(agents[i].member);
	mesh_free(mesh);
	free(agents);
}

int main(void)
{
	static const size_t sizes[] = {125, 250, 500, 1000};

	printf("{\n  \"mesh_plan\": [\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		measure(sizes[i], i + 1 == sizeof(sizes) / sizeof(sizes[0]));
	printf("  ]\n}\n");
	return 0;
}
