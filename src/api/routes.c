/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.c - every endpoint of the Engine API, and who serves it
 *
 * docs/API.md is made from this table (tools/api-status), and a test compares the two. A row
 * without a handler answers 501. Variables of containers, images and networks take slashes, as
 * dockerd's do.
 */
#include "api/handlers.h"
#include "api/router.h"

#define INL HTTP_INLINE
#define STREAM HTTP_STREAM

/* clang-format off */
const struct api_route api_routes[] = {
	/* System */
	{"GET", "/_ping", INL, api_ping, "System", "Ping"},
	{"HEAD", "/_ping", INL, api_ping, "System", "Ping"},
	{"POST", "/auth", INL, api_auth, "System", "Check auth configuration"},
	{"GET", "/events", STREAM, api_events, "System", "Monitor events"},
	{"GET", "/info", INL, api_info, "System", "Get system information"},
	{"GET", "/system/df", INL, api_system_df, "System", "Get data usage information"},
	{"GET", "/version", INL, api_version, "System", "Get version"},
	/* Container */
	{"POST", "/containers/create", INL, api_container_create, "Container", "Create a container"},
	{"GET", "/containers/json", INL, api_container_list, "Container", "List containers"},
	{"POST", "/containers/prune", INL, api_container_prune, "Container", "Delete stopped containers"},
	{"DELETE", "/containers/{id:.*}", INL, api_container_remove, "Container", "Remove a container"},
	{"GET", "/containers/{id:.*}/archive", STREAM, NULL, "Container", "Get an archive of a filesystem resource in a container"},
	{"HEAD", "/containers/{id:.*}/archive", INL, NULL, "Container", "Get information about files in a container"},
	{"PUT", "/containers/{id:.*}/archive", STREAM, NULL, "Container", "Extract an archive of files or folders to a directory in a container"},
	{"POST", "/containers/{id:.*}/attach", STREAM, api_container_attach, "Container", "Attach to a container"},
	{"GET", "/containers/{id:.*}/attach/ws", STREAM, NULL, "Container", "Attach to a container via a websocket"},
	{"GET", "/containers/{id:.*}/changes", INL, NULL, "Container", "Get changes on a container's filesystem"},
	{"GET", "/containers/{id:.*}/export", STREAM, NULL, "Container", "Export a container"},
	{"GET", "/containers/{id:.*}/json", INL, api_container_inspect, "Container", "Inspect a container"},
	{"POST", "/containers/{id:.*}/kill", INL, api_container_kill, "Container", "Kill a container"},
	{"GET", "/containers/{id:.*}/logs", STREAM, api_container_logs, "Container", "Get container logs"},
	{"POST", "/containers/{id:.*}/pause", INL, api_container_pause, "Container", "Pause a container"},
	{"POST", "/containers/{id:.*}/rename", INL, api_container_rename, "Container", "Rename a container"},
	{"POST", "/containers/{id:.*}/resize", INL, api_container_resize, "Container", "Resize a container TTY"},
	{"POST", "/containers/{id:.*}/restart", INL, api_container_restart, "Container", "Restart a container"},
	{"POST", "/containers/{id:.*}/start", INL, api_container_start, "Container", "Start a container"},
	{"GET", "/containers/{id:.*}/stats", STREAM, NULL, "Container", "Get container stats based on resource usage"},
	{"POST", "/containers/{id:.*}/stop", INL, api_container_stop, "Container", "Stop a container"},
	{"GET", "/containers/{id:.*}/top", INL, api_container_top, "Container", "List processes running inside a container"},
	{"POST", "/containers/{id:.*}/unpause", INL, api_container_unpause, "Container", "Unpause a container"},
	{"POST", "/containers/{id:.*}/update", INL, api_container_update, "Container", "Update a container"},
	{"POST", "/containers/{id:.*}/wait", STREAM, api_container_wait, "Container", "Wait for a container"},
	/* Exec */
	{"POST", "/containers/{id:.*}/exec", INL, api_exec_create, "Exec", "Create an exec instance"},
	{"GET", "/exec/{id}/json", INL, api_exec_inspect, "Exec", "Inspect an exec instance"},
	{"POST", "/exec/{id}/resize", INL, api_exec_resize, "Exec", "Resize an exec instance"},
	{"POST", "/exec/{id}/start", STREAM, api_exec_start, "Exec", "Start an exec instance"},
	/* Image */
	{"POST", "/build", STREAM, NULL, "Image", "Build an image"},
	{"POST", "/build/prune", INL, NULL, "Image", "Delete builder cache"},
	{"POST", "/commit", INL, NULL, "Image", "Create a new image from a container"},
	{"POST", "/images/create", STREAM, api_image_create, "Image", "Create an image"},
	{"GET", "/images/get", STREAM, api_image_get, "Image", "Export several images"},
	{"GET", "/images/json", INL, api_image_list, "Image", "List Images"},
	{"POST", "/images/load", STREAM, api_image_load, "Image", "Import images"},
	{"POST", "/images/prune", INL, api_image_prune, "Image", "Delete unused images"},
	{"GET", "/images/search", INL, api_image_search, "Image", "Search images"},
	{"DELETE", "/images/{name:.*}", INL, api_image_remove, "Image", "Remove an image"},
	{"GET", "/images/{name:.*}/attestations", INL, NULL, "Image", "Get attestation statements for an image"},
	{"GET", "/images/{name:.*}/get", STREAM, api_image_get, "Image", "Export an image"},
	{"GET", "/images/{name:.*}/history", INL, api_image_history, "Image", "Get the history of an image"},
	{"GET", "/images/{name:.*}/json", INL, api_image_inspect, "Image", "Inspect an image"},
	{"POST", "/images/{name:.*}/push", STREAM, api_image_push, "Image", "Push an image"},
	{"POST", "/images/{name:.*}/tag", INL, api_image_tag, "Image", "Tag an image"},
	/* Network */
	{"GET", "/networks", INL, api_network_list, "Network", "List networks"},
	{"POST", "/networks/create", INL, api_network_create, "Network", "Create a network"},
	{"POST", "/networks/prune", INL, api_network_prune, "Network", "Delete unused networks"},
	{"DELETE", "/networks/{id:.*}", INL, api_network_remove, "Network", "Remove a network"},
	{"GET", "/networks/{id:.*}", INL, api_network_inspect, "Network", "Inspect a network"},
	{"POST", "/networks/{id:.*}/connect", INL, api_network_connect, "Network", "Connect a container to a network"},
	{"POST", "/networks/{id:.*}/disconnect", INL, api_network_disconnect, "Network", "Disconnect a container from a network"},
	/* Volume */
	{"GET", "/volumes", INL, NULL, "Volume", "List volumes"},
	{"POST", "/volumes/create", INL, NULL, "Volume", "Create a volume"},
	{"POST", "/volumes/prune", INL, NULL, "Volume", "Delete unused volumes"},
	{"DELETE", "/volumes/{name:.*}", INL, NULL, "Volume", "Remove a volume"},
	{"GET", "/volumes/{name:.*}", INL, NULL, "Volume", "Inspect a volume"},
	{"PUT", "/volumes/{name:.*}", INL, NULL, "Volume", "Update a volume. Valid only for Swarm cluster volumes"},
	/* Distribution */
	{"GET", "/distribution/{name:.*}/json", INL, api_distribution, "Distribution", "Get image information from the registry"},
	/* Session */
	{"POST", "/session", STREAM, NULL, "Session", "Initialize interactive session"},
	/* Plugin */
	{"GET", "/plugins", INL, NULL, "Plugin", "List plugins"},
	{"POST", "/plugins/create", STREAM, NULL, "Plugin", "Create a plugin"},
	{"GET", "/plugins/privileges", INL, NULL, "Plugin", "Get plugin privileges"},
	{"POST", "/plugins/pull", STREAM, NULL, "Plugin", "Install a plugin"},
	{"DELETE", "/plugins/{name:.*}", INL, NULL, "Plugin", "Remove a plugin"},
	{"POST", "/plugins/{name:.*}/disable", INL, NULL, "Plugin", "Disable a plugin"},
	{"POST", "/plugins/{name:.*}/enable", INL, NULL, "Plugin", "Enable a plugin"},
	{"GET", "/plugins/{name:.*}/json", INL, NULL, "Plugin", "Inspect a plugin"},
	{"POST", "/plugins/{name:.*}/push", STREAM, NULL, "Plugin", "Push a plugin"},
	{"POST", "/plugins/{name:.*}/set", INL, NULL, "Plugin", "Configure a plugin"},
	{"POST", "/plugins/{name:.*}/upgrade", STREAM, NULL, "Plugin", "Upgrade a plugin"},
	/* Swarm */
	{"GET", "/swarm", INL, NULL, "Swarm", "Inspect swarm"},
	{"POST", "/swarm/init", INL, NULL, "Swarm", "Initialize a new swarm"},
	{"POST", "/swarm/join", INL, NULL, "Swarm", "Join an existing swarm"},
	{"POST", "/swarm/leave", INL, NULL, "Swarm", "Leave a swarm"},
	{"POST", "/swarm/unlock", INL, NULL, "Swarm", "Unlock a locked manager"},
	{"GET", "/swarm/unlockkey", INL, NULL, "Swarm", "Get the unlock key"},
	{"POST", "/swarm/update", INL, NULL, "Swarm", "Update a swarm"},
	/* Node */
	{"GET", "/nodes", INL, NULL, "Node", "List nodes"},
	{"DELETE", "/nodes/{id}", INL, NULL, "Node", "Delete a node"},
	{"GET", "/nodes/{id}", INL, NULL, "Node", "Inspect a node"},
	{"POST", "/nodes/{id}/update", INL, NULL, "Node", "Update a node"},
	/* Service */
	{"GET", "/services", INL, NULL, "Service", "List services"},
	{"POST", "/services/create", INL, NULL, "Service", "Create a service"},
	{"DELETE", "/services/{id}", INL, NULL, "Service", "Delete a service"},
	{"GET", "/services/{id}", INL, NULL, "Service", "Inspect a service"},
	{"GET", "/services/{id}/logs", STREAM, NULL, "Service", "Get service logs"},
	{"POST", "/services/{id}/update", INL, NULL, "Service", "Update a service"},
	/* Task */
	{"GET", "/tasks", INL, NULL, "Task", "List tasks"},
	{"GET", "/tasks/{id}", INL, NULL, "Task", "Inspect a task"},
	{"GET", "/tasks/{id}/logs", STREAM, NULL, "Task", "Get task logs"},
	/* Secret */
	{"GET", "/secrets", INL, NULL, "Secret", "List secrets"},
	{"POST", "/secrets/create", INL, NULL, "Secret", "Create a secret"},
	{"DELETE", "/secrets/{id}", INL, NULL, "Secret", "Delete a secret"},
	{"GET", "/secrets/{id}", INL, NULL, "Secret", "Inspect a secret"},
	{"POST", "/secrets/{id}/update", INL, NULL, "Secret", "Update a Secret"},
	/* Config */
	{"GET", "/configs", INL, NULL, "Config", "List configs"},
	{"POST", "/configs/create", INL, NULL, "Config", "Create a config"},
	{"DELETE", "/configs/{id}", INL, NULL, "Config", "Delete a config"},
	{"GET", "/configs/{id}", INL, NULL, "Config", "Inspect a config"},
	{"POST", "/configs/{id}/update", INL, NULL, "Config", "Update a Config"},
	{"POST", "/grpc", STREAM, NULL, "Session", "Open a gRPC connection to the builder"},
};
/* clang-format on */
const size_t api_routes_n = sizeof(api_routes) / sizeof(api_routes[0]);
