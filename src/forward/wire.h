/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - what daemon and forwarder say to each other */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FORWARD_VERSION 1
#define FORWARD_OWNER_MAX 64
#define FORWARD_MAPPINGS_MAX 16384
#define FORWARD_FRAME_MAX MIB(1) /* of one message, its length field not counted */

struct forward_ip {
	uint8_t family;	   /* 4 or 6 */
	uint8_t bytes[16]; /* network order; IPv4 uses 4 */
};

/* A published port, or a range of them: host_port + i leads to target_port + i, i < count. */
struct forward_mapping {
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	/* Takes the host port of the mapping before it, whatever that became. */
	bool same_port;
	struct forward_ip host;	  /* where to listen; all zeros: everywhere */
	struct forward_ip target; /* the VM's address in the underlay */
	uint16_t host_port;	  /* 0: the kernel chooses, count is 1 */
	uint16_t host_port_last;  /* 0, or: the first free of host_port..last, count is 1 */
	uint16_t target_port;
	uint16_t count; /* 1..65535 */
};

enum forward_op {
	FORWARD_HELLO = 1, /* -> value: FORWARD_VERSION */
	FORWARD_ADD,  /* owner, mappings -> mappings with their ports, or error and what failed */
	FORWARD_DEL,  /* owner -> error 0 or -ENOENT; its connections end */
	FORWARD_LIST, /* -> one message per owner, the last without owner */
};

/* A request or the answer to it; the fields are those that the operation names. */
struct forward_message {
	enum forward_op op;
	int error;	/* answers: 0 or negative errno */
	uint16_t port;	/* answers to ADD that failed: which host port */
	uint32_t value; /* HELLO: version; ADD that failed: index of the mapping */
	char owner[FORWARD_OWNER_MAX +
		   1]; /* ADD that failed: who else of ours has the port, or "" */
	struct forward_mapping *mappings; /* owned by a message that was decoded */
	size_t n;
};

int forward_wire_put(struct buf *out, const struct forward_message *message);
int forward_wire_length(const void *data, size_t len, size_t *ret_total);
int forward_wire_get(const void *data, size_t len, struct forward_message *ret_message);
void forward_message_done(struct forward_message *message);
bool forward_mapping_valid(const struct forward_mapping *m, bool first);
