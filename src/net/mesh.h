/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h - who of a network has to know whom: plans what each member is told */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

#define MESH_KEY_LEN 32

/* What the others need to know to reach a member. */
struct mesh_peer {
	char id[ID_BUF]; /* of the endpoint */
	uint8_t key[MESH_KEY_LEN];
	uint8_t underlay4[4]; /* where its tunnel listens; network order, as all addresses */
	uint16_t port;
	bool has_v4, has_v6;
	uint8_t v4[4], v6[16];
	char container[ID_BUF]; /* whose endpoint it is */
	bool by_link; /* only those that have a link with it are told how (mesh_links.h) */
	char **names; /* owned, NULL-terminated, may be NULL; what it is called on this network */
};

struct mesh;	    /* one network */
struct mesh_member; /* one endpoint whose VM runs */

/* What one member is to be told. Borrowed for the call. */
struct mesh_update {
	bool complete; /* `set` is all that there is; else a change */
	const struct mesh_peer *const *set;
	size_t set_n;
	const char *const *removed; /* ids */
	size_t removed_n;
	bool poke; /* those in `set` may have tried to reach the member in vain: it greets them */
	bool hold; /* what the member sends to others goes on waiting */
};

/*
 * Sends an update to a member's agent, without waiting: mesh_acked() tells how it ended. Called
 * with the mesh locked: it must not call the mesh. -EAGAIN: not now, mesh_flush() follows. Another
 * <0: it cannot be sent; the whole list is, later.
 */
typedef int (*mesh_send_fn)(void *user, const struct mesh_update *update);

struct mesh *mesh_new(void);	   /* NULL without memory */
void mesh_free(struct mesh *mesh); /* has no members */

int mesh_join(struct mesh *mesh, const struct mesh_peer *peer, bool held, mesh_send_fn send,
	      void *user, struct mesh_member **ret_member);
typedef int (*mesh_peer_fn)(void *user, const struct mesh_peer *peer);
int mesh_peers(struct mesh_member *member, mesh_peer_fn fn, void *user);
void mesh_ready(struct mesh_member *member);
bool mesh_open(struct mesh_member *member);
int mesh_change(struct mesh_member *member, const struct mesh_peer *peer);
void mesh_tell(struct mesh_member *member, struct mesh_member *about);
void mesh_leave(struct mesh_member *member);
void mesh_acked(struct mesh_member *member, bool ok);
void mesh_resync(struct mesh_member *member);
void mesh_flush(struct mesh_member *member);
bool mesh_is_settled(struct mesh *mesh);
size_t mesh_members(struct mesh *mesh);

int mesh_peer_copy(const struct mesh_peer *from, struct mesh_peer *to);
void mesh_peer_done(struct mesh_peer *peer);
