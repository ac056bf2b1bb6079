/* SPDX-License-Identifier: Apache-2.0 */
/* handlers.h - every handler that routes.c names; each opens with its status list in its .c */
#pragma once

struct api;
struct http_req;

#define API_HANDLER(name) int name(struct api *api, struct http_req *req)

/* registry.c */
API_HANDLER(api_image_push);
API_HANDLER(api_auth);
API_HANDLER(api_distribution);
API_HANDLER(api_image_search);

/* system.c, info.c, events.c */
API_HANDLER(api_ping);
API_HANDLER(api_version);
API_HANDLER(api_info);
API_HANDLER(api_system_df);
API_HANDLER(api_events);

/* containers.c, container_create.c, container_wait.c */
API_HANDLER(api_container_list);
API_HANDLER(api_container_inspect);
API_HANDLER(api_container_top);
API_HANDLER(api_container_create);
API_HANDLER(api_container_start);
API_HANDLER(api_container_stop);
API_HANDLER(api_container_restart);
API_HANDLER(api_container_kill);
API_HANDLER(api_container_pause);
API_HANDLER(api_container_unpause);
API_HANDLER(api_container_remove);
API_HANDLER(api_container_rename);
API_HANDLER(api_container_update);
API_HANDLER(api_container_resize);
API_HANDLER(api_container_prune);
API_HANDLER(api_container_wait);

/* container_streams.c */
API_HANDLER(api_container_attach);
API_HANDLER(api_container_logs);

/* networks.c */
API_HANDLER(api_network_list);
API_HANDLER(api_network_inspect);
API_HANDLER(api_network_create);
API_HANDLER(api_network_connect);
API_HANDLER(api_network_disconnect);
API_HANDLER(api_network_remove);
API_HANDLER(api_network_prune);

/* exec.c */
API_HANDLER(api_exec_create);
API_HANDLER(api_exec_start);
API_HANDLER(api_exec_inspect);
API_HANDLER(api_exec_resize);

/* images.c and its neighbours */
API_HANDLER(api_image_list);
API_HANDLER(api_image_inspect);
API_HANDLER(api_image_history);
API_HANDLER(api_image_load);
API_HANDLER(api_image_create); /* pull, or import with fromSrc=- */
API_HANDLER(api_image_tag);
API_HANDLER(api_image_remove);
API_HANDLER(api_image_prune);
API_HANDLER(api_image_get);
