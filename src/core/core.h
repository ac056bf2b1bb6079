/* SPDX-License-Identifier: Apache-2.0 */
/* core.h - what every manager can reach; made and torn down by daemon/ */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/networks.h"
#include "vm/vm.h"

struct loop;
struct store;
struct image_store;
struct vmm;
struct events;
struct containers;
struct meshes;
struct execs;
struct pulls;
struct registry_options;
struct underlay;
struct forward;

/* What inspect and /info call these */
#define CORE_GRAPH_DRIVER "erofs"
#define CORE_RUNTIME "arca"
#define CORE_LOG_DRIVER "json-file"

struct core_config {
	const char *data_root; /* absolute */
	const char *exec_root;
	struct vm_shape default_shape;
	bool debug;
	const char *name;	     /* host name, for /info */
	char *const *labels;	     /* daemon labels, NULL-terminated */
	const char *log_driver;	     /* "json-file" */
	const char *const *log_opts; /* "max-size=10m", NULL-terminated */
	const struct registry_options *registries;
	struct networks_config networks;
	int shutdown_timeout_s;
};

/* All borrowed, set by daemon/ before the managers start; immutable afterwards. */
struct core {
	struct core_config config;
	struct loop *loop;
	struct store *store;
	struct image_store *images;
	struct underlay *underlay;
	struct forward *forward;
	struct vmm *vmm;
	struct events *events;
	struct networks *networks;
	struct meshes *meshes;
	struct containers *containers;
	struct execs *execs;
	struct pulls *pulls;
};
