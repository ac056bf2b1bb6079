/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - what a container finds at 127.0.0.11 */
#pragma once

#include "agent.pb-c.h"
#include "base/err.h"

struct agent;
struct container;
struct names;
struct network_peers_change;

int names_start(struct agent *agent, struct container *c, const Arca__V1__ContainerSpec *spec,
		struct err *err);
int names_attach(struct agent *agent, struct container *c, const Arca__V1__NetworkAttach *spec,
		 struct err *err);
void names_detach(struct agent *agent, struct container *c, const char *network_id);
int names_set_peers(struct container *c, const char *network_id,
		    const struct network_peers_change *change, struct err *err);
void names_free(struct names *names);
