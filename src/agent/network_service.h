/* SPDX-License-Identifier: Apache-2.0 */
/* network_service.h - the service Network */
#pragma once

#include "agent.pb-c.h"
#include "agent/wireguard.h"
#include "rpc/server.h"

struct networks;

/* Networks' part of HelloResponse. */
struct network_report {
	ProtobufCBinaryData *offers;	/* owned; the bytes are the networks' */
	Arca__V1__NetworkState *states; /* owned; likewise */
	Arca__V1__NetworkState **list;	/* owned */
};

void network_attach_call(struct rpc_server_call *call, const ProtobufCMessage *message);
void network_detach_call(struct rpc_server_call *call, const ProtobufCMessage *message);
void network_set_defaults_call(struct rpc_server_call *call, const ProtobufCMessage *message);
void network_set_peers_call(struct rpc_server_call *call, const ProtobufCMessage *message);
void network_rotate_call(struct rpc_server_call *call, const ProtobufCMessage *message);
int network_report_fill(struct networks *nets, Arca__V1__HelloResponse *response,
			struct network_report *ret_report);
void network_report_done(struct network_report *report);
