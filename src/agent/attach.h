/* SPDX-License-Identifier: Apache-2.0 */
/* attach.h - who listens to a process */
#pragma once

#include "rpc/server.h"

struct process;

void attach_message(struct rpc_server_call *call, const ProtobufCMessage *message);
void attach_closed(struct rpc_server_call *call);
void attach_writable(struct rpc_server_call *call);

void attach_pump(struct process *p);
void attach_fail(struct process *p, int status, const char *text);
void attach_forget(struct process *p);
