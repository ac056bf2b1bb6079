/* SPDX-License-Identifier: Apache-2.0 */
/* link_env.h - the variables that a link puts into the environment */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_PORTS_MAX 1024 /* of one container; what it exposes beyond is left out */

struct link_port {
	uint16_t number;
	char proto[8]; /* "tcp" */
};

size_t link_ports(const json_t *config, struct link_port out[static LINK_PORTS_MAX]);
int link_env_add(json_t *env, const char *name, const char *address, const json_t *config);
