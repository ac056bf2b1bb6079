/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.h - /etc/hosts of containers that run */
#pragma once

#include "agent.pb-c.h"
#include "rpc/server.h"

#define HOSTS_PATH "/etc/hosts"

void hosts_edit_call(struct rpc_server_call *call, const ProtobufCMessage *message);
