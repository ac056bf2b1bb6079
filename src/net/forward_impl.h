/* SPDX-License-Identifier: Apache-2.0 */
/* forward_impl.h - what the files of the forwarder's client share */
#pragma once

#include <pthread.h>
#include <uthash.h>

#include "base/buf.h"
#include "net/forward.h"
#include "net/process.h"

/* What was published, to be published again by a new forwarder. */
struct forward_owner {
	char id[FORWARD_OWNER_MAX + 1];
	struct forward_mapping *mappings; /* owned; host ports as bound */
	size_t n;
	UT_hash_handle hh;
};

struct forward {
	struct underlay *underlay; /* borrowed */
	char *dir, *program;	   /* owned */
	forward_restarted_fn restarted;
	void *user;
	pthread_t thread;
	int wake_fd;	/* eventfd: watch another process, or end */
	int host_ns_fd; /* given to the forwarder */

	pthread_mutex_t lock; /* guards what follows; held while the forwarder is asked */
	bool stopping;
	bool known; /* owners is what the forwarder has, or had */
	struct process process;
	int fd;	       /* connection, blocking with a timeout; -EBADF: none */
	struct buf in; /* bytes behind the last answer */
	struct forward_owner *owners;
};

int forward_process_ensure(struct forward *f, struct err *err);
void forward_process_drop(struct forward *f);
int forward_ask(struct forward *f, const struct forward_message *request,
		struct forward_message *ret_answer);
int forward_next_answer(struct forward *f, struct forward_message *ret_answer);

int forward_remember(struct forward *f, const struct forward_message *message);
void forward_forget_owner(struct forward *f, struct forward_owner *owner);
