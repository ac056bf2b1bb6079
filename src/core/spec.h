/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h - from a container's config to what the agent is told (rpc/proto/agent.proto) */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent.pb-c.h"
#include "base/err.h"
#include "vm/vm.h"

struct core;
struct networks;

#define SPEC_ITEMS_MAX 1024 /* mounts, devices, ulimits ... of one container */

/* What a spec is built from; all borrowed. */
struct spec_source {
	const char *id;
	const json_t *config, *host_config; /* complete: normalised, merged, with defaults */
	const char *host_name;		    /* of the machine, for UTSMode host; or NULL */
	const char *hosts, *resolv;	    /* file texts */
	const json_t *links;		    /* array of variables, or NULL */
};

int spec_validate(const json_t *host_config, struct err *err);
int spec_start_request(const struct spec_source *source, Arca__V1__StartRequest **ret,
		       struct err *err);
int spec_process(const struct spec_source *source, bool privileged, Arca__V1__ProcessSpec **ret,
		 struct err *err);
int spec_resources(const json_t *host_config, Arca__V1__Resources **ret, struct err *err);
struct vm_shape spec_shape(const struct core *core, const json_t *host_config);
void spec_prepare(void);

/* spec_mounts.c */
int spec_mounts(const json_t *host_config, Arca__V1__ContainerSpec *spec, struct err *err);
int spec_mounts_validate(const json_t *host_config, struct err *err);

/* spec_security.c */
bool spec_security_flag(const json_t *host_config, const char *key, const char *value);
int spec_security_validate(const json_t *host_config, struct err *err);
int spec_security(const json_t *host_config, bool privileged, Arca__V1__ProcessSpec *process,
		  struct err *err);

/* spec_limits.c */
int spec_rlimits(const json_t *host_config, Arca__V1__ProcessSpec *process, struct err *err);
int spec_rlimits_validate(const json_t *host_config, struct err *err);

/* spec_devices.c */
int spec_devices(const json_t *host_config, Arca__V1__ContainerSpec *spec, struct err *err);

/* spec_dns.c */
int spec_dns(const json_t *host_config, bool has_network, Arca__V1__ContainerSpec *spec,
	     struct err *err);
bool spec_asks_host_gateway(const json_t *host_config);
int spec_host_gateway(const struct networks *networks, const json_t *host_config,
		      Arca__V1__ContainerSpec *spec, struct err *err);

/* spec_util.c: protobuf-c messages as its free_unpacked() expects them */
int spec_put(char **field, const char *text);
int spec_bytes(ProtobufCBinaryData *field, const void *data, size_t len);
int spec_put_strv(char ***field, size_t *n, const json_t *list);
int spec_add_string(char ***field, size_t *n, const char *text);
void *spec_add(void ***field, size_t *n, size_t size);
#define SPEC_ADD(message, list, type, init)                                                        \
	({                                                                                         \
		type *_item =                                                                      \
			spec_add((void ***)&(message)->list, &(message)->n_##list, sizeof(type));  \
		if (_item)                                                                         \
			init(_item);                                                               \
		_item;                                                                             \
	})
