/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - the networks that containers of this VM are attached to */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "agent.pb-c.h"
#include "agent/firewall.h"
#include "agent/link.h"
#include "agent/netlink.h"
#include "agent/poll.h"
#include "agent/underlay.h"
#include "agent/wireguard.h"
#include "base/cleanup.h"
#include "base/err.h"

#define NETWORK_INDEX_MAX FIREWALL_MESH_PORTS
#define NETWORK_OFFERS 4       /* indices whose interface and key are made ahead */
#define NETWORK_PEERS_MAX 4096 /* of one network */
#define NETWORK_MTU_MIN 68
#define NETWORK_MTU_MAX 65535

struct agent;
struct container;

struct network_peer {
	char *endpoint_id; /* owned; the table's key */
	uint8_t public_key[WIREGUARD_KEY_LEN];
	struct link_address endpoint; /* of its VM, on the underlay */
	uint16_t port;
	struct link_address address[2]; /* v4, v6; .len = 0: none */
	bool linked;			/* reached by ports only: network_linked.c */
	uint32_t *ports[2];		/* owned; of this container, of the peer's; FIREWALL_PORT */
	size_t n_ports[2];
	bool open;     /* the firewall lets those ports pass */
	bool in_force; /* the kernel has taken it */
	bool leaving;
	UT_hash_handle hh;
};

/* One container in one network. */
struct network {
	struct container *container; /* borrowed */
	char *id;		     /* owned */
	unsigned int index;
	char interface[IFNAMSIZ]; /* in the container */
	uint8_t mac[LINK_MAC_LEN];
	struct link_address address[2], gateway[2]; /* v4, v6; .len = 0: none */
	unsigned int mtu;
	bool is_default[2]; /* v4, v6 */
	bool internal;
	uint8_t public_key[WIREGUARD_KEY_LEN];
	struct network_peer *peers; /* owned, table */
	unsigned int inside;	    /* number of its interface in the container */
	struct firewall_entry firewall;
	bool held; /* peers are not set yet, and what is sent to them waits */
	struct poll_timer held_timer;
	struct networks *nets; /* borrowed: whose it is, for the timer */
	bool nic; /* a NIC of its own instead of mesh, links and firewall; index means nothing */
	bool has_mesh, has_links, has_firewall, has_nic; /* what there is to take down */
	struct network *next, *prev;
};

/* One per VM. */
struct networks {
	bool usable;	       /* else the kernel lacks something, which was logged */
	int home_fd;	       /* owned: the VM's own network namespace */
	struct poller *poller; /* borrowed */
	struct netlink route, filter;
	struct wireguard wg;
	struct underlay underlay;
	bool may_make_keys; /* the random generator is no longer the template's */
	bool offered[NETWORK_OFFERS];
	uint8_t offers[NETWORK_OFFERS][WIREGUARD_KEY_LEN];
	struct network *list; /* owned */
};

void networks_boot(struct networks *nets, struct poller *poller);
int networks_hello(struct networks *nets, const Arca__V1__HelloRequest *request, struct err *err);
struct network *network_find(const struct networks *nets, const struct container *c,
			     const char *id);
int network_attach(struct networks *nets, struct container *c, const Arca__V1__NetworkAttach *spec,
		   struct network **ret_network, struct err *err);
int network_attach_all(struct networks *nets, struct container *c,
		       const Arca__V1__ContainerSpec *spec, struct err *err);
int network_set_default(struct networks *nets, struct network *n, bool six, bool is_default,
			struct err *err);
int network_set_firewall(struct networks *nets, struct network *n,
			 const struct firewall_entry *wanted, struct err *err);
void network_detach(struct networks *nets, struct network *n);
void network_detach_all(struct networks *nets, const struct container *c, bool vm_ends);

/* network_mesh.c */
unsigned int network_mesh_index(const struct network *n);
int network_mesh_boot(struct networks *nets);
int network_mesh_offer(struct networks *nets, unsigned int count);
int network_mesh_take(struct networks *nets, struct network *n,
		      const ProtobufCBinaryData *offered_key, struct err *err);
void network_mesh_drop(struct networks *nets, struct network *n);
int network_rotate(struct networks *nets, struct network *n, struct err *err);

/* network_links.c */
unsigned int network_link_index(const struct network *n);
int network_links_refused(const struct network *n, int r, const char *what, struct err *err);
int network_links_make(struct networks *nets, struct network *n, struct err *err);
void network_links_put_inside(struct netlink_batch *b, const struct network *n);
int network_links_set_default(struct networks *nets, struct network *n, bool six, bool is_default,
			      struct err *err);
void network_links_drop(struct networks *nets, struct network *n);

/* network_nic.c */
int network_nic_take(struct networks *nets, struct network *n, struct err *err);
void network_nic_drop(struct networks *nets, struct network *n);

/* network_peers.c */
struct network_peers_change {
	bool complete, poke, hold;
	Arca__V1__Peer *const *set;
	size_t n_set;
	char *const *removed; /* endpoint ids */
	size_t n_removed;
};
int network_set_peers(struct networks *nets, struct network *n,
		      const struct network_peers_change *change, struct err *err);
int network_keep_peers(struct network *n, const struct network_peers_change *change,
		       struct err *err);
void network_forget_peers(struct network *n);

/* network_linked.c */
int network_linked_check(const Arca__V1__Peer *spec, struct err *err);
int network_linked_copy(const Arca__V1__Peer *spec, struct network_peer *p);
bool network_linked_same(const Arca__V1__Peer *spec, const struct network_peer *p);
int network_linked_open(struct networks *nets, struct network *n);
int network_linked_close(struct networks *nets, const struct network *n, struct network_peer *p);
void network_linked_close_all(struct networks *nets, const struct network *n);

/* network_hold.c */
void network_hold(struct networks *nets, struct network *n);
int network_release(struct networks *nets, struct network *n, struct err *err);
void network_hold_drop(struct network *n);
