/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the table of what the agent answers */
#include "agent/agent.h"
#include "agent/attach.h"
#include "agent/control.h"
#include "agent/files.h"
#include "agent/input.h"
#include "agent/list.h"
#include "agent/network_service.h"
#include "agent/sandbox.h"
#include "agent.pb-c.h"

#define SERVICE_UNARY(name, type, handler)                                                         \
	{                                                                                          \
		.path = "/arca.v1." name, .request_type = &arca__v1__##type##__descriptor,         \
		.message = handler                                                                 \
	}

const struct rpc_method agent_methods[] = {
	SERVICE_UNARY("Sandbox/Hello", hello_request, sandbox_hello),
	SERVICE_UNARY("Sandbox/Shutdown", empty, sandbox_shutdown),
	SERVICE_UNARY("Sandbox/Update", update_request, control_update),
	SERVICE_UNARY("Sandbox/Pause", pause_request, control_pause),
	SERVICE_UNARY("Sandbox/RemoveContainer", remove_container_request, control_remove),
	{
		.path = "/arca.v1.Process/Attach",
		.request_type = &arca__v1__attach_control__descriptor,
		.message = attach_message,
		.closed = attach_closed,
		.writable = attach_writable,
	},
	{
		.path = "/arca.v1.Process/Input",
		.request_type = &arca__v1__input_chunk__descriptor,
		.message = input_message,
		.half_closed = input_half_closed,
		.closed = input_closed,
		.manual_consume = true,
	},
	SERVICE_UNARY("Process/Signal", signal_request, control_signal),
	SERVICE_UNARY("Process/Resize", resize_request, control_resize),
	SERVICE_UNARY("Process/Release", release_request, control_release),
	SERVICE_UNARY("Process/List", list_request, list_processes),
	SERVICE_UNARY("Network/Attach", attach_network_request, network_attach_call),
	SERVICE_UNARY("Network/Detach", detach_network_request, network_detach_call),
	SERVICE_UNARY("Network/SetDefaults", set_defaults_request, network_set_defaults_call),
	SERVICE_UNARY("Network/SetPeers", set_peers_request, network_set_peers_call),
	SERVICE_UNARY("Network/Rotate", rotate_request, network_rotate_call),
	SERVICE_UNARY("Network/EditFiles", edit_files_request, files_edit_call),
	{.path = NULL},
};

/**
 * agent_of() - The agent that a call came to
 * @call: Call
 *
 * Return: borrowed
 */
struct agent *agent_of(const struct rpc_server_call *call)
{
	return rpc_server_user(call->server);
}
