/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/list.h"
void list_processes(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	(void)message;
	rpc_server_finish(call, RPC_UNIMPLEMENTED, "");
}
