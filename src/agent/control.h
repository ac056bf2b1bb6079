/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - unary calls on processes and containers: signals, sizes, limits, release */
#pragma once

#include "rpc/server.h"

void control_signal(struct rpc_server_call *call, const ProtobufCMessage *message);
void control_resize(struct rpc_server_call *call, const ProtobufCMessage *message);
void control_release(struct rpc_server_call *call, const ProtobufCMessage *message);
void control_update(struct rpc_server_call *call, const ProtobufCMessage *message);
void control_pause(struct rpc_server_call *call, const ProtobufCMessage *message);
void control_remove(struct rpc_server_call *call, const ProtobufCMessage *message);
