/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - ps(1) for `top` */
#pragma once

#include "rpc/server.h"

void list_processes(struct rpc_server_call *call, const ProtobufCMessage *message);
