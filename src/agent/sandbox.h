/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - the VM itself: its identity, its end */
#pragma once

#include "rpc/server.h"

struct agent;

int sandbox_prepare(struct agent *agent);
void sandbox_hello(struct rpc_server_call *call, const ProtobufCMessage *message);
void sandbox_shutdown(struct rpc_server_call *call, const ProtobufCMessage *message);
void sandbox_power_off(struct agent *agent);
