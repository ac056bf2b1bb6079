/* SPDX-License-Identifier: Apache-2.0 */
/* underlay.h - the network namespace in which every VM has one tap */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct spawn_spec;
struct underlay;

#define UNDERLAY_INDEX_MIN 2
#define UNDERLAY_INDEX_MAX 65533
#define UNDERLAY_MTU 9000
#define UNDERLAY_REASON_MAX 256
#define UNDERLAY_WG_PORT_MIN 51820 /* UDP ports that one VM may reach at another */
#define UNDERLAY_WG_PORT_MAX 52075

/* What a VM has on its tap; follows from the index alone. */
struct underlay_addr {
	uint16_t index;
	uint8_t mac[6];
	uint8_t v4[4];	/* 198.18.0.0 + index, /32 */
	uint8_t v6[16]; /* fd61:7263:6100::<index>, /128 */
};

/* The other end of every tap: the same for all VMs. */
struct underlay_gateway {
	uint8_t mac[6];
	uint8_t v4[4];	    /* 198.18.0.1 */
	uint8_t v6[16];	    /* fd61:7263:6100::1 */
	uint8_t dns4[4];    /* 198.19.255.3: the host's resolver */
	uint8_t host4[4];   /* 198.19.255.1: the host, its loopback included; see host_gateway() */
	uint8_t host6[16];  /* fd61:7263:61ff::1: likewise, where the host has IPv6 */
	uint8_t uplink4[4]; /* 198.19.255.2: what pasta sees as the source */
};

struct underlay_config {
	const char *dir;   /* for the namespace, records and logs; <exec-root>/net */
	const char *nft;   /* NULL: nft in PATH or /usr/sbin */
	const char *pasta; /* NULL: pasta in PATH */
	/* The first index to be tried; 0: anywhere, so that what still talks to a dead VM ends. */
	uint16_t first_index;
};

struct underlay_tap {
	struct underlay_addr addr;
	bool running;	   /* up, and a process holds its descriptor */
	bool host_gateway; /* may reach the host */
};

struct underlay_status {
	bool ready;    /* namespace and rules stand */
	uint64_t ns;   /* inode of the namespace, 0: none yet */
	bool uplink;   /* pasta runs */
	pid_t pasta;   /* 0: none */
	size_t n_taps; /* VMs */
	/* Why not ready, or why there is no uplink; empty if all is well. */
	char reason[UNDERLAY_REASON_MAX];
};

typedef void (*underlay_tap_fn)(const struct underlay_tap *tap, void *user);

int underlay_open(const struct underlay_config *config, struct underlay **ret_underlay,
		  struct err *err);
int underlay_wait(struct underlay *underlay, struct err *err);
void underlay_close(struct underlay *underlay);
void underlay_remove(struct underlay *underlay);

int underlay_tap_open(struct underlay *underlay, int *ret_fd, struct underlay_addr *ret_addr,
		      struct err *err);
int underlay_host_gateway(struct underlay *underlay, uint16_t index, bool on, struct err *err);
int underlay_list(struct underlay *underlay, underlay_tap_fn fn, void *user, struct err *err);
void underlay_status(struct underlay *underlay, struct underlay_status *ret_status);
int underlay_spawn(struct underlay *underlay, const struct spawn_spec *spec, pid_t *ret_pid,
		   int *ret_pidfd, struct err *err);

void underlay_addr(uint16_t index, struct underlay_addr *ret_addr);
const struct underlay_gateway *underlay_gateway(void);
