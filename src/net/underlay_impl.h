/* SPDX-License-Identifier: Apache-2.0 */
/* underlay_impl.h - what the files of the underlay share; everything here is its thread's */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "net/underlay.h"
#include "net/uplink.h"

#define UNDERLAY_RECORD_FORWARD "forward.pid" /* of the forwarder: it lives in the namespace */

struct underlay_job {
	int (*fn)(struct underlay *underlay, void *arg);
	void *arg;
	int result;
	bool done;
	struct underlay_job *prev, *next;
};

struct underlay {
	char *dir;   /* owned */
	char *nft;   /* owned; NULL: searched */
	char *pasta; /* owned; NULL: searched */
	pthread_t thread;
	int wake_fd;	/* eventfd: a job, or the end */
	int host_ns_fd; /* the daemon's own namespace */
	int ns_fd;	/* ours; -EBADF: none yet */
	int route_fd;	/* rtnetlink inside it */
	uint16_t next_index;
	bool setup_done;
	struct uplink uplink;
	uint8_t host_gateway[(UNDERLAY_INDEX_MAX + 8) / 8]; /* bits: members of the set */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	struct underlay_job *jobs;
	bool stopping;
	struct underlay_status status;
};

/* Any thread but the underlay's: sets up if need be, then runs @fn there. */
int underlay_run(struct underlay *u, int (*fn)(struct underlay *, void *), void *arg,
		 struct err *err);

int underlay_ns_enter(struct underlay *u, struct err *err);
int underlay_ns_look(const struct underlay *u);
void underlay_ns_remove(struct underlay *u);
int underlay_ns_configure(struct underlay *u, struct err *err);
int underlay_sysctl_late(void);
void underlay_sysctl_bridge(void);

int underlay_rules_load(struct underlay *u, struct err *err);
int underlay_rules_host_gateway(struct underlay *u, uint16_t index, bool on, struct err *err);
int underlay_rules_look(struct underlay *u, unsigned int *ret_wanted, unsigned int *ret_found,
			struct err *err);
int underlay_rules_run(const struct underlay *u, const char *const *words, const char *input,
		       struct buf *output, struct err *err);
bool underlay_is_host_gateway(const struct underlay *u, uint16_t index);

int underlay_tap_create(const char *name, int *ret_fd);
void underlay_link_local(const uint8_t mac[static 6], uint8_t ret_v6[static 16]);
int underlay_tap_make(struct underlay *u, int *ret_fd, struct underlay_addr *ret_addr,
		      struct err *err);
int underlay_tap_list(struct underlay *u, underlay_tap_fn fn, void *user);
int underlay_link_index(const struct underlay *u, const char *name, int *ret_ifindex);
