/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.h - pasta between the underlay's namespace and the host; the underlay's thread only */
#pragma once

#include <poll.h>
#include <stdint.h>

#include "net/anchor.h"
#include "net/process.h"
#include "net/underlay.h"

#define UPLINK_LINK "up0"
#define UPLINK_RECORD "pasta.pid"
#define UPLINK_POLL_FDS 2

struct uplink {
	struct process pasta;
	int route_fd;	 /* the host's routes */
	int watch_fd;	 /* tells when they change */
	int64_t next_ns; /* of the next try, monotonic; 0: no try is due */
	int64_t since_ns;
	unsigned int backoff_ms;
	struct anchor anchor;		  /* how pasta is told the namespace */
	bool by_name;			  /* or by its path, where that is refused */
	char reason[UNDERLAY_REASON_MAX]; /* why there is none; empty: it runs */
};

int uplink_init(struct uplink *uplink);
bool uplink_host_has_default(void);
void uplink_start(struct underlay *u);
void uplink_stop(struct underlay *u);
int uplink_poll_prepare(struct uplink *uplink, struct pollfd fds[static UPLINK_POLL_FDS]);
void uplink_poll_finish(struct underlay *u, const struct pollfd fds[static UPLINK_POLL_FDS]);
void uplink_done(struct uplink *uplink);
