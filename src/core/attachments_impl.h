/* SPDX-License-Identifier: Apache-2.0 */
/* attachments_impl.h - what attachments.c, meshes.c and mesh_keys.c share; nobody else includes it
 */
#pragma once

#include <stdatomic.h>
#include <uthash.h>
#include <utlist.h>

#include "core/attachments.h"
#include "core/locks.h"
#include "net/mesh.h"
#include "net/mesh_links.h"
#include "vm/vm.h"

struct loop_timer;
struct rpc_client;

/* One network that has members. */
struct live_mesh {
	char id[ID_BUF];
	struct mesh *mesh; /* owned */
	size_t users;
	bool rotated; /* in this round */
	UT_hash_handle hh;
};

struct meshes {
	struct core *core;	   /* borrowed */
	_Atomic unsigned int refs; /* the daemon's, and one an attachment */
	struct rank_lock lock;
	struct live_mesh *table;	 /* owned; by network id */
	struct attachment *list;	 /* of all that have a member */
	struct attachment *deferred;	 /* those whose message waits; oldest first */
	size_t starting;		 /* containers that join and do not run yet */
	size_t under_way;		 /* messages that count: answered or late ones do not */
	size_t window;			 /* how many may be, while nothing is started */
	struct mesh_links links;	 /* of parents that run */
	bool held;			 /* nobody is told anything */
	bool partial;			 /* some that a new daemon looks for are not found yet */
	bool patient;			 /* a timer looks for late ones */
	struct loop_timer *patience;	 /* loop thread */
	unsigned int rotate_s;		 /* 0: keys are not rotated */
	struct loop_timer *rotate_timer; /* loop thread */
};

/* One endpoint of a VM that runs. Shared by its run and the calls that are under way. */
struct attachment {
	struct meshes *meshes; /* owned reference */
	_Atomic unsigned int refs;
	char container_id[ID_BUF];
	struct rpc_client *rpc; /* borrowed; good while there is a member */
	struct mesh_peer peer;	/* owned: as the others know it; meshes->lock once it is a member */
	bool vmnet;
	unsigned int index; /* of the tunnel in the VM; ATTACH_NO_TUNNEL */
	/* guarded by meshes->lock */
	char network_id[ID_BUF];
	struct live_mesh *live;
	struct mesh_member *member; /* NULL: it has left */
	bool held;		    /* it joins a network of many: see mesh_open.c */
	bool ready, retrying, waits, counts;
	struct attachment *next_deferred, *prev_deferred;
	int64_t sent_ns;	       /* monotonic, of the message that counts */
	int64_t key_since_ns;	       /* monotonic */
	struct loop_timer *timer;      /* loop thread */
	struct loop_timer *open_timer; /* likewise */
	struct attachment *next, *prev;
};

struct attachments {
	struct meshes *meshes;
	char container_id[ID_BUF];
	struct sandbox *sb; /* borrowed */
	uint8_t keys[VM_NIC_KEYS][VM_KEY_LEN];
	bool starting;
	bool reaches_host;     /* asked for it with host-gateway */
	struct attachment **v; /* owned array of references */
	size_t n;
};

/* meshes.c; meshes->lock is held for all but the last */
int mesh_take(struct meshes *meshes, const char *network_id, struct live_mesh **ret);
void mesh_give(struct meshes *meshes, struct live_mesh *live);
int mesh_peer_fill(const struct attachment *whom, const struct mesh_peer *from, Arca__V1__Peer *to);
int attachment_send(void *user, const struct mesh_update *update); /* a mesh_send_fn */
void attachment_undefer(struct attachment *a);
void attachment_uncount(struct attachment *a);
void meshes_flush(struct meshes *meshes); /* messages that wait, as far as they may be sent */
void attachment_unref(struct attachment *a);

/* mesh_open.c */
int attachment_open_later(struct attachment *a);

/* mesh_keys.c */
void meshes_rotate_no_more(struct meshes *meshes);
