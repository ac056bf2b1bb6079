/* SPDX-License-Identifier: Apache-2.0 */
/* resolv.h - a container's resolv.conf: the host's, and what the user chose instead */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/subnet.h"

#define RESOLV_EMBEDDED "127.0.0.11" /* the server that every container with networks has */

/* Whom a container's libc asks. */
enum resolv_mode {
	RESOLV_OWN,	/* its own server, RESOLV_EMBEDDED */
	RESOLV_NETLESS, /* mode none, and on no network: servers that it cannot reach */
	RESOLV_VM,	/* mode host: servers as the VM reaches them */
};

/* The host's file. */
struct resolv_host {
	const char *path; /* "" if there is none */
	char *text;	  /* owned, never NULL */
};

struct resolv {
	const char *path;				      /* borrowed: the host's file */
	json_t *servers, *search, *options, *other, *invalid; /* owned: arrays of strings */
	/* the user's rather than the host's */
	bool own_servers, own_search, own_options;
	bool default_servers;	/* neither had one */
	const char *ndots_from; /* static: "host", "override"; NULL: nobody chose ndots */
};

int resolv_host_read(struct resolv_host *ret_host);
void resolv_host_done(struct resolv_host *host);
enum resolv_mode resolv_mode(const json_t *host_config, bool has_network);
int resolv_init(struct resolv *resolv, const struct resolv_host *host, const json_t *host_config);
void resolv_done(struct resolv *resolv);
bool resolv_reach(const struct resolv *resolv, size_t i, struct net_addr *ret_addr);
char *resolv_text(const struct resolv *resolv, enum resolv_mode mode);
