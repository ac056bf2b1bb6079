/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - /etc/hosts and /etc/resolv.conf of containers that run */
#pragma once

#include "agent.pb-c.h"
#include "rpc/server.h"

#define FILES_HOSTS "/etc/hosts"
#define FILES_RESOLV "/etc/resolv.conf"

void files_edit_call(struct rpc_server_call *call, const ProtobufCMessage *message);
