/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - which ports are published for whom
 *
 * All of an owner's mappings are added at once or none: its listening sockets are opened first, and
 * only when all are bound do they begin to accept. A port that is taken is named with the owner
 * that has it, if it is one of ours.
 */
#include "forward/table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "forward/listen.h"
#include "forward/tcp.h"
#include "forward/udp.h"

/* A kernel's choice for the first of a group may be taken for the others: how often to try anew. */
#define TABLE_GROUP_TRIES 32

static struct owner *owners;

static void entry_close(struct entry *entry)
{
	if (!entry->ports)
		return;
	for (size_t i = 0; i < entry->mapping.count; i++) {
		udp_close_sessions(&entry->ports[i]);
		poller_remove(&entry->ports[i].source);
	}
	poller_free_later(entry->ports);
	entry->ports = NULL;
}

static void owner_free(struct owner *owner)
{
	tcp_abort_all(owner);
	for (size_t i = 0; i < owner->n; i++)
		entry_close(&owner->entries[i]);
	free(owner->entries);
	free(owner);
}

DEFINE_CLEANUP(struct owner *, owner_free)

static bool table_same_address(const struct forward_ip *a, const struct forward_ip *b)
{
	static const uint8_t any[16];

	if (a->family != b->family)
		return false;
	return memcmp(a->bytes, b->bytes, 16) == 0 || memcmp(a->bytes, any, 16) == 0 ||
	       memcmp(b->bytes, any, 16) == 0;
}

/* Who of ours listens where somebody could not. */
static const char *table_holder(const struct forward_mapping *m, uint16_t port)
{
	struct owner *owner, *tmp;

	HASH_ITER (hh, owners, owner, tmp) {
		for (size_t i = 0; i < owner->n; i++) {
			const struct forward_mapping *other = &owner->entries[i].mapping;

			if (other->proto == m->proto && port >= other->host_port &&
			    port - other->host_port < other->count &&
			    table_same_address(&other->host, &m->host))
				return owner->id;
		}
	}
	return "";
}

/* All of the mapping's ports from @host_port on. @ret_failed: the port that cannot be had. */
static int entry_open_from(struct entry *entry, uint16_t host_port, uint16_t *ret_failed)
{
	const struct forward_mapping *m = &entry->mapping;
	_cleanup_free_ int *fds = calloc(m->count, sizeof(*fds));
	size_t n = 0;
	int r;

	if (!fds)
		return -ENOMEM;
	r = listen_open(m->proto, &m->host, host_port, fds, m->count, &n);
	for (size_t i = 0; i < n; i++) {
		struct port *port = &entry->ports[i];

		port->source.fd = fds[i];
		port->target = m->target;
		port->target_port = (uint16_t)(m->target_port + i);
	}
	*ret_failed = (uint16_t)(host_port + n);
	return r;
}

static int entry_open(struct entry *entry, uint16_t *ret_failed)
{
	struct forward_mapping *m = &entry->mapping;
	unsigned int last = m->host_port_last ? m->host_port_last : m->host_port;
	int r = -EADDRINUSE;

	for (unsigned int p = m->host_port; r == -EADDRINUSE && p <= last; p++)
		r = entry_open_from(entry, (uint16_t)p, ret_failed);
	if (r < 0)
		return r;
	r = listen_port(entry->ports[0].source.fd, &m->host_port);
	m->host_port_last = 0;
	m->same_port = false;
	return r;
}

static int entry_init(struct owner *owner, struct entry *entry, const struct forward_mapping *m)
{
	entry->mapping = *m;
	entry->ports = calloc(m->count, sizeof(*entry->ports));
	if (!entry->ports)
		return -ENOMEM;
	for (size_t i = 0; i < m->count; i++) {
		entry->ports[i].source.fd = -EBADF;
		entry->ports[i].owner = owner;
	}
	return 0;
}

/* A mapping and those after it that must have its port. */
static int group_open(struct entry *group, size_t n, size_t *ret_index, uint16_t *ret_failed)
{
	for (size_t i = 0; i < n; i++) {
		int r;

		if (i > 0)
			group[i].mapping.host_port = group[0].mapping.host_port;
		r = entry_open(&group[i], ret_failed);
		if (r < 0) {
			*ret_index = i;
			return r;
		}
	}
	return 0;
}

static void group_close(struct entry *group, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; group[i].ports && k < group[i].mapping.count; k++)
			poller_remove(&group[i].ports[k].source);
	}
}

/* Ports from which the first of a group may still be chosen after one did not do for all. */
static bool group_choose_again(const struct forward_mapping *first, uint16_t used,
			       struct forward_mapping *m)
{
	bool chosen = first->host_port == 0, range = first->host_port_last;

	if (!chosen && !range)
		return false;
	*m = *first;
	if (range) {
		if (used >= first->host_port_last)
			return false;
		m->host_port = (uint16_t)(used + 1);
	}
	return true;
}

static int group_add(struct entry *group, size_t n, size_t *ret_index, uint16_t *ret_failed)
{
	const struct forward_mapping first = group[0].mapping;
	unsigned int tries = first.host_port_last ? UINT16_MAX : TABLE_GROUP_TRIES;

	for (;;) {
		int r = group_open(group, n, ret_index, ret_failed);

		if (r == 0)
			return 0;
		group_close(group, n);
		if (r != -EADDRINUSE || *ret_index == 0 || --tries == 0 ||
		    !group_choose_again(&first, group[0].mapping.host_port, &group[0].mapping))
			return r;
		for (size_t i = 1; i < n; i++)
			group[i].mapping.same_port = true;
	}
}

static size_t group_length(const struct forward_message *message, size_t at)
{
	size_t n = 1;

	while (at + n < message->n && message->mappings[at + n].same_port)
		n++;
	return n;
}

static int owner_watch(struct owner *owner)
{
	for (size_t i = 0; i < owner->n; i++) {
		struct entry *entry = &owner->entries[i];

		for (size_t k = 0; k < entry->mapping.count; k++) {
			struct poller_source *source = &entry->ports[k].source;
			int r;

			source->fn = entry->mapping.proto == IPPROTO_TCP ? tcp_on_listener
									 : udp_on_listener;
			r = poller_add(source, EPOLLIN);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int owner_open(struct owner *owner, struct forward_message *message)
{
	for (size_t i = 0; i < message->n; i++) {
		int r = entry_init(owner, &owner->entries[i], &message->mappings[i]);

		owner->n = i + 1;
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < message->n;) {
		size_t n = group_length(message, i), at = 0;
		int r = group_add(&owner->entries[i], n, &at, &message->port);

		if (r < 0) {
			message->value = (uint32_t)(i + at);
			return r;
		}
		i += n;
	}
	return 0;
}

static void owner_add_failed(struct owner *own, struct forward_message *message, int r)
{
	const struct forward_mapping *m = &message->mappings[message->value];
	const char *holder = "";

	/* Within one request as well: then it is the owner itself. */
	for (size_t i = 0; r == -EADDRINUSE && i < message->value; i++) {
		const struct forward_mapping *other = &own->entries[i].mapping;

		if (other->proto == m->proto && message->port >= other->host_port &&
		    message->port - other->host_port < other->count &&
		    table_same_address(&other->host, &m->host))
			holder = own->id;
	}
	if (r == -EADDRINUSE && !*holder)
		holder = table_holder(m, message->port);
	memmove(message->owner, holder, strlen(holder) + 1);
	message->error = r;
}

/**
 * table_add() - Publish an owner's ports
 * @message: The request; made into the answer
 *
 * Return: 0 also if the answer is an error
 */
int table_add(struct forward_message *message)
{
	_cleanup_(owner_freep) struct owner *owner = calloc(1, sizeof(*owner));
	struct owner *other;
	int r;

	if (!owner)
		return -ENOMEM;
	memcpy(owner->id, message->owner, sizeof(owner->id));
	HASH_FIND_STR(owners, owner->id, other);
	if (other || !*owner->id || message->n == 0) {
		message->error = other ? -EEXIST : -EINVAL;
		return 0;
	}
	owner->entries = calloc(message->n, sizeof(*owner->entries));
	if (!owner->entries)
		return -ENOMEM;
	r = owner_open(owner, message);
	if (r == 0)
		r = owner_watch(owner);
	if (r < 0) {
		owner_add_failed(owner, message, r);
		return 0;
	}
	for (size_t i = 0; i < owner->n; i++)
		message->mappings[i] = owner->entries[i].mapping;
	HASH_ADD_STR(owners, id, owner);
	owner = NULL;
	return 0;
}

/**
 * table_del() - Unpublish an owner's ports; connections through them are reset
 * @id: Owner
 *
 * Return: 0, or -ENOENT
 */
int table_del(const char *id)
{
	struct owner *owner;

	HASH_FIND_STR(owners, id, owner);
	if (!owner)
		return -ENOENT;
	HASH_DEL(owners, owner);
	owner_free(owner);
	return 0;
}

/**
 * table_next() - Go through the owners
 * @owner: The one before, or NULL
 *
 * Return: an owner, or NULL after the last
 */
const struct owner *table_next(const struct owner *owner)
{
	return owner ? owner->hh.next : owners;
}

/**
 * table_expire() - End UDP sessions that were idle for too long
 */
void table_expire(void)
{
	struct owner *owner, *tmp;

	HASH_ITER (hh, owners, owner, tmp) {
		for (size_t i = 0; i < owner->n; i++) {
			for (size_t k = 0; k < owner->entries[i].mapping.count; k++)
				udp_expire(&owner->entries[i].ports[k]);
		}
	}
}
