/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh.c - who of a network has to know whom
 *
 * DOC: Theory of operation
 *
 *	JOINING -> READY -> gone
 *	JOINING -> READY, held -> shown -> open -> gone
 *
 * Each member of a network reaches each other one directly, so each has to know all. A member that
 * joins takes the whole list along (mesh_peers()) before its process starts; the others are told of
 * it at once and in parallel, one message each. What a member is still to be told is a list of ids,
 * each once: whether the message says "there it is" or "it is gone" is decided when it is sent, so
 *a slow member's list never grows beyond the number of endpoints, and it skips what is overtaken.
 *One message is under way to a member at a time. A member that never answers holds up nobody but
 * itself. After a failure it is sent the complete list, which repairs whatever it missed.
 *
 * Who joins may have begun to call before a slow peer knew it, and WireGuard tries again only after
 * seconds. So a peer that learns of a member which is READY already is asked to greet it, and so is
 * everybody after a member changed its key.
 *
 * A member that joins held is told about only when it runs and has said so: a start among many then
 * wakes none of them, and one that ends at once is never heard of. It sets its peers with the first
 * message that it acknowledges; before, it would not answer them. Then it is shown to the others.
 * What it sends to them meanwhile waits in its VM, and goes when all have said that they know it:
 * the member is opened. Those that it is opened without (mesh_open()) are asked to greet it.
 *
 * Cost of a join or leave: one message a member, and O(members) time; two more to one that is held.
 *
 * Locking: one lock a mesh; mesh_send_fn is called under it.
 */
#include "net/mesh.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/cleanup.h"

/* One id that a member has not been told of, or not heard by it. */
struct mesh_news {
	char id[ID_BUF];
	bool poke;
	bool sent;    /* in the message that is under way */
	bool awaited; /* the member that it is about counts on it */
	UT_hash_handle hh;
};

struct mesh_member {
	struct mesh *mesh;
	struct mesh_peer peer; /* owned */
	mesh_send_fn send;
	void *user;
	struct mesh_news *news; /* owned; hash by id */
	bool complete;		/* the next message is the whole list */
	bool busy;		/* a message is under way */
	bool busy_complete;	/* and it is the whole list */
	bool ready;
	bool held;	/* what it sends to the others waits */
	bool shown;	/* the others are told of it */
	bool listed;	/* not shown, but one that joined later has it from its list */
	bool due;	/* a message to it, even without news */
	size_t unaware; /* how many are still to say that they know it, while it is held and shown
			 */
	UT_hash_handle hh;
};

struct mesh {
	pthread_mutex_t lock;
	struct mesh_member *members; /* hash by peer.id */
};

/**
 * mesh_peer_done() - Free what a peer owns
 * @peer: Filled or zero; empty afterwards
 */
void mesh_peer_done(struct mesh_peer *peer)
{
	for (char **n = peer->names; n && *n; n++)
		free(*n);
	free(peer->names);
	peer->names = NULL;
}

/**
 * mesh_peer_copy() - Another one with names of its own
 * @from: Peer
 * @to:	  Set on success; mesh_peer_done()
 *
 * Return: 0 or -ENOMEM
 */
int mesh_peer_copy(const struct mesh_peer *from, struct mesh_peer *to)
{
	struct mesh_peer copy = *from;
	size_t n = 0;

	while (from->names && from->names[n])
		n++;
	copy.names = calloc(n + 1, sizeof(*copy.names));
	for (size_t i = 0; copy.names && i < n; i++) {
		copy.names[i] = strdup(from->names[i]);
		if (!copy.names[i]) {
			mesh_peer_done(&copy);
			return -ENOMEM;
		}
	}
	if (!copy.names)
		return -ENOMEM;
	*to = copy;
	return 0;
}

/**
 * mesh_new() - A network without members
 *
 * Return: mesh_free(); NULL without memory
 */
struct mesh *mesh_new(void)
{
	struct mesh *mesh = calloc(1, sizeof(*mesh));

	if (mesh)
		(void)pthread_mutex_init(&mesh->lock, NULL); /* does not fail */
	return mesh;
}

/**
 * mesh_free() - Free a network
 * @mesh: All members have left; may be NULL
 */
void mesh_free(struct mesh *mesh)
{
	if (!mesh)
		return;
	assert(!mesh->members);
	pthread_mutex_destroy(&mesh->lock);
	free(mesh);
}

static void member_send(struct mesh_member *member);

static void member_open(struct mesh_member *member)
{
	member->held = false;
	member->due = true;
	member_send(member);
}

/* Told, or not to be told any more. The last one opens whom it is about. */
static void news_drop(struct mesh_member *member, struct mesh_news *news)
{
	struct mesh_member *about = NULL;

	if (news->awaited)
		HASH_FIND_STR(member->mesh->members, news->id, about);
	HASH_DEL(member->news, news);
	free(news);
	if (about && about->held && --about->unaware == 0)
		member_open(about);
}

static void news_clear(struct mesh_member *member)
{
	struct mesh_news *news, *next;

	HASH_ITER (hh, member->news, news, next)
		news_drop(member, news);
}

/* Return: borrowed; NULL without memory for it: the whole list is sent instead */
static struct mesh_news *news_add(struct mesh_member *member, const char *id, bool poke)
{
	struct mesh_news *news;

	HASH_FIND_STR(member->news, id, news);
	if (!news) {
		news = calloc(1, sizeof(*news));
		if (!news) {
			member->complete = true;
			return NULL;
		}
		memcpy(news->id, id, ID_BUF);
		HASH_ADD_STR(member->news, id, news);
	}
	news->sent = false; /* what is under way does not say it */
	news->poke |= poke;
	return news;
}

/* The arrays of one message. */
struct draft {
	const struct mesh_peer **set; /* owned */
	const char **removed;	      /* owned */
};

static void draft_done(struct draft *draft)
{
	free(draft->set);
	free(draft->removed);
}

static int draft_complete(const struct mesh_member *member, struct draft *draft,
			  struct mesh_update *update)
{
	struct mesh *mesh = member->mesh;
	struct mesh_member *other, *next;

	draft->set = calloc(HASH_COUNT(mesh->members), sizeof(*draft->set));
	if (!draft->set)
		return -ENOMEM;
	HASH_ITER (hh, mesh->members, other, next) {
		if (other == member || !other->shown)
			continue;
		draft->set[update->set_n++] = &other->peer;
	}
	update->complete = true; /* no greetings: all at once would meet each other half way */
	return 0;
}

static int draft_changes(const struct mesh_member *member, struct draft *draft,
			 struct mesh_update *update)
{
	struct mesh_news *news, *next;
	struct mesh_member *other;
	size_t n = HASH_COUNT(member->news);

	draft->set = calloc(n + 1, sizeof(*draft->set));
	draft->removed = calloc(n + 1, sizeof(*draft->removed));
	if (!draft->set || !draft->removed)
		return -ENOMEM;
	HASH_ITER (hh, member->news, news, next) {
		news->sent = true;
		HASH_FIND_STR(member->mesh->members, news->id, other);
		if (!other) {
			draft->removed[update->removed_n++] = news->id;
			continue;
		}
		draft->set[update->set_n++] = &other->peer;
		update->poke |= news->poke;
	}
	return 0;
}

static void news_set_sent(struct mesh_member *member, bool sent)
{
	struct mesh_news *news, *next;

	HASH_ITER (hh, member->news, news, next)
		news->sent = sent;
}

/* Send what a member has not been told, unless a message is under way to it or it is not up. */
static void member_send(struct mesh_member *member)
{
	_cleanup_(draft_done) struct draft draft = {};
	struct mesh_update update = {.hold = member->held};
	int r;

	if (member->busy || !member->ready || (!member->complete && !member->news && !member->due))
		return;
	r = member->complete ? draft_complete(member, &draft, &update)
			     : draft_changes(member, &draft, &update);
	update.set = draft.set;
	update.removed = draft.removed;
	if (r == 0)
		r = member->send(member->user, &update);
	if (r == -EAGAIN) {
		news_set_sent(member, false);
		return;
	}
	if (r < 0) {
		member->complete = true; /* with the next occasion */
		return;
	}
	if (update.complete) {
		member->complete = false;
		news_set_sent(member, true);
	}
	member->due = false;
	member->busy = true;
	member->busy_complete = update.complete;
}

static void tell_others(struct mesh_member *member, bool poke)
{
	struct mesh_member *other, *next;

	HASH_ITER (hh, member->mesh->members, other, next) {
		if (other == member)
			continue;
		(void)news_add(other, member->peer.id, poke); /* or all, which says it as well */
		member_send(other);
	}
}

/* It has set its peers. One that is not up yet is not waited for. */
static void member_show(struct mesh_member *member)
{
	struct mesh_member *other, *next;
	struct mesh_news *news;

	member->shown = true;
	member->unaware = 1; /* us */
	HASH_ITER (hh, member->mesh->members, other, next) {
		if (other == member)
			continue;
		news = news_add(other, member->peer.id, !other->ready);
		if (news && other->ready && !news->awaited) {
			news->awaited = true;
			member->unaware++;
		}
		member_send(other);
	}
	if (--member->unaware == 0)
		member_open(member);
}

/* Whether anybody may have heard of it. */
static bool member_is_known(const struct mesh_member *member)
{
	return member->shown || member->listed;
}

/**
 * mesh_join() - A new member; the others are told at once, or when it is up
 * @mesh:	Network
 * @peer:	What they are told; copied
 * @held:	It sets its peers with its first update, and sends to none while updates say `hold`
 * @send:	How it is told of others, from mesh_ready() on
 * @user:	For @send
 * @ret_member: mesh_leave(); set on success
 *
 * Return: 0, -EEXIST, or -ENOMEM
 */
int mesh_join(struct mesh *mesh, const struct mesh_peer *peer, bool held, mesh_send_fn send,
	      void *user, struct mesh_member **ret_member)
{
	struct mesh_member *member = calloc(1, sizeof(*member)), *same;
	int r = member ? mesh_peer_copy(peer, &member->peer) : -ENOMEM;

	if (r < 0) {
		free(member);
		return r;
	}
	member->mesh = mesh;
	member->send = send;
	member->user = user;
	member->held = held;
	member->shown = !held;
	pthread_mutex_lock(&mesh->lock);
	HASH_FIND_STR(mesh->members, member->peer.id, same);
	if (!same) {
		HASH_ADD_STR(mesh->members, peer.id, member);
		if (!held)
			tell_others(member, false);
	}
	pthread_mutex_unlock(&mesh->lock);
	if (same) {
		mesh_peer_done(&member->peer);
		free(member);
		return -EEXIST;
	}
	*ret_member = member;
	return 0;
}

/**
 * mesh_peers() - The whole list that a joining member takes along
 * @member: Not ready yet; what changes from now on is kept for it
 * @fn:	    Called for each other member, with the mesh locked; <0 stops
 * @user:   For @fn
 *
 * Return: 0 or what @fn returned
 */
int mesh_peers(struct mesh_member *member, mesh_peer_fn fn, void *user)
{
	struct mesh_member *other, *next;
	int r = 0;

	pthread_mutex_lock(&member->mesh->lock);
	HASH_ITER (hh, member->mesh->members, other, next) {
		if (other == member)
			continue;
		other->listed = true;
		r = fn(user, &other->peer);
		if (r < 0)
			break;
	}
	news_clear(member); /* the list says it all */
	pthread_mutex_unlock(&member->mesh->lock);
	return r;
}

/* Whether a member has been told of another one and has said so. */
static bool member_knows(const struct mesh_member *member, const char *id)
{
	struct mesh_news *news;

	if (member->complete || member->busy_complete)
		return false;
	HASH_FIND_STR(member->news, id, news);
	return !news;
}

/* Those that do not know it yet greet it when they do. */
static void tell_unaware(struct mesh_member *member)
{
	struct mesh_member *other, *next;

	HASH_ITER (hh, member->mesh->members, other, next) {
		if (other == member || member_knows(other, member->peer.id))
			continue;
		(void)news_add(other, member->peer.id, true); /* or all */
		member_send(other);
	}
}

/**
 * mesh_ready() - A member's process runs: it may call its peers, and can be told of others
 * @member: Member
 *
 * Peers that do not know it yet will greet it when they do. One that is held calls nobody.
 */
void mesh_ready(struct mesh_member *member)
{
	pthread_mutex_lock(&member->mesh->lock);
	member->ready = true;
	member->due = member->held;
	member_send(member);
	if (!member->held)
		tell_unaware(member);
	pthread_mutex_unlock(&member->mesh->lock);
}

/**
 * mesh_open() - A held member has waited long enough for those that have not said they know it
 * @member: Member
 *
 * Return: whether it waits no more; else it has not set its peers yet
 */
bool mesh_open(struct mesh_member *member)
{
	bool open;

	pthread_mutex_lock(&member->mesh->lock);
	if (member->held && member->shown) {
		tell_unaware(member);
		member_open(member);
	}
	open = !member->held;
	pthread_mutex_unlock(&member->mesh->lock);
	return open;
}

/**
 * mesh_change() - A member has another key, other names or addresses
 * @member: Member
 * @peer:   As it is now; same id; copied
 *
 * Return: 0 or -ENOMEM
 */
int mesh_change(struct mesh_member *member, const struct mesh_peer *peer)
{
	struct mesh_peer copy;
	int r = mesh_peer_copy(peer, &copy);

	if (r < 0)
		return r;
	pthread_mutex_lock(&member->mesh->lock);
	mesh_peer_done(&member->peer);
	memcpy(copy.id, peer->id, ID_BUF);
	member->peer = copy;
	if (member_is_known(member))
		tell_others(member, member->ready);
	pthread_mutex_unlock(&member->mesh->lock);
	return 0;
}

/**
 * mesh_tell() - What one member is to know of another one is not what it was told
 * @member: Who is told
 * @about:  Of whom; one that nobody was told of yet is told about later in any case
 */
void mesh_tell(struct mesh_member *member, struct mesh_member *about)
{
	pthread_mutex_lock(&member->mesh->lock);
	if (member_is_known(about)) {
		(void)news_add(member, about->peer.id, false); /* or all, which says it as well */
		member_send(member);
	}
	pthread_mutex_unlock(&member->mesh->lock);
}

/**
 * mesh_leave() - A member is gone; the others are told at once
 * @member: Freed; NULL is fine. Its mesh_acked() must not be called any more
 */
void mesh_leave(struct mesh_member *member)
{
	struct mesh *mesh;

	if (!member)
		return;
	mesh = member->mesh;
	pthread_mutex_lock(&mesh->lock);
	HASH_DEL(mesh->members, member);
	if (member_is_known(member))
		tell_others(member, false);
	news_clear(member);
	pthread_mutex_unlock(&mesh->lock);
	mesh_peer_done(&member->peer);
	free(member);
}

/**
 * mesh_acked() - The message that was under way to a member has ended
 * @member: Member
 * @ok:	    It was heard; else the next one is the whole list
 */
void mesh_acked(struct mesh_member *member, bool ok)
{
	struct mesh_news *news, *next;

	pthread_mutex_lock(&member->mesh->lock);
	member->busy = false;
	member->busy_complete = false;
	HASH_ITER (hh, member->news, news, next) {
		if (!ok || !news->sent)
			continue;
		news_drop(member, news);
	}
	if (ok && member->held && !member->shown)
		member_show(member);
	if (ok)
		member_send(member);
	else
		member->complete = true; /* mesh_resync() decides when */
	pthread_mutex_unlock(&member->mesh->lock);
}

/**
 * mesh_resync() - Send a member the whole list
 * @member: It failed before, or is found again by a new daemon
 */
void mesh_resync(struct mesh_member *member)
{
	pthread_mutex_lock(&member->mesh->lock);
	member->complete = true;
	member_send(member);
	pthread_mutex_unlock(&member->mesh->lock);
}

/**
 * mesh_flush() - A message that could not be sent at once may be sent now
 * @member: Member
 */
void mesh_flush(struct mesh_member *member)
{
	pthread_mutex_lock(&member->mesh->lock);
	member_send(member);
	pthread_mutex_unlock(&member->mesh->lock);
}

/**
 * mesh_is_settled() - Whether every member that is ready has been told all and said so
 * @mesh: Network
 *
 * Return: the answer
 */
bool mesh_is_settled(struct mesh *mesh)
{
	struct mesh_member *member, *next;
	bool settled = true;

	pthread_mutex_lock(&mesh->lock);
	HASH_ITER (hh, mesh->members, member, next)
		if (member->ready &&
		    (member->busy || member->complete || member->news || member->due))
			settled = false;
	pthread_mutex_unlock(&mesh->lock);
	return settled;
}

/**
 * mesh_members() - How many there are
 * @mesh: Network
 *
 * Return: their number
 */
size_t mesh_members(struct mesh *mesh)
{
	size_t n;

	pthread_mutex_lock(&mesh->lock);
	n = HASH_COUNT(mesh->members);
	pthread_mutex_unlock(&mesh->lock);
	return n;
}
