/* SPDX-License-Identifier: Apache-2.0 */
/* forward.h - published ports: the daemon's side of arca-forward */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "forward/wire.h"

struct forward;
struct underlay;

/* A positive outcome of forward_add(): nothing was published, and this is why. */
#define FORWARD_E_PORT 1

/* A forwarder that died was replaced, and has @n owners again; @lost more could not be given back.
 */
typedef void (*forward_restarted_fn)(size_t n, size_t lost, void *user);

struct forward_config {
	struct underlay *underlay;	/* borrowed; outlives the forwarder's client */
	const char *dir;		/* <exec-root>/net, the underlay's; copied */
	const char *program;		/* path of arca-forward; copied */
	forward_restarted_fn restarted; /* on any thread; must not call the client; may be NULL */
	void *user;
};

struct forward_failure {
	size_t index;  /* of the mapping */
	uint16_t port; /* on the host; 0: one that the kernel was to choose */
	int error;     /* negative errno: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE, ... */
	char holder[FORWARD_OWNER_MAX + 1]; /* the owner that has it already; empty: not ours */
};

typedef void (*forward_owner_fn)(const char *owner, const struct forward_mapping *mappings,
				 size_t n, void *user);

int forward_open(const struct forward_config *config, struct forward **ret_forward,
		 struct err *err);
void forward_close(struct forward *forward);
void forward_remove(struct forward *forward);

int forward_add(struct forward *forward, const char *owner, struct forward_mapping *mappings,
		size_t n, struct forward_failure *ret_failure, struct err *err);
int forward_del(struct forward *forward, const char *owner);
int forward_list(struct forward *forward, forward_owner_fn fn, void *user, struct err *err);
int forward_look(const char *dir, forward_owner_fn fn, void *user, pid_t *ret_pid, struct err *err);
bool forward_has(struct forward *forward, const char *owner);
pid_t forward_pid(struct forward *forward);
bool forward_host_has_ipv6(void);
