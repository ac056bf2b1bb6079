/* SPDX-License-Identifier: Apache-2.0 */
/* network_spec.h - what the daemon says of networks, checked */
#pragma once

#include "agent.pb-c.h"
#include "agent/link.h"
#include "base/err.h"

struct network;
struct network_peer;

int network_parse_address(const ProtobufCBinaryData *field, size_t len,
			  struct link_address *ret_address);
int network_parse(const Arca__V1__NetworkAttach *spec, struct network *n, struct err *err);
int network_parse_peer(const Arca__V1__Peer *spec, struct network_peer *peer, struct err *err);
