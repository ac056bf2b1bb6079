/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - VMs as containers share them; included by container_*.c only */
#pragma once

#include <stdbool.h>

#include "agent.pb-c.h"
#include "base/err.h"
#include "base/id.h"

struct container_run;
struct core;
struct machine;
struct machines; /* of the daemon: those in which something runs */
struct sandbox_spec;

int machines_new(struct core *core, struct machines **ret);
void machines_free(struct machines *ms);
/* A new daemon says which VMs it will look for, once for each container in them, before it looks
 * for the first. */
int machines_expect(struct machines *ms, const char *id);
bool machines_know(struct machines *ms, const char *id);

int machine_start(struct machines *ms, struct container_run *run, const struct sandbox_spec *spec,
		  struct err *err);
int machine_join(struct container_run *run, const struct container_run *other, struct err *err);
int machine_adopt(struct machines *ms, struct container_run *run, const char *id,
		  const struct Arca__V1__HelloResponse **ret_hello, struct err *err);
void machine_leave(struct container_run *run, unsigned int timeout_ms);
void machine_kill(struct container_run *run);
void machine_forget(struct container_run *run);
const char *machine_id(const struct machine *m);
